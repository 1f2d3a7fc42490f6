//! The upkeep: what has to happen now and then, and at every start. All of it is idempotent and takes no input, so a
//! run that is missed, doubled or cut off changes nothing.
//!
//! Where processes share a queue, each task has a lease in the catalog: one process does it, another one takes it over
//! when that one leaves or is not heard of any more.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tally_storage::error::StorageError;
use tally_storage::events::FlushAt;
use tally_storage::lake::Extent;
use tally_storage::store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::JobQueue;

/// Ids pushed in one look at the jobs: more wait for the next look.
const PUSHED_AT_ONCE: u32 = 10_000;

/// The pause after a flush that failed.
const FLUSH_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How often the log is looked at: other processes write to it too.
const LOG_LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

/// How long a process that does a task may be silent before another one does it.
const TASK_LEASE: Duration = Duration::from_secs(15);

/// What the client of a job is told whose workers vanished again and again.
const WORKERS_VANISHED: &str = "its workers vanished before it was done, as often as a job is tried.";

/// What is said about the upkeep in the configuration.
#[derive(Debug, Clone, Copy)]
pub struct UpkeepOptions {
    /// How often jobs are looked at: lost ones are given back, waiting ones pushed again.
    pub jobs_every: Duration,
    /// How often files that nothing names are deleted.
    pub files_every: Duration,
    /// How often segments are merged and summarized.
    pub compact_every: Duration,
    /// When log rows become segments.
    pub flush_at: FlushAt,
    /// How often a job is begun before it fails.
    pub max_attempts: u32,
}

/// The running upkeep.
#[derive(Debug)]
pub struct Upkeep {
    tasks: TaskTracker,
    stopping: CancellationToken,
    turns: Turns,
}

impl Upkeep {
    /// Starts it on the current Tokio runtime.
    #[must_use]
    pub fn start(store: &Store, queue: &JobQueue, options: UpkeepOptions) -> Self {
        let holder = queue.is_shared().then(|| format!("upkeep_{}", Uuid::now_v7()).into());
        let turns = Turns { store: store.clone(), holder };
        let upkeep = Self { tasks: TaskTracker::new(), stopping: CancellationToken::new(), turns };
        let (jobs_store, jobs_queue, max_attempts) = (store.clone(), queue.clone(), options.max_attempts);
        upkeep.every("jobs", options.jobs_every, move || {
            look_at_jobs(jobs_store.clone(), jobs_queue.clone(), max_attempts)
        });
        let files_store = store.clone();
        upkeep.every("files", options.files_every, move || sweep_files(files_store.clone()));
        let (compacted, stopping) = (store.clone(), upkeep.stopping.clone());
        upkeep.every("compact", options.compact_every, move || compact(compacted.clone(), stopping.clone()));
        upkeep.tasks.spawn(flush(upkeep.turns.clone(), options.flush_at, upkeep.stopping.clone()));
        upkeep
    }

    /// Stops it after the step under way; another process may take over at once.
    pub async fn shut_down(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.turns.leave().await;
    }

    fn every<F, R>(&self, task: &'static str, period: Duration, step: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), StorageError>> + Send + 'static,
    {
        let (stopping, turns) = (self.stopping.clone(), self.turns.clone());
        self.tasks.spawn(async move {
            let mut tick = tokio::time::interval(period);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    _ = tick.tick() => {}
                }
                if let Err(error) = turns.take(task, step()).await {
                    tracing::warn!(error = &error as &dyn std::error::Error, task, "the upkeep will try again");
                }
            }
        });
    }
}

/// Whose turn a task is.
#[derive(Debug, Clone)]
struct Turns {
    store: Store,
    /// Who this process is to the others; `None` where there are none.
    holder: Option<Arc<str>>,
}

impl Turns {
    /// Does the step where it is this process's turn, and keeps the lease while it lasts. `None` where it is not.
    async fn take<T>(
        &self,
        task: &str,
        step: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<Option<T>, StorageError> {
        let Some(holder) = &self.holder else { return step.await.map(Some) };
        let lease_ms = i64::try_from(TASK_LEASE.as_millis()).unwrap_or(i64::MAX);
        if !self.store.catalog.take_task(task, holder, lease_ms).await? {
            return Ok(None);
        }
        tokio::pin!(step);
        let mut renewal = tokio::time::interval(TASK_LEASE / 3);
        renewal.tick().await;
        loop {
            tokio::select! {
                done = &mut step => return done.map(Some),
                _ = renewal.tick() => {
                    // A step that lost its lease goes on: it is idempotent, and half a step helps nobody.
                    if let Err(error) = self.store.catalog.take_task(task, holder, lease_ms).await {
                        tracing::warn!(error = &error as &dyn std::error::Error, task, "the lease was not renewed");
                    }
                }
            }
        }
    }

    async fn leave(&self) {
        let Some(holder) = &self.holder else { return };
        if let Err(error) = self.store.catalog.leave_tasks(holder).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the leases on tasks will run out");
        }
    }
}

async fn look_at_jobs(store: Store, queue: JobQueue, max_attempts: u32) -> Result<(), StorageError> {
    let released = store.catalog.release_lost_jobs(max_attempts, WORKERS_VANISHED).await?;
    if released > 0 {
        tracing::warn!(released, "jobs whose worker was not heard of any more");
    }
    for id in store.catalog.due_jobs(PUSHED_AT_ONCE).await? {
        queue.push(id);
    }
    Ok(())
}

async fn sweep_files(store: Store) -> Result<(), StorageError> {
    let deleted = store.sweep().await?;
    if deleted > 0 {
        tracing::info!(deleted, "files that nothing names any more");
    }
    Ok(())
}

async fn compact(store: Store, stopping: CancellationToken) -> Result<(), StorageError> {
    let done = store.lake.compact(None, Extent::Due, |_| stopping.is_cancelled()).await?;
    if done.summarized_segments > 0 {
        tracing::info!(
            merged = done.merged_segments,
            into = done.written_segments,
            summarized = done.summarized_segments,
            "segments"
        );
    }
    Ok(())
}

async fn flush(turns: Turns, flush_at: FlushAt, stopping: CancellationToken) {
    let events = turns.store.events.clone();
    let mut failed = false;
    loop {
        // A full disk is not helped by trying at once, and batches may be refused until it works: so not much later.
        let next = async {
            if failed {
                tokio::time::sleep(FLUSH_AGAIN_AFTER).await;
            } else {
                events.log_grown(flush_at.age.min(LOG_LOOKED_AT_EVERY)).await;
            }
        };
        tokio::select! {
            () = stopping.cancelled() => return,
            () = next => {}
        }
        let flushed = turns.take("flush", events.flush_due(flush_at)).await;
        failed = flushed.is_err();
        if let Err(error) = flushed {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the log could not be flushed; it will be tried again"
            );
        }
    }
}
