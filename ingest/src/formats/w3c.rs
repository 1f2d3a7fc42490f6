//! W3C extended log file format, as IIS writes it.
//!
//! Sources: the W3C's working draft WD-logfile ("Extended Log File Format"), and Microsoft's "W3C Logging" and the
//! `logFile` element in the documentation of IIS. Times are UTC. IIS writes `+` for blanks in texts, and `time-taken` in
//! whole milliseconds; the draft has seconds, so a number with a point is taken for them.

use std::borrow::Cow;
use std::sync::Arc;

use super::Format;
use super::fields_line::{Dialect, Directives, MARK, is_directive};
use super::seconds::seconds_as_ms;
use crate::fault::Fault;
use crate::raw::{RawEvent, Value};

/// What the draft has, in lower case: a file may have nothing else yet.
const DIRECTIVES: [&str; 7] = ["version", "fields", "software", "start-date", "end-date", "date", "remark"];

const DIALECT: Dialect = Dialect { separator: ' ', text: with_blanks, path: as_logged, duration };

/// The format, after the directives so far.
#[derive(Debug, Clone)]
pub(super) struct W3c(Directives);

impl W3c {
    /// At the beginning of a file.
    pub(super) const START: Self = Self(Directives::NONE);
}

impl Format for W3c {
    fn name(&self) -> &'static str {
        "w3c"
    }

    fn describe(&self) -> &'static str {
        "W3C extended, as IIS writes it; `#Fields` names the columns"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        self.0.event(line, &DIALECT)
    }

    fn header_mark(&self) -> Option<u8> {
        Some(MARK)
    }

    fn after_header(&self, header: &[u8]) -> Option<Arc<dyn Format>> {
        self.0.and(header).map(|directives| Arc::new(Self(directives)) as Arc<dyn Format>)
    }

    fn claims(&self, line: &[u8]) -> bool {
        is_directive(line, &DIRECTIVES) || self.parse(line).is_ok()
    }
}

fn with_blanks(text: &str) -> Cow<'_, str> {
    if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) }
}

fn as_logged(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

fn duration(text: &str) -> Value<'_> {
    if text.contains('.') { seconds_as_ms(text) } else { Value::digits(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::fixture;

    #[test]
    fn lines_as_iis_writes_them() {
        insta::assert_snapshot!(fixture::snapshot(&W3c::START));
    }

    #[test]
    fn columns_of_every_line_are_those_of_the_header_before_it() {
        let first = W3c::START.after_header(b"#Fields: date time cs-uri-stem sc-status").unwrap();
        assert!(first.parse(b"2015-05-17 10:05:03 /a 200").is_ok());
        let second = first.after_header(b"#Fields: sc-status date time cs-uri-stem cs-method").unwrap();
        assert!(second.parse(b"200 2015-05-17 10:05:03 /a GET").is_ok());
        insta::assert_snapshot!(second.parse(b"2015-05-17 10:05:03 /a 200").unwrap_err(), @"line: is cut off or of another format: column 5 of 5 is missing");
        insta::assert_snapshot!(first.parse(b"200 2015-05-17 10:05:03 /a GET").unwrap_err(), @"line: goes on with `GET` after 4 columns");
    }

    #[test]
    fn a_log_of_something_else_than_requests_says_what_it_lacks() {
        let smtp = W3c::START.after_header(b"#Fields: date time c-ip cs-method sc-status").unwrap();
        insta::assert_snapshot!(smtp.parse(b"2015-05-17 10:05:03 192.0.2.1 EHLO 250").unwrap_err(), @"line: cannot be read: the `#Fields` line before it names no `cs-uri-stem`");
    }
}
