//! Which events were counted before: an event's id counts once in its organization and UTC day, whenever it comes again.
//!
//! Ids are looked for in three places: the batch itself, the log rows not flushed yet, and the day's segments, whose
//! bloom filters answer nearly every question without reading an id. Filters and the ids of log rows are kept in
//! bounded caches under the name of their row, which never changes its content.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use moka::sync::Cache;
use parquet::bloom_filter::Sbbf;

use super::log;
use super::segment::{self, day_of};
use crate::catalog::IdSource;
use crate::error::StorageError;
use crate::folder::DataFolder;

/// Ids by UTC day (days since 1970-01-01).
pub(crate) type DayIds = BTreeMap<i64, HashSet<Box<str>>>;

/// Bytes of filters, and of ids of log rows, that are kept.
const FILTERS_BYTES: u64 = 64 << 20;
const LOGGED_BYTES: u64 = 32 << 20;

/// How long ids of a log row are kept that no batch asks for: it may have been flushed.
const LOGGED_UNASKED: Duration = Duration::from_mins(1);

/// What a cache takes for a row beside what it keeps of it, and the allocator for a set of ids beside its slots and for an
/// id beside its text.
const ROW_BYTES: usize = 256;
const SET_BYTES: usize = 128;
const ID_BYTES: usize = 32;

/// Bytes of a block of a bloom filter, as Parquet has them.
const BLOCK_BYTES: usize = 32;

/// The ids of a batch, by day.
pub(crate) fn ids_by_day(events: &RecordBatch) -> Result<DayIds, StorageError> {
    let mut days = DayIds::new();
    for (id, ts) in segment::ids(events)?.iter().zip(segment::times(events)?.values()) {
        if let Some(id) = id {
            days.entry(day_of(*ts)).or_default().insert(id.into());
        }
    }
    Ok(days)
}

/// The batch without the events whose id is known or stands in it a second time, and how many those were.
pub(crate) fn without_repeats(events: &RecordBatch, known: &DayIds) -> Result<(RecordBatch, u64), StorageError> {
    let ids = segment::ids(events)?;
    if ids.null_count() == ids.len() {
        return Ok((events.clone(), 0));
    }
    let times = segment::times(events)?.values();
    let mut seen: HashSet<(i64, &str)> = HashSet::new();
    let keep = (0..events.num_rows()).map(|row| {
        let id = ids.is_valid(row).then(|| ids.value(row));
        Some(id.is_none_or(|id| {
            let day = day_of(times[row]);
            !known.get(&day).is_some_and(|known| known.contains(id)) && seen.insert((day, id))
        }))
    });
    let keep: BooleanArray = keep.collect();
    let repeats = keep.false_count() as u64;
    if repeats == 0 {
        return Ok((events.clone(), 0));
    }
    Ok((filter_record_batch(events, &keep)?, repeats))
}

/// Those of the wanted ids that a segment holds.
pub(crate) fn found_in_segment(
    path: &Path,
    filters: &[Sbbf],
    wanted: &HashSet<Box<str>>,
) -> Result<HashSet<Box<str>>, StorageError> {
    let maybe: HashSet<&str> =
        wanted.iter().map(AsRef::as_ref).filter(|id| filters.iter().any(|filter| filter.check(*id))).collect();
    let mut found = HashSet::new();
    if !maybe.is_empty() {
        segment::visit_ids(path, |id| {
            if maybe.contains(id) {
                found.insert(id.into());
            }
        })?;
    }
    Ok(found)
}

fn add_common(found: &mut DayIds, wanted: &DayIds, known: &DayIds) {
    for (day, wanted) in wanted {
        if let Some(known) = known.get(day) {
            found.entry(*day).or_default().extend(wanted.intersection(known).cloned());
        }
    }
}

/// What was found of the ids that were looked for.
#[derive(Debug)]
pub(crate) struct Found {
    /// Those that are known, by day.
    pub(crate) ids: DayIds,
    /// False where a segment's file was erased since the catalog named it: another one may hold its ids.
    pub(crate) all_were_there: bool,
}

/// Looks ids up in what the catalog names. Clones share what is kept.
#[derive(Debug, Clone)]
pub(crate) struct IdIndex {
    folder: DataFolder,
    filters: Cache<String, Arc<Vec<Sbbf>>>,
    logged: Cache<String, Arc<DayIds>>,
}

impl IdIndex {
    pub(crate) fn new(folder: DataFolder) -> Self {
        let filters = Cache::builder()
            .max_capacity(FILTERS_BYTES)
            .weigher(|_, filters: &Arc<Vec<Sbbf>>| {
                weight(filters.iter().map(|filter| filter.num_blocks() * BLOCK_BYTES).sum())
            })
            .build();
        let logged = Cache::builder()
            .max_capacity(LOGGED_BYTES)
            .weigher(|_, days: &Arc<DayIds>| weight(days.values().map(size_of_set).sum()))
            .time_to_idle(LOGGED_UNASKED)
            .build();
        Self { folder, filters, logged }
    }

    /// Those of the wanted ids that the sources hold. Reads files: call it from a blocking thread.
    pub(crate) fn find(&self, wanted: &DayIds, sources: &[IdSource]) -> Result<Found, StorageError> {
        let mut found = Found { ids: DayIds::new(), all_were_there: true };
        for source in sources {
            match source {
                IdSource::Segment { id, day, path } => {
                    let Some(wanted) = wanted.get(day) else { continue };
                    let path = self.folder.path_of(path);
                    match self.filters(id, &path).and_then(|filters| found_in_segment(&path, &filters, wanted)) {
                        Ok(ids) => found.ids.entry(*day).or_default().extend(ids),
                        Err(StorageError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                            found.all_were_there = false;
                        }
                        Err(error) => return Err(error),
                    }
                }
                IdSource::Log { id, payload } => add_common(&mut found.ids, wanted, &*self.read_log(id, payload)?),
                IdSource::Memory(known) => add_common(&mut found.ids, wanted, known),
            }
        }
        Ok(found)
    }

    fn filters(&self, id: &str, path: &Path) -> Result<Arc<Vec<Sbbf>>, StorageError> {
        if let Some(filters) = self.filters.get(id) {
            return Ok(filters);
        }
        let filters = Arc::new(segment::id_filters(path)?);
        self.filters.insert(id.to_owned(), Arc::clone(&filters));
        Ok(filters)
    }

    /// The ids of a log row, where they were read before.
    pub(crate) fn logged(&self, id: &str) -> Option<Arc<DayIds>> {
        self.logged.get(id)
    }

    fn read_log(&self, id: &str, payload: &[u8]) -> Result<Arc<DayIds>, StorageError> {
        if let Some(ids) = self.logged(id) {
            return Ok(ids);
        }
        let mut days = DayIds::new();
        for batch in log::decode(payload)? {
            for (day, ids) in ids_by_day(&batch)? {
                days.entry(day).or_default().extend(ids);
            }
        }
        let days = Arc::new(days);
        self.logged.insert(id.to_owned(), Arc::clone(&days));
        Ok(days)
    }
}

/// What a cache takes for a row with so many bytes.
fn weight(size_bytes: usize) -> u32 {
    u32::try_from(ROW_BYTES + size_bytes).unwrap_or(u32::MAX)
}

fn size_of_set(ids: &HashSet<Box<str>>) -> usize {
    let texts: usize = ids.iter().map(|id| id.len() + ID_BYTES).sum();
    SET_BYTES + ids.capacity() * size_of::<Box<str>>() + texts
}
