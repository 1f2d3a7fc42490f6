//! Rejected lines, each with its reason, as NDJSON: `{"file":…,"line":…,"field":…,"reason":…,"text":…}`.
//!
//! Written before the portion they belong to is committed: a run that is killed in between may write them twice, but
//! never loses one.

use std::io::{self, Write};

use serde::Serialize;
use tally_storage::events::receipt::LineError;

/// A rejected line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectedLine<'a> {
    /// The file, as it was named.
    pub file: &'a str,
    /// Line, field and reason.
    #[serde(flatten)]
    pub error: &'a LineError,
    /// The line; what is no UTF-8 is replaced. Missing where the other side refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
}

/// Writes one rejected line.
pub(crate) fn write(to: &mut dyn Write, line: &RejectedLine<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}
