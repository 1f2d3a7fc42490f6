//! What the variables of a `log_format` mean for an event.

use crate::fault::{Fault, shown};
use crate::raw::{Field, Value};

/// What a variable gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    TimeLocal,
    TimeIso8601,
    /// Seconds since 1970, with milliseconds behind the point.
    Msec,
    /// The whole request line.
    Request,
    Method,
    /// Path and arguments, as the client sent them.
    RequestUri,
    /// The path alone, after rewrites.
    Path,
    Arguments,
    Scheme,
    Host,
    Status,
    BodyBytes,
    /// Body and headers; used where the body alone is not logged.
    AllBytes,
    /// Seconds.
    RequestTime,
    /// A cache's word, where `-` has a meaning.
    Cache,
    /// Text of a field, where `-` is none.
    Text(Field),
    /// Nothing about an event.
    Skipped,
}

impl Variable {
    /// By the name without its `$`.
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "time_local" => Self::TimeLocal,
            "time_iso8601" => Self::TimeIso8601,
            "msec" => Self::Msec,
            "request" => Self::Request,
            "request_method" => Self::Method,
            "request_uri" => Self::RequestUri,
            "uri" | "document_uri" => Self::Path,
            "args" | "query_string" => Self::Arguments,
            "scheme" => Self::Scheme,
            "host" | "http_host" | "server_name" => Self::Host,
            "status" => Self::Status,
            "body_bytes_sent" => Self::BodyBytes,
            "bytes_sent" => Self::AllBytes,
            "request_time" => Self::RequestTime,
            "upstream_cache_status" | "sent_http_x_cache" | "upstream_http_x_cache" => Self::Cache,
            "http_user_agent" => Self::Text(Field::UserAgent),
            "http_x_user_agent" => Self::Text(Field::XUserAgent),
            "http_api_key" => Self::Text(Field::ApiKey),
            "request_id" => Self::Text(Field::Id),
            _ => Self::Skipped,
        }
    }

    pub(super) fn is_time(self) -> bool {
        matches!(self, Self::TimeLocal | Self::TimeIso8601 | Self::Msec)
    }
}

/// `1431857103.250` as epoch milliseconds.
pub(super) fn epoch_seconds(text: &str) -> Result<Value<'static>, Fault> {
    let ms = text.split_once('.').and_then(|(seconds, fraction)| {
        let millis = format!("{fraction:0<3}");
        Some(seconds.parse::<i64>().ok()?.checked_mul(1000)? + i64::from(millis.get(..3)?.parse::<u16>().ok()?))
    });
    ms.map(Value::Integer).ok_or_else(|| {
        Fault::new(Field::Ts.name(), format!("{} is no time: expected seconds such as `1431857103.250`", shown(text)))
    })
}

/// `0.125` as milliseconds.
pub(super) fn seconds_as_ms(text: &str) -> Value<'_> {
    match text.parse::<f64>() {
        // Logged to the millisecond: what lies beyond is an error of the multiplication.
        Ok(seconds) => Value::Number((seconds * 1e6).round() / 1e3),
        Err(_) => Value::Text(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_milliseconds_without_crumbs() {
        assert_eq!(seconds_as_ms("0.007"), Value::Number(7.0));
        assert_eq!(seconds_as_ms("x"), Value::Text("x".into()));
        assert_eq!(epoch_seconds("1431857103.250"), Ok(Value::Integer(1_431_857_103_250)));
        assert_eq!(epoch_seconds("1431857103.2"), Ok(Value::Integer(1_431_857_103_200)));
        for text in ["", "1431857103", "x.1", "1.x", "1.é", "9223372036854775807.1"] {
            assert!(epoch_seconds(text).is_err(), "{text}");
        }
    }
}
