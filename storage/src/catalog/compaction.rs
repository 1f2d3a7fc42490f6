//! Compaction: which segments take the place of which, and when the files that nothing names any more are deleted.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, FromRow, Row};

use super::segments::SEGMENT;
use super::{Catalog, PublishedSegment, Segment, SegmentSummaries, insert_segment, row, set_summaries};
use crate::error::StorageError;
use crate::ids::OrganizationUid;

/// The segments of an organization and a UTC day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentDay {
    pub(crate) organization: OrganizationUid,
    pub(crate) kind: String,
    /// Days since 1970-01-01.
    pub(crate) day: i64,
}

impl FromRow<'_, AnyRow> for SegmentDay {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            organization: row::parsed(row, "organization")?,
            kind: row.try_get("kind")?,
            day: row.try_get("day")?,
        })
    }
}

/// What the lake holds of an organization.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LakeStatus {
    /// Whose events.
    pub organization: OrganizationUid,
    /// UTC days with a segment.
    pub days: u64,
    /// Files of events.
    pub segments: u64,
    /// The events in them.
    pub events: u64,
    /// Their size.
    pub size_bytes: u64,
    /// The size of their summaries.
    pub summary_bytes: u64,
    /// Segments that wait for the compactor: to be merged or summarized.
    pub waiting_segments: u64,
    /// Log rows that wait to be flushed.
    pub log_rows: u64,
    /// The events in them.
    pub log_events: u64,
    /// Their size.
    pub log_bytes: u64,
}

impl FromRow<'_, AnyRow> for LakeStatus {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            organization: row::parsed(row, "organization")?,
            days: row::count(row, "days")?,
            segments: row::count(row, "segments")?,
            events: row::count(row, "events")?,
            size_bytes: row::count(row, "size_bytes")?,
            summary_bytes: row::count(row, "summary_bytes")?,
            waiting_segments: row::count(row, "waiting_segments")?,
            log_rows: row::count(row, "log_rows")?,
            log_events: row::count(row, "log_events")?,
            log_bytes: row::count(row, "log_bytes")?,
        })
    }
}

/// Takes segments out, and retires their files; those of their summaries are retired when no segment names them. False
/// where one of them is no longer there: the transaction has to be given up then.
pub(crate) async fn take_out_segments(
    db: &mut AnyConnection,
    segments: &[Segment],
    now: i64,
) -> Result<bool, StorageError> {
    for segment in segments {
        let deleted = sqlx::query("delete from segments where id = $1").bind(&segment.id);
        if deleted.execute(&mut *db).await?.rows_affected() != 1 {
            return Ok(false);
        }
        retire(db, &segment.path, now).await?;
    }
    Ok(true)
}

/// Puts one segment with events of theirs in the place of segments that were taken out.
pub(crate) async fn put_in_place(
    db: &mut AnyConnection,
    day: &SegmentDay,
    replaced: &[Segment],
    (segment, summaries): (&PublishedSegment, &SegmentSummaries),
) -> Result<(), StorageError> {
    // A batch under way, which looked for its ids before, looks again at what was committed since: the events are as new
    // to it as the latest of those that were replaced.
    let commit_number = replaced.iter().map(|segment| segment.commit_number).max().unwrap_or_default();
    let created_at = replaced.iter().map(|segment| segment.created_at).max().unwrap_or_default();
    let id = insert_segment(db, &day.organization, &day.kind, segment, (commit_number, created_at)).await?;
    set_summaries(db, &id, summaries).await?;
    Ok(())
}

pub(super) async fn retire(db: &mut AnyConnection, path: &str, now: i64) -> Result<(), StorageError> {
    let sql = "insert into retired_files (path, retired_at) values ($1, $2)";
    sqlx::query(sql).bind(path).bind(now).execute(db).await?;
    Ok(())
}

impl Catalog {
    /// The days with a segment that nobody has looked at yet, of that organization or of all.
    pub(crate) async fn days_to_compact(
        &self,
        organization: Option<&OrganizationUid>,
    ) -> Result<Vec<SegmentDay>, StorageError> {
        let sql = "select organization, kind, day from segments
                   where summaries is null and organization = coalesce($1, organization)
                   group by organization, kind, day order by organization, kind, day";
        let organization = organization.map(OrganizationUid::as_str);
        Ok(sqlx::query_as(sql).bind(organization).fetch_all(&self.reader).await?)
    }

    /// What the lake holds, by organization: of that one or of all that have events.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn lake_status(&self, organization: Option<&OrganizationUid>) -> Result<Vec<LakeStatus>, StorageError> {
        let sql = "select organization, count(distinct day) as days, cast(sum(segments) as bigint) as segments,
                cast(sum(events) as bigint) as events, cast(sum(size_bytes) as bigint) as size_bytes,
                cast(sum(summary_bytes) as bigint) as summary_bytes,
                cast(sum(waiting) as bigint) as waiting_segments, cast(sum(log_rows) as bigint) as log_rows,
                cast(sum(log_events) as bigint) as log_events, cast(sum(log_bytes) as bigint) as log_bytes
            from (
                select organization, day, 1 as segments, event_count as events, size_bytes, 0 as summary_bytes,
                    case when summaries is null then 1 else 0 end as waiting,
                    0 as log_rows, 0 as log_events, 0 as log_bytes
                from segments
                union all
                select organization, null, 0, 0, 0, size_bytes, 0, 0, 0, 0 from summary_files
                union all
                select organization, null, 0, 0, 0, 0, 0, 1, event_count, size_bytes from event_log
            ) as parts
            where organization = coalesce($1, organization) group by organization order by organization";
        let organization = organization.map(OrganizationUid::as_str);
        Ok(sqlx::query_as(sql).bind(organization).fetch_all(&self.reader).await?)
    }

    /// All days that have a segment, of that organization or of all.
    pub(crate) async fn segment_days(
        &self,
        organization: Option<&OrganizationUid>,
    ) -> Result<Vec<SegmentDay>, StorageError> {
        let sql = "select distinct organization, kind, day from segments
                   where organization = coalesce($1, organization) order by organization, kind, day";
        let organization = organization.map(OrganizationUid::as_str);
        Ok(sqlx::query_as(sql).bind(organization).fetch_all(&self.reader).await?)
    }

    /// The segments of a day, the smallest first.
    pub(crate) async fn segments_of(&self, day: &SegmentDay) -> Result<Vec<Segment>, StorageError> {
        let sql = format!(
            "select {SEGMENT} from segments where organization = $1 and kind = $2 and day = $3 order by event_count, id"
        );
        let query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
        Ok(query.bind(day.organization.as_str()).bind(&day.kind).bind(day.day).fetch_all(&self.reader).await?)
    }

    /// The files that nothing has named since that time.
    pub(crate) async fn files_retired_before(&self, time_ms: i64) -> Result<Vec<String>, StorageError> {
        let sql = "select path from retired_files where retired_at < $1 order by path";
        Ok(sqlx::query_scalar(sql).bind(time_ms).fetch_all(&self.reader).await?)
    }

    /// Forgets retired files that were deleted.
    pub(crate) async fn forget_retired(&self, paths: &[String]) -> Result<(), StorageError> {
        let mut transaction = self.begin_write().await?;
        for path in paths {
            sqlx::query("delete from retired_files where path = $1").bind(path).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
