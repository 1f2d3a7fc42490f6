//! Where a file's events go, a portion at a time.

use arrow::array::RecordBatch;
use tally_storage::events::ledger::SourcePosition;
use tally_storage::events::receipt::LineError;

/// Why a sink failed: its own error, passed on.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Events and where they stood.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The events.
    pub events: RecordBatch,
    /// The line of each event in its file, from 1.
    pub lines: Vec<u64>,
}

/// What is said of the batches pushed since the last commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// Lines that are no event.
    pub rejected: u64,
    /// Fields that the contract does not know.
    pub unknown_fields: u64,
    /// The first rejected lines.
    pub errors: Vec<LineError>,
    /// How far the file has been read with these batches.
    pub position: SourcePosition,
    /// The position that this one moves on from; none where the portion is a file's first.
    pub replaces: Option<SourcePosition>,
}

/// What became of a portion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// Events counted now.
    pub accepted: u64,
    /// Events whose id had been counted before.
    pub duplicates: u64,
    /// Events that the other side did not take.
    pub refused: u64,
    /// The first of these, with their lines in the file.
    pub errors: Vec<LineError>,
}

/// Takes events and keeps the ledger.
pub trait Sink {
    /// Every position of the ledger.
    ///
    /// # Errors
    /// The ledger cannot be read.
    fn positions(&mut self) -> Result<Vec<SourcePosition>, SinkError>;

    /// Portions that were sent, but whose answer never came: each with the position it moves on from and its own. They
    /// are sent again within exactly these bounds, so that the other side knows them again.
    ///
    /// # Errors
    /// The ledger cannot be read.
    fn unanswered(&mut self) -> Result<Vec<(Option<SourcePosition>, SourcePosition)>, SinkError> {
        Ok(Vec::new())
    }

    /// Adds to the portion being gathered.
    ///
    /// # Errors
    /// The portion is lost; nothing of it is counted.
    fn push(&mut self, batch: Batch) -> Result<(), SinkError>;

    /// Counts what was gathered, together with its position in the ledger: both or neither.
    ///
    /// # Errors
    /// Nothing is counted, or it is not known whether; a later run with the same ledger makes it right.
    fn commit(&mut self, portion: Portion) -> Result<Stored, SinkError>;
}
