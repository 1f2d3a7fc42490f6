//! What became of all files of a run: the receipt that `tally ingest` shows at its end.

use serde::Serialize;
use tally_storage::events::receipt::{LineError, MAX_RECEIPT_ERRORS};

use super::sink::Stored;

/// Counts over all files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Events counted now.
    pub accepted: u64,
    /// Events whose id had been counted before.
    pub duplicates: u64,
    /// Lines that are no event.
    pub rejected: u64,
    /// Fields that the contract does not know.
    pub unknown_fields: u64,
    /// The first rejected lines.
    pub errors: Vec<FileLineError>,
    /// The files that were read, in order.
    pub files: Vec<FileReport>,
}

/// Why a line of a file was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileLineError {
    /// The file, as it was named.
    pub file: String,
    /// Line, field and reason.
    #[serde(flatten)]
    pub error: LineError,
}

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The file, as it was named; `-` is standard input.
    pub file: String,
    /// The format of its lines; none where it has none yet.
    pub format: Option<&'static str>,
    /// Decompressed bytes that an earlier run had read.
    pub resumed_at: u64,
    /// Events counted now.
    pub accepted: u64,
    /// Lines that are no event.
    pub rejected: u64,
}

impl Report {
    pub(crate) fn reject(&mut self, file: &str, error: LineError) {
        if self.errors.len() < MAX_RECEIPT_ERRORS {
            self.errors.push(FileLineError { file: file.to_owned(), error });
        }
    }

    pub(crate) fn count(&mut self, rejected: u64, unknown_fields: u64) {
        self.rejected += rejected;
        self.unknown_fields += unknown_fields;
        if let Some(file) = self.files.last_mut() {
            file.rejected += rejected;
        }
    }

    pub(crate) fn store(&mut self, name: &str, stored: Stored) {
        self.accepted += stored.accepted;
        self.duplicates += stored.duplicates;
        self.count(stored.refused, 0);
        if let Some(file) = self.files.last_mut() {
            file.accepted += stored.accepted;
        }
        for error in stored.errors {
            self.reject(name, error);
        }
    }
}
