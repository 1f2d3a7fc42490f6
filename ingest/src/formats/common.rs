//! Common Log Format: `host identity user [time] "request" status bytes`.

use super::Format;
use super::access_line::AccessLine;
use crate::fault::{Fault, shown};
use crate::raw::RawEvent;

/// The format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common;

impl Format for Common {
    fn name(&self) -> &'static str {
        "common"
    }

    fn describe(&self) -> &'static str {
        "Common Log Format, of Apache and many others"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        let access = AccessLine::read(line)?;
        match access.rest.trim() {
            "" => Ok(access.raw),
            more => Err(Fault::line(format!("goes on with {} after the size", shown(more)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::snapshot;

    #[test]
    fn lines_as_apache_writes_them() {
        insta::assert_snapshot!(snapshot(
            &Common,
            &[
                r#"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326"#,
                r#"::1 - John Smith [10/Oct/2000:13:55:36 +0000] "OPTIONS * HTTP/1.0" 204 -"#,
            ]
        ));
    }

    #[test]
    fn lines_that_are_no_requests_say_why() {
        insta::assert_snapshot!(snapshot(
            &Common,
            &[
                r#"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "-" 408 -"#,
                r#"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "\x16\x03\x01" 400 226"#,
                r#"127.0.0.1 - - [10/Okt/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1"#,
                r#"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200"#,
                r#"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 "#,
                r#"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1 "-" "curl""#,
                r#"127.0.0.1 - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1"#,
                "\0\0\x0010.0.0.1 - - [",
                "no log at all",
            ]
        ));
    }

    #[test]
    fn bytes_that_are_no_utf8_are_refused() {
        let line = b"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /\xff HTTP/1.0\" 200 1";
        insta::assert_snapshot!(Common.parse(line).unwrap_err(), @"line: is no UTF-8 at byte 50, near `36 -0700] \"GET /� HTTP/1.0\" 200 1`");
    }
}
