//! A block of lines becomes columns of events and a list of what was rejected.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use tally_storage::events::receipt::LineError;
use tally_storage::events::requests::RequestColumns;

use crate::block::Block;
use crate::event::{Checks, Rules};
use crate::fault::Fault;
use crate::formats::Format;
use crate::headers::Reading;

/// What a block held.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The events, in the order of their lines.
    pub(crate) events: RecordBatch,
    /// The line of each event, counted from 0 in the block.
    pub(crate) event_lines: Vec<u32>,
    /// Lines that are no event, in order.
    pub(crate) rejects: Vec<Reject>,
    /// Fields that the contract does not know.
    pub(crate) unknown_fields: u64,
    /// Lines, blank ones among them.
    pub(crate) lines: u64,
    /// The first line over the limit, counted from 0 in the block.
    pub(crate) too_long: Option<u32>,
    /// Where the last line begins, if it is rejected or a header: without its end it may be a part of an event.
    pub(crate) no_event_at_end: Option<usize>,
}

/// A line that is no event.
#[derive(Debug)]
pub(crate) struct Reject {
    /// Counted from 0 in the block.
    pub(crate) line: u32,
    /// Where it stands in the block.
    pub(crate) place: Range<usize>,
    pub(crate) fault: Fault,
}

impl Reject {
    /// The receipt's entry, where `lines_before` lines stand before the block.
    pub(crate) fn line_error(&self, lines_before: u64) -> LineError {
        LineError {
            line: lines_before + u64::from(self.line) + 1,
            field: self.fault.field.to_owned(),
            reason: self.fault.reason.clone(),
        }
    }
}

/// How lines are read: shared by all parser threads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineParser<'r> {
    pub(crate) format: &'r dyn Format,
    pub(crate) rules: &'r Rules,
    pub(crate) max_line_bytes: usize,
}

impl<'r> LineParser<'r> {
    /// Lines after the headers that made `headed` of the format.
    pub(crate) fn reading(&self, headed: Option<Arc<dyn Format>>) -> Reading<'r> {
        Reading::new(self.format, headed, self.max_line_bytes)
    }

    /// A parser of one block after the other.
    pub(crate) fn start(&self) -> impl FnMut(&Block) -> Result<Parsed, ArrowError> {
        let mut columns = RequestColumns::new();
        move |block| self.parse(block, &mut columns)
    }

    fn parse(&self, block: &Block, columns: &mut RequestColumns) -> Result<Parsed, ArrowError> {
        let checks = self.rules.now();
        let (mut event_lines, mut rejects) = (Vec::new(), Vec::new());
        let (mut unknown_fields, mut too_long, mut no_event_at_end, mut line_number) = (0, None, None, 0_u32);
        let mut reading = self.reading(block.headed.clone());
        for place in block.places() {
            let line = &block.bytes[place.clone()];
            let number = line_number;
            line_number += 1;
            no_event_at_end = None;
            if line.trim_ascii().is_empty() {
                continue;
            }
            if reading.takes_header(line) {
                no_event_at_end = Some(place.start);
                continue;
            }
            match self.parse_line(line, reading.format(), checks, columns) {
                Ok(unknown) => {
                    unknown_fields += unknown;
                    event_lines.push(number);
                }
                Err(fault) => {
                    if line.len() > self.max_line_bytes {
                        too_long.get_or_insert(number);
                    }
                    no_event_at_end = Some(place.start);
                    rejects.push(Reject { line: number, place, fault });
                }
            }
        }
        let lines = u64::from(line_number);
        let events = columns.finish()?;
        Ok(Parsed { events, event_lines, rejects, unknown_fields, lines, too_long, no_event_at_end })
    }

    /// Appends the line's event; how many unknown fields it had.
    fn parse_line(
        &self,
        line: &[u8],
        format: &dyn Format,
        checks: Checks<'_>,
        columns: &mut RequestColumns,
    ) -> Result<u64, Fault> {
        if line.len() > self.max_line_bytes {
            return Err(Fault::too_long(self.max_line_bytes));
        }
        let mut raw = format.parse(line)?;
        columns.push(&checks.event(&mut raw)?);
        Ok(raw.unknown_fields)
    }
}
