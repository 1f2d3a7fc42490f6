//! `catalog.url`: where the catalog is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::url::{self, UrlFault, without_password};

const EXAMPLE: &str = "postgres://user:password@host:5432/database";

/// What PostgreSQL's clients call the ways to encrypt a connection.
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Where the catalog is. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub enum CatalogUrl {
    /// A `SQLite` file; a relative path is below the data folder.
    Sqlite(PathBuf),
    /// A PostgreSQL database: the whole URL, password and all.
    Postgres(String),
}

impl Default for CatalogUrl {
    fn default() -> Self {
        Self::Sqlite(PathBuf::from("catalog.db"))
    }
}

impl FromStr for CatalogUrl {
    type Err = UrlFault;

    fn from_str(text: &str) -> Result<Self, UrlFault> {
        match text.split_once(':') {
            Some(("sqlite", file)) => sqlite(file.strip_prefix("//").unwrap_or(file)),
            Some(("postgres" | "postgresql", _)) => postgres(text),
            _ => Err(UrlFault(format!("expected such as `{}` or `{EXAMPLE}`", Self::default()))),
        }
    }
}

fn sqlite(file: &str) -> Result<CatalogUrl, UrlFault> {
    let is_file = !file.is_empty() && !file.ends_with('/') && !file.contains(['?', '\0']) && file != ":memory:";
    if !is_file {
        return Err(UrlFault("expected `sqlite:` and the name of a file".to_owned()));
    }
    Ok(CatalogUrl::Sqlite(PathBuf::from(file)))
}

fn postgres(text: &str) -> Result<CatalogUrl, UrlFault> {
    let uri = url::server(text, EXAMPLE)?;
    let database = uri.path().strip_prefix('/').unwrap_or_default();
    if database.is_empty() || database.contains('/') {
        return Err(UrlFault(format!("expected the name of a database after the host, such as `{EXAMPLE}`")));
    }
    let parameters = uri.query().unwrap_or_default().split('&').filter_map(|parameter| parameter.split_once('='));
    for (name, value) in parameters {
        if matches!(name, "sslmode" | "ssl-mode") && !SSL_MODES.contains(&value) {
            return Err(UrlFault(format!("expected `{name}` to be `{}`", SSL_MODES.join("`, `"))));
        }
    }
    Ok(CatalogUrl::Postgres(text.to_owned()))
}

impl fmt::Display for CatalogUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(formatter, "sqlite:{}", file.display()),
            Self::Postgres(url) => formatter.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for CatalogUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl Serialize for CatalogUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CatalogUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_as_a_path_or_as_a_url() {
        for (text, file) in [
            ("sqlite:catalog.db", "catalog.db"),
            ("sqlite://catalog.db", "catalog.db"),
            ("sqlite:/var/lib/tally/catalog.db", "/var/lib/tally/catalog.db"),
            ("sqlite:///var/lib/tally/catalog.db", "/var/lib/tally/catalog.db"),
        ] {
            assert_eq!(text.parse(), Ok(CatalogUrl::Sqlite(file.into())), "{text}");
        }
    }

    #[test]
    fn a_database_keeps_its_password_and_does_not_show_it() {
        let text = "postgresql://tally:hunter2@[::1]:5432/tally?sslmode=verify-full&options[search_path]=x";
        let url: CatalogUrl = text.parse().unwrap();
        assert_eq!(url, CatalogUrl::Postgres(text.to_owned()));
        let shown = "postgresql://tally:***@[::1]:5432/tally?sslmode=verify-full&options[search_path]=x";
        assert_eq!([url.to_string(), format!("{url:?}")], [shown, shown]);
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        let refused = [
            "",
            "catalog.db",
            "mysql://tally@db/tally",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:catalog.db?mode=ro",
            "postgres:tally",
            "postgres:///tally",
            "postgres://db",
            "postgres://db:54x2/tally",
            "postgres://tally:a/b@db/tally",
            "postgres://db/tally/events",
            "postgres://db/tally?sslmode=on",
        ];
        let said = refused.map(|text| format!("`{text}`: {}", text.parse::<CatalogUrl>().unwrap_err()));
        insta::assert_snapshot!(said.join("\n"));
    }
}
