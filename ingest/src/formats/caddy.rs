//! Caddy's access log: JSON lines of the logger `http.log.access`.
//!
//! Source: Caddy's documentation, "How Logging Works" and the `log` directive with its `json` encoder. `duration` is
//! seconds, `ts` seconds since 1970 unless `time_format` says otherwise. The scheme is that of Caddy's own connection:
//! `https` where the request has `tls`. Lines of other loggers are refused: one of `http.log.error` has the request of a
//! line of the access log once more.

use serde::Deserialize;

use super::Format;
use super::json_line::{First, Scalar, read, set};
use super::seconds::seconds_value;
use super::whole_url::UrlParts;
use super::x_cache::cache_word;
use crate::fault::{Fault, shown};
use crate::raw::{Field, RawEvent};

/// The format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caddy;

/// The access log's logger, and what those that a site gives a name to begin with.
const LOGGER: &str = "http.log.access";
const NAMED_LOGGER: &str = "http.log.access.";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    logger: Scalar<'a>,
    #[serde(borrow)]
    ts: Scalar<'a>,
    #[serde(borrow)]
    request: Option<Request<'a>>,
    #[serde(borrow)]
    status: Scalar<'a>,
    #[serde(borrow)]
    size: Scalar<'a>,
    #[serde(borrow)]
    duration: Scalar<'a>,
    #[serde(borrow)]
    resp_headers: Option<Headers<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Request<'a> {
    #[serde(borrow)]
    method: Scalar<'a>,
    #[serde(borrow)]
    host: Scalar<'a>,
    #[serde(borrow)]
    uri: Scalar<'a>,
    #[serde(borrow)]
    tls: Scalar<'a>,
    #[serde(borrow)]
    headers: Option<Headers<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Headers<'a> {
    #[serde(borrow, rename = "User-Agent")]
    user_agent: First<'a>,
    #[serde(borrow, rename = "X-User-Agent")]
    x_user_agent: First<'a>,
    #[serde(borrow, rename = "X-Cache")]
    x_cache: First<'a>,
}

impl Format for Caddy {
    fn name(&self) -> &'static str {
        "caddy"
    }

    fn describe(&self) -> &'static str {
        "Caddy's access log, JSON"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        let line: Line<'_> = read(line)?;
        if let Some(logger) = line.logger.text()
            && logger != LOGGER
            && !logger.starts_with(NAMED_LOGGER)
        {
            return Err(Fault::line(format!("is of the logger {}, not of Caddy's access log", shown(&logger))));
        }
        let Some(request) = line.request else {
            return Err(Fault::new(Field::Url.name(), "`request` is missing: this is no line of Caddy's access log"));
        };
        let mut raw = RawEvent::default();
        raw.set(Field::Ts, line.ts.time("ts")?);
        raw.set(Field::Status, line.status.required(Field::Status, "status")?.digits_as_integer());
        let path = request.uri.required_text(Field::Url, "request.uri")?;
        let scheme = Some(if request.tls.0.is_some() { "https" } else { "http" }.into());
        UrlParts { scheme, host: request.host.text(), path, arguments: None }.set(&mut raw);
        set(&mut raw, Field::Method, request.method.given());
        set(&mut raw, Field::Bytes, line.size.number());
        set(&mut raw, Field::DurationMs, line.duration.number().map(seconds_value));
        let asked = request.headers.unwrap_or_default();
        set(&mut raw, Field::UserAgent, asked.user_agent.0.given());
        set(&mut raw, Field::XUserAgent, asked.x_user_agent.0.given());
        if let Some(header) = line.resp_headers.and_then(|headers| headers.x_cache.0.text()) {
            raw.set_text(Field::Cache, cache_word(header));
        }
        Ok(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::fixture;

    #[test]
    fn lines_as_caddy_writes_them() {
        insta::assert_snapshot!(fixture::snapshot(&Caddy));
    }
}
