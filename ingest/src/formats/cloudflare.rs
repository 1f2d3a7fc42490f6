//! Cloudflare's Logpush, dataset `http_requests`, as NDJSON.
//!
//! Source: Cloudflare's documentation of Logpush, "HTTP requests" among the log fields, and "Log Output Options" for its
//! `timestamp_format`: RFC 3339, whole seconds (`unix`) or nanoseconds (`unixnano`); all are told from the value. The
//! duration is from `EdgeStartTimestamp` to `EdgeEndTimestamp`, where both are finer than a second. `RayID` is no id of
//! the event: Cloudflare does not promise that two requests have two.

use serde::Deserialize;

use super::Format;
use super::json_line::{Scalar, read, set};
use super::whole_url::UrlParts;
use crate::fault::Fault;
use crate::raw::{Field, RawEvent, Value};

/// The format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cloudflare;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Line<'a> {
    #[serde(borrow)]
    edge_start_timestamp: Scalar<'a>,
    #[serde(borrow)]
    edge_end_timestamp: Scalar<'a>,
    #[serde(borrow)]
    edge_response_status: Scalar<'a>,
    #[serde(borrow)]
    edge_response_bytes: Scalar<'a>,
    #[serde(borrow)]
    cache_cache_status: Scalar<'a>,
    #[serde(borrow)]
    client_request_method: Scalar<'a>,
    #[serde(borrow)]
    client_request_scheme: Scalar<'a>,
    #[serde(borrow)]
    client_request_host: Scalar<'a>,
    #[serde(borrow, rename = "ClientRequestURI")]
    client_request_uri: Scalar<'a>,
    #[serde(borrow)]
    client_request_user_agent: Scalar<'a>,
}

impl Format for Cloudflare {
    fn name(&self) -> &'static str {
        "cloudflare"
    }

    fn describe(&self) -> &'static str {
        "Cloudflare's Logpush of HTTP requests, NDJSON"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        let line: Line<'_> = read(line)?;
        let mut raw = RawEvent::default();
        let (fine, start) = (line.edge_start_timestamp.is_finer_than_a_second(), line.edge_start_timestamp);
        let start = start.time("EdgeStartTimestamp")?;
        if fine && line.edge_end_timestamp.is_finer_than_a_second() {
            let end = line.edge_end_timestamp.time("EdgeEndTimestamp")?;
            set(&mut raw, Field::DurationMs, difference(&start, &end));
        }
        raw.set(Field::Ts, start);
        let status = line.edge_response_status.required(Field::Status, "EdgeResponseStatus")?;
        raw.set(Field::Status, status.digits_as_integer());
        let path = line.client_request_uri.required_text(Field::Url, "ClientRequestURI")?;
        let (scheme, host) = (line.client_request_scheme.text(), line.client_request_host.text());
        UrlParts { scheme, host, path, arguments: None }.set(&mut raw);
        set(&mut raw, Field::Method, line.client_request_method.given());
        set(&mut raw, Field::Bytes, line.edge_response_bytes.number());
        set(&mut raw, Field::Cache, line.cache_cache_status.given());
        set(&mut raw, Field::UserAgent, line.client_request_user_agent.given());
        Ok(raw)
    }
}

/// The milliseconds between two times, if they are in order.
fn difference(start: &Value<'_>, end: &Value<'_>) -> Option<Value<'static>> {
    match (start, end) {
        (Value::Integer(start), Value::Integer(end)) if end >= start => Some(Value::Integer(end - start)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::fixture;

    #[test]
    fn lines_as_logpush_writes_them() {
        insta::assert_snapshot!(fixture::snapshot(&Cloudflare));
    }
}
