//! The identifiers of things, one type each, so that none can be passed for another.
//!
//! Organizations and stacks are `blt` and 16 lower-case hex digits, as API v2 clients expect; everything else is a
//! prefix and a UUID. Version 7 UUIDs are used where order of creation is worth having (jobs, batches, segments).

use std::fmt;
use std::str::FromStr;

use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is no identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is no {kind}: expected {expected}")]
pub struct MalformedId {
    value: String,
    kind: &'static str,
    expected: &'static str,
}

fn is_blt(value: &str) -> bool {
    value.len() == 19
        && value.starts_with("blt")
        && value.bytes().skip(3).all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn mint_blt() -> String {
    format!("blt{:016x}", rand::rng().random::<u64>())
}

fn is_prefixed_uuid(value: &str, prefix: &str) -> bool {
    value.strip_prefix(prefix).is_some_and(|rest| rest.len() == 36 && Uuid::try_parse(rest).is_ok())
}

/// An organization: what owns events, stacks, members and jobs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrganizationUid(String);

impl OrganizationUid {
    /// A new one, from the system's randomness.
    #[must_use]
    pub fn mint() -> Self {
        Self(mint_blt())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrganizationUid {
    type Err = MalformedId;

    fn from_str(value: &str) -> Result<Self, MalformedId> {
        if is_blt(value) {
            return Ok(Self(value.to_owned()));
        }
        Err(MalformedId {
            value: value.to_owned(),
            kind: "organization",
            expected: "`blt` and 16 lower-case hex digits",
        })
    }
}

impl fmt::Display for OrganizationUid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A new API key of a stack: `blt` and 16 lower-case hex digits.
#[must_use]
pub fn mint_stack_api_key() -> String {
    mint_blt()
}

/// A user of any number of organizations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserUid(String);

impl UserUid {
    /// A new one, from the system's randomness.
    #[must_use]
    pub fn mint() -> Self {
        Self(mint_blt())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserUid {
    type Err = MalformedId;

    fn from_str(value: &str) -> Result<Self, MalformedId> {
        if is_blt(value) {
            return Ok(Self(value.to_owned()));
        }
        Err(MalformedId { value: value.to_owned(), kind: "user", expected: "`blt` and 16 lower-case hex digits" })
    }
}

impl fmt::Display for UserUid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A job: one accepted request for a report. `job_` and a UUID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// A new one; later ones sort after earlier ones.
    #[must_use]
    pub fn mint() -> Self {
        Self(format!("job_{}", Uuid::now_v7()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobId {
    type Err = MalformedId;

    fn from_str(value: &str) -> Result<Self, MalformedId> {
        if is_prefixed_uuid(value, "job_") {
            return Ok(Self(value.to_owned()));
        }
        Err(MalformedId { value: value.to_owned(), kind: "job", expected: "`job_` and a UUID" })
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_minted_is_well_formed() {
        assert!(OrganizationUid::mint().as_str().parse::<OrganizationUid>().is_ok());
        assert!(JobId::mint().as_str().parse::<JobId>().is_ok());
    }

    #[test]
    fn upper_case_short_and_foreign_ids_are_refused() {
        for value in
            ["", "blt", "bltABCDEF0123456789", "blt0123456789abcde", "blt0123456789abcdef0", "xyz0123456789abcdef"]
        {
            assert!(value.parse::<OrganizationUid>().is_err(), "{value}");
        }
        for value in [
            "",
            "job_",
            "job_0123",
            "018f4e9e-0000-7000-8000-000000000000",
            "job_{018f4e9e-0000-7000-8000-000000000000}",
        ] {
            assert!(value.parse::<JobId>().is_err(), "{value}");
        }
    }
}
