//! What the variables of a `log_format` mean for an event.

use crate::raw::Field;

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
