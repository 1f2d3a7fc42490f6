//! nginx's logs in JSON: a `log_format` with `escape=json`, whose members are named as nginx's variables are.
//!
//! Sources: nginx's documentation of `ngx_http_log_module` (`log_format`, `escape=json`) and of the variables. A member's
//! name is the variable's; the names that people use beside it are taken too (`time`, `timestamp`, `@timestamp`, `method`,
//! `path`, `url`, `domain`, `bytes`, `user_agent`, `cache_status`, `cache`). Numbers may stand in quotes. For other names
//! give the `log_format` itself.

use std::borrow::Cow;

use serde::Deserialize;

use super::Format;
use super::access_line::{clf_time, set_request};
use super::json_line::{Scalar, read, set};
use super::seconds::seconds_value;
use super::whole_url::UrlParts;
use super::x_cache::cache_word;
use crate::cache_words::NO_CACHE_WORD;
use crate::fault::Fault;
use crate::raw::{Field, RawEvent, Value};

/// The format.
#[derive(Debug, Clone, Copy)]
pub(super) struct NginxJson;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    time_local: Scalar<'a>,
    #[serde(borrow)]
    time_iso8601: Scalar<'a>,
    #[serde(borrow)]
    msec: Scalar<'a>,
    #[serde(borrow)]
    time: Scalar<'a>,
    #[serde(borrow)]
    timestamp: Scalar<'a>,
    #[serde(borrow, rename = "@timestamp")]
    at_timestamp: Scalar<'a>,
    #[serde(borrow)]
    request: Scalar<'a>,
    #[serde(borrow)]
    request_method: Scalar<'a>,
    #[serde(borrow)]
    method: Scalar<'a>,
    #[serde(borrow)]
    request_uri: Scalar<'a>,
    #[serde(borrow)]
    url: Scalar<'a>,
    #[serde(borrow)]
    uri: Scalar<'a>,
    #[serde(borrow)]
    path: Scalar<'a>,
    #[serde(borrow)]
    args: Scalar<'a>,
    #[serde(borrow)]
    query_string: Scalar<'a>,
    #[serde(borrow)]
    scheme: Scalar<'a>,
    #[serde(borrow)]
    host: Scalar<'a>,
    #[serde(borrow)]
    http_host: Scalar<'a>,
    #[serde(borrow)]
    server_name: Scalar<'a>,
    #[serde(borrow)]
    domain: Scalar<'a>,
    #[serde(borrow)]
    status: Scalar<'a>,
    #[serde(borrow)]
    body_bytes_sent: Scalar<'a>,
    #[serde(borrow)]
    bytes_sent: Scalar<'a>,
    #[serde(borrow)]
    bytes: Scalar<'a>,
    #[serde(borrow)]
    request_time: Scalar<'a>,
    #[serde(borrow)]
    upstream_cache_status: Scalar<'a>,
    #[serde(borrow)]
    sent_http_x_cache: Scalar<'a>,
    #[serde(borrow)]
    cache_status: Scalar<'a>,
    #[serde(borrow)]
    cache: Scalar<'a>,
    #[serde(borrow)]
    http_user_agent: Scalar<'a>,
    #[serde(borrow)]
    user_agent: Scalar<'a>,
    #[serde(borrow)]
    http_x_user_agent: Scalar<'a>,
    #[serde(borrow)]
    http_api_key: Scalar<'a>,
    #[serde(borrow)]
    request_id: Scalar<'a>,
}

impl Format for NginxJson {
    fn name(&self) -> &'static str {
        "nginx-json"
    }

    fn describe(&self) -> &'static str {
        "nginx's logs with `escape=json`, under the names of its variables"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        let line: Line<'_> = read(line)?;
        let mut raw = RawEvent::default();
        let exact = line.time_iso8601.or(line.msec).or(line.time_local);
        raw.set(Field::Ts, time(exact.or(line.time).or(line.timestamp).or(line.at_timestamp))?);
        raw.set(Field::Status, line.status.required(Field::Status, "status")?.digits_as_integer());
        let whole = line.request_uri.or(line.url).text();
        let arguments = line.args.or(line.query_string).text().filter(|_| whole.is_none());
        let path = match whole.or_else(|| line.uri.or(line.path).text()) {
            Some(path) => path,
            None => url_of_request(&mut raw, line.request)?,
        };
        let host = line.host.or(line.http_host).or(line.server_name).or(line.domain).text();
        UrlParts { scheme: line.scheme.text(), host, path, arguments }.set(&mut raw);
        set(&mut raw, Field::Method, line.request_method.or(line.method).given());
        set(&mut raw, Field::Bytes, line.body_bytes_sent.or(line.bytes_sent).or(line.bytes).number());
        set(&mut raw, Field::DurationMs, line.request_time.number().map(seconds_value));
        set(&mut raw, Field::UserAgent, line.http_user_agent.or(line.user_agent).given());
        set(&mut raw, Field::XUserAgent, line.http_x_user_agent.given());
        set(&mut raw, Field::ApiKey, line.http_api_key.given());
        set(&mut raw, Field::Id, line.request_id.given());
        let words = [line.upstream_cache_status, line.sent_http_x_cache, line.cache_status, line.cache];
        if let Some(word) = cache(words) {
            raw.set_text(Field::Cache, word);
        }
        Ok(raw)
    }
}

fn time(member: Scalar<'_>) -> Result<Value<'static>, Fault> {
    match member {
        Scalar(Some(Value::Text(text))) if text.contains('/') => clf_time(&text),
        other => other.time("time"),
    }
}

/// The URL of a request line, whose method is set.
fn url_of_request<'a>(raw: &mut RawEvent<'a>, request: Scalar<'a>) -> Result<Cow<'a, str>, Fault> {
    set_request(raw, request.required_text(Field::Url, "request")?)?;
    match raw.get(Field::Url) {
        Some(Value::Text(url)) => Ok(url.clone()),
        _ => Ok(Cow::Borrowed("")),
    }
}

/// The word of the first member that has one. Where they are logged but empty, the cache was not asked.
fn cache(members: [Scalar<'_>; 4]) -> Option<Cow<'_, str>> {
    let logged = members.iter().any(|member| matches!(member, Scalar(Some(Value::Text(_)))));
    let word = members.into_iter().find_map(Scalar::text).map(cache_word);
    word.or_else(|| logged.then_some(Cow::Borrowed(NO_CACHE_WORD)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::fixture;

    #[test]
    fn lines_of_the_common_layouts() {
        insta::assert_snapshot!(fixture::snapshot(&NginxJson));
    }
}
