//! What the lake holds, and whether its summaries say what its events say.

use std::error::Error as _;
use std::sync::Arc;

use super::query::counted;
use super::summary::Summary;
use super::table::EventTable;
use super::{Lake, summary_file};
use crate::blocking;
use crate::catalog::{Segment, SegmentDay};
use crate::error::StorageError;
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
        let summaries = segment.summaries.iter().flat_map(|file| file.summaries.0.iter().enumerate());
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

    async fn says_the_same(&self, segment: &Segment, place: usize, summary: Summary) -> Result<bool, StorageError> {
        let events = self.session.read_table(Arc::new(EventTable::of_segment(self.folder.root(), segment)?))?;
        let expected = self.added_up(events, summary, counted(summary.measures()), u64::MAX).await?;
        let path = segment.summaries.as_ref().map(|file| self.folder.path_of(&file.path)).unwrap_or_default();
        let stored = blocking(move || summary_file::read(&path, place, summary)).await?;
        Ok(expected.is_some_and(|expected| expected == stored))
    }
}

/// An error in one line with all that led to it.
fn with_causes(error: &StorageError) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
