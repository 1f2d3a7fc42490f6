//! Log rows: batches of events that were acknowledged and are not in a segment yet.

use sqlx::{AnyConnection, Row};

use super::{Catalog, row};
use crate::error::StorageError;
use crate::ids::OrganizationUid;

/// A log row to be written.
#[derive(Debug)]
pub(crate) struct NewLogRow<'a> {
    pub(crate) id: &'a str,
    pub(crate) organization: &'a OrganizationUid,
    pub(crate) kind: &'a str,
    /// Days since 1970-01-01.
    pub(crate) first_day: i64,
    pub(crate) last_day: i64,
    pub(crate) event_count: u64,
    pub(crate) id_count: u64,
    pub(crate) commit_number: i64,
    pub(crate) created_at: i64,
    pub(crate) payload: &'a [u8],
}

/// A log row as the flusher reads it.
#[derive(Debug)]
pub(crate) struct LogRow {
    pub(crate) id: String,
    pub(crate) payload: Vec<u8>,
}

/// How many log rows are read at once: about so many bytes and events of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogBound {
    pub(crate) bytes: u64,
    pub(crate) events: u64,
}

/// What waits to be flushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogBacklog {
    pub(crate) organization: OrganizationUid,
    pub(crate) row_count: u64,
    pub(crate) size_bytes: u64,
    pub(crate) oldest_at: i64,
}

pub(crate) async fn insert_log_row(db: &mut AnyConnection, row: &NewLogRow<'_>) -> Result<(), StorageError> {
    sqlx::query(
        "insert into event_log (id, organization, kind, first_day, last_day, event_count, id_count, commit_number,
         created_at, size_bytes, payload) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(row.id)
    .bind(row.organization.as_str())
    .bind(row.kind)
    .bind(row.first_day)
    .bind(row.last_day)
    .bind(as_i64(row.event_count))
    .bind(as_i64(row.id_count))
    .bind(row.commit_number)
    .bind(row.created_at)
    .bind(as_i64(row.payload.len() as u64))
    .bind(row.payload)
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes log rows whose events are in segments now. False where one was gone already: another flush took it.
pub(crate) async fn delete_log_rows(db: &mut AnyConnection, rows: &[LogRow]) -> Result<bool, StorageError> {
    for row in rows {
        let deleted = sqlx::query("delete from event_log where id = $1").bind(&row.id).execute(&mut *db).await?;
        if deleted.rows_affected() != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The payload of a log row that is there.
pub(crate) async fn log_payload(db: &mut AnyConnection, id: &str) -> Result<Vec<u8>, StorageError> {
    Ok(sqlx::query_scalar("select payload from event_log where id = $1").bind(id).fetch_one(db).await?)
}

/// The payloads of the log rows that may hold events of those days.
pub(crate) async fn log_payloads(
    db: &mut AnyConnection,
    organization: &OrganizationUid,
    kind: &str,
    days: (i64, i64),
) -> Result<Vec<LogRow>, StorageError> {
    let rows = sqlx::query(
        "select id, payload from event_log
         where organization = $1 and kind = $2 and first_day <= $4 and last_day >= $3 order by commit_number",
    )
    .bind(organization.as_str())
    .bind(kind)
    .bind(days.0)
    .bind(days.1)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok(LogRow { id: row.try_get("id")?, payload: row.try_get("payload")? })).collect()
}

/// Counts as the database stores them.
pub(crate) fn as_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Catalog {
    /// Bytes of log rows of all organizations.
    pub(crate) async fn log_bytes(&self) -> Result<u64, StorageError> {
        let sum: i64 = sqlx::query_scalar("select cast(coalesce(sum(size_bytes), 0) as bigint) from event_log")
            .fetch_one(&self.reader)
            .await?;
        Ok(u64::try_from(sum).unwrap_or(0))
    }

    /// What waits to be flushed, by organization.
    pub(crate) async fn log_backlogs(&self) -> Result<Vec<LogBacklog>, StorageError> {
        let rows = sqlx::query(
            "select organization, count(*) as row_count, cast(sum(size_bytes) as bigint) as size_bytes, min(created_at) as oldest_at
             from event_log group by organization order by organization",
        )
        .fetch_all(&self.reader)
        .await?;
        let backlogs = rows.iter().map(|row| {
            Ok(LogBacklog {
                organization: row::parsed(row, "organization")?,
                row_count: row::count(row, "row_count")?,
                size_bytes: row::count(row, "size_bytes")?,
                oldest_at: row.try_get("oldest_at")?,
            })
        });
        Ok(backlogs.collect::<sqlx::Result<_>>()?)
    }

    /// Whether events wait that were committed up to that commit.
    pub(crate) async fn has_log_rows_until(
        &self,
        organization: &OrganizationUid,
        commit_number: i64,
    ) -> Result<bool, StorageError> {
        let sql = "select count(*) from event_log where organization = $1 and commit_number <= $2";
        let query = sqlx::query_scalar(sql).bind(organization.as_str()).bind(commit_number);
        let count: i64 = query.fetch_one(&self.reader).await?;
        Ok(count > 0)
    }

    /// The organization's oldest log rows of that commit and those before, up to about the bound, at least one where there
    /// is any.
    pub(crate) async fn oldest_log_rows(
        &self,
        organization: &OrganizationUid,
        kind: &str,
        until_commit: i64,
        at_most: LogBound,
    ) -> Result<Vec<LogRow>, StorageError> {
        let rows = sqlx::query(
            "select id, payload from (
                 select id, payload, commit_number,
                        sum(size_bytes) over (order by commit_number, id) - size_bytes as bytes_before,
                        sum(event_count) over (order by commit_number, id) - event_count as events_before
                 from event_log where organization = $1 and kind = $2 and commit_number <= $3
             ) as numbered where bytes_before < $4 and events_before < $5 order by commit_number",
        )
        .bind(organization.as_str())
        .bind(kind)
        .bind(until_commit)
        .bind(as_i64(at_most.bytes))
        .bind(as_i64(at_most.events))
        .fetch_all(&self.reader)
        .await?;
        rows.iter().map(|row| Ok(LogRow { id: row.try_get("id")?, payload: row.try_get("payload")? })).collect()
    }
}
