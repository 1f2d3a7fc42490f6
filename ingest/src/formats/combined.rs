//! Combined Log Format: Common, then `"referrer" "user agent"`. The default of nginx, and of most Apaches.

use super::Format;
use super::access_line::AccessLine;
use crate::fault::Fault;
use crate::raw::RawEvent;

/// The format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Combined;

impl Format for Combined {
    fn name(&self) -> &'static str {
        "combined"
    }

    fn describe(&self) -> &'static str {
        "Combined Log Format, of Apache and nginx"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        AccessLine::read(line)?.with_user_agent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::snapshot;

    #[test]
    fn lines_as_apache_and_nginx_write_them() {
        insta::assert_snapshot!(snapshot(
            &Combined,
            &[
                r#"83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a.png?x=1 HTTP/1.1" 200 203023 "http://example.com/" "Mozilla/5.0 (Macintosh)""#,
                r#"::1 - frank [17/May/2015:10:05:03 +0200] "GET /with \"quotes\" HTTP/2.0" 304 - "-" "agent \"x\\y\"""#,
                r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /\xE3\x81\x82 HTTP/1.1" 200 0 "-" "-""#,
            ]
        ));
    }

    #[test]
    fn a_cut_off_line_says_what_is_missing() {
        let whole = r#"1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8""#;
        let parts = [10, 30, 45, 56, 60, 64, 66, 68, 75].map(|end| &whole[..end]);
        insta::assert_snapshot!(snapshot(&Combined, &parts));
    }

    #[test]
    fn no_part_of_a_line_passes_for_the_whole() {
        let whole = r#"1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8""#;
        assert!((0..whole.len()).all(|end| Combined.parse(&whole.as_bytes()[..end]).is_err()));
        assert!(Combined.parse(whole.as_bytes()).is_ok());
        assert!(Combined.parse(format!("{whole} 0.001").as_bytes()).is_err());
    }
}
