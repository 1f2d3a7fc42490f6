//! Amazon S3's server access logs.
//!
//! Source: the Amazon S3 User Guide, "Amazon S3 server access log format". Older lines end after the version id; newer
//! ones go on with the host header, from which and from the TLS version the URL becomes whole. Quotes are not escaped in
//! them. What S3 did by itself (`S3.EXPIRE.OBJECT`) has no request, and is refused. The request id is no id of the event:
//! a request that deletes many objects is logged once for each.

use super::Format;
use super::access_line::{clf_time, set_request, size};
use super::whole_url::UrlParts;
use super::words::Words;
use crate::fault::{Fault, shown};
use crate::raw::{Field, RawEvent, Value};

/// The format.
#[derive(Debug, Clone, Copy)]
pub(super) struct S3;

impl Format for S3 {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn describe(&self) -> &'static str {
        "Amazon S3's server access logs"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        let mut words = Words::of(line)?;
        let mut raw = RawEvent::default();
        words.skip(&["the bucket's owner", "the bucket"])?;
        raw.set(Field::Ts, clf_time(words.bracketed("the time in brackets")?)?);
        words.skip(&["the client", "the requester", "the request id"])?;
        let operation = words.next("the operation")?;
        words.skip(&["the key"])?;
        let request = words.raw_quoted("the request")?;
        if request == "-" {
            let reason = format!("{} has no request: S3 did it by itself", shown(operation));
            return Err(Fault::new(Field::Url.name(), reason));
        }
        set_request(&mut raw, request.into())?;
        raw.set(Field::Status, Value::digits(words.next("the status")?));
        words.skip(&["the error code"])?;
        raw.set(Field::Bytes, size(words.next("the bytes sent")?));
        words.skip(&["the object's size"])?;
        match words.next("the total time")? {
            "-" => {}
            ms => raw.set(Field::DurationMs, Value::digits(ms)),
        }
        words.skip(&["the turn-around time"])?;
        words.raw_quoted("the referrer")?;
        let agent = words.last_quoted("the user agent")?;
        if agent != "-" {
            raw.set_text(Field::UserAgent, agent);
        }
        words.skip(&["the version id"])?;
        // A quote in the user agent of a line that is cut off there looks like the closing one of an older line.
        if !words.is_at_end() || agent.contains('"') {
            set_host(&mut raw, words)?;
        }
        Ok(raw)
    }
}

/// What newer lines go on with.
fn set_host<'a>(raw: &mut RawEvent<'a>, mut words: Words<'a>) -> Result<(), Fault> {
    words.skip(&["the host id", "the signature's version", "the cipher suite", "the authentication"])?;
    let host = words.next("the host header")?;
    let scheme = if words.next("the TLS version")? == "-" { "http" } else { "https" };
    if let (Some(Value::Text(path)), true) = (raw.get(Field::Url), host != "-") {
        let path = path.clone();
        UrlParts { scheme: Some(scheme.into()), host: Some(host.into()), path, arguments: None }.set(raw);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::fixture;

    #[test]
    fn lines_as_s3_writes_them() {
        insta::assert_snapshot!(fixture::snapshot(&S3));
    }
}
