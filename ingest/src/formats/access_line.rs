//! What Common, Combined and vhost-Combined lines share: `… [time] "METHOD URL HTTP/1.1" status bytes`, and how Apache
//! and nginx escape quoted fields.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2, memrchr};

use crate::fault::{Fault, shown, shown_bytes};
use crate::raw::{Field, RawEvent, Value};
use crate::timestamp::clf_ms;

/// A line, read up to its bytes.
#[derive(Debug)]
pub(super) struct AccessLine<'a> {
    /// Host, identity and user, as they stand before the time.
    pub(super) front: &'a str,
    /// Time, request, status and bytes.
    pub(super) raw: RawEvent<'a>,
    /// What follows the bytes.
    pub(super) rest: &'a str,
}

impl<'a> AccessLine<'a> {
    pub(super) fn read(line: &'a [u8]) -> Result<Self, Fault> {
        let text = text_of(line)?;
        let (front, rest) = split_at_pair(text, *b" [").ok_or_else(|| cut_off("the time in brackets"))?;
        // Apache does not escape blanks in a user's name, so there may be more than three words.
        if front.as_bytes().split(|byte| *byte == b' ').filter(|word| !word.is_empty()).count() < 3 {
            return Err(Fault::line(format!("{} is not host, identity and user", shown(front))));
        }
        let (time, rest) = split_at_pair(rest, *b"] ").ok_or_else(|| cut_off("the bracket after the time"))?;
        let mut raw = RawEvent::default();
        raw.set(Field::Ts, clf_time(time)?);
        let (request, rest) = quoted(rest, "the request")?;
        set_request(&mut raw, request)?;
        let rest = rest.strip_prefix(' ').ok_or_else(|| cut_off("the status"))?;
        let (status, rest) = split_at_blank(rest).ok_or_else(|| cut_off("the size"))?;
        raw.set(Field::Status, Value::digits(status));
        let (bytes, rest) = rest.split_at(memchr(b' ', rest.as_bytes()).unwrap_or(rest.len()));
        if bytes.is_empty() {
            return Err(cut_off("the size"));
        }
        raw.set(Field::Bytes, size(bytes));
        Ok(Self { front, raw, rest })
    }

    /// The user agent of a line that goes on with referrer and user agent, and what follows it.
    pub(super) fn referrer_and_user_agent(&self) -> Result<(Cow<'a, str>, &'a str), Fault> {
        let rest = self.rest.strip_prefix(' ').ok_or_else(|| cut_off("the referrer"))?;
        let (_, rest) = quoted(rest, "the referrer")?;
        let rest = rest.strip_prefix(' ').ok_or_else(|| cut_off("the user agent"))?;
        quoted(rest, "the user agent")
    }

    /// The event of a line that goes on with referrer and user agent, and ends there.
    pub(super) fn with_user_agent(mut self) -> Result<RawEvent<'a>, Fault> {
        let (agent, rest) = self.referrer_and_user_agent()?;
        if !rest.trim_end().is_empty() {
            return Err(Fault::line(format!("goes on with {} after the user agent", shown(rest.trim()))));
        }
        self.raw.set_text(Field::UserAgent, agent);
        Ok(self.raw)
    }
}

/// What stands before and behind the first such pair of ASCII characters. As `split_once`, but that gets ready for any
/// needle, which takes longer than looking for this one.
fn split_at_pair(text: &str, [first, second]: [u8; 2]) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let at = memchr_iter(second, bytes).find(|at| *at > 0 && bytes[at - 1] == first)?;
    Some((&text[..at - 1], &text[at + 1..]))
}

/// What stands before and behind the first blank. As `split_once`, which does without wide instructions.
fn split_at_blank(text: &str) -> Option<(&str, &str)> {
    let at = memchr(b' ', text.as_bytes())?;
    Some((&text[..at], &text[at + 1..]))
}

/// The line as text. A log's NULs are holes that a truncation left.
pub(super) fn text_of(line: &[u8]) -> Result<&str, Fault> {
    let text = simdutf8::compat::from_utf8(line).map_err(|error| {
        let at = error.valid_up_to();
        Fault::line(format!("is no UTF-8 at byte {}, near {}", at + 1, shown_bytes(&line[at.saturating_sub(16)..])))
    })?;
    if memchr(0, line).is_some() {
        return Err(Fault::line("holds NUL bytes: the file may have been truncated while it was written"));
    }
    Ok(text)
}

/// The time of the `[…]` field.
pub(super) fn clf_time(text: &str) -> Result<Value<'static>, Fault> {
    clf_ms(text).map(Value::Integer).ok_or_else(|| {
        let reason = format!("{} is no time: expected `17/May/2015:10:05:03 +0000`", shown(text));
        Fault::new(Field::Ts.name(), reason)
    })
}

/// A size in bytes, where `-` is none sent.
pub(super) fn size(text: &str) -> Value<'_> {
    if text == "-" { Value::Integer(0) } else { Value::digits(text) }
}

/// Method and URL of a request line. A URL may hold blanks that the client did not escape.
pub(super) fn set_request<'a>(raw: &mut RawEvent<'a>, request: Cow<'a, str>) -> Result<(), Fault> {
    let no_request = |request: &str| {
        let reason = format!("the request {} is not of the form `GET /path HTTP/1.1`", shown(request));
        Fault::new(Field::Url.name(), reason)
    };
    let (method, url) = match request {
        Cow::Borrowed(text) => {
            let (method, url) = split_request(text).ok_or_else(|| no_request(text))?;
            (Cow::Borrowed(method), Cow::Borrowed(url))
        }
        Cow::Owned(text) => {
            let (method, url) = split_request(&text).ok_or_else(|| no_request(&text))?;
            (Cow::Owned(method.to_owned()), Cow::Owned(url.to_owned()))
        }
    };
    raw.set_text(Field::Method, method);
    raw.set_text(Field::Url, url);
    Ok(())
}

fn split_request(request: &str) -> Option<(&str, &str)> {
    let (method, rest) = split_at_blank(request)?;
    let (url, protocol) = rest.split_at(memrchr(b' ', rest.as_bytes())?);
    let is_method =
        !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    (is_method && protocol.starts_with(" HTTP/") && !url.trim().is_empty()).then_some((method, url))
}

/// The text between the quotes that `text` begins with, unescaped, and what follows the closing one.
pub(super) fn quoted<'a>(text: &'a str, what: &str) -> Result<(Cow<'a, str>, &'a str), Fault> {
    let inner = text.strip_prefix('"').ok_or_else(|| cut_off(what))?;
    let (end, has_escapes) =
        closing_quote(inner.as_bytes()).ok_or_else(|| cut_off(&format!("the quote after {what}")))?;
    let field = &inner[..end];
    Ok((if has_escapes { unescaped(field) } else { Cow::Borrowed(field) }, &inner[end + 1..]))
}

/// Where the closing quote is, and whether there are escapes before it.
fn closing_quote(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', bytes.get(from..)?)?;
        if bytes[at] == b'"' {
            return Some((at, from > 0));
        }
        from = at + 2;
    }
}

/// A quoted field as the client sent it. Bytes that are no UTF-8 when unescaped stay escaped.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let Some(first) = memchr(b'\\', bytes) else { return Cow::Borrowed(text) };
    let mut plain = Vec::with_capacity(bytes.len());
    plain.extend_from_slice(&bytes[..first]);
    let mut rest = &bytes[first..];
    while let [byte, tail @ ..] = rest {
        let (value, used) = if *byte == b'\\' { escape(tail) } else { (*byte, 1) };
        plain.push(value);
        rest = &rest[used..];
    }
    String::from_utf8(plain).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The byte that a backslash and what follows stand for, and how many bytes both take.
fn escape(tail: &[u8]) -> (u8, usize) {
    match tail {
        [b'x', high, low, ..] => match (hex(*high), hex(*low)) {
            (Some(high), Some(low)) => (high * 16 + low, 4),
            _ => (b'\\', 1),
        },
        [b'n', ..] => (b'\n', 2),
        [b'r', ..] => (b'\r', 2),
        [b't', ..] => (b'\t', 2),
        [b'b', ..] => (8, 2),
        [b'v', ..] => (11, 2),
        [b'f', ..] => (12, 2),
        [quote @ (b'"' | b'\\'), ..] => (*quote, 2),
        _ => (b'\\', 1),
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The fault of a line that ends too early.
pub(super) fn cut_off(what: &str) -> Fault {
    Fault::line(format!("is cut off or of another format: {what} is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_apache_and_nginx_are_undone() {
        assert_eq!(unescaped(r#"a\"b\\c\x22\x5Cd"#), r#"a"b\c"\d"#);
        assert_eq!(unescaped(r"tab\tend\n"), "tab\tend\n");
        assert_eq!(unescaped(r"\xe3\x81\x82"), "あ");
        assert_eq!(unescaped("plain"), "plain");
    }

    #[test]
    fn an_escape_that_makes_no_text_stays_as_it_was_logged() {
        assert_eq!(unescaped(r"caf\xe9"), r"caf\xe9");
        assert_eq!(unescaped(r"\xzz \q \x1"), r"\xzz \q \x1");
        assert_eq!(unescaped(r"end\"), r"end\");
    }

    #[test]
    fn a_quote_behind_a_backslash_does_not_close() {
        assert_eq!(quoted(r#""say \"hi\\" x"#, "it").unwrap(), (r#"say "hi\"#.into(), " x"));
        assert!(quoted(r#""open \""#, "it").is_err());
        assert!(quoted(r#""open \"#, "it").is_err());
        assert!(quoted("", "it").is_err());
    }

    #[test]
    fn a_pair_is_found_where_both_stand_together() {
        for text in ["", "[", " [", "a [b [c", "a[ [", "ä [ö", "a [", "[ "] {
            assert_eq!(split_at_pair(text, *b" ["), text.split_once(" ["), "{text}");
        }
    }

    #[test]
    fn a_url_may_hold_blanks_and_a_request_must_name_its_protocol() {
        assert_eq!(split_request("GET /a b HTTP/1.1"), Some(("GET", "/a b")));
        for garbage in ["-", "", "GET", "GET /", "GET  HTTP/1.1", "\u{16}\u{3} / HTTP/1.1", "GET / SSH-2.0"] {
            assert_eq!(split_request(garbage), None, "{garbage}");
        }
    }
}
