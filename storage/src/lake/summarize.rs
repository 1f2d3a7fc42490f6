//! The making of a segment's summaries: every way to add it up, where that is worth it.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::Lake;
use super::adding_up::{AddedUp, AddingUp, Way};
use super::part::{self, Row};
use super::summary::{Summaries, Summary};
use super::summary_file::{self, Contents, Part};
use crate::blocking;
use crate::catalog::{Segment, SegmentSummaries, SummaryFile};
use crate::error::StorageError;
use crate::events::{requests, segment};
use crate::folder::{DataFolder, folder_of};
use crate::ids::OrganizationUid;

/// A summary of more rows is not kept: it would take much memory, and not be read much faster than the events.
const SUMMARY_ROWS: u64 = 500_000;

/// Neither is one of more bytes of different texts, which are in memory a few times while it is made.
const SUMMARY_TEXT_BYTES: usize = 64 << 20;

/// A segment of so few events is summarized whatever it saves: what costs there is opening the file.
const FEW_EVENTS: u64 = 10_000;

/// A file of summaries, written aside.
pub(super) struct StagedSummaries {
    /// `None` where no summary is worth it.
    path: Option<PathBuf>,
    size_bytes: u64,
    /// Of each segment in it.
    pub(super) segments: Vec<Summaries>,
}

impl Drop for StagedSummaries {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            drop(std::fs::remove_file(path));
        }
    }
}

impl StagedSummaries {
    /// Writes what there is to a file aside.
    pub(super) fn write(folder: &DataFolder, contents: &Contents) -> Result<Self, StorageError> {
        let summaries = |parts: &Vec<Part>| Summaries(parts.iter().map(|part| part.summary).collect());
        let segments = contents.segments.iter().map(summaries).collect();
        let mut staged = Self { path: None, size_bytes: 0, segments };
        if contents.segments.iter().any(|parts| !parts.is_empty()) {
            let path = folder.staged_path();
            staged.path = Some(path.clone());
            staged.size_bytes = summary_file::write(&path, contents)?;
        }
        Ok(staged)
    }

    /// Gives the file its name; `None` where there is none.
    pub(super) fn publish(
        &self,
        folder: &DataFolder,
        organization: &OrganizationUid,
    ) -> Result<Option<SummaryFile>, StorageError> {
        let Some(staged) = &self.path else { return Ok(None) };
        let kind = requests::KIND;
        let path = format!("events/{kind}/{}/summaries/{}.summaries", folder_of(organization), Uuid::now_v7());
        folder.publish(staged, &path)?;
        Ok(Some(SummaryFile { path, size_bytes: self.size_bytes, segment_count: self.segments.len() as u64 }))
    }

    /// What is said of the segment at that place, where the summaries are in that file.
    pub(super) fn of_segment(&self, place: usize, file: Option<&SummaryFile>) -> SegmentSummaries {
        let summaries = self.segments.get(place).cloned().unwrap_or_default();
        SegmentSummaries { path: file.map(|file| file.path.clone()).unwrap_or_default(), place, summaries }
    }
}

impl Lake {
    /// Adds a segment up in every way that is worth it, and writes that aside.
    pub(super) async fn summaries_of(&self, segment: &Segment) -> Result<StagedSummaries, StorageError> {
        let (folder, path, event_count) =
            (self.folder.clone(), self.folder.path_of(&segment.path), segment.event_count);
        blocking(move || StagedSummaries::write(&folder, &summarized(&path, event_count)?)).await
    }
}

fn summarized(path: &Path, event_count: u64) -> Result<Contents, StorageError> {
    let worth_it = if event_count <= FEW_EVENTS { event_count } else { (event_count / 2).min(SUMMARY_ROWS) };
    let worth_it = usize::try_from(worth_it).unwrap_or(usize::MAX);
    let pairs: Vec<(Summary, Summary)> = Summary::pairs().collect();
    let wide = added_up(path, pairs.iter().map(|(by_stack, _)| *by_stack), worth_it)?;
    let mut parts = Vec::new();
    let mut without = Vec::new();
    for ((by_stack, of_all), rows) in pairs.into_iter().zip(rows_of(wide.rows)) {
        let Some(rows) = rows else {
            without.push(of_all);
            continue;
        };
        let narrow = without_stack(&rows);
        parts.push(part_of(by_stack, &rows));
        // Where nearly as many rows are left the wider one does for both.
        if narrow.len() * 2 <= rows.len() {
            parts.push(part_of(of_all, &narrow));
        }
    }
    let mut contents = Contents { dictionaries: wide.dictionaries, segments: vec![parts] };
    if !without.is_empty() {
        let narrow = added_up(path, without.iter().copied(), worth_it)?;
        let rows = without.into_iter().zip(rows_of(narrow.rows));
        let parts = rows.filter_map(|(summary, rows)| Some(part_of(summary, &rows?))).collect();
        contents = contents.beside(Contents { dictionaries: narrow.dictionaries, segments: vec![parts] })?;
    }
    contents.only_used()
}

/// The rows of the one date that there is.
fn rows_of<D>(rows: Vec<Option<std::collections::BTreeMap<D, Vec<Row>>>>) -> impl Iterator<Item = Option<Vec<Row>>> {
    rows.into_iter().map(|dates| Some(dates?.into_values().next().unwrap_or_default()))
}

fn added_up(path: &Path, summaries: impl Iterator<Item = Summary>, most_rows: usize) -> Result<AddedUp, StorageError> {
    let ways: Vec<Way> = summaries
        .map(|summary| Way {
            dimensions: summary.dimensions(),
            with_bytes: summary.layout().with_bytes,
            most_rows,
            most_text_bytes: SUMMARY_TEXT_BYTES,
        })
        .collect();
    let columns = AddingUp::columns(&ways);
    let mut adding_up = AddingUp::new(ways);
    segment::visit(path, &columns, |events| adding_up.push(events, 0))?;
    adding_up.finish()
}

fn part_of(summary: Summary, rows: &[Row]) -> Part {
    Part { summary, row_count: rows.len() as u64, encoded: part::encode(rows, summary.layout()) }
}

/// Rows of all stacks together: the stack's is the second column.
fn without_stack(rows: &[Row]) -> Vec<Row> {
    let narrow = rows.iter().map(|row| {
        let [service, _, first, second] = row.codes;
        Row { codes: [service, first, second, 0], ..*row }
    });
    let mut narrow: Vec<Row> = narrow.collect();
    narrow.sort_unstable_by_key(|row| row.codes);
    part::combine(&mut narrow);
    narrow
}
