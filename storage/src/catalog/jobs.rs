//! Jobs: accepted requests for reports, who works on them, and what came of it.
//!
//! A job moves `queued → running → finished | failed`, and from `running` back to `queued` when its worker gives it back,
//! hits a temporary error, or is not heard of until the lease runs out. Each move names the state (and the worker) that
//! it starts from, so that a worker that lost its lease can no longer change anything.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, FromRow, Row};

use super::job_writer::Outlives;
use super::{Catalog, row};
use crate::error::StorageError;
use crate::ids::{JobId, OrganizationUid};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waits for a worker.
    Queued,
    /// A worker computes it.
    Running,
    /// Its result can be read.
    Finished,
    /// It will never have a result; the job says why.
    Failed,
    /// Somebody called it off.
    Cancelled,
    /// It was finished, and its result has been deleted since.
    Expired,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Finished, Self::Failed, Self::Cancelled, Self::Expired];

    /// The name in the catalog and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = StorageError;

    fn from_str(name: &str) -> Result<Self, StorageError> {
        let state = Self::ALL.into_iter().find(|state| state.as_str() == name);
        state.ok_or_else(|| StorageError::Corrupt(format!("job state `{name}`")))
    }
}

/// A job to be accepted.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Whose events it reports on.
    pub organization: OrganizationUid,
    /// The report's name.
    pub report: String,
    /// The checked parameters as JSON.
    pub parameters: String,
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose events it reports on.
    pub organization: OrganizationUid,
    /// The report's name.
    pub report: String,
    /// The checked parameters as JSON.
    pub parameters: String,
    /// Where it stands.
    pub state: JobState,
    /// How often a worker has begun it.
    pub attempts: u32,
    /// 0 to 1.
    pub progress: f64,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When a worker last began it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it finished or failed.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it failed: a sentence for the client.
    pub error: Option<String>,
    /// What came of it.
    pub result: Option<JobResult>,
}

/// A result, as the catalog names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobResult {
    /// The result's own id, the same on every page.
    pub uid: String,
    /// The file, below the data folder.
    pub path: String,
    /// Rows over all pages.
    pub row_count: u64,
    /// Pages, at least 1.
    pub page_count: u64,
    /// The sum of the counts of all rows, skipped ones too.
    pub total: u64,
    /// The number of all rows, skipped ones too.
    pub document_count: u64,
    /// The last bucket's first day, where the result has no row in it.
    pub marker: Option<NaiveDate>,
    /// The file's size.
    pub size_bytes: u64,
}

/// How many jobs stand where.
pub type JobCounts = Vec<(JobState, u64)>;

impl FromRow<'_, AnyRow> for Job {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let state = row::parsed(row, "state")?;
        Ok(Self {
            id: row::parsed(row, "id")?,
            organization: row::parsed(row, "organization")?,
            report: row.try_get("report")?,
            parameters: row.try_get("parameters")?,
            state,
            attempts: u32::try_from(row::count(row, "attempts")?).unwrap_or(u32::MAX),
            progress: row.try_get("progress")?,
            created_at: row::time(row, "created_at")?,
            started_at: row::optional_time(row, "started_at")?,
            finished_at: row::optional_time(row, "finished_at")?,
            error: row.try_get("error")?,
            result: if state == JobState::Finished { Some(JobResult::from_row(row)?) } else { None },
        })
    }
}

impl FromRow<'_, AnyRow> for JobResult {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            uid: row.try_get("result_uid")?,
            path: row.try_get("result_path")?,
            row_count: row::count(row, "result_rows")?,
            page_count: row::count(row, "result_pages")?,
            total: row::count(row, "result_total")?,
            document_count: row::count(row, "result_documents")?,
            marker: row::optional_day(row, "result_marker")?,
            size_bytes: row::count(row, "result_bytes")?,
        })
    }
}

impl Catalog {
    /// Accepts a job: once this returns it will end, whatever happens to any process.
    ///
    /// # Errors
    /// When the catalog does not answer; the job was not accepted then.
    pub async fn insert_job(&self, job: &NewJob) -> Result<(), StorageError> {
        let insert = sqlx::query(
            "insert into jobs (id, organization, report, parameters, state, created_at, not_before)
             values ($1, $2, $3, $4, 'queued', $5, $5)",
        )
        .bind(job.id.as_str())
        .bind(job.organization.as_str())
        .bind(&job.report)
        .bind(&job.parameters)
        .bind(self.clock.now_ms());
        self.move_job(insert, Outlives::PowerLoss).await?;
        Ok(())
    }

    /// A job of that organization.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn job(&self, organization: &OrganizationUid, id: &JobId) -> Result<Option<Job>, StorageError> {
        let before = self.recent.changes();
        let sql = "select * from jobs where id = $1 and organization = $2";
        let query = sqlx::query_as(sql).bind(id.as_str()).bind(organization.as_str());
        let job: Option<Job> = query.fetch_optional(&self.reader).await?;
        if let Some(job) = &job {
            self.recent.keep_job(before, job);
        }
        Ok(job)
    }

    /// A job of that organization that was finished when it was last looked at, at most a second ago.
    #[must_use]
    pub fn recently_finished(&self, organization: &OrganizationUid, id: &JobId) -> Option<Arc<Job>> {
        self.recent.finished_job(id).filter(|job| job.organization == *organization)
    }

    /// Queued jobs whose time has come, the oldest first.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn due_jobs(&self, at_most: u32) -> Result<Vec<JobId>, StorageError> {
        let sql = "select id from jobs where state = 'queued' and not_before <= $1 order by created_at, id limit $2";
        let query = sqlx::query(sql).bind(self.clock.now_ms()).bind(i64::from(at_most));
        let rows = query.fetch_all(&self.reader).await?;
        Ok(rows.iter().map(|row| row::parsed(row, "id")).collect::<Result<_, _>>()?)
    }

    /// Takes jobs whose lease ran out from their workers: back into the queue, or failed once they had their attempts.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn release_lost_jobs(&self, max_attempts: u32, why: &str) -> Result<u64, StorageError> {
        let mut transaction = self.begin_write().await?;
        let now = self.clock.now_ms();
        let failed = fail_lost_jobs(&mut transaction, now, max_attempts, why).await?;
        let requeued = sqlx::query(
            "update jobs set state = 'queued', worker = null, lease_until = null, progress = 0
             where state = 'running' and lease_until < $1",
        )
        .bind(now)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(failed + requeued.rows_affected())
    }

    /// How long workers had the last finished jobs of that report, on average; 0 where there was none yet. As it was at most
    /// a second ago.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn usual_run_ms(&self, report: &str) -> Result<i64, StorageError> {
        if let Some(known) = self.recent.usual_run_ms(report) {
            return Ok(known);
        }
        let sql = "select cast(coalesce(avg(finished_at - started_at), 0) as bigint) from (
                       select finished_at, started_at from jobs where report = $1 and state = 'finished'
                       order by finished_at desc limit 20) as latest";
        let usual_ms = sqlx::query_scalar(sql).bind(report).fetch_one(&self.reader).await?;
        self.recent.keep_usual_run_ms(report, usual_ms);
        Ok(usual_ms)
    }

    /// How many jobs stand where.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn count_jobs(&self) -> Result<JobCounts, StorageError> {
        let rows =
            sqlx::query("select state, count(*) as jobs from jobs group by state").fetch_all(&self.reader).await?;
        let counts = rows.iter().map(|row| Ok((row::parsed(row, "state")?, row::count(row, "jobs")?)));
        Ok(counts.collect::<sqlx::Result<_>>()?)
    }
}

async fn fail_lost_jobs(db: &mut AnyConnection, now: i64, max_attempts: u32, why: &str) -> Result<u64, StorageError> {
    let failed = sqlx::query(
        "update jobs set state = 'failed', finished_at = $1, error = $3, worker = null, lease_until = null
         where state = 'running' and lease_until < $1 and attempts >= $2",
    )
    .bind(now)
    .bind(i64::from(max_attempts))
    .bind(why)
    .execute(db)
    .await?;
    Ok(failed.rows_affected())
}
