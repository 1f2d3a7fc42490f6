//! Segments: which Parquet files hold the events of an organization and a day; and the number of its commits.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, FromRow, Row};

use super::event_log::{as_i64, log_payload, log_payloads};
use super::{Catalog, SegmentSummaries, row};
use crate::error::StorageError;
use crate::events::duplicates::DayIds;
use crate::events::segment::StagedSegment;
use crate::ids::OrganizationUid;
use crate::lake::Summaries;

/// A segment that was published under its name and is about to be committed.
#[derive(Debug)]
pub(crate) struct PublishedSegment {
    pub(crate) staged: StagedSegment,
    pub(crate) name: String,
}

/// A segment: a file with events of one organization and UTC day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) id: String,
    /// Days since 1970-01-01.
    pub(crate) day: i64,
    pub(crate) event_count: u64,
    pub(crate) id_count: u64,
    /// The latest commit that brought any of its events.
    pub(crate) commit_number: i64,
    /// When the latest of its events were written.
    pub(crate) created_at: i64,
    pub(crate) size_bytes: u64,
    /// Below the data folder.
    pub(crate) path: String,
    /// `None` where nobody has looked yet what is worth being added up.
    pub(crate) summaries: Option<SegmentSummaries>,
}

/// The columns of a [`Segment`].
pub(super) const SEGMENT: &str = "id, day, event_count, id_count, commit_number, created_at, size_bytes, path, summary_path, summary_place, summaries";

impl FromRow<'_, AnyRow> for Segment {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let summaries: Option<Summaries> = row::optional_parsed(row, "summaries")?;
        let path: Option<String> = row.try_get("summary_path")?;
        let path = path.unwrap_or_default();
        let place = row.try_get::<Option<i64>, _>("summary_place")?.unwrap_or_default();
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        Ok(Self {
            id: row.try_get("id")?,
            day: row.try_get("day")?,
            event_count: row::count(row, "event_count")?,
            id_count: row::count(row, "id_count")?,
            commit_number: row.try_get("commit_number")?,
            created_at: row.try_get("created_at")?,
            size_bytes: row::count(row, "size_bytes")?,
            path: row.try_get("path")?,
            summaries: summaries.map(|summaries| SegmentSummaries { path, place, summaries }),
        })
    }
}

/// The events of some days as one state of the catalog names them.
#[derive(Debug)]
pub(crate) struct EventSnapshot {
    pub(crate) segments: Vec<Segment>,
    pub(crate) log_payloads: Vec<Vec<u8>>,
}

/// A place that may hold the ids of events.
#[derive(Debug)]
pub(crate) enum IdSource {
    /// A segment of that day.
    Segment { id: String, day: i64, path: String },
    /// A log row.
    Log { id: String, payload: Vec<u8> },
    /// Ids of a log row that was read before, or of batches of the transaction under way.
    Memory(Arc<DayIds>),
}

/// Numbers the next commit of events. `None` where the organization does not exist.
pub(crate) async fn number_commit(
    db: &mut AnyConnection,
    organization: &OrganizationUid,
) -> Result<Option<i64>, StorageError> {
    let sql = "update organizations set event_commits = event_commits + 1 where uid = $1 returning event_commits";
    Ok(sqlx::query_scalar(sql).bind(organization.as_str()).fetch_optional(db).await?)
}

/// The number of the organization's last commit of events.
pub(crate) async fn last_commit(db: &mut AnyConnection, organization: &OrganizationUid) -> Result<i64, StorageError> {
    let sql = "select event_commits from organizations where uid = $1";
    let number: Option<i64> = sqlx::query_scalar(sql).bind(organization.as_str()).fetch_optional(db).await?;
    number.ok_or_else(|| StorageError::NoSuchOrganization(organization.clone()))
}

pub(crate) async fn insert_segment(
    db: &mut AnyConnection,
    organization: &OrganizationUid,
    kind: &str,
    segment: &PublishedSegment,
    (commit_number, created_at): (i64, i64),
) -> Result<String, StorageError> {
    let id = uuid::Uuid::now_v7().to_string();
    sqlx::query(
        "insert into segments (id, organization, kind, day, event_count, id_count, commit_number, created_at,
         size_bytes, path) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&id)
    .bind(organization.as_str())
    .bind(kind)
    .bind(segment.staged.day)
    .bind(as_i64(segment.staged.event_count))
    .bind(as_i64(segment.staged.id_count))
    .bind(commit_number)
    .bind(created_at)
    .bind(as_i64(segment.staged.size_bytes))
    .bind(&segment.name)
    .execute(db)
    .await?;
    Ok(id)
}

/// Where ids of those days may be that were committed after the commit of that number. Only log rows that are not `kept` are
/// read: most were asked for by the batch before.
pub(crate) async fn id_sources(
    db: &mut AnyConnection,
    organization: &OrganizationUid,
    kind: &str,
    days: (i64, i64),
    after_commit: i64,
    kept: impl Fn(&str) -> Option<Arc<DayIds>>,
) -> Result<Vec<IdSource>, StorageError> {
    let segments = sqlx::query(
        "select id, day, path from segments where organization = $1 and kind = $2 and day between $3 and $4
         and commit_number > $5 and id_count > 0",
    )
    .bind(organization.as_str())
    .bind(kind)
    .bind(days.0)
    .bind(days.1)
    .bind(after_commit)
    .fetch_all(&mut *db)
    .await?;
    let segments = segments.iter().map(|row| {
        Ok(IdSource::Segment { id: row.try_get("id")?, day: row.try_get("day")?, path: row.try_get("path")? })
    });
    let mut sources: Vec<_> = segments.collect::<sqlx::Result<_>>()?;
    let log_rows: Vec<String> = sqlx::query_scalar(
        "select id from event_log where organization = $1 and kind = $2 and first_day <= $4
         and last_day >= $3 and commit_number > $5 and id_count > 0",
    )
    .bind(organization.as_str())
    .bind(kind)
    .bind(days.0)
    .bind(days.1)
    .bind(after_commit)
    .fetch_all(&mut *db)
    .await?;
    for id in log_rows {
        sources.push(match kept(&id) {
            Some(ids) => IdSource::Memory(ids),
            None => IdSource::Log { payload: log_payload(db, &id).await?, id },
        });
    }
    Ok(sources)
}

impl Catalog {
    /// Every event of those days that was committed before the call, as one state of the catalog names them.
    pub(crate) async fn events_of(
        &self,
        organization: &OrganizationUid,
        kind: &str,
        days: (i64, i64),
    ) -> Result<EventSnapshot, StorageError> {
        let mut db = self.begin_read().await?;
        let segments = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {SEGMENT} from segments
             where organization = $1 and kind = $2 and day between $3 and $4 order by day, path"
        )))
        .bind(organization.as_str())
        .bind(kind)
        .bind(days.0)
        .bind(days.1)
        .fetch_all(&mut *db)
        .await?;
        let log_rows = log_payloads(&mut db, organization, kind, days).await?;
        Ok(EventSnapshot { segments, log_payloads: log_rows.into_iter().map(|row| row.payload).collect() })
    }

    /// The names of all files that the catalog says exist.
    pub(crate) async fn named_files(&self) -> Result<HashSet<String>, StorageError> {
        let sql = "select path from segments union all select path from summary_files
                   union all select path from retired_files
                   union all select result_path from jobs where result_path is not null";
        Ok(sqlx::query_scalar(sql).fetch_all(&self.reader).await?.into_iter().collect())
    }
}
