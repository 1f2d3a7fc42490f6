//! Puts a URL together from what a log says of it: scheme, host, path and arguments, each in a field of its own.

use std::borrow::Cow;

use crate::raw::{Field, RawEvent, Value};

/// What a log says of a URL.
#[derive(Debug, Default)]
pub(super) struct UrlParts<'a> {
    /// `https`, without its colon.
    pub(super) scheme: Option<Cow<'a, str>>,
    /// With or without a port.
    pub(super) host: Option<Cow<'a, str>>,
    /// With its arguments, where the log does not part them; or a whole URL already.
    pub(super) path: Cow<'a, str>,
    /// Behind the question mark.
    pub(super) arguments: Option<Cow<'a, str>>,
}

impl<'a> UrlParts<'a> {
    /// Sets the URL, whole if scheme and host are known, and the domain, which is the host without its port.
    pub(super) fn set(self, raw: &mut RawEvent<'a>) {
        let host = self.host.filter(|host| !host.is_empty());
        let mut url = self.path;
        if let Some(arguments) = &self.arguments {
            let path = url.to_mut();
            path.push('?');
            path.push_str(arguments);
        }
        if let (Some(scheme), Some(host), true) = (&self.scheme, &host, url.starts_with('/')) {
            url = Cow::Owned([scheme, "://", host, &url].concat());
        }
        raw.set_text(Field::Url, url);
        if let Some(host) = host {
            raw.set_text(Field::Domain, domain(host));
        }
    }
}

/// Leaves out of the URL a port that its scheme implies, since the client did not write it, and sets the domain. A path
/// stays as it is.
pub(super) fn shorten_url(raw: &mut RawEvent<'_>) {
    let Some(Value::Text(url)) = raw.get(Field::Url) else { return };
    let Some((scheme, rest)) = url.split_once("://") else { return };
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let implied = match scheme {
        "https" | "wss" => ":443",
        _ => ":80",
    };
    let shortened = host.strip_suffix(implied).map(|name| [scheme, "://", name, path].concat());
    let name = domain(Cow::Borrowed(host)).into_owned();
    raw.set_text(Field::Domain, name);
    if let Some(url) = shortened {
        raw.set_text(Field::Url, url);
    }
}

/// The host without its port. An address of IPv6 stands in brackets.
pub(super) fn domain(host: Cow<'_, str>) -> Cow<'_, str> {
    let Some((name, port)) = host.rsplit_once(':') else { return host };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    if !is_port || name.contains(':') && !name.ends_with(']') {
        return host;
    }
    let len = name.len();
    match host {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..len]),
        Cow::Owned(mut text) => {
            text.truncate(len);
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &RawEvent<'_>, field: Field) -> String {
        match raw.get(field) {
            Some(Value::Text(text)) => text.to_string(),
            _ => "none".to_owned(),
        }
    }

    fn parts(scheme: Option<&str>, host: Option<&str>, path: &str, arguments: Option<&str>) -> [String; 2] {
        let mut raw = RawEvent::default();
        let [scheme, host, arguments] = [scheme, host, arguments].map(|part| part.map(Cow::Borrowed));
        UrlParts { scheme, host, path: path.into(), arguments }.set(&mut raw);
        [Field::Url, Field::Domain].map(|field| text(&raw, field))
    }

    #[test]
    fn a_url_is_as_whole_as_the_log_says() {
        assert_eq!(
            parts(Some("https"), Some("a.example:8443"), "/b", Some("c=1")),
            ["https://a.example:8443/b?c=1", "a.example"]
        );
        assert_eq!(parts(None, Some("a.example"), "/b", None), ["/b", "a.example"]);
        assert_eq!(parts(Some("http"), None, "/b", Some("c")), ["/b?c", "none"]);
        assert_eq!(
            parts(Some("http"), Some("a.example"), "http://b.example/c", None),
            ["http://b.example/c", "a.example"]
        );
        assert_eq!(parts(Some("http"), Some(""), "*", None), ["*", "none"]);
    }

    #[test]
    fn a_port_that_the_scheme_implies_is_left_out() {
        let logged = |url| {
            let mut raw = RawEvent::default();
            raw.set_text(Field::Url, url);
            shorten_url(&mut raw);
            [Field::Url, Field::Domain].map(|field| text(&raw, field))
        };
        assert_eq!(logged("https://a.example:443/b?c"), ["https://a.example/b?c", "a.example"]);
        assert_eq!(logged("http://a.example:80?c"), ["http://a.example?c", "a.example"]);
        assert_eq!(logged("http://a.example:443/"), ["http://a.example:443/", "a.example"]);
        assert_eq!(logged("https://[::1]:443/"), ["https://[::1]/", "[::1]"]);
        assert_eq!(logged("/b"), ["/b", "none"]);
    }

    #[test]
    fn an_address_is_no_name_with_a_port() {
        assert_eq!(domain("[::1]:80".into()), "[::1]");
        assert_eq!(domain("::1".into()), "::1");
        assert_eq!(domain(Cow::Owned("a.example:80".to_owned())), "a.example");
        assert_eq!(domain("[::1]".into()), "[::1]");
    }
}
