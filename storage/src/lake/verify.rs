//! What the lake holds, and whether its summaries say what its events say.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;

use arrow::array::{Array as _, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::{cast, col};

use super::Lake;
use super::aggregate::Measure;
use super::engine::counted;
use super::part::{self, Row};
use super::summary::Summary;
use super::summary_file::{Contents, Part};
use super::summary_reader;
use super::table::EventTable;
use crate::blocking;
use crate::catalog::{Segment, SegmentDay};
use crate::error::StorageError;
use crate::events::segment;
use crate::ids::OrganizationUid;

/// Where a summary and the events that it adds up do not say the same.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Whose events.
    pub organization: OrganizationUid,
    /// The segment's file, below the data folder.
    pub segment: String,
    /// Which of its summaries; none where the segment itself is meant.
    pub summary: Option<String>,
    /// What is wrong.
    pub problem: String,
}

/// What was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// Segments that were read.
    pub segments: u64,
    /// Their events.
    pub events: u64,
    /// Summaries that were computed again.
    pub summaries: u64,
    /// Everything that differs.
    pub differences: Vec<Difference>,
}

impl Lake {
    /// Computes every summary again from its segment's events, of that organization or of all, and names what differs.
    ///
    /// # Errors
    /// When the catalog does not answer. A file that cannot be read is a difference.
    pub async fn verify(
        &self,
        organization: Option<&OrganizationUid>,
        mut progress: impl FnMut(&Verified),
    ) -> Result<Verified, StorageError> {
        let mut verified = Verified::default();
        for day in self.catalog.segment_days(organization).await? {
            for segment in self.catalog.segments_of(&day).await? {
                self.verify_segment(&day, &segment, &mut verified).await;
                progress(&verified);
            }
        }
        Ok(verified)
    }

    async fn verify_segment(&self, day: &SegmentDay, segment: &Segment, verified: &mut Verified) {
        verified.segments += 1;
        verified.events += segment.event_count;
        let mut problems = Vec::new();
        match self.count_in(segment).await {
            Ok(count) if count == segment.event_count => {}
            Ok(count) => {
                problems.push((None, format!("{count} events in the file, {} in the catalog", segment.event_count)));
            }
            Err(error) => problems.push((None, with_causes(&error))),
        }
        let summaries =
            segment.summaries.iter().flat_map(|of| of.summaries.0.iter().map(|summary| (of.place, summary)));
        for (place, summary) in summaries {
            verified.summaries += 1;
            match self.says_the_same(segment, place, *summary).await {
                Ok(true) => {}
                Ok(false) => problems.push((Some(summary), "it does not say what the events say".to_owned())),
                Err(error) => problems.push((Some(summary), with_causes(&error))),
            }
        }
        verified.differences.extend(problems.into_iter().map(|(summary, problem)| Difference {
            organization: day.organization.clone(),
            segment: segment.path.clone(),
            summary: summary.map(Summary::to_string),
            problem,
        }));
    }

    async fn count_in(&self, segment: &Segment) -> Result<u64, StorageError> {
        let events = EventTable::of_segment(self.folder.root(), segment)?;
        Ok(self.session.read_table(Arc::new(events))?.count().await? as u64)
    }

    /// Asks the engine, which shares no code with what makes summaries.
    async fn says_the_same(&self, segment: &Segment, place: usize, summary: Summary) -> Result<bool, StorageError> {
        let events = self.session.read_table(Arc::new(EventTable::of_segment(self.folder.root(), segment)?))?;
        let columns = summary
            .dimensions()
            .into_iter()
            .map(|dimension| cast(col(dimension.column()), DataType::Utf8View).alias(dimension.column()));
        let expected = events.aggregate(columns.collect(), counted(summary.measures()))?.collect().await?;
        let (folder, path) = (self.folder.clone(), segment.summaries.as_ref().map(|of| of.path.clone()));
        let contents = blocking(move || summary_reader::read(&folder, &path.unwrap_or_default(), &[place])).await?;
        let part = contents.segments.iter().flatten().find(|part| part.summary == summary);
        let part = part.ok_or_else(|| StorageError::Corrupt(format!("a file without summary `{summary}`")))?;
        Ok(rows_of_batches(summary, &expected)? == rows_of_part(&contents, part)?)
    }
}

/// Rows in words: the values of the dimensions, then what is added up.
type Rows = BTreeMap<Vec<Option<String>>, Vec<u64>>;

fn rows_of_part(contents: &Contents, part: &Part) -> Result<Rows, StorageError> {
    let dimensions = part.summary.dimensions();
    let in_words = |row: Row| {
        let values = dimensions
            .iter()
            .zip(row.codes)
            .map(|(dimension, code)| contents.dictionaries[*dimension as usize].value_of(code).map(str::to_owned));
        let measures = part.summary.measures().iter().map(|measure| match measure {
            Measure::Count => row.count,
            Measure::Bytes => row.bytes,
        });
        (values.collect(), measures.collect())
    };
    Ok(part::decode(&part.encoded, part.summary.layout())?.into_iter().map(in_words).collect())
}

fn rows_of_batches(summary: Summary, batches: &[RecordBatch]) -> Result<Rows, StorageError> {
    let mut rows = Rows::new();
    let dimensions = summary.dimensions();
    for batch in batches {
        let texts = dimensions.iter().map(|dimension| segment::column::<StringViewArray>(batch, dimension.column()));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let sums = summary.measures().iter().map(|measure| segment::column::<Int64Array>(batch, measure.column()));
        let sums = sums.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let value = |texts: &&StringViewArray| texts.is_valid(row).then(|| texts.value(row).to_owned());
            let values = texts.iter().map(value).collect();
            rows.insert(values, sums.iter().map(|sums| sums.value(row).unsigned_abs()).collect());
        }
    }
    Ok(rows)
}

/// An error in one line with all that led to it.
fn with_causes(error: &StorageError) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
