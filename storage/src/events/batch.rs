//! A batch on its way into the catalog: its days, its ids, and what of it was counted before.

use std::collections::HashSet;
use std::mem;

use arrow::array::RecordBatch;
use sqlx::AnyConnection;

use super::duplicates::{DayIds, IdIndex, ids_by_day, without_repeats};
use super::order::DayEvents;
use super::requests;
use super::segment::{self, StagedSegment};
use crate::catalog::{IdSource, id_sources};
use crate::error::StorageError;
use crate::folder::DataFolder;
use crate::ids::OrganizationUid;

/// A batch without repeats of its own, and without those that stood in the catalog at commit `looked_at`.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) organization: OrganizationUid,
    pub(super) rows: Option<RecordBatch>,
    pub(super) segments: Vec<StagedSegment>,
    pub(super) duplicates: u64,
    pub(super) looked_at: i64,
    /// False where a file was erased under the hands of the last look.
    pub(super) looked_at_all: bool,
}

impl Batch {
    pub(super) fn has_ids(&self) -> Result<bool, StorageError> {
        let in_rows = self.rows.as_ref().map(segment::count_ids).transpose()?.unwrap_or(0);
        Ok(in_rows > 0 || self.segments.iter().any(|segment| segment.id_count > 0))
    }

    /// First and last day of the events; `None` without events.
    fn days(&self) -> Result<Option<(i64, i64)>, StorageError> {
        let in_rows = self.rows.as_ref().map(days_of).transpose()?.into_iter().flat_map(|(first, last)| [first, last]);
        let days = in_rows.chain(self.segments.iter().map(|segment| segment.day));
        Ok(days.fold(None, |span, day| match span {
            None => Some((day, day)),
            Some((first, last)) => Some((day.min(first), day.max(last))),
        }))
    }

    pub(super) async fn sources(
        &self,
        db: &mut AnyConnection,
        ids: &IdIndex,
        after_commit: i64,
    ) -> Result<Vec<IdSource>, StorageError> {
        match self.days()? {
            Some(days) if self.has_ids()? => {
                let kept = |row: &str| ids.logged(row);
                id_sources(db, &self.organization, requests::KIND, days, after_commit, kept).await
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The batch without the events that the sources hold already.
    pub(super) fn without_known(
        mut self,
        ids: &IdIndex,
        folder: &DataFolder,
        sources: &[IdSource],
    ) -> Result<Self, StorageError> {
        self.looked_at_all = true;
        if sources.is_empty() {
            return Ok(self);
        }
        let mut find = |ids_of: &DayIds| {
            let found = ids.find(ids_of, sources)?;
            self.looked_at_all &= found.all_were_there;
            Ok::<_, StorageError>(found.ids)
        };
        if let Some(rows) = self.rows.take() {
            let known = find(&ids_by_day(&rows)?)?;
            let (rows, repeats) = without_repeats(&rows, &known)?;
            self.duplicates += repeats;
            self.rows = (rows.num_rows() > 0).then_some(rows);
        }
        let mut kept = Vec::with_capacity(self.segments.len());
        for staged in mem::take(&mut self.segments) {
            let (staged, repeats) = segment_without_known(staged, folder, &mut find)?;
            self.duplicates += repeats;
            kept.extend(staged);
        }
        self.segments = kept;
        Ok(self)
    }

    pub(super) fn event_count(&self) -> u64 {
        let in_rows = self.rows.as_ref().map_or(0, |rows| rows.num_rows() as u64);
        in_rows + self.segments.iter().map(|segment| segment.event_count).sum::<u64>()
    }
}

fn segment_without_known(
    staged: StagedSegment,
    folder: &DataFolder,
    find: &mut impl FnMut(&DayIds) -> Result<DayIds, StorageError>,
) -> Result<(Option<StagedSegment>, u64), StorageError> {
    if staged.id_count == 0 {
        return Ok((Some(staged), 0));
    }
    let mut wanted = DayIds::new();
    let day = wanted.entry(staged.day).or_default();
    segment::visit_ids(&staged.path, |id| {
        day.insert(id.into());
    })?;
    let known = find(&wanted)?;
    if known.values().all(HashSet::is_empty) {
        return Ok((Some(staged), 0));
    }
    let events = arrow::compute::concat_batches(&requests::schema(), &segment::read(&staged.path)?)?;
    let (events, repeats) = without_repeats(&events, &known)?;
    if events.num_rows() == 0 {
        return Ok((None, repeats));
    }
    let rewritten = segment::write(folder.staged_path(), &DayEvents { day: staged.day, events })?;
    Ok((Some(rewritten), repeats))
}

pub(super) fn days_of(events: &RecordBatch) -> Result<(i64, i64), StorageError> {
    let times = segment::times(events)?;
    let days = times.values().iter().map(|ts| segment::day_of(*ts));
    Ok(days.fold((i64::MAX, i64::MIN), |(first, last), day| (first.min(day), last.max(day))))
}
