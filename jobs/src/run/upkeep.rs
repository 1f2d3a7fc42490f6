//! The upkeep: what has to happen now and then, and at every start. All of it is idempotent and takes no input, so a
//! run that is missed, doubled or cut off changes nothing.

use std::future::Future;
use std::time::Duration;

use tally_storage::error::StorageError;
use tally_storage::events::FlushAt;
use tally_storage::store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::JobQueue;

/// Ids pushed in one look at the jobs: more wait for the next look.
const PUSHED_AT_ONCE: u32 = 10_000;

/// The pause after a flush that failed.
const FLUSH_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What the client of a job is told whose workers vanished again and again.
const WORKERS_VANISHED: &str = "its workers vanished before it was done, as often as a job is tried.";

/// What is said about the upkeep in the configuration.
#[derive(Debug, Clone, Copy)]
pub struct UpkeepOptions {
    /// How often jobs are looked at: lost ones are given back, waiting ones pushed again.
    pub jobs_every: Duration,
    /// How often files that nothing names are deleted.
    pub files_every: Duration,
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
}

impl Upkeep {
    /// Starts it on the current Tokio runtime.
    #[must_use]
    pub fn start(store: &Store, queue: &JobQueue, options: UpkeepOptions) -> Self {
        let upkeep = Self { tasks: TaskTracker::new(), stopping: CancellationToken::new() };
        let (jobs_store, jobs_queue, max_attempts) = (store.clone(), queue.clone(), options.max_attempts);
        upkeep.every("jobs", options.jobs_every, move || {
            look_at_jobs(jobs_store.clone(), jobs_queue.clone(), max_attempts)
        });
        let files_store = store.clone();
        upkeep.every("files", options.files_every, move || sweep_files(files_store.clone()));
        upkeep.tasks.spawn(flush(store.clone(), options.flush_at, upkeep.stopping.clone()));
        upkeep
    }

    /// Stops it after the step under way.
    pub async fn shut_down(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn every<F, R>(&self, what: &'static str, period: Duration, step: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), StorageError>> + Send + 'static,
    {
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            let mut tick = tokio::time::interval(period);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    _ = tick.tick() => {}
                }
                if let Err(error) = step().await {
                    tracing::warn!(error = &error as &dyn std::error::Error, what, "the upkeep will try again");
                }
            }
        });
    }
}

async fn look_at_jobs(store: Store, queue: JobQueue, max_attempts: u32) -> Result<(), StorageError> {
    let released = store.catalog.release_lost_jobs(max_attempts, WORKERS_VANISHED).await?;
    if released > 0 {
        tracing::warn!(released, "jobs whose worker was not heard of any more");
    }
    for id in store.catalog.due_jobs(PUSHED_AT_ONCE).await? {
        if queue.push(id).is_err() {
            break;
        }
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

async fn flush(store: Store, flush_at: FlushAt, stopping: CancellationToken) {
    let mut failed = false;
    loop {
        // A full disk is not helped by trying at once, and batches may be refused until it works: so not much later.
        let next = async {
            if failed {
                tokio::time::sleep(FLUSH_AGAIN_AFTER).await;
            } else {
                store.events.log_grown(flush_at.age).await;
            }
        };
        tokio::select! {
            () = stopping.cancelled() => return,
            () = next => {}
        }
        let flushed = store.events.flush_due(flush_at).await;
        failed = flushed.is_err();
        if let Err(error) = flushed {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the log could not be flushed; it will be tried again"
            );
        }
    }
}
