//! A batch of events being gathered, before its commit.
//!
//! A small batch stays in memory and becomes part of a log row. One that grows past the bounds is written to segments
//! aside, a chunk at a time, so that memory does not grow with the batch: one is written while the next one is gathered.
//! Nothing of it exists until the commit.

use std::mem;
use std::thread::{self, JoinHandle};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::duplicates::{DayIds, found_in_segment, ids_by_day, without_repeats};
use super::requests;
use super::segment::{self, StagedSegment};
use crate::error::StorageError;
use crate::folder::DataFolder;
use crate::ids::OrganizationUid;

/// How much of a batch is held in memory at most, before it is written aside.
const CHUNK_EVENTS: usize = 250_000;
const CHUNK_BYTES: usize = 96 << 20;

/// How much of a batch may become part of a log row; more becomes segments.
const LOG_EVENTS: usize = 50_000;
const LOG_BYTES: usize = 16 << 20;

/// A batch being gathered. Its methods read and write files: call them from a blocking thread.
#[derive(Debug)]
pub struct Stage {
    organization: OrganizationUid,
    folder: DataFolder,
    pending: Vec<RecordBatch>,
    pending_events: usize,
    pending_bytes: usize,
    /// The last chunk, on its way to segments.
    writing: Option<JoinHandle<Result<Vec<StagedSegment>, StorageError>>>,
    pub(crate) segments: Vec<StagedSegment>,
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
            segments: Vec::new(),
            duplicates: 0,
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
        let Some(events) = self.take_pending()? else { return Ok(()) };
        let folder = self.folder.clone();
        self.writing = Some(thread::spawn(move || {
            let days = segment::by_day(&[events])?;
            days.iter().map(|day| segment::write(folder.staged_path(), day)).collect()
        }));
        Ok(())
    }

    /// Waits for the chunk that is being written.
    fn written(&mut self) -> Result<(), StorageError> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let panicked = |_| StorageError::Background("a chunk of events was not written".to_owned());
        self.segments.extend(writing.join().map_err(panicked)??);
        Ok(())
    }

    /// Ends the gathering: what is left in memory, if it is small enough for a log row.
    pub(crate) fn finish(&mut self) -> Result<Option<RecordBatch>, StorageError> {
        if self.pending_events > LOG_EVENTS || self.pending_bytes > LOG_BYTES {
            self.spill()?;
        }
        let rows = self.take_pending()?;
        self.written()?;
        Ok(rows)
    }

    /// What is in memory as one batch, without the ids that this batch has had before.
    fn take_pending(&mut self) -> Result<Option<RecordBatch>, StorageError> {
        let pending = mem::take(&mut self.pending);
        (self.pending_events, self.pending_bytes) = (0, 0);
        if pending.is_empty() {
            return Ok(None);
        }
        let events = concat_batches(&requests::schema(), &pending)?;
        self.written()?;
        let known = self.ids_written_before(&events)?;
        let (events, repeats) = without_repeats(&events, &known)?;
        self.duplicates += repeats;
        Ok((events.num_rows() > 0).then_some(events))
    }

    fn ids_written_before(&self, events: &RecordBatch) -> Result<DayIds, StorageError> {
        let mut known = DayIds::new();
        if segment::count_ids(events)? == 0 {
            return Ok(known);
        }
        let wanted = ids_by_day(events)?;
        for written in self.segments.iter().filter(|segment| segment.id_count > 0) {
            let Some(wanted) = wanted.get(&written.day) else { continue };
            let found = found_in_segment(&written.path, &segment::id_filters(&written.path)?, wanted)?;
            known.entry(written.day).or_default().extend(found);
        }
        Ok(known)
    }
}
