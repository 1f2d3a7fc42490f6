//! A batch of events being gathered, before its commit.
//!
//! A small batch stays in memory and becomes part of a log row. One that grows past the bounds is written to segments
//! aside, a chunk at a time, so that memory does not grow with the batch: one is sorted, encoded and synced on threads of
//! its own while the next one is gathered. Nothing of it exists until the commit.

use std::mem;
use std::thread::{self, JoinHandle};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::batch::days_of;
use super::duplicates::{DayIds, found_in_segment, ids_by_day, without_repeats};
use super::requests;
use super::segment::{self, StagedSegment};
use crate::error::StorageError;
use crate::folder::DataFolder;
use crate::ids::OrganizationUid;

/// How much of a batch is held in memory at most, before it is written aside.
const CHUNK_EVENTS: usize = 125_000;
const CHUNK_BYTES: usize = 48 << 20;

/// How much of a batch may become part of a log row; more becomes segments. What has many events of each of its days is
/// written to the files where it ends up anyway; fewer would make files that are hardly worth it.
const LOG_EVENTS: usize = 50_000;
const LOG_EVENTS_OF_A_DAY: usize = 10_000;
const LOG_BYTES: usize = 16 << 20;

/// A batch being gathered. Its methods read and write files: call them from a blocking thread.
#[derive(Debug)]
pub struct Stage {
    organization: OrganizationUid,
    folder: DataFolder,
    pending: Vec<RecordBatch>,
    pending_events: usize,
    pending_bytes: usize,
    /// The last chunk, on its way to segments; it has those of the chunks before.
    writing: Option<JoinHandle<Result<Written, StorageError>>>,
    written: Written,
}

/// What of a batch is in segments aside.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) segments: Vec<StagedSegment>,
    /// Events whose id the batch has had before.
    pub(crate) duplicates: u64,
}

impl Stage {
    pub(crate) fn new(organization: OrganizationUid, folder: DataFolder) -> Self {
        Self {
            organization,
            folder,
            pending: Vec::new(),
            pending_events: 0,
            pending_bytes: 0,
            writing: None,
            written: Written::default(),
        }
    }

    /// The organization whose events these are.
    #[must_use]
    pub fn organization(&self) -> &OrganizationUid {
        &self.organization
    }

    /// Adds events of the request schema.
    ///
    /// # Errors
    /// When a chunk cannot be written aside; the batch is lost then, as a whole.
    pub fn push(&mut self, batch: RecordBatch) -> Result<(), StorageError> {
        self.pending_events += batch.num_rows();
        self.pending_bytes += batch.get_array_memory_size();
        self.pending.push(batch);
        if self.pending_events >= CHUNK_EVENTS || self.pending_bytes >= CHUNK_BYTES {
            self.spill()?;
        }
        Ok(())
    }

    /// Begins to write what is in memory to segments aside.
    fn spill(&mut self) -> Result<(), StorageError> {
        let events = self.take_pending();
        self.wait()?;
        let (folder, mut written) = (self.folder.clone(), mem::take(&mut self.written));
        self.writing = Some(thread::spawn(move || {
            let events = written.without_repeats(events)?;
            written.segments.extend(segment::write_days(&folder, events)?);
            Ok(written)
        }));
        Ok(())
    }

    /// Waits for the chunk that is being written.
    fn wait(&mut self) -> Result<(), StorageError> {
        if let Some(writing) = self.writing.take() {
            let panicked = |_| StorageError::Background("a chunk of events was not written".to_owned());
            self.written = writing.join().map_err(panicked)??;
        }
        Ok(())
    }

    /// Ends the gathering: what is in segments, and what is left in memory, if it is small enough for a log row.
    pub(crate) fn finish(mut self) -> Result<(Written, Option<RecordBatch>), StorageError> {
        if self.pending_bytes > LOG_BYTES || self.pending_events > self.log_events()? {
            self.spill()?;
        }
        let events = self.take_pending();
        self.wait()?;
        let mut written = self.written;
        let rows = concat_batches(&requests::schema(), &written.without_repeats(events)?)?;
        Ok((written, (rows.num_rows() > 0).then_some(rows)))
    }

    /// How many of the events in memory may become part of a log row: it goes by the days from the first to the last.
    fn log_events(&self) -> Result<usize, StorageError> {
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        for batch in &self.pending {
            let (from, to) = days_of(batch)?;
            (first, last) = (first.min(from), last.max(to));
        }
        let days = usize::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or_default();
        Ok(days.saturating_mul(LOG_EVENTS_OF_A_DAY).min(LOG_EVENTS))
    }

    fn take_pending(&mut self) -> Vec<RecordBatch> {
        (self.pending_events, self.pending_bytes) = (0, 0);
        mem::take(&mut self.pending)
    }
}

impl Written {
    /// Events without those whose id is in them twice, or was in the segments before.
    fn without_repeats(&mut self, events: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, StorageError> {
        let mut id_count = 0;
        for batch in &events {
            id_count += segment::count_ids(batch)?;
        }
        if id_count == 0 {
            return Ok(events);
        }
        let events = concat_batches(&requests::schema(), &events)?;
        let (events, repeats) = without_repeats(&events, &self.known(&events)?)?;
        self.duplicates += repeats;
        Ok(vec![events])
    }

    /// Those ids of the events that the segments hold.
    fn known(&self, events: &RecordBatch) -> Result<DayIds, StorageError> {
        let mut known = DayIds::new();
        let wanted = ids_by_day(events)?;
        for written in self.segments.iter().filter(|segment| segment.id_count > 0) {
            let Some(wanted) = wanted.get(&written.day) else { continue };
            let found = found_in_segment(&written.path, &segment::id_filters(&written.path)?, wanted)?;
            known.entry(written.day).or_default().extend(found);
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::fixture::request_on;
    use crate::events::requests::RequestColumns;

    /// Segments and log rows of so many events on each of those days.
    fn staged(events_of_a_day: usize, days: i64) -> (usize, usize) {
        let root = tempfile::tempdir().unwrap();
        let mut columns = RequestColumns::new();
        for day in 0..days {
            for _ in 0..events_of_a_day {
                columns.push(&request_on(day));
            }
        }
        let folder = DataFolder::open(root.path()).unwrap();
        let mut stage = Stage::new(OrganizationUid::mint(), folder);
        stage.push(columns.finish().unwrap()).unwrap();
        let (written, rows) = stage.finish().unwrap();
        (written.segments.len(), rows.map_or(0, |rows| rows.num_rows()))
    }

    #[test]
    fn a_batch_with_many_events_of_each_of_its_days_becomes_segments() {
        assert_eq!(staged(LOG_EVENTS_OF_A_DAY, 1), (0, LOG_EVENTS_OF_A_DAY));
        assert_eq!(staged(LOG_EVENTS_OF_A_DAY + 1, 1), (1, 0));
        assert_eq!(staged(LOG_EVENTS_OF_A_DAY / 2, 3), (0, LOG_EVENTS_OF_A_DAY / 2 * 3));
        assert_eq!(staged(LOG_EVENTS_OF_A_DAY + 1, 2), (2, 0));
    }

    #[test]
    fn nothing_staged_is_nothing() {
        assert_eq!(staged(0, 1), (0, 0));
    }
}
