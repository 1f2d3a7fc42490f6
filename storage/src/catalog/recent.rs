//! What the catalog said within the last second, for the questions that every request asks: who it is that asks, and
//! whether the job is finished.
//!
//! Only a yes is kept: an authtoken that may ask for reports, a job that has its result. So what was granted holds at
//! once, wherever it was granted, and only what was taken back may go on for [`KEPT_FOR`], and only where another process
//! took it back. This process's own changes hold at once: an answer is kept under the number of changes that were known
//! before the catalog was asked, and is not found any more under the next number. An answer that a change overtakes on
//! its way is kept under the old number as well, so there is nothing to be locked.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;

use super::{Access, Job, JobState};
use crate::ids::{JobId, OrganizationUid};
use crate::secret::Digest;

/// How long another process's change may go unseen.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// Answers of each kind at most.
const KEPT: u64 = 10_000;

/// Clones share what is kept.
#[derive(Clone)]
pub(super) struct Recent {
    changes: Arc<AtomicU64>,
    access: Cache<(Changes, Digest, OrganizationUid), Arc<Access>>,
    jobs: Cache<(Changes, JobId), Arc<Job>>,
    runs: Cache<String, i64>,
}

/// How many changes were known when the catalog was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Changes(u64);

impl fmt::Debug for Recent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Recent").field("changes", &self.changes).finish_non_exhaustive()
    }
}

impl Recent {
    pub(super) fn new() -> Self {
        Self { changes: Arc::default(), access: kept(), jobs: kept(), runs: kept() }
    }

    /// To be asked before the catalog is, and given back with its answer.
    pub(super) fn changes(&self) -> Changes {
        Changes(self.changes.load(Ordering::Acquire))
    }

    /// Something that was granted, or a result, was taken back; to be called when that is committed.
    pub(super) fn forget(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn access(&self, digest: &Digest, organization: &OrganizationUid) -> Option<Arc<Access>> {
        self.access.get(&(self.changes(), digest.clone(), organization.clone()))
    }

    pub(super) fn keep_access(
        &self,
        before: Changes,
        digest: Digest,
        organization: &OrganizationUid,
        access: &Arc<Access>,
    ) {
        if access.may_report() {
            self.access.insert((before, digest, organization.clone()), Arc::clone(access));
        }
    }

    pub(super) fn finished_job(&self, id: &JobId) -> Option<Arc<Job>> {
        self.jobs.get(&(self.changes(), id.clone()))
    }

    pub(super) fn keep_job(&self, before: Changes, job: &Job) {
        if job.state == JobState::Finished {
            self.jobs.insert((before, job.id.clone()), Arc::new(job.clone()));
        }
    }

    /// How long a report usually runs; an estimate, which need not be of this moment.
    pub(super) fn usual_run_ms(&self, report: &str) -> Option<i64> {
        self.runs.get(report)
    }

    pub(super) fn keep_usual_run_ms(&self, report: &str, usual_ms: i64) {
        self.runs.insert(report.to_owned(), usual_ms);
    }
}

fn kept<K, V>() -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().max_capacity(KEPT).time_to_live(KEPT_FOR).build()
}

#[cfg(test)]
mod tests {
    use super::super::organizations::tests::catalog;
    use super::super::retention::tests::finished_job;
    use super::*;

    #[tokio::test]
    async fn an_answer_that_a_change_overtakes_is_not_used() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("a").await.unwrap();
        let id = finished_job(&catalog, &organization).await;
        let job = catalog.job(&organization, &id).await.unwrap().unwrap();
        let recent = Recent::new();
        let before = recent.changes();
        recent.forget();
        recent.keep_job(before, &job);
        assert_eq!(recent.finished_job(&id), None);
        recent.keep_job(recent.changes(), &job);
        assert!(recent.finished_job(&id).is_some());
    }

    #[tokio::test]
    async fn only_finished_jobs_are_kept() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("a").await.unwrap();
        let id = finished_job(&catalog, &organization).await;
        let job = catalog.job(&organization, &id).await.unwrap().unwrap();
        let recent = Recent::new();
        for state in JobState::ALL {
            recent.forget();
            recent.keep_job(recent.changes(), &Job { state, ..job.clone() });
            assert_eq!(recent.finished_job(&id).is_some(), state == JobState::Finished, "{state}");
        }
    }
}
