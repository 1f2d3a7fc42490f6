//! URLs of servers, which may hold a password: read strictly, and shown without it.
//!
//! What is shown may be no URL at all, but a typing error with a password in it. So what could be one is hidden by the
//! text alone, and rather too much than too little.

use ureq::http::Uri;

/// What is shown in a password's place.
const HIDDEN: &str = "***";

/// Why a text is no URL that the setting can have: what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlFault(pub(super) String);

/// A URL with a host; `example` is one that is right.
pub(super) fn server(text: &str, example: &str) -> Result<Uri, UrlFault> {
    read(text).ok_or_else(|| {
        let escapes = "`%`, `/`, `?`, `#`, `@` and `:` are `%25`, `%2F`, `%3F`, `%23`, `%40` and `%3A`";
        UrlFault(format!("expected such as `{example}`, where in a password {escapes}"))
    })
}

fn read(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let (user, address) = authority.as_str().rsplit_once('@').unwrap_or(("", authority.as_str()));
    let after_host = address.strip_prefix(authority.host())?;
    let has_port = after_host.is_empty() || authority.port_u16().is_some_and(|port| port > 0);
    let is_whole = !authority.host().is_empty() && !user.contains('@') && !uri.path().contains('@');
    (has_port && is_whole).then_some(uri)
}

/// The text without what is, or could be, a password: what is between a colon and the last `@`, what is after a colon
/// and no port, and what a parameter holds that is named like a password.
pub(super) fn without_password(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let start = text.len() - rest.len();
    let shown = match rest.rsplit_once('@') {
        Some((user, host)) => {
            let user = match user.split_once(':') {
                Some((user, _)) => format!("{user}:{HIDDEN}"),
                None if scheme.starts_with("postgres") => user.to_owned(),
                None => HIDDEN.to_owned(),
            };
            format!("{user}@{host}")
        }
        None if start > 0 => without_port_like(rest),
        None => rest.to_owned(),
    };
    format!("{}{}", &text[..start], without_parameters(&shown))
}

/// `host:port/path` where what is after the colon is no port: a URL that ends with its password.
fn without_port_like(rest: &str) -> String {
    let Some((host, after)) = rest.split_once(':').filter(|_| !rest.starts_with('[')) else { return rest.to_owned() };
    let port = after.split(['/', '?', '#']).next().unwrap_or_default();
    if port.parse::<u16>().is_ok() { rest.to_owned() } else { format!("{host}:{HIDDEN}") }
}

fn without_parameters(shown: &str) -> String {
    let Some((address, query)) = shown.split_once('?') else { return shown.to_owned() };
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if name.to_lowercase().contains("pass") => format!("{name}={HIDDEN}"),
        _ => parameter.to_owned(),
    });
    format!("{address}?{}", parameters.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_or_could_be_a_password_is_not_shown() {
        for (text, shown) in [
            (
                "postgres://tally:secret@db:5432/tally?sslmode=require",
                "postgres://tally:***@db:5432/tally?sslmode=require",
            ),
            ("postgres://tally@db/tally", "postgres://tally@db/tally"),
            ("postgres://db/tally?password=secret&sslmode=allow", "postgres://db/tally?password=***&sslmode=allow"),
            ("postgres://tally:sec/re@t?secret#@db/tally", "postgres://tally:***@db/tally"),
            ("postgres://tally:secret", "postgres://tally:***"),
            ("postgres//tally:secret@db/tally", "postgres//tally:***@db/tally"),
            ("redis://:secret@cache:6379/0", "redis://:***@cache:6379/0"),
            ("redis://secret@cache", "redis://***@cache"),
            ("redis://:secret", "redis://:***"),
            ("secret@cache", "***@cache"),
            ("rediss://cache:6379/0", "rediss://cache:6379/0"),
            ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
            ("sqlite:catalog.db", "sqlite:catalog.db"),
            ("info,tally_storage=debug", "info,tally_storage=debug"),
        ] {
            assert_eq!(without_password(text), shown, "{text}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn a_host_is_needed_and_what_is_no_port_is_refused() {
        for text in ["redis://cache", "redis://cache:6379/0", "redis://:p%40ss@[::1]:1", "redis://u:p@10.0.0.1"] {
            assert!(server(text, "").is_ok(), "{text}");
        }
        for text in [
            "redis://",
            "redis://:6379",
            "redis://cache:port",
            "redis://cache:0",
            "redis://cache:65536",
            "redis://:a/b@c",
            "redis://:a@b@c",
            "redis://:a b@c",
            "redis://cache:",
        ] {
            assert!(server(text, "").is_err(), "{text}");
        }
    }

    #[test]
    fn a_whole_configuration_shows_no_password_however_it_is_shown() {
        let mut config = crate::config::Config::default();
        config.catalog.url = "postgres://tally:hunter2@db/tally".parse().unwrap();
        config.queue.url = "redis://:hunter2@cache".parse().unwrap();
        for shown in [toml::to_string(&config).unwrap(), format!("{config:?}")] {
            assert!(shown.contains("tally:***@db") && shown.contains(":***@cache"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
