//! An HTTP body becomes batches of events.
//!
//! Synchronous: the server runs it on a blocking thread, over a [`crate::stream`]. Batches go out while the body still
//! comes in, so memory does not grow with it. Whoever takes them commits them only when this has returned: a body that
//! turns out to be unreadable, too large or, with `strict`, in part wrong leaves nothing behind.

use std::io::{self, Read};

use arrow::array::RecordBatch;
use tally_storage::error::StorageError;
use tally_storage::events::receipt::{LineError, MAX_RECEIPT_ERRORS};

use crate::block::Block;
use crate::decode::Encoding;
use crate::event::Rules;
use crate::formats::Ndjson;
use crate::json_array::{ArrayBlocks, ArrayError};
use crate::lines::LineBlocks;
use crate::meter::{Hashed, Limit, Limited};
use crate::parse::{LineParser, Parsed};
use crate::pipeline;

const BLOCK_BYTES: usize = 1 << 20;

/// How a body lists its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/x-ndjson`.
    Ndjson,
    /// `application/json`.
    JsonArray,
}

/// How large a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// As it comes.
    pub wire_bytes: u64,
    /// Decompressed.
    pub decompressed_bytes: u64,
    /// One line, or one element of an array.
    pub line_bytes: usize,
}

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyOptions {
    /// From `Content-Type`.
    pub kind: BodyKind,
    /// From `Content-Encoding`.
    pub encoding: Encoding,
    /// From the settings.
    pub limits: BodyLimits,
    /// All or nothing: one rejected line rejects the body.
    pub strict: bool,
    /// Whether the body's hash is wanted, to compare repeats of an idempotency key.
    pub hash: bool,
    /// Parser threads for a body of more than one block.
    pub threads: usize,
}

/// What a body held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BodySummary {
    /// Events handed out in batches.
    pub events: u64,
    /// Lines that are no event.
    pub rejected: u64,
    /// Fields that the contract does not know.
    pub unknown_fields: u64,
    /// The first rejected lines, at most [`MAX_RECEIPT_ERRORS`].
    pub errors: Vec<LineError>,
    /// SHA-256 of the decompressed body in lower-case hex, where it was asked for.
    pub body_sha256: Option<String>,
}

/// Why a body was not taken. Nothing of it may be kept.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It broke off, or is not compressed as it says.
    #[error("the body could not be read as {encoding}: {source}")]
    Unreadable {
        /// How it should be compressed.
        encoding: Encoding,
        /// Why not.
        source: io::Error,
    },
    /// It is no JSON array.
    #[error("{0}")]
    NoArray(String),
    /// It is over a limit.
    #[error("{0}")]
    TooLarge(Limit),
    /// Strict, and some lines are no events.
    #[error("{rejected} lines are no events, and `strict` keeps all or nothing")]
    Rejected {
        /// How many.
        rejected: u64,
        /// The first of them.
        errors: Vec<LineError>,
    },
    /// The events could not be stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Reads a body to its end and gives every batch of its events to `store`, in order.
///
/// # Errors
/// See [`BodyError`]; batches given to `store` before it must be dropped.
pub fn read_body(
    input: impl Read + Send,
    options: &BodyOptions,
    rules: &Rules,
    mut store: impl FnMut(RecordBatch) -> Result<(), StorageError>,
) -> Result<BodySummary, BodyError> {
    let limits = options.limits;
    let unreadable = |error| read_error(error, options.encoding);
    let decoded = options.encoding.body(Limited::new(input, Limit::Wire(limits.wire_bytes))).map_err(unreadable)?;
    let mut plain = Hashed::new(Limited::new(decoded, Limit::Decompressed(limits.decompressed_bytes)), options.hash);
    let parser = LineParser { format: &Ndjson, rules, max_line_bytes: limits.line_bytes };
    let mut summary = BodySummary::default();
    let mut lines_before = 0;
    let mut collect = |parsed: Result<Parsed, _>| {
        let parsed = parsed.map_err(StorageError::from)?;
        if parsed.too_long.is_some() {
            return Err(BodyError::TooLarge(Limit::Line(limits.line_bytes as u64)));
        }
        summary.add(&parsed, lines_before);
        lines_before += parsed.lines;
        let wanted = parsed.events.num_rows() > 0 && !(options.strict && summary.rejected > 0);
        if wanted { store(parsed.events).map_err(BodyError::from) } else { Ok(()) }
    };
    match options.kind {
        BodyKind::Ndjson => {
            let blocks = LineBlocks::new(&mut plain, 0, BLOCK_BYTES, limits.line_bytes);
            let spare = blocks.spare();
            let blocks = blocks.map(|block| block.map_err(unreadable));
            let collect = |block: Block, parsed| {
                spare.put(block.bytes);
                collect(parsed)
            };
            pipeline::run(blocks, options.threads, || parser.start(), collect)?;
        }
        BodyKind::JsonArray => {
            let blocks = ArrayBlocks::new(&mut plain, BLOCK_BYTES, limits.line_bytes);
            let blocks = blocks.map(|block| block.map_err(|error| array_error(error, options)));
            pipeline::run(blocks, options.threads, || parser.start(), |_, parsed| collect(parsed))?;
        }
    }
    if options.strict && summary.rejected > 0 {
        return Err(BodyError::Rejected { rejected: summary.rejected, errors: summary.errors });
    }
    summary.body_sha256 = plain.finish();
    Ok(summary)
}

impl BodySummary {
    fn add(&mut self, parsed: &Parsed, lines_before: u64) {
        self.events += parsed.events.num_rows() as u64;
        self.rejected += parsed.rejects.len() as u64;
        self.unknown_fields += parsed.unknown_fields;
        let room = MAX_RECEIPT_ERRORS - self.errors.len();
        self.errors.extend(parsed.rejects.iter().take(room).map(|reject| reject.line_error(lines_before)));
    }
}

fn read_error(source: io::Error, encoding: Encoding) -> BodyError {
    Limit::behind(&source).map_or(BodyError::Unreadable { encoding, source }, BodyError::TooLarge)
}

fn array_error(error: ArrayError, options: &BodyOptions) -> BodyError {
    match error {
        ArrayError::Read(source) => read_error(source, options.encoding),
        ArrayError::TooLong(_) => BodyError::TooLarge(Limit::Line(options.limits.line_bytes as u64)),
        malformed => BodyError::NoArray(malformed.to_string()),
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
