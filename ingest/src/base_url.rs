//! The scheme and host that go before paths from logs that know neither.

use std::borrow::Cow;
use std::str::FromStr;

/// `https://example.com`, without a slash at its end; a path below the host is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

/// A text that cannot go before a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no base URL: expected a scheme and a host, such as `https://example.com`")]
pub struct MalformedBaseUrl(String);

impl FromStr for BaseUrl {
    type Err = MalformedBaseUrl;

    fn from_str(text: &str) -> Result<Self, MalformedBaseUrl> {
        let malformed = || MalformedBaseUrl(text.to_owned());
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or_else(malformed)?;
        let host = rest.split('/').next().unwrap_or_default();
        let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '"');
        if host.is_empty() || text.contains(odd) {
            return Err(malformed());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl BaseUrl {
    /// The URL of a logged path. Whole URLs and `*` stay as they are.
    #[must_use]
    pub fn before<'a>(&self, logged: &'a str) -> Cow<'a, str> {
        if logged.starts_with('/') { Cow::Owned(format!("{}{logged}", self.0)) } else { Cow::Borrowed(logged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gets_scheme_and_host_and_a_whole_url_stays() {
        let base: BaseUrl = "https://example.com/".parse().unwrap();
        assert_eq!(base.before("/a?b=1"), "https://example.com/a?b=1");
        assert_eq!(base.before("//a"), "https://example.com//a");
        assert_eq!(base.before("http://other.example/a"), "http://other.example/a");
        assert_eq!(base.before("*"), "*");
    }

    #[test]
    fn what_has_no_scheme_or_no_host_is_refused() {
        for text in ["", "example.com", "ftp://example.com", "https://", "https:///a", "https://a b", "https://a?b"] {
            assert!(text.parse::<BaseUrl>().is_err(), "{text}");
        }
    }
}
