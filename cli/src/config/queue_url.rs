//! `queue.url`: where the ids of jobs wait for a worker.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::url::{self, UrlFault, without_password};

const IN_PROCESS: &str = "memory:";
const EXAMPLE: &str = "redis://:password@host:6379/0";

/// Where the queue is. Shown without its password.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum QueueUrl {
    /// In this process alone.
    #[default]
    InProcess,
    /// On a Redis server that processes share: the whole URL, password and all.
    Redis(String),
}

impl FromStr for QueueUrl {
    type Err = UrlFault;

    fn from_str(text: &str) -> Result<Self, UrlFault> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::InProcess),
            Some(("redis" | "rediss", _)) => redis(text),
            _ => Err(UrlFault(format!("expected `{IN_PROCESS}`, or such as `{EXAMPLE}`"))),
        }
    }
}

fn redis(text: &str) -> Result<QueueUrl, UrlFault> {
    let uri = url::server(text, EXAMPLE)?;
    let database = uri.path().strip_prefix('/').unwrap_or_default();
    if !database.is_empty() && database.parse::<u16>().is_err() {
        return Err(UrlFault(format!("expected the number of a database after the host, such as `{EXAMPLE}`")));
    }
    if uri.query().is_some() {
        return Err(UrlFault(format!("expected nothing after the number of the database, such as `{EXAMPLE}`")));
    }
    Ok(QueueUrl::Redis(text.to_owned()))
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InProcess => formatter.write_str(IN_PROCESS),
            Self::Redis(url) => formatter.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for QueueUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl Serialize for QueueUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for QueueUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_its_password_and_does_not_show_it() {
        assert_eq!("memory:".parse(), Ok(QueueUrl::InProcess));
        for (text, shown) in [
            ("redis://cache", "redis://cache"),
            ("redis://:hunter2@cache:6379/0", "redis://:***@cache:6379/0"),
            ("rediss://tally:hunter2@cache:6380/15", "rediss://tally:***@cache:6380/15"),
        ] {
            let url: QueueUrl = text.parse().unwrap();
            assert_eq!([url.to_string(), format!("{url:?}")], [shown, shown]);
            assert_eq!(url, QueueUrl::Redis(text.to_owned()));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        let refused = [
            "",
            "memory",
            "memory://",
            "amqp://cache",
            "redis:cache",
            "redis://:6379",
            "redis://cache:x",
            "redis://cache/jobs",
            "redis://cache/0?protocol=resp3",
        ];
        let said = refused.map(|text| format!("`{text}`: {}", text.parse::<QueueUrl>().unwrap_err()));
        insta::assert_snapshot!(said.join("\n"));
    }
}
