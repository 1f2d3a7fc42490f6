//! The flusher: turns log rows into segments, so that reports read columns and the log stays small.
//!
//! It may run in any number of processes: a flush whose log rows were taken by another one in the meantime is undone.

use std::time::Duration;

use super::segment::{self, StagedSegment};
use super::{Events, log, requests};
use crate::blocking;
use crate::catalog::{LogBound, LogRow, delete_log_rows, insert_segment, last_commit, number_commit};
use crate::error::StorageError;
use crate::ids::OrganizationUid;

/// Log rows of one flush have at most about so many bytes and events: these bound what it holds in memory, since events that
/// are alike take a few bytes each in the log and a few hundred when they are sorted.
const FLUSHED: LogBound = LogBound { bytes: 16 << 20, events: 500_000 };

/// Log rows of one organization that are due whatever their size: a report reads each of them.
const FLUSH_ROWS: u64 = 512;

/// When an organization's log rows are due.
#[derive(Debug, Clone, Copy)]
pub struct FlushAt {
    /// As soon as they are that large, over all its rows.
    pub bytes: u64,
    /// As soon as the oldest is that old.
    pub age: Duration,
}

impl Events {
    /// Returns when the log has grown, or after `at_most`.
    pub async fn log_grown(&self, at_most: Duration) {
        let grown = tokio::time::timeout(at_most, self.backlog.grown.notified()).await;
        if grown.is_err() {
            tracing::trace!("nothing came in");
        }
    }

    /// Flushes every organization whose log rows are due; says how many segments came of it. One that fails keeps no other
    /// from its turn.
    ///
    /// # Errors
    /// When the catalog does not answer, or with the first failure. What was flushed stays flushed.
    pub async fn flush_due(&self, due: FlushAt) -> Result<usize, StorageError> {
        let age_ms = i64::try_from(due.age.as_millis()).unwrap_or(i64::MAX);
        self.look_at_backlog().await?;
        // When the log as a whole nears its bound nobody's rows can wait.
        let urgent = self.backlog_bytes() > self.backlog.bound_bytes / 2;
        let mut written = 0;
        let mut failed = None;
        for backlog in self.catalog.log_backlogs().await? {
            let old = self.clock.now_ms().saturating_sub(backlog.oldest_at) >= age_ms;
            if urgent || old || backlog.size_bytes >= due.bytes || backlog.row_count >= FLUSH_ROWS {
                match self.flush(&backlog.organization).await {
                    Ok(segments) => written += segments,
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            organization = %backlog.organization,
                            "log rows could not be flushed"
                        );
                        failed.get_or_insert(error);
                    }
                }
            }
        }
        if written > 0 {
            self.look_at_backlog().await?;
        }
        failed.map_or(Ok(written), Err)
    }

    /// Flushes all log rows of one organization that stand when it begins.
    ///
    /// # Errors
    /// As [`flush_due`](Self::flush_due).
    pub async fn flush(&self, organization: &OrganizationUid) -> Result<usize, StorageError> {
        // What comes in meanwhile waits for the next time, when there is more of it: each flush makes a file for each day.
        let until = match last_commit(&mut *self.catalog.begin_read().await?, organization).await {
            Err(StorageError::NoSuchOrganization(_)) => return Ok(0),
            until => until?,
        };
        let mut written = 0;
        loop {
            let rows = self.catalog.oldest_log_rows(organization, requests::KIND, until, FLUSHED).await?;
            if rows.is_empty() {
                return Ok(written);
            }
            match self.flush_rows(organization, rows).await? {
                Some(segments) => written += segments,
                None => return Ok(written),
            }
        }
    }

    /// `None` where another flusher was faster.
    async fn flush_rows(
        &self,
        organization: &OrganizationUid,
        rows: Vec<LogRow>,
    ) -> Result<Option<usize>, StorageError> {
        let folder = self.folder.clone();
        let (rows, staged) = blocking(move || {
            let mut batches = Vec::new();
            for row in &rows {
                batches.extend(log::decode(&row.payload)?);
            }
            let staged = segment::write_days(&folder, batches)?;
            Ok((rows, staged))
        })
        .await?;
        self.commit_flush(organization, &rows, staged).await
    }

    async fn commit_flush(
        &self,
        organization: &OrganizationUid,
        rows: &[LogRow],
        staged: Vec<StagedSegment>,
    ) -> Result<Option<usize>, StorageError> {
        let mut transaction = self.catalog.begin_write().await?;
        let Some(number) = number_commit(&mut transaction, organization).await? else { return Ok(None) };
        if !delete_log_rows(&mut transaction, rows).await? {
            return Ok(None);
        }
        let (folder, owner) = (self.folder.clone(), organization.clone());
        let segments = blocking(move || segment::publish_all(&folder, &owner, staged)).await?;
        let committed = (number, self.clock.now_ms());
        for segment in &segments {
            insert_segment(&mut transaction, organization, requests::KIND, segment, committed).await?;
        }
        transaction.commit().await?;
        Ok(Some(segments.len()))
    }
}
