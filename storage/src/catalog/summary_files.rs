//! Files of summaries: which segments' summaries are in which file, at which place.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, FromRow, Row};

use super::compaction::retire;
use super::event_log::as_i64;
use super::{Catalog, row};
use crate::error::StorageError;
use crate::ids::OrganizationUid;
use crate::lake::Summaries;

/// The summaries that a segment has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentSummaries {
    /// Below the data folder; empty where there are no summaries.
    pub(crate) path: String,
    /// Which of the file's segments it is.
    pub(crate) place: usize,
    pub(crate) summaries: Summaries,
}

/// A file of summaries under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SummaryFile {
    /// Below the data folder.
    pub(crate) path: String,
    pub(crate) size_bytes: u64,
    pub(crate) segment_count: u64,
}

/// A file of summaries, and how much of it is of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SummaryFileUse {
    pub(crate) path: String,
    pub(crate) size_bytes: u64,
    /// Segments that it was written with.
    pub(crate) segment_count: u64,
    /// Segments that name it.
    pub(crate) used_by: u64,
    /// The earliest of their days, in days since 1970-01-01.
    pub(crate) first_day: i64,
}

impl FromRow<'_, AnyRow> for SummaryFileUse {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            path: row.try_get("path")?,
            size_bytes: row::count(row, "size_bytes")?,
            segment_count: row::count(row, "segment_count")?,
            used_by: row::count(row, "used_by")?,
            first_day: row.try_get("first_day")?,
        })
    }
}

/// A segment with summaries in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SummarizedSegment {
    pub(crate) id: String,
    /// Days since 1970-01-01.
    pub(crate) day: i64,
    pub(crate) place: usize,
}

impl FromRow<'_, AnyRow> for SummarizedSegment {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let place = row::count(row, "summary_place")?;
        Ok(Self {
            id: row.try_get("id")?,
            day: row.try_get("day")?,
            place: usize::try_from(place).unwrap_or(usize::MAX),
        })
    }
}

pub(crate) async fn insert_summary_file(
    db: &mut AnyConnection,
    organization: &OrganizationUid,
    file: &SummaryFile,
) -> Result<(), StorageError> {
    sqlx::query("insert into summary_files (path, organization, size_bytes, segment_count) values ($1, $2, $3, $4)")
        .bind(&file.path)
        .bind(organization.as_str())
        .bind(as_i64(file.size_bytes))
        .bind(as_i64(file.segment_count))
        .execute(db)
        .await?;
    Ok(())
}

/// Says which summaries a segment has. False where it is not there any more, or somebody has said so before.
pub(crate) async fn set_summaries(
    db: &mut AnyConnection,
    segment_id: &str,
    summaries: &SegmentSummaries,
) -> Result<bool, StorageError> {
    let set = sqlx::query(
        "update segments set summary_path = $2, summary_place = $3, summaries = $4
         where id = $1 and summaries is null",
    )
    .bind(segment_id)
    .bind((!summaries.path.is_empty()).then_some(&summaries.path))
    .bind(as_i64(summaries.place as u64))
    .bind(summaries.summaries.to_string())
    .execute(db)
    .await?;
    Ok(set.rows_affected() == 1)
}

/// The segments whose summaries are in that file.
pub(crate) async fn segments_summarized_in(
    db: &mut AnyConnection,
    path: &str,
) -> Result<Vec<SummarizedSegment>, StorageError> {
    let sql = "select id, day, summary_place from segments where summary_path = $1 order by day, id";
    Ok(sqlx::query_as(sql).bind(path).fetch_all(db).await?)
}

/// Says where a segment's summaries are now.
pub(crate) async fn move_summaries(
    db: &mut AnyConnection,
    segment: &SummarizedSegment,
    to: &SegmentSummaries,
) -> Result<(), StorageError> {
    sqlx::query("update segments set summary_path = $2, summary_place = $3 where id = $1")
        .bind(&segment.id)
        .bind(&to.path)
        .bind(as_i64(to.place as u64))
        .execute(db)
        .await?;
    Ok(())
}

/// Forgets the summaries in that file: their segments are as if nobody had looked at them yet.
pub(crate) async fn forget_summaries(db: &mut AnyConnection, path: &str) -> Result<(), StorageError> {
    let sql = "update segments set summary_path = null, summary_place = null, summaries = null where summary_path = $1";
    sqlx::query(sql).bind(path).execute(db).await?;
    Ok(())
}

/// Retires the files of summaries that no segment of the organization names any more.
pub(crate) async fn retire_unused_summaries(
    db: &mut AnyConnection,
    organization: &OrganizationUid,
    now: i64,
) -> Result<(), StorageError> {
    let sql = "delete from summary_files where organization = $1
               and not exists (select 1 from segments where summary_path = summary_files.path) returning path";
    let unused: Vec<String> = sqlx::query_scalar(sql).bind(organization.as_str()).fetch_all(&mut *db).await?;
    for path in unused {
        retire(db, &path, now).await?;
    }
    Ok(())
}

impl Catalog {
    /// An organization's files of summaries, the smallest first.
    pub(crate) async fn summary_files(
        &self,
        organization: &OrganizationUid,
    ) -> Result<Vec<SummaryFileUse>, StorageError> {
        let sql = "select summary_files.path, summary_files.size_bytes, segment_count, count(*) as used_by,
                       min(day) as first_day
                   from summary_files join segments on summary_path = summary_files.path
                   where summary_files.organization = $1
                   group by summary_files.path, summary_files.size_bytes, segment_count
                   order by summary_files.size_bytes, summary_files.path";
        Ok(sqlx::query_as(sql).bind(organization.as_str()).fetch_all(&self.reader).await?)
    }
}
