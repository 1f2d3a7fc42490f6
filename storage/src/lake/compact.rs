//! The compactor: merges the small segments of a day, and adds up what the reports ask for.
//!
//! `tiers.rs` says which of a day's segments. What is merged is summarized at once; a segment that stays as it is, when
//! nothing has come in for a while.
//!
//! Everything goes aside first. One transaction then puts the merged segment in the place of the others, so that a report
//! sees either these or that. The files of the others stay until no report can be reading them any more.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use futures::StreamExt as _;
use tokio::runtime::Handle;

use super::Lake;
use super::gather::Reason;
use super::summarize::StagedSummaries;
use super::table::EventTable;
use super::tiers::{Extent, Step, is_quiet, next_step};
use crate::blocking;
use crate::catalog::{
    Segment, SegmentDay, insert_summary_file, lock_organization, put_in_place, retire_unused_summaries, set_summaries,
    take_out_segments,
};
use crate::error::StorageError;
use crate::events::order::ORDER;
use crate::events::requests;
use crate::events::segment::{self, Expected, SegmentWriter, StagedSegment};
use crate::ids::OrganizationUid;

/// What a compaction has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Compacted {
    /// Segments that another one took the place of.
    pub merged_segments: u64,
    /// Segments that were written for them.
    pub written_segments: u64,
    /// Segments that were looked at for summaries, written ones among them.
    pub summarized_segments: u64,
    /// Files of summaries that others took the place of.
    pub gathered_files: u64,
}

impl Lake {
    /// Merges and summarizes, one day after the other, for that organization or for all, and puts their summaries together;
    /// `stop` is asked between two steps. A day or an organization that fails keeps no other from its turn.
    ///
    /// # Errors
    /// When the catalog does not answer, or with the first failure. What was done stays done.
    pub async fn compact(
        &self,
        organization: Option<&OrganizationUid>,
        extent: Extent,
        mut stop: impl FnMut(&Compacted) -> bool,
    ) -> Result<Compacted, StorageError> {
        let mut done = Compacted::default();
        let mut failed = None;
        if extent != Extent::Due {
            self.forget_unreadable(organization).await?;
        }
        // What comes in meanwhile waits for the next time: this one has an end.
        let until = self.clock.now_ms();
        let days = match extent {
            // An erasure leaves segments that are summarized, and may be small.
            Extent::Everything => self.catalog.segment_days(organization).await?,
            Extent::Due | Extent::Summaries => self.catalog.days_to_compact(organization).await?,
        };
        let mut organizations: Vec<OrganizationUid> = days.iter().map(|day| day.organization.clone()).collect();
        organizations.dedup();
        for day in days {
            loop {
                if stop(&done) {
                    return Ok(done);
                }
                match self.step(&day, until, extent, &mut done).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            organization = %day.organization,
                            day = day.day,
                            "a day could not be compacted"
                        );
                        failed.get_or_insert(error);
                        break;
                    }
                }
            }
        }
        for organization in organizations {
            let so_far = done;
            let gathered = self.gather(&organization, Reason::from(extent), |gathered_files| {
                stop(&Compacted { gathered_files: so_far.gathered_files + gathered_files, ..so_far })
            });
            match gathered.await {
                Ok(gathered_files) => done.gathered_files += gathered_files,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        %organization,
                        "files of summaries could not be put together"
                    );
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(done), Err)
    }

    /// False where nothing is left to do.
    async fn step(
        &self,
        day: &SegmentDay,
        until: i64,
        extent: Extent,
        done: &mut Compacted,
    ) -> Result<bool, StorageError> {
        let mut segments = self.catalog.segments_of(day).await?;
        let quiet = extent != Extent::Due || is_quiet(&segments, until);
        segments.retain(|segment| segment.created_at <= until);
        match next_step(&segments, quiet, extent) {
            None => return Ok(false),
            Some(Step::Merge(together)) => self.merge(day, &segments[..together], done).await?,
            Some(Step::Summarize(place)) => self.summarize(day, &segments[place], done).await?,
        }
        Ok(true)
    }

    async fn merge(&self, day: &SegmentDay, segments: &[Segment], done: &mut Compacted) -> Result<(), StorageError> {
        let merged = self.rewritten(day.day, segments, |events| Ok(events.clone())).await?;
        if self.replace(day, segments, Some(merged)).await? {
            done.merged_segments += segments.len() as u64;
            done.written_segments += 1;
            done.summarized_segments += 1;
        }
        Ok(())
    }

    async fn summarize(&self, day: &SegmentDay, segment: &Segment, done: &mut Compacted) -> Result<(), StorageError> {
        tracing::debug!(organization = %day.organization, path = segment.path, "a segment is summarized");
        let summaries = self.summaries_of(segment).await?;
        let mut transaction = self.catalog.begin_write().await?;
        lock_organization(&mut transaction, &day.organization).await?;
        let (folder, organization) = (self.folder.clone(), day.organization.clone());
        let (summaries, file) = blocking(move || {
            let file = summaries.publish(&folder, &organization)?;
            Ok((summaries, file))
        })
        .await?;
        if let Some(file) = &file {
            insert_summary_file(&mut transaction, &day.organization, file).await?;
        }
        if set_summaries(&mut transaction, &segment.id, &summaries.of_segment(0, file.as_ref())).await? {
            transaction.commit().await?;
            done.summarized_segments += 1;
        } else if let Some(file) = &file {
            self.folder.remove(&file.path)?;
        }
        Ok(())
    }

    /// Puts a segment with its summaries in the place of others, or nothing. False where another process was faster:
    /// nothing has changed then.
    ///
    /// Whoever holds the organization's lock knows that no file of its events is about to be named.
    pub(super) async fn replace(
        &self,
        day: &SegmentDay,
        replaced: &[Segment],
        by: Option<(StagedSegment, StagedSummaries)>,
    ) -> Result<bool, StorageError> {
        let mut transaction = self.catalog.begin_write().await?;
        lock_organization(&mut transaction, &day.organization).await?;
        if !take_out_segments(&mut transaction, replaced, self.clock.now_ms()).await? {
            return Ok(false);
        }
        if let Some((staged, summaries)) = by {
            let (folder, organization) = (self.folder.clone(), day.organization.clone());
            let (segment, file, summaries) = blocking(move || {
                let file = summaries.publish(&folder, &organization)?;
                Ok((segment::publish(&folder, &organization, staged)?, file, summaries))
            })
            .await?;
            if let Some(file) = &file {
                insert_summary_file(&mut transaction, &day.organization, file).await?;
            }
            let summaries = summaries.of_segment(0, file.as_ref());
            put_in_place(&mut transaction, day, replaced, (&segment, &summaries)).await?;
        }
        retire_unused_summaries(&mut transaction, &day.organization, self.clock.now_ms()).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// What `keep` leaves of the events of segments, in the order of one, written aside and summarized.
    pub(super) async fn rewritten(
        &self,
        day: i64,
        segments: &[Segment],
        keep: impl Fn(&RecordBatch) -> Result<RecordBatch, StorageError> + Send + 'static,
    ) -> Result<(StagedSegment, StagedSummaries), StorageError> {
        let schema = requests::schema();
        let ascending = |name: &str| -> Result<PhysicalSortExpr, StorageError> {
            let column = datafusion::physical_expr::expressions::col(name, &schema)?;
            Ok(PhysicalSortExpr::new(column, SortOptions { descending: false, nulls_first: false }))
        };
        let order = ORDER.into_iter().map(ascending).collect::<Result<Vec<_>, _>>()?;
        let order =
            LexOrdering::new(order).ok_or_else(|| StorageError::Corrupt("segments without an order".to_owned()))?;
        let files = EventTable::sorted_files(self.folder.root(), segments, &order)?;
        let plan = Arc::new(SortPreservingMergeExec::new(order, files));
        let mut events = execute_stream(plan, self.session.task_ctx())?;
        let expected = Expected { ids: segments.iter().map(|segment| segment.id_count).sum(), empty: Vec::new() };
        let (path, runtime) = (self.folder.staged_path(), Handle::current());
        let staged = blocking(move || {
            let mut writer = SegmentWriter::create(path, day, &expected)?;
            while let Some(batch) = runtime.block_on(events.next()) {
                writer.push(&keep(&batch?)?)?;
            }
            writer.finish()
        })
        .await?;
        let summaries = self.summaries_of(&self.as_stored(&staged)).await?;
        Ok((staged, summaries))
    }

    /// A staged segment as if the catalog named it where it is.
    fn as_stored(&self, staged: &StagedSegment) -> Segment {
        let path = staged.path.strip_prefix(self.folder.root()).unwrap_or(&staged.path);
        Segment {
            id: String::new(),
            day: staged.day,
            event_count: staged.event_count,
            id_count: staged.id_count,
            commit_number: 0,
            created_at: 0,
            size_bytes: staged.size_bytes,
            path: path.to_string_lossy().into_owned(),
            summaries: None,
        }
    }
}
