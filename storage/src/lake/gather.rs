//! Files of summaries put together: those of a quarter become few, so that a report opens few files, and each value is
//! stored once for all of their days.
//!
//! It goes as with segments: what is alike in size becomes one file, so that nothing is written again more than a few
//! times. Rows of segments that are gone are left out on the way, and so are the values that only they named. Everything
//! goes aside first; one transaction says where the summaries of each segment are now.

use std::collections::BTreeMap;

use chrono::{Datelike as _, NaiveDate, TimeDelta};

use super::Lake;

use super::summarize::StagedSummaries;
use super::summary_file::{Contents, Part};
use super::summary_reader;
use super::tiers::{Extent, alike};
use crate::blocking;
use crate::catalog::{
    SummarizedSegment, SummaryFileUse, insert_summary_file, lock_organization, move_summaries, retire_unused_summaries,
    segments_summarized_in,
};
use crate::error::StorageError;
use crate::folder::DataFolder;
use crate::ids::OrganizationUid;

/// Files that are put together while events still come in: at least so many.
const MANY: usize = 8;

/// Files that are read at once.
const AT_ONCE: usize = 128;

/// Files that are put together have at most so many bytes: all of it is in memory, several times as large.
const GATHERED_BYTES: u64 = 16 << 20;

/// When more than one in so many of its segments is gone, a file is written again without them.
const GONE_SHARE: u64 = 4;

/// Why files are written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There are many, or much of one is of no use any more.
    Due,
    /// As few as can be are wanted.
    Everything,
    /// Nothing may be left of segments that are gone.
    Gone,
}

impl From<Extent> for Reason {
    fn from(extent: Extent) -> Self {
        if extent == Extent::Due { Self::Due } else { Self::Everything }
    }
}

/// The files of one quarter that should be one, if any should; the smallest come first.
fn next_gathering(files: &[SummaryFileUse], reason: Reason) -> Option<&[SummaryFileUse]> {
    let gone = |file: &SummaryFileUse| file.segment_count - file.used_by.min(file.segment_count);
    let rewritten = files.iter().position(|file| match reason {
        Reason::Due | Reason::Everything => gone(file) * GONE_SHARE > file.segment_count,
        Reason::Gone => gone(file) > 0,
    });
    if let Some(place) = rewritten {
        return Some(&files[place..=place]);
    }
    let fewest = match reason {
        Reason::Due => MANY,
        Reason::Everything => 2,
        Reason::Gone => return None,
    };
    let mut total = 0;
    let small = files.iter().take(AT_ONCE).take_while(|file| {
        total += file.size_bytes;
        total <= GATHERED_BYTES
    });
    let together = alike(small.map(|file| file.size_bytes));
    (together >= fewest).then(|| &files[..together])
}

/// The quarter of a day, in days since 1970-01-01.
fn quarter(day: i64) -> (i32, u32) {
    let day = TimeDelta::try_days(day).and_then(|days| NaiveDate::default().checked_add_signed(days));
    let day = day.unwrap_or_default();
    (day.year(), day.month0() / 3)
}

impl Lake {
    /// Puts files of an organization's summaries together; says how many fewer there are of each that was read.
    ///
    /// # Errors
    /// When catalog or files cannot be read or written. What was done stays done.
    pub(crate) async fn gather(
        &self,
        organization: &OrganizationUid,
        reason: Reason,
        mut stop: impl FnMut(u64) -> bool,
    ) -> Result<u64, StorageError> {
        let mut gathered = 0;
        'again: while !stop(gathered) {
            let mut quarters: BTreeMap<_, Vec<SummaryFileUse>> = BTreeMap::new();
            for file in self.catalog.summary_files(organization).await? {
                quarters.entry(quarter(file.first_day)).or_default().push(file);
            }
            for files in quarters.values() {
                if let Some(files) = next_gathering(files, reason) {
                    if self.put_together(organization, files).await? {
                        gathered += files.len() as u64;
                    }
                    continue 'again;
                }
            }
            break;
        }
        Ok(gathered)
    }

    async fn put_together(
        &self,
        organization: &OrganizationUid,
        files: &[SummaryFileUse],
    ) -> Result<bool, StorageError> {
        tracing::debug!(%organization, files = files.len(), "files of summaries are put together");
        let together = self.read_together(files).await?;
        self.put_in_place(organization, together).await
    }

    async fn read_together(&self, files: &[SummaryFileUse]) -> Result<Together, StorageError> {
        let mut read = Vec::new();
        let mut db = self.catalog.begin_read().await?;
        for file in files {
            read.push((file.path.clone(), segments_summarized_in(&mut db, &file.path).await?));
        }
        drop(db);
        let folder = self.folder.clone();
        blocking(move || Together::read(&folder, read)).await
    }

    /// False where another process took a segment away or moved its summaries meanwhile: nothing has changed then, and
    /// nothing of what that segment named is kept.
    async fn put_in_place(&self, organization: &OrganizationUid, together: Together) -> Result<bool, StorageError> {
        let Together { read, staged, segments } = together;
        let mut transaction = self.catalog.begin_write().await?;
        lock_organization(&mut transaction, organization).await?;
        for (path, segments) in &read {
            if segments_summarized_in(&mut transaction, path).await? != *segments {
                return Ok(false);
            }
        }
        let (folder, owner) = (self.folder.clone(), organization.clone());
        let (staged, file) = blocking(move || {
            let file = staged.publish(&folder, &owner)?;
            Ok((staged, file))
        })
        .await?;
        if let Some(file) = &file {
            insert_summary_file(&mut transaction, organization, file).await?;
        }
        for (place, segment) in segments.iter().enumerate() {
            move_summaries(&mut transaction, segment, &staged.of_segment(place, file.as_ref())).await?;
        }
        retire_unused_summaries(&mut transaction, organization, self.clock.now_ms()).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// The summaries of several files, written aside as one.
struct Together {
    /// The files that were read, and whose summaries were in each.
    read: Vec<(String, Vec<SummarizedSegment>)>,
    staged: StagedSummaries,
    /// All segments, at their places in the new file: in the order of their days.
    segments: Vec<SummarizedSegment>,
}

impl Together {
    fn read(folder: &DataFolder, read: Vec<(String, Vec<SummarizedSegment>)>) -> Result<Self, StorageError> {
        let mut contents = Vec::new();
        for (path, of_file) in &read {
            let places: Vec<usize> = of_file.iter().map(|segment| segment.place).collect();
            contents.push(summary_reader::read(folder, path, &places)?);
        }
        let together = Contents::together(contents)?;
        let segments = read.iter().flat_map(|(_, of_file)| of_file.iter().cloned());
        let mut in_order: Vec<(SummarizedSegment, Vec<Part>)> = segments.zip(together.segments).collect();
        in_order.sort_by(|(left, _), (right, _)| (left.day, &left.id).cmp(&(right.day, &right.id)));
        let (segments, parts) = in_order.into_iter().unzip();
        let contents = Contents { dictionaries: together.dictionaries, segments: parts };
        Ok(Self { read, staged: StagedSummaries::write(folder, &contents)?, segments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Commit;
    use crate::events::fixture::Fixture;
    use crate::lake::Selection;

    #[tokio::test]
    async fn what_is_erased_while_it_is_put_together_is_not_kept() {
        let fixture = Fixture::new().await;
        for day in 0..2 {
            fixture.commit(&[(day, None)], Commit::default()).await.unwrap();
        }
        fixture.flush().await;
        let lake = &fixture.store.lake;
        lake.compact(None, Extent::Summaries, |done| done.summarized_segments == 2).await.unwrap();
        let files = lake.catalog.summary_files(&fixture.organization).await.unwrap();
        let together = lake.read_together(&files).await.unwrap();
        assert_eq!((files.len(), together.segments.len()), (2, 2));
        let first_day = Some(NaiveDate::default());
        let selection = Selection {
            organization: fixture.organization.clone(),
            from: first_day,
            to: first_day,
            devices: Vec::new(),
            url_prefixes: Vec::new(),
        };
        fixture.store.erase(selection, |_| {}).await.unwrap();
        assert!(!lake.put_in_place(&fixture.organization, together).await.unwrap());
        let mut left = fixture.store.folder.files_of(&fixture.organization).unwrap();
        left.retain(|name| name.ends_with(".summaries"));
        assert_eq!(left, [files.iter().find(|file| file.first_day == 1).unwrap().path.clone()]);
    }

    fn file(size_bytes: u64, segment_count: u64, used_by: u64) -> SummaryFileUse {
        SummaryFileUse { path: String::new(), size_bytes, segment_count, used_by, first_day: 0 }
    }

    fn chosen(files: &[SummaryFileUse], reason: Reason) -> Option<Vec<u64>> {
        next_gathering(files, reason).map(|files| files.iter().map(|file| file.size_bytes).collect())
    }

    #[test]
    fn what_is_alike_is_put_together_when_there_are_many() {
        let files: Vec<_> = (0..7).map(|number| file(10 + number, 1, 1)).collect();
        assert_eq!(chosen(&files, Reason::Due), None);
        assert_eq!(chosen(&files, Reason::Everything).unwrap().len(), 7);
        assert_eq!(chosen(&files, Reason::Gone), None);
        let many: Vec<_> = (0..200).map(|_| file(10, 1, 1)).collect();
        assert_eq!(chosen(&many, Reason::Due).unwrap().len(), AT_ONCE);
    }

    #[test]
    fn a_file_of_which_much_is_gone_is_written_again() {
        let files = [file(1, 10, 10), file(2, 10, 8), file(3, 10, 7)];
        assert_eq!(chosen(&files, Reason::Due).unwrap(), [3]);
        assert_eq!(chosen(&files[..2], Reason::Due), None);
        assert_eq!(chosen(&files[..2], Reason::Gone).unwrap(), [2]);
        assert_eq!(chosen(&files[..1], Reason::Gone), None);
    }

    #[test]
    fn large_files_stay_as_they_are() {
        let files = [file(1, 1, 1), file(2, 1, 1), file(GATHERED_BYTES, 90, 90)];
        assert_eq!(chosen(&files, Reason::Everything).unwrap(), [1, 2]);
        assert_eq!(chosen(&files[1..], Reason::Everything), None);
    }

    #[test]
    fn quarters_begin_with_january() {
        let quarter_of = |day: &str| {
            quarter(day.parse::<NaiveDate>().unwrap().signed_duration_since(NaiveDate::default()).num_days())
        };
        assert_eq!(quarter_of("2024-03-31"), (2024, 0));
        assert_eq!(quarter_of("2024-04-01"), (2024, 1));
        assert_eq!(quarter_of("1999-12-31"), (1999, 3));
    }
}
