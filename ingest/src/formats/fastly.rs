//! Fastly's log streaming in JSON, under the names of Fastly's own examples.
//!
//! Source: Fastly's documentation of log streaming, "Custom log formats" and its example formats: `timestamp`,
//! `request_method`, `response_status`, … of the newer one, and `time_start`, `request`, `status`, … of the older. A JSON
//! format of other names is not told; its lines can be sent as NDJSON. `fastly_info.state` says more than a cache's word
//! (`HIT-STALE-WAIT`), and what it begins with counts. A line whose `fastly_is_edge` is false is one POP's request to
//! another, and the client's own request is logged by the other: it is refused, so that no request counts twice.

use std::borrow::Cow;

use serde::Deserialize;

use super::Format;
use super::json_line::{Scalar, read, set};
use super::whole_url::UrlParts;
use crate::fault::Fault;
use crate::raw::{Field, RawEvent, Value};

/// The format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fastly;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    timestamp: Scalar<'a>,
    #[serde(borrow)]
    time_start: Scalar<'a>,
    /// Microseconds.
    #[serde(borrow)]
    time_elapsed: Scalar<'a>,
    #[serde(borrow)]
    host: Scalar<'a>,
    #[serde(borrow)]
    url: Scalar<'a>,
    #[serde(borrow)]
    is_tls: Scalar<'a>,
    #[serde(borrow)]
    request_method: Scalar<'a>,
    #[serde(borrow)]
    request: Scalar<'a>,
    #[serde(borrow)]
    request_user_agent: Scalar<'a>,
    #[serde(borrow)]
    response_status: Scalar<'a>,
    #[serde(borrow)]
    status: Scalar<'a>,
    #[serde(borrow)]
    response_body_size: Scalar<'a>,
    #[serde(borrow)]
    resp_body_size: Scalar<'a>,
    #[serde(borrow)]
    response_state: Scalar<'a>,
    #[serde(borrow)]
    cache_status: Scalar<'a>,
    #[serde(borrow)]
    fastly_is_edge: Scalar<'a>,
}

impl Format for Fastly {
    fn name(&self) -> &'static str {
        "fastly"
    }

    fn describe(&self) -> &'static str {
        "Fastly's log streaming, JSON"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        read(line).and_then(event)
    }

    fn claims(&self, line: &[u8]) -> bool {
        // `timestamp`, `url` and `status` are anybody's names.
        let of_fastly = |line: &Line<'_>| line.response_status.0.is_some() || line.time_start.0.is_some();
        read(line).is_ok_and(|line| of_fastly(&line) && event(line).is_ok())
    }
}

fn event(line: Line<'_>) -> Result<RawEvent<'_>, Fault> {
    if line.fastly_is_edge.truth() == Some(false) {
        let reason = "`fastly_is_edge` is `false`: another POP asked, which logs the client's request itself";
        return Err(Fault::line(reason));
    }
    let mut raw = RawEvent::default();
    raw.set(Field::Ts, line.timestamp.or(line.time_start).time("timestamp")?);
    let status = line.response_status.or(line.status).required(Field::Status, "response_status")?;
    raw.set(Field::Status, status.digits_as_integer());
    let path = line.url.required_text(Field::Url, "url")?;
    let scheme = line.is_tls.truth().map(|tls| if tls { "https" } else { "http" }.into());
    UrlParts { scheme, host: line.host.text(), path, arguments: None }.set(&mut raw);
    set(&mut raw, Field::Method, line.request_method.or(line.request).given());
    set(&mut raw, Field::Bytes, line.response_body_size.or(line.resp_body_size).number());
    set(&mut raw, Field::DurationMs, line.time_elapsed.number().map(microseconds));
    set(&mut raw, Field::UserAgent, line.request_user_agent.given());
    if let Some(state) = line.response_state.or(line.cache_status).text() {
        raw.set_text(Field::Cache, word(state));
    }
    Ok(raw)
}

/// The word that a state begins with.
fn word(state: Cow<'_, str>) -> Cow<'_, str> {
    match state.split('-').next() {
        Some("HIT") => Cow::Borrowed("HIT"),
        Some("MISS") => Cow::Borrowed("MISS"),
        Some("PASS" | "HITPASS") => Cow::Borrowed("PASS"),
        _ => state,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a duration beyond 2^53 µs, 285 years, may lose its last digits")]
fn microseconds(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Integer(number) => Value::Number(number as f64 / 1e3),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::fixture;

    #[test]
    fn lines_as_fastly_streams_them() {
        insta::assert_snapshot!(fixture::snapshot(&Fastly));
    }

    #[test]
    fn a_state_is_the_word_it_begins_with() {
        for (state, expected) in
            [("HIT-STALE-WAIT", "HIT"), ("MISS-CLUSTER", "MISS"), ("HITPASS", "PASS"), ("ERROR", "ERROR")]
        {
            assert_eq!(word(state.into()), expected);
        }
    }
}
