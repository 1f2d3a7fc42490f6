//! Amazon CloudFront's standard logs: tabs between columns that `#Fields` names.
//!
//! Source: the Amazon CloudFront Developer Guide, "Standard logging reference". Times are UTC, `time-taken` is seconds.
//! Values are percent-encoded, so a user agent is decoded; one that was encoded twice, as older files have them
//! (`Mozilla/5.0%2520(`), is decoded twice. A URL stays as the client sent it: of its encoding only what was done to its
//! own percent signs (`%2520` for `%20`) is undone. The URL is whole, with the host that the client asked for.

use std::borrow::Cow;
use std::sync::Arc;

use super::Format;
use super::fields_line::{Dialect, Directives, MARK, is_directive};
use super::percent::{decoded, undoubled};
use super::seconds::seconds_as_ms;
use crate::fault::Fault;
use crate::raw::RawEvent;

const DIALECT: Dialect = Dialect { separator: '\t', text: decoded_text, path: undoubled, duration: seconds_as_ms };

/// The format, after the directives so far.
#[derive(Debug, Clone)]
pub(super) struct CloudFront(Directives);

impl CloudFront {
    /// At the beginning of a file.
    pub(super) const START: Self = Self(Directives::NONE);
}

impl Format for CloudFront {
    fn name(&self) -> &'static str {
        "cloudfront"
    }

    fn describe(&self) -> &'static str {
        "Amazon CloudFront's standard logs"
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
        let of_an_edge = || memchr::memmem::find(line, b" x-edge-").is_some();
        let header = is_directive(line, &["version"]) || is_directive(line, &["fields"]) && of_an_edge();
        header || self.parse(line).is_ok()
    }
}

fn decoded_text(text: &str) -> Cow<'_, str> {
    let once = decoded(text);
    // A blank is never logged as one: where it is still encoded, all of the text was encoded twice.
    if once.contains("%20") { Cow::Owned(decoded(&once).into_owned()) } else { once }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::fixture;

    #[test]
    fn lines_as_cloudfront_writes_them() {
        insta::assert_snapshot!(fixture::snapshot(&CloudFront::START));
    }

    #[test]
    fn user_agents_are_decoded_once_or_twice() {
        assert_eq!(decoded_text("Mozilla/5.0%20(X11;%20Linux)"), "Mozilla/5.0 (X11; Linux)");
        assert_eq!(decoded_text("Mozilla/5.0%2520(X11;%2520Linux)"), "Mozilla/5.0 (X11; Linux)");
        assert_eq!(decoded_text("100%25"), "100%");
    }
}
