//! Parsed blocks become portions, each committed together with its place in the ledger.

use std::io::{self, Read};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tally_storage::events::ledger::SourcePosition;
use tally_storage::events::receipt::{LineError, MAX_RECEIPT_ERRORS};

use super::position::Place;
use super::rejects::{self, RejectedLine};
use super::sink::{Batch, Portion, Sink};
use super::{BLOCK_BYTES, FileError, FileIngest};
use crate::block::Block;
use crate::formats::Format;
use crate::lines::LineBlocks;
use crate::parse::{LineParser, Parsed, Reject};
use crate::pipeline;

/// Gathers one file's portions, in the order of its lines.
pub(super) struct Gatherer<'g, 'a> {
    ingest: &'g mut FileIngest<'a>,
    sink: &'g mut dyn Sink,
    file: String,
    place: Place,
    committed_offset: u64,
    previous: Option<SourcePosition>,
    /// What header lines before the place have made of the format.
    headed: Option<Arc<dyn Format>>,
    gathered: Gathered,
}

/// What is said of the portion being gathered.
#[derive(Default)]
struct Gathered {
    events: u64,
    rejected: u64,
    unknown_fields: u64,
    errors: Vec<LineError>,
}

impl<'g, 'a> Gatherer<'g, 'a> {
    pub(super) fn new(
        ingest: &'g mut FileIngest<'a>,
        sink: &'g mut dyn Sink,
        file: String,
        place: Place,
        previous: Option<SourcePosition>,
        headed: Option<Arc<dyn Format>>,
    ) -> Self {
        let committed_offset = place.offset;
        Self { ingest, sink, file, place, committed_offset, previous, headed, gathered: Gathered::default() }
    }

    /// Where everything before has been gathered.
    pub(super) fn offset(&self) -> u64 {
        self.place.offset
    }

    /// Reads `rest`, which begins at [`offset`](Self::offset), and commits all of it.
    pub(super) fn read(&mut self, rest: impl Read + Send, parser: &LineParser<'_>) -> Result<(), FileError> {
        let threads = self.ingest.options.threads;
        let mut reading = parser.reading(self.headed.take());
        let blocks = LineBlocks::new(rest, self.place.offset, BLOCK_BYTES, parser.max_line_bytes);
        let spare = blocks.spare();
        let blocks = blocks.map(|block| {
            let mut block = block?;
            reading.enter(&mut block);
            Ok::<_, io::Error>(block)
        });
        let read = pipeline::run(
            blocks,
            threads,
            || parser.start(),
            |block, parsed| {
                self.collect(&block, parsed.map_err(FileError::Columns)?)?;
                spare.put(block.bytes);
                Ok(())
            },
        );
        self.headed = reading.into_headed();
        // What stands before a failure of the input is good, and a run that is stopped keeps what it has.
        if matches!(read, Ok(()) | Err(FileError::Read(_) | FileError::Cancelled)) {
            self.commit()?;
        }
        read
    }

    fn collect(&mut self, block: &Block, parsed: Parsed) -> Result<(), FileError> {
        let lines_before = self.place.lines;
        let (events, rejected) = (parsed.event_lines.len() as u64, parsed.rejects.len() as u64);
        for reject in &parsed.rejects {
            self.reject(block, reject, lines_before)?;
        }
        self.gathered.events += events;
        self.gathered.unknown_fields += parsed.unknown_fields;
        self.ingest.progress.add(events, rejected);
        self.advance(block, &parsed);
        if events > 0 {
            let lines = parsed.event_lines.iter().map(|line| lines_before + u64::from(*line) + 1).collect();
            self.sink.push(Batch { events: parsed.events, lines }).map_err(FileError::Sink)?;
        }
        let bounds = self.ingest.options.portion;
        let gathered_bytes = self.place.offset - self.committed_offset;
        if self.gathered.events >= bounds.events || gathered_bytes >= bounds.size_bytes {
            self.commit()?;
        }
        if self.ingest.cancelled.load(Ordering::Relaxed) { Err(FileError::Cancelled) } else { Ok(()) }
    }

    /// Moves over the block; not over a last line that is no event and that its writer has not ended, so that a later
    /// run sees it whole.
    fn advance(&mut self, block: &Block, parsed: &Parsed) {
        match parsed.no_event_at_end.filter(|_| block.is_unterminated()) {
            Some(start) => {
                let offset = self.place.offset + start as u64;
                self.place.advance(&block.bytes[..start], offset, parsed.lines - 1);
            }
            None => self.place.advance(&block.bytes, block.end, parsed.lines),
        }
    }

    fn reject(&mut self, block: &Block, reject: &Reject, lines_before: u64) -> Result<(), FileError> {
        let error = reject.line_error(lines_before);
        let line = &block.bytes[reject.place.clone()];
        let text = String::from_utf8_lossy(&line[..line.len().min(self.ingest.options.max_line_bytes)]);
        self.write_reject(&error, Some(&text))?;
        self.gathered.rejected += 1;
        if self.gathered.errors.len() < MAX_RECEIPT_ERRORS {
            self.gathered.errors.push(error.clone());
        }
        self.ingest.report.reject(&self.file, error);
        Ok(())
    }

    fn write_reject(&mut self, error: &LineError, text: Option<&str>) -> Result<(), FileError> {
        let Some(to) = self.ingest.rejects.as_deref_mut() else { return Ok(()) };
        rejects::write(to, &RejectedLine { file: &self.file, error, text }).map_err(FileError::Rejects)
    }

    fn commit(&mut self) -> Result<(), FileError> {
        let gathered = mem::take(&mut self.gathered);
        self.ingest.report.count(gathered.rejected, gathered.unknown_fields);
        if let Some(to) = self.ingest.rejects.as_deref_mut() {
            to.flush().map_err(FileError::Rejects)?;
        }
        if self.place.offset == self.committed_offset {
            return Ok(());
        }
        let position = self.place.position();
        let portion = Portion {
            rejected: gathered.rejected,
            unknown_fields: gathered.unknown_fields,
            errors: gathered.errors,
            position: position.clone(),
            replaces: self.previous.take(),
        };
        let stored = self.sink.commit(portion).map_err(FileError::Sink)?;
        self.previous = Some(position);
        self.committed_offset = self.place.offset;
        for error in &stored.errors {
            self.write_reject(error, None)?;
        }
        self.ingest.report.store(&self.file, stored);
        Ok(())
    }
}
