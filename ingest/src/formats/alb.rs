//! Access logs of an AWS Application Load Balancer.
//!
//! Source: the Elastic Load Balancing documentation, "Access logs for your Application Load Balancer". The time is when
//! the answer was made. The duration is the sum of the three processing times, where the request got that far. URLs are
//! logged with their port; one that the scheme implies is left out. AWS adds fields at the end, so there may be more
//! than are known here, but none fewer than there have been since 2019.

use super::Format;
use super::access_line::set_request;
use super::seconds::seconds_as_ms;
use super::whole_url::shorten_url;
use super::words::Words;
use crate::fault::{Fault, shown};
use crate::raw::{Field, RawEvent, Value};
use crate::timestamp::rfc3339_ms;

const TYPES: [&str; 6] = ["http", "https", "h2", "grpcs", "ws", "wss"];

/// The format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alb;

impl Format for Alb {
    fn name(&self) -> &'static str {
        "alb"
    }

    fn describe(&self) -> &'static str {
        "AWS Application Load Balancer"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        let mut words = Words::of(line)?;
        let kind = words.next("the type")?;
        if !TYPES.contains(&kind) {
            let reason = format!("{} is no type of request: expected one of {}", shown(kind), TYPES.join(", "));
            return Err(Fault::line(reason));
        }
        let mut raw = RawEvent::default();
        raw.set(Field::Ts, time(words.next("the time")?)?);
        words.skip(&["the load balancer", "the client", "the target"])?;
        let times = ["the request's time", "the target's time", "the response's time"];
        let times = [words.next(times[0])?, words.next(times[1])?, words.next(times[2])?];
        raw.set(Field::Status, Value::digits(words.next("the status")?));
        words.skip(&["the target's status", "the bytes received"])?;
        raw.set(Field::Bytes, Value::digits(words.next("the bytes sent")?));
        set_request(&mut raw, words.escaped("the request")?)?;
        shorten_url(&mut raw);
        raw.set_text(Field::UserAgent, words.escaped("the user agent")?);
        words.skip(&["the cipher", "the protocol", "the target group"])?;
        for what in ["the trace id", "the domain name", "the certificate"] {
            words.escaped(what)?;
        }
        words.skip(&["the rule", "the creation time"])?;
        for what in ["the actions", "the redirect URL", "the error reason"] {
            words.escaped(what)?;
        }
        if let Some(duration) = sum(times) {
            raw.set(Field::DurationMs, duration);
        }
        Ok(raw)
    }
}

fn time(text: &str) -> Result<Value<'static>, Fault> {
    rfc3339_ms(text).map(Value::Integer).ok_or_else(|| {
        let reason = format!("{} is no time: expected `2015-05-17T10:05:03.186641Z`", shown(text));
        Fault::new(Field::Ts.name(), reason)
    })
}

/// None where one is `-1`: the request did not get that far.
fn sum(times: [&str; 3]) -> Option<Value<'static>> {
    let mut ms = 0.0;
    for time in times {
        match seconds_as_ms(time) {
            Value::Number(part) if part >= 0.0 => ms += part,
            _ => return None,
        }
    }
    Some(Value::Number((ms * 1e3).round() / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::fixture;

    #[test]
    fn lines_as_the_load_balancer_writes_them() {
        insta::assert_snapshot!(fixture::snapshot(&Alb));
    }

    #[test]
    fn a_request_that_got_to_no_target_has_no_duration() {
        assert_eq!(sum(["0.001", "0.020", "0.000"]), Some(Value::Number(21.0)));
        assert_eq!(sum(["0.001", "-1", "-1"]), None);
        assert_eq!(sum(["0.001", "x", "0"]), None);
    }
}
