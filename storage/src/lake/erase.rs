//! Events taken out of the segments that hold them.

use arrow::array::{BooleanArray, RecordBatch, StringViewArray};
use arrow::compute::{filter_record_batch, not};
use chrono::NaiveDate;
use serde::Serialize;

use super::Lake;
use super::aggregate::day_number;
use crate::blocking;
use crate::catalog::{Segment, SegmentDay};
use crate::error::StorageError;
use crate::events::segment;
use crate::ids::OrganizationUid;

/// The columns that a selection asks about.
const DEVICE: &str = "user_agent";
const URL: &str = "url";

/// Events of an organization: those that meet all that is said of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Selection {
    /// Whose events.
    pub organization: OrganizationUid,
    /// Of this UTC day and later ones.
    pub from: Option<NaiveDate>,
    /// Of this UTC day and earlier ones.
    pub to: Option<NaiveDate>,
    /// Of one of these devices; of any where there is none.
    pub devices: Vec<String>,
    /// Whose URL begins with one of these; with anything where there is none.
    pub url_prefixes: Vec<String>,
}

impl Selection {
    fn has_day(&self, day: i64) -> bool {
        self.from.is_none_or(|from| day_number(from) <= day) && self.to.is_none_or(|to| day <= day_number(to))
    }

    fn is_of_whole_days(&self) -> bool {
        self.devices.is_empty() && self.url_prefixes.is_empty()
    }

    /// Which events of a batch are meant, whatever their day.
    fn matches(&self, events: &RecordBatch) -> Result<BooleanArray, StorageError> {
        let (devices, urls): (&StringViewArray, &StringViewArray) =
            (segment::column(events, DEVICE)?, segment::column(events, URL)?);
        let is_meant = |device: &str, url: &str| {
            (self.devices.is_empty() || self.devices.iter().any(|wanted| wanted == device))
                && (self.url_prefixes.is_empty() || self.url_prefixes.iter().any(|prefix| url.starts_with(prefix)))
        };
        // Neither column can be empty.
        Ok(devices.iter().zip(urls).map(|(device, url)| Some(is_meant(device?, url?))).collect())
    }

    fn without(&self, events: &RecordBatch) -> Result<RecordBatch, StorageError> {
        Ok(filter_record_batch(events, &not(&self.matches(events)?)?)?)
    }
}

/// What was taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ErasedEvents {
    /// Events.
    pub events: u64,
    /// Events that were looked at.
    #[serde(skip)]
    pub seen_events: u64,
    /// Segments that were written again without some of their events.
    pub rewritten_segments: u64,
    /// Segments that had no other events.
    pub removed_segments: u64,
}

impl Lake {
    /// Takes the selected events out of all segments. Their files are retired.
    pub(crate) async fn erase(
        &self,
        selection: &Selection,
        mut progress: impl FnMut(&ErasedEvents),
    ) -> Result<ErasedEvents, StorageError> {
        let mut erased = ErasedEvents::default();
        let days = self.catalog.segment_days(Some(&selection.organization)).await?;
        for day in days.into_iter().filter(|day| selection.has_day(day.day)) {
            while !self.erase_from(&day, selection, &mut erased).await? {
                tracing::debug!(day = day.day, "the compactor was faster: the day is looked at again");
            }
            progress(&erased);
        }
        Ok(erased)
    }

    /// False where another process replaced a segment meanwhile: the events may be in another one now.
    async fn erase_from(
        &self,
        day: &SegmentDay,
        selection: &Selection,
        erased: &mut ErasedEvents,
    ) -> Result<bool, StorageError> {
        let mut all_were_there = true;
        for segment in self.catalog.segments_of(day).await? {
            let meant = self.count_meant(&segment, selection).await?;
            erased.seen_events += segment.event_count;
            if meant == 0 {
                continue;
            }
            let rest = meant < segment.event_count;
            let replaced = std::slice::from_ref(&segment);
            let written = if rest {
                let selection = selection.clone();
                Some(self.rewritten(day.day, replaced, move |events| selection.without(events)).await?)
            } else {
                None
            };
            if !self.replace(day, replaced, written).await? {
                all_were_there = false;
                continue;
            }
            erased.events += meant;
            *(if rest { &mut erased.rewritten_segments } else { &mut erased.removed_segments }) += 1;
        }
        Ok(all_were_there)
    }

    async fn count_meant(&self, segment: &Segment, selection: &Selection) -> Result<u64, StorageError> {
        if selection.is_of_whole_days() {
            return Ok(segment.event_count);
        }
        let (path, selection) = (self.folder.path_of(&segment.path), selection.clone());
        blocking(move || {
            let mut meant = 0;
            segment::visit(&path, &[DEVICE, URL], |events| {
                meant += selection.matches(events)?.true_count() as u64;
                Ok(())
            })?;
            Ok(meant)
        })
        .await
    }
}
