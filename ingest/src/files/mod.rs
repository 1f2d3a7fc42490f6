//! Files and standard input, of any size, into a [`Sink`].
//!
//! | file | |
//! |---|---|
//! | `source.rs` | opens, decompresses, seeks |
//! | `position.rs` | finds where an earlier run stopped |
//! | `gather.rs` | parsed blocks become portions, each committed together with its place in the ledger |
//! | `sink.rs`, `store_sink.rs` | where portions go |
//! | `rejects.rs`, `report.rs`, `progress.rs` | what is told about it |
//!
//! A portion and its ledger entry become true in one transaction. So a run may be stopped or killed at any moment: the
//! next one goes on after the last portion, and nothing is lost or counted twice.

mod gather;
#[cfg(test)]
mod memory_sink;
mod position;
mod progress;
mod rejects;
mod report;
mod sink;
mod source;
mod store_sink;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::error::ArrowError;

pub use self::progress::Progress;
pub use self::rejects::RejectedLine;
pub use self::report::{FileLineError, FileReport, Report};
pub use self::sink::{Batch, Portion, Sink, SinkError, Stored};
pub use self::source::Input;
pub use self::store_sink::StoreSink;

use self::gather::Gatherer;
use self::position::{Resumed, of_this_head, resume};
use self::source::Source;
use crate::event::Rules;
use crate::formats::{Format, FormatError, Selection};
use crate::parse::LineParser;

const BLOCK_BYTES: usize = 1 << 20;

/// How files are read.
#[derive(Debug, Clone)]
pub struct FileOptions {
    /// The format, or that it is to be told.
    pub format: Selection,
    /// What events are checked against.
    pub rules: Rules,
    /// Parser threads.
    pub threads: usize,
    /// Longer lines are rejected and skipped.
    pub max_line_bytes: usize,
    /// When a portion is large enough to be committed.
    pub portion: PortionBounds,
}

/// When a portion is committed: as soon as it has that many events, or has read that much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortionBounds {
    /// Events.
    pub events: u64,
    /// Decompressed bytes.
    pub size_bytes: u64,
}

impl Default for PortionBounds {
    fn default() -> Self {
        Self { events: 4_000_000, size_bytes: 2 << 30 }
    }
}

/// Why a file was not read to its end. What was committed before stays counted.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened, read or decompressed.
    #[error("could not be read")]
    Read(#[from] io::Error),
    /// Its format is not known.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A pipe begins like something read before, but goes on otherwise, and cannot be read a second time.
    #[error(
        "begins like input that was read before, but differs before byte {offset}, and a pipe cannot be read twice: \
         give it as a file"
    )]
    PipeDiffers {
        /// Where the earlier run had come to.
        offset: u64,
    },
    /// The events could not be stored.
    #[error("the events could not be stored")]
    Sink(#[source] SinkError),
    /// Events could not be put into columns.
    #[error("the events could not be put into columns")]
    Columns(#[from] ArrowError),
    /// The rejected lines could not be written.
    #[error("the rejected lines could not be written")]
    Rejects(#[source] io::Error),
    /// Somebody asked to stop.
    #[error("stopped before the end")]
    Cancelled,
}

/// Reads one file after the other.
pub struct FileIngest<'a> {
    options: FileOptions,
    progress: Arc<Progress>,
    cancelled: &'a AtomicBool,
    rejects: Option<&'a mut (dyn Write + 'a)>,
    report: Report,
}

impl std::fmt::Debug for FileIngest<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FileIngest").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<'a> FileIngest<'a> {
    /// Stops between two blocks as soon as `cancelled` is true, with what was read by then committed.
    #[must_use]
    pub fn new(options: FileOptions, progress: Arc<Progress>, cancelled: &'a AtomicBool) -> Self {
        Self { options, progress, cancelled, rejects: None, report: Report::default() }
    }

    /// Writes rejected lines there, as NDJSON of [`RejectedLine`].
    pub fn write_rejects_to(&mut self, rejects: &'a mut (dyn Write + 'a)) {
        self.rejects = Some(rejects);
    }

    /// What became of the files so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Reads what is new in `input` into `sink`.
    ///
    /// # Errors
    /// See [`FileError`]; after [`FileError::Read`], [`FileError::Format`] and [`FileError::PipeDiffers`] the next file
    /// may be tried.
    pub fn read(&mut self, input: &Input, sink: &mut dyn Sink) -> Result<(), FileError> {
        let mut source = Source::open(input, &self.progress)?;
        let format = self.options.format.clone();
        let format = format.format_of(&source.start)?;
        let rules = self.options.rules.clone();
        let max_line_bytes = self.options.max_line_bytes;
        let parser = format.map(|format| LineParser { format, rules: &rules, max_line_bytes });
        let resumed = resume(&mut source, &sink.positions().map_err(FileError::Sink)?, parser.as_ref())?;
        self.report.files.push(FileReport {
            file: input.to_string(),
            format: format.map(Format::name),
            resumed_at: resumed.place.offset,
            accepted: 0,
            rejected: 0,
        });
        let Some(parser) = parser else { return Ok(()) };
        self.read_from(resumed, input.to_string(), &source.start, &parser, sink)
    }

    fn read_from(
        &mut self,
        resumed: Resumed,
        file: String,
        start: &[u8],
        parser: &LineParser<'_>,
        sink: &mut dyn Sink,
    ) -> Result<(), FileError> {
        let Resumed { mut rest, place, headed, previous } = resumed;
        let unanswered = sink.unanswered().map_err(FileError::Sink)?;
        let again = unanswered.into_iter().find(|(from, to)| {
            *from == previous && !of_this_head(start, std::slice::from_ref(to)).is_empty() && to.offset > place.offset
        });
        let mut gatherer = Gatherer::new(self, sink, file, place, previous, headed);
        if let Some((_, to)) = again {
            let length = to.offset - gatherer.offset();
            gatherer.read(rest.by_ref().take(length), parser)?;
        }
        gatherer.read(rest, parser)
    }
}

#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod tests;
