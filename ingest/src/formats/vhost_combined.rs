//! Combined with the virtual host and its port in front: Apache's `vhost_combined`.
//!
//! The host becomes the event's `domain`. The URL stays the logged path: the log does not say the scheme, and the port
//! behind a proxy does not tell it either; `--base-url` does.

use super::Format;
use super::access_line::AccessLine;
use crate::fault::{Fault, shown};
use crate::raw::{Field, RawEvent};

/// The format.
#[derive(Debug, Clone, Copy)]
pub(super) struct VhostCombined;

impl Format for VhostCombined {
    fn name(&self) -> &'static str {
        "vhost-combined"
    }

    fn describe(&self) -> &'static str {
        "Apache's Combined with `host:port` in front"
    }

    fn parse<'a>(&self, line: &'a [u8]) -> Result<RawEvent<'a>, Fault> {
        let access = AccessLine::read(line)?;
        let Some(host) = virtual_host(access.front) else {
            let reason = format!("{} is not virtual host with port, host, identity and user", shown(access.front));
            return Err(Fault::line(reason));
        };
        let mut raw = access.with_user_agent()?;
        raw.set_text(Field::Domain, host);
        Ok(raw)
    }
}

/// The name before the port, where four words or more begin with `name:port`.
fn virtual_host(front: &str) -> Option<&str> {
    let mut words = front.split(' ').filter(|word| !word.is_empty());
    let (name, port) = words.next()?.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    // An IPv6 client looks like `name:port` too; a virtual host of that kind stands in brackets.
    let is_name = !name.is_empty() && (!name.contains(':') || name.starts_with('['));
    (is_port && is_name && words.count() >= 3).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{detect, snapshot};

    const LINE: &str = r#"www.example.com:443 83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a.png HTTP/1.1" 200 203 "-" "curl/8""#;

    #[test]
    fn lines_as_apache_writes_them() {
        insta::assert_snapshot!(snapshot(&VhostCombined, &[LINE, &LINE.replace("www.example.com", "[::1]")]));
    }

    #[test]
    fn it_is_told_from_combined_by_the_port_and_the_fourth_word() {
        let name = |line: &str| detect(line.as_bytes()).unwrap().unwrap().name();
        let combined = LINE.split_once(' ').unwrap().1;
        assert_eq!(name(LINE), "vhost-combined");
        assert_eq!(name(combined), "combined");
        assert_eq!(name(&combined.replace("83.149.9.216 - -", "2001:db8::1 - John Smith")), "combined");
    }
}
