//! Which of a day's segments become one.
//!
//! Those that together are a good part of the next larger one: so each event is written again only a few times however it
//! came in, and a day ends up with a few segments of very different sizes.

use std::time::Duration;

use crate::catalog::Segment;

/// A day that nothing was written to for so long is compacted as far as it can be.
const QUIET: Duration = Duration::from_mins(5);

/// Segments that are merged while a day is still being written to: at least so many.
const MANY: usize = 8;

/// How much larger than all smaller ones together a segment may be and still be merged with them.
const GROWTH: u64 = 4;

/// Segments that are read at once.
const MERGED_AT_ONCE: usize = 64;

/// How far a compaction goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What is due.
    Due,
    /// As if nothing had come in for long.
    Everything,
    /// Summaries only.
    Summaries,
}

/// The step that a day needs next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// These become one segment: so many of the smallest.
    Merge(usize),
    /// This one is summarized as it is.
    Summarize(usize),
}

/// Whether nothing has been written to the day for a while.
pub(super) fn is_quiet(segments: &[Segment], now: i64) -> bool {
    let quiet_ms = i64::try_from(QUIET.as_millis()).unwrap_or(i64::MAX);
    segments.iter().all(|segment| now.saturating_sub(segment.created_at) >= quiet_ms)
}

/// What to do with a day's segments, the smallest first.
pub(super) fn next_step(segments: &[Segment], quiet: bool, extent: Extent) -> Option<Step> {
    if extent != Extent::Summaries {
        let together = alike(segments.iter().take(MERGED_AT_ONCE).map(|segment| segment.event_count));
        if together >= if quiet { 2 } else { MANY } {
            return Some(Step::Merge(together));
        }
    }
    let summarize = || segments.iter().position(|segment| segment.summaries.is_none()).map(Step::Summarize);
    if quiet { summarize() } else { None }
}

/// How many of the smallest, by their sizes, are so much alike that they should be one: up to the last that is not much
/// larger than all before it together.
pub(super) fn alike(sizes: impl Iterator<Item = u64>) -> usize {
    let mut together = 0;
    let mut smaller = 0_u64;
    for (place, size) in sizes.enumerate() {
        if place > 0 && size <= smaller.saturating_mul(GROWTH) {
            together = place + 1;
        }
        smaller = smaller.saturating_add(size);
    }
    together
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::SegmentSummaries;
    use crate::lake::Summaries;

    fn segment(event_count: u64, summarized: bool) -> Segment {
        let none = SegmentSummaries { path: String::new(), place: 0, summaries: Summaries::default() };
        Segment {
            id: String::new(),
            day: 0,
            event_count,
            id_count: 0,
            commit_number: 0,
            created_at: 0,
            size_bytes: 0,
            path: String::new(),
            summaries: summarized.then_some(none),
        }
    }

    fn segments(counts: &[u64]) -> Vec<Segment> {
        counts.iter().map(|count| segment(*count, false)).collect()
    }

    fn when_quiet(counts: &[u64]) -> Option<Step> {
        next_step(&segments(counts), true, Extent::Due)
    }

    #[test]
    fn a_quiet_day_becomes_few_segments_of_very_different_sizes() {
        assert_eq!(when_quiet(&[]), None);
        assert_eq!(when_quiet(&[5]), Some(Step::Summarize(0)));
        assert_eq!(when_quiet(&[5, 20]), Some(Step::Merge(2)));
        assert_eq!(
            when_quiet(&[5, 21]),
            Some(Step::Summarize(0)),
            "the larger one is not written again for the smaller"
        );
        assert_eq!(when_quiet(&[1, 100, 110, 5000]), Some(Step::Merge(3)));
        assert_eq!(when_quiet(&[10; 100]), Some(Step::Merge(MERGED_AT_ONCE)));
    }

    #[test]
    fn a_day_that_is_written_to_is_merged_once_it_has_many() {
        let step = |counts: &[u64]| next_step(&segments(counts), false, Extent::Due);
        assert_eq!(step(&[10; 7]), None);
        assert_eq!(step(&[10; 8]), Some(Step::Merge(8)));
        assert_eq!(step(&[5]), None);
    }

    #[test]
    fn a_day_is_quiet_when_all_of_it_was_written_a_while_ago() {
        assert!(is_quiet(&segments(&[1, 2]), 300_000));
        assert!(!is_quiet(&segments(&[1, 2]), 299_999));
    }

    #[test]
    fn only_summaries_means_no_merging() {
        let summaries = |segments: &[Segment]| next_step(segments, true, Extent::Summaries);
        assert_eq!(summaries(&[segment(1, true), segment(1, false)]), Some(Step::Summarize(1)));
        assert_eq!(summaries(&[segment(1, true), segment(1, true)]), None);
    }

    proptest! {
        /// However events come in, a day has few files, and each event is written only a few times.
        #[test]
        fn files_and_work_stay_bounded(batches in prop::collection::vec(1..2000_u64, 1..1500)) {
            let (mut day, mut written) = (Vec::<Segment>::new(), 0);
            for count in &batches {
                day.push(segment(*count, false));
                day.sort_by_key(|segment| segment.event_count);
                while let Some(Step::Merge(together)) = next_step(&day, false, Extent::Due) {
                    let merged = day.drain(..together).map(|segment| segment.event_count).sum();
                    written += merged;
                    day.push(segment(merged, true));
                    day.sort_by_key(|segment| segment.event_count);
                }
            }
            let events: u64 = batches.iter().sum();
            // Each tier is several times the size of all below it.
            let tiers = u64::from(events.ilog2()) / 2 + 1;
            prop_assert!(day.len() as u64 <= MANY as u64 + tiers, "{} files", day.len());
            prop_assert!(written <= events * (tiers + 2), "{written} written of {events}");
            prop_assert_eq!(day.iter().map(|segment| segment.event_count).sum::<u64>(), events);
        }
    }
}
