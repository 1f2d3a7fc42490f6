//! Traefik's access log in its JSON format.
//!
//! Source: Traefik's documentation, "Access Logs", with its table of fields. `Duration` is nanoseconds. Headers are
//! logged as `request_…` and `downstream_…`, where Traefik is told to keep them; it drops them by default.

use serde::Deserialize;

use super::Format;
use super::json_line::{Scalar, read, set};
use super::whole_url::UrlParts;
use super::x_cache::cache_word;
use crate::fault::Fault;
use crate::raw::{Field, RawEvent, Value};

/// The format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traefik;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Line<'a> {
    #[serde(borrow, rename = "StartUTC")]
    start_utc: Scalar<'a>,
    #[serde(borrow)]
    start_local: Scalar<'a>,
    #[serde(borrow)]
    downstream_status: Scalar<'a>,
    #[serde(borrow)]
    downstream_content_size: Scalar<'a>,
    #[serde(borrow)]
    duration: Scalar<'a>,
    #[serde(borrow)]
    request_method: Scalar<'a>,
    #[serde(borrow)]
    request_scheme: Scalar<'a>,
    #[serde(borrow)]
    request_host: Scalar<'a>,
    #[serde(borrow)]
    request_path: Scalar<'a>,
    #[serde(borrow, rename = "request_User-Agent")]
    user_agent: Scalar<'a>,
    #[serde(borrow, rename = "request_X-User-Agent")]
    x_user_agent: Scalar<'a>,
    #[serde(borrow, rename = "downstream_X-Cache")]
    x_cache: Scalar<'a>,
}

impl Format for Traefik {
    fn name(&self) -> &'static str {
        "traefik"
    }

    fn describe(&self) -> &'static str {
        "Traefik's access log, JSON"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        let line: Line<'_> = read(line)?;
        let mut raw = RawEvent::default();
        raw.set(Field::Ts, line.start_utc.or(line.start_local).time("StartUTC")?);
        let status = line.downstream_status.required(Field::Status, "DownstreamStatus")?;
        raw.set(Field::Status, status.digits_as_integer());
        let path = line.request_path.required_text(Field::Url, "RequestPath")?;
        let (scheme, host) = (line.request_scheme.text(), line.request_host.text());
        UrlParts { scheme, host, path, arguments: None }.set(&mut raw);
        set(&mut raw, Field::Method, line.request_method.given());
        set(&mut raw, Field::Bytes, line.downstream_content_size.number());
        set(&mut raw, Field::DurationMs, line.duration.number().map(nanoseconds));
        set(&mut raw, Field::UserAgent, line.user_agent.given());
        set(&mut raw, Field::XUserAgent, line.x_user_agent.given());
        if let Some(header) = line.x_cache.text() {
            raw.set_text(Field::Cache, cache_word(header));
        }
        Ok(raw)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a duration beyond 2^53 ns, 100 days, may lose its last digits")]
fn nanoseconds(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Integer(number) => Value::Number(number as f64 / 1e6),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::fixture;

    #[test]
    fn lines_as_traefik_writes_them() {
        insta::assert_snapshot!(fixture::snapshot(&Traefik));
    }
}
