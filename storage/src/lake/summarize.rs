//! The making of a segment's summaries: every way to add it up, where that is worth it.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, col};
use datafusion::prelude::DataFrame;
use futures::TryStreamExt as _;
use uuid::Uuid;

use super::query::{added, counted};
use super::summary::{Summaries, Summary};
use super::table::EventTable;
use super::{Lake, summary_file};
use crate::blocking;
use crate::catalog::{Segment, SummaryFile};
use crate::error::StorageError;
use crate::folder::DataFolder;

/// A summary of more rows is not kept: it would not be read faster than the events.
const SUMMARY_ROWS: u64 = 1_000_000;

/// A segment of so few events is summarized whatever it saves: what costs there is opening the file.
const FEW_EVENTS: u64 = 10_000;

/// A segment's summaries, written aside.
pub(super) struct StagedSummaries {
    /// `None` where none is worth it.
    path: Option<PathBuf>,
    size_bytes: u64,
    summaries: Summaries,
}

impl Drop for StagedSummaries {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            drop(std::fs::remove_file(path));
        }
    }
}

impl Lake {
    /// Adds a segment up in every way that is worth it, and writes that aside.
    pub(super) async fn summaries_of(&self, segment: &Segment) -> Result<StagedSummaries, StorageError> {
        let events = EventTable::of_segment(self.folder.root(), segment)?;
        let events = self.session.read_table(Arc::new(events))?;
        let few = segment.event_count <= FEW_EVENTS;
        let worth_it = if few { segment.event_count } else { (segment.event_count / 2).min(SUMMARY_ROWS) };
        let mut kept = Vec::new();
        for (by_stack, of_all) in Summary::pairs() {
            let narrow = match self.added_up(events.clone(), by_stack, counted(by_stack.measures()), worth_it).await? {
                None => self.added_up(events.clone(), of_all, counted(of_all.measures()), worth_it).await?,
                Some(rows) => {
                    let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]])?;
                    let table = self.session.read_table(Arc::new(table))?;
                    // Where nearly as many rows are left the wider one does for both.
                    let rows_worth_it = rows.num_rows() as u64 / 2;
                    kept.push((by_stack, rows));
                    self.added_up(table, of_all, added(of_all.measures()), rows_worth_it).await?
                }
            };
            kept.extend(narrow.map(|rows| (of_all, rows)));
        }
        let summaries = Summaries(kept.iter().map(|(summary, _)| *summary).collect());
        if kept.is_empty() {
            return Ok(StagedSummaries { path: None, size_bytes: 0, summaries });
        }
        let path = self.folder.staged_path();
        blocking(move || {
            let mut staged = StagedSummaries { path: Some(path.clone()), size_bytes: 0, summaries };
            staged.size_bytes = summary_file::write(&path, &kept)?;
            Ok(staged)
        })
        .await
    }

    /// The rows of a summary, in the order of its dimensions; `None` where there are more than that.
    pub(super) async fn added_up(
        &self,
        rows: DataFrame,
        summary: Summary,
        measures: Vec<Expr>,
        at_most: u64,
    ) -> Result<Option<RecordBatch>, StorageError> {
        let columns: Vec<Expr> = summary.dimensions().iter().map(|dimension| col(dimension.column())).collect();
        let order = columns.iter().cloned().map(|column| column.sort(true, false)).collect();
        let mut batches = rows.aggregate(columns, measures)?.sort(order)?.execute_stream().await?;
        let schema = summary_file::schema_of(summary);
        let mut row_count = 0;
        let mut kept = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            row_count += batch.num_rows() as u64;
            if row_count > at_most {
                return Ok(None);
            }
            kept.push(RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec())?);
        }
        Ok(Some(concat_batches(&schema, &kept)?))
    }
}

/// Gives summaries a name beside their segment's.
pub(super) fn publish_summaries(
    folder: &DataFolder,
    segment_name: &str,
    staged: &StagedSummaries,
) -> Result<SummaryFile, StorageError> {
    let file = |path| SummaryFile { path, size_bytes: staged.size_bytes, summaries: staged.summaries.clone() };
    let Some(path) = &staged.path else { return Ok(file(String::new())) };
    let name = format!("{}-{}.arrow", segment_name.trim_end_matches(".parquet"), Uuid::now_v7());
    folder.publish(path, &name)?;
    Ok(file(name))
}
