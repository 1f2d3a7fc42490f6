//! `HAProxy`'s HTTP log format, as `option httplog` and `option httpslog` write it, with or without a prefix of syslog.
//!
//! Source: `HAProxy`'s Configuration Manual, "HTTP log format", "HTTPS log format" and "Non-printable characters". The
//! accept date has no offset and is taken for UTC: run `HAProxy`, or its log, in UTC. What it escapes as `#` and two
//! hexadecimal digits is undone. A `+` before times and sizes, of `option logasap`, is left out. A request that `HAProxy`'s
//! own cache answered names `<CACHE>` for its server, and is a hit; nothing says what is a miss.

use super::Format;
use super::access_line::{cut_off, set_request, text_of};
use super::percent::unescaped;
use super::whole_url::shorten_url;
use crate::fault::{Fault, shown};
use crate::raw::{Field, RawEvent, Value};
use crate::timestamp::clf_utc_ms;

/// The format.
#[derive(Debug, Clone, Copy)]
pub(super) struct HaProxy;

impl Format for HaProxy {
    fn name(&self) -> &'static str {
        "haproxy"
    }

    fn describe(&self) -> &'static str {
        "HAProxy's HTTP log, with or without a syslog prefix"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        let text = text_of(line)?;
        let (front, rest) = text.split_once(" [").ok_or_else(|| cut_off("the accept date in brackets"))?;
        let client = front.rsplit(' ').next().unwrap_or(front);
        if !client.contains(':') {
            return Err(Fault::line(format!("{} is no client with its port", shown(client))));
        }
        let (time, rest) = rest.split_once("] ").ok_or_else(|| cut_off("the bracket after the accept date"))?;
        let mut raw = RawEvent::default();
        raw.set(Field::Ts, accept_date(time)?);
        let (counts, request) = rest.split_once(" \"").ok_or_else(|| cut_off("the request"))?;
        set_counts(&mut raw, counts)?;
        let (request, after) = request.rsplit_once('"').ok_or_else(|| cut_off("the quote after the request"))?;
        // Behind it the HTTPS format has the connection's errors, and its name, TLS version and cipher.
        if !matches!(after.split_whitespace().count(), 0 | 2) {
            return Err(Fault::line(format!("goes on with {} after the request", shown(after.trim()))));
        }
        set_request(&mut raw, unescaped(request, b'#'))?;
        shorten_url(&mut raw);
        Ok(raw)
    }
}

fn accept_date(text: &str) -> Result<Value<'static>, Fault> {
    clf_utc_ms(text).map(Value::Integer).ok_or_else(|| {
        Fault::new(Field::Ts.name(), format!("{} is no time: expected `17/May/2015:10:05:03.250`", shown(text)))
    })
}

/// What stands between the date and the request.
fn set_counts<'a>(raw: &mut RawEvent<'a>, text: &'a str) -> Result<(), Fault> {
    let mut words = text.split(' ');
    let mut next = |what: &str| words.next().filter(|word| !word.is_empty()).ok_or_else(|| cut_off(what));
    next("the frontend")?;
    let server = next("the backend and server")?.rsplit_once('/').ok_or_else(|| cut_off("the server"))?.1;
    if server == "<CACHE>" {
        raw.set_text(Field::Cache, "HIT");
    }
    let timers = next("the timers")?;
    let all = timers.rsplit_once('/').filter(|(others, _)| others.split('/').count() == 4);
    let (_, total) = all.ok_or_else(|| Fault::line(format!("{} is not five timers", shown(timers))))?;
    raw.set(Field::Status, Value::digits(next("the status")?));
    raw.set(Field::Bytes, Value::digits(without_plus(next("the bytes read")?)));
    if total != "-1" {
        raw.set(Field::DurationMs, Value::digits(without_plus(total)));
    }
    for what in ["the request's cookie", "the response's cookie", "the termination state"] {
        next(what)?;
    }
    let connections = next("the connections")?;
    if connections.split('/').count() != 5 {
        return Err(Fault::line(format!("{} is not five counts of connections", shown(connections))));
    }
    next("the queues").map(drop)
}

fn without_plus(text: &str) -> &str {
    text.strip_prefix('+').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::fixture;

    #[test]
    fn lines_as_haproxy_writes_them() {
        insta::assert_snapshot!(fixture::snapshot(&HaProxy));
    }
}
