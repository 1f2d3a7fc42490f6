//! What a worker does to a job that it has, or takes. Each move names the state and the worker that it starts from: a
//! worker that lost its lease changes nothing any more.

use sqlx::FromRow as _;

use super::Catalog;
use super::event_log::as_i64;
use super::job_writer::{Outlives, Statement};
use super::jobs::{Job, JobResult};
use crate::error::StorageError;
use crate::ids::JobId;
use crate::lake::aggregate::day_number;

const CLAIM: &str = "
    update jobs set state = 'running', worker = $1, lease_until = $3, started_at = $2,
    attempts = attempts + 1, progress = 0
    where state = 'queued' and id = (
        select id from jobs left join (
            select organization as busy, count(*) as running from jobs where state = 'running' group by organization
        ) as busy_ones on busy = organization
        where state = 'queued' and not_before <= $2
        order by coalesce(running, 0), created_at, id limit 1
    ) returning *";

const RENEW: &str = "
    update jobs set lease_until = $3, progress = $4 where id = $1 and worker = $2 and state = 'running' returning id";

const FINISH: &str = "
    update jobs set state = 'finished', progress = 1, finished_at = $3, worker = null, lease_until = null,
    result_uid = $4, result_path = $5, result_rows = $6, result_pages = $7, result_total = $8,
    result_documents = $9, result_marker = $10, result_bytes = $11
    where id = $1 and worker = $2 and state = 'running' returning id";

const FAIL: &str = "
    update jobs set state = 'failed', finished_at = $3, error = $4, worker = null, lease_until = null
    where id = $1 and worker = $2 and state = 'running' returning id";

const REQUEUE: &str = "
    update jobs set state = 'queued', not_before = $3, worker = null, lease_until = null, progress = 0
    where id = $1 and worker = $2 and state = 'running' returning id";

const GIVE_BACK: &str = "
    update jobs set state = 'queued', attempts = attempts - 1, worker = null, lease_until = null, progress = 0
    where id = $1 and worker = $2 and state = 'running' returning id";

impl Catalog {
    /// Takes a queued job whose time has come; `None` where there is nothing to take. It is the oldest one of the
    /// organization that the fewest jobs are running of, so that nobody waits for all that somebody else has asked for.
    ///
    /// A machine that loses its power may forget it: then its workers are gone too, and the job waits to be taken again.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn claim_job(&self, worker: &str, lease_ms: i64) -> Result<Option<Job>, StorageError> {
        loop {
            let now = self.clock.now_ms();
            let claim = sqlx::query(CLAIM).bind(worker).bind(now).bind(now + lease_ms);
            let claimed = self.move_job(claim, Outlives::Processes).await?;
            if let Some(row) = claimed.first() {
                return Ok(Some(Job::from_row(row)?));
            }
            // Another worker may have taken the same one a moment before.
            if self.due_jobs(1).await?.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Says that the worker is alive and how far it is. False where the job is not the worker's any more.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn renew_job(
        &self,
        id: &JobId,
        worker: &str,
        lease_ms: i64,
        progress: f64,
    ) -> Result<bool, StorageError> {
        let renewal = of(RENEW, id, worker).bind(self.clock.now_ms() + lease_ms).bind(progress);
        Ok(self.move_job(renewal, Outlives::Processes).await?.len() == 1)
    }

    /// Names the job's result and finishes the job, in one step. False where the job is not the worker's any more.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn finish_job(&self, id: &JobId, worker: &str, result: &JobResult) -> Result<bool, StorageError> {
        let finish = of(FINISH, id, worker)
            .bind(self.clock.now_ms())
            .bind(&result.uid)
            .bind(&result.path)
            .bind(as_i64(result.row_count))
            .bind(as_i64(result.page_count))
            .bind(as_i64(result.total))
            .bind(as_i64(result.document_count))
            .bind(result.marker.map(day_number))
            .bind(as_i64(result.size_bytes));
        Ok(self.move_job(finish, Outlives::PowerLoss).await?.len() == 1)
    }

    /// Ends the job without a result. False where the job is not the worker's any more.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn fail_job(&self, id: &JobId, worker: &str, why: &str) -> Result<bool, StorageError> {
        let fail = of(FAIL, id, worker).bind(self.clock.now_ms()).bind(why);
        Ok(self.move_job(fail, Outlives::PowerLoss).await?.len() == 1)
    }

    /// Puts the job back into the queue, to be claimed again not before that many milliseconds from now.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn requeue_job(&self, id: &JobId, worker: &str, delay_ms: i64) -> Result<bool, StorageError> {
        let requeue = of(REQUEUE, id, worker).bind(self.clock.now_ms() + delay_ms);
        Ok(self.move_job(requeue, Outlives::PowerLoss).await?.len() == 1)
    }

    /// Puts the job back into the queue as if it had not been begun: its worker is shutting down.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn give_back_job(&self, id: &JobId, worker: &str) -> Result<bool, StorageError> {
        Ok(self.move_job(of(GIVE_BACK, id, worker), Outlives::PowerLoss).await?.len() == 1)
    }
}

/// A move of a job that the worker has.
fn of(sql: &'static str, id: &JobId, worker: &str) -> Statement {
    sqlx::query(sql).bind(id.as_str()).bind(worker)
}

#[cfg(test)]
mod tests {
    use super::super::NewJob;
    use super::super::organizations::tests::catalog;
    use crate::ids::JobId;

    #[tokio::test]
    async fn nobody_waits_for_all_that_another_organization_has_asked_for() {
        let (catalog, clock, _folder) = catalog().await;
        let [greedy, modest] = ["greedy", "modest"].map(|name| catalog.create_organization(name));
        let (greedy, modest) = (greedy.await.unwrap(), modest.await.unwrap());
        for (organization, jobs) in [(&greedy, 6), (&modest, 3)] {
            for _ in 0..jobs {
                let job = NewJob {
                    id: JobId::mint(),
                    organization: organization.clone(),
                    report: "usage".to_owned(),
                    parameters: "{}".to_owned(),
                };
                catalog.insert_job(&job).await.unwrap();
                clock.set(clock.now() + chrono::TimeDelta::seconds(1));
            }
        }
        // Two cores: when a job ends the next one begins.
        let (mut running, mut begun) = (Vec::new(), String::new());
        while let Some(job) = catalog.claim_job("worker", 60_000).await.unwrap() {
            begun.push(if job.organization == modest { 'm' } else { 'g' });
            running.push(job.id);
            if running.len() == 2 {
                assert!(catalog.fail_job(&running.remove(0), "worker", "done").await.unwrap());
            }
        }
        assert_eq!(begun, "gmgmgmggg");
    }
}
