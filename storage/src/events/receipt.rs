//! The answer to a batch of events: what was counted, and what was not and why.

use serde::{Deserialize, Serialize};

/// Rejected lines named in a receipt at most; the count covers them all.
pub const MAX_RECEIPT_ERRORS: usize = 100;

/// What became of a batch. Sent only after the commit, stored with it, and sent again for the same idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// The batch's id: `batch_` and a UUID.
    pub batch: String,
    /// Events counted now.
    pub accepted: u64,
    /// Events whose id had been counted before.
    pub duplicates: u64,
    /// Lines that are no event.
    pub rejected: u64,
    /// Fields that Tally does not know, over all lines; they are not kept.
    pub unknown_fields: u64,
    /// The first rejected lines.
    pub errors: Vec<LineError>,
}

/// Why a line was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineError {
    /// The line, from 1; in a JSON array the element, from 1.
    pub line: u64,
    /// The field at fault, or `line` where the line cannot be read at all.
    pub field: String,
    /// What is wrong, with the value and what would be right.
    pub reason: String,
}
