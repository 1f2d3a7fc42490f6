//! The worker: claims a job, computes it under a lease and a time limit, and settles it.
//!
//! Each job runs in a task of its own, so that a panic ends the job and nothing else. While it runs its lease is renewed;
//! a worker that cannot renew any more has lost the job, and nothing that it wrote is named. All attempts, time limits
//! and retries are here: the queue's library knows nothing of them.
//!
//! There are as many places to compute in as there are to be jobs at once. A job leaves its place when its pages are
//! written: until they are on the disk, and the catalog has said so, the place's core computes the next job.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tally_storage::catalog::{Job, JobResult};
use tally_storage::ids::JobId;
use tally_storage::store::Store;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;
use uuid::Uuid;

use super::computation::{Ended, Place, compute};
use super::{JobObserver, JobQueue, Outcome, WorkerOptions};
use crate::error::JobError;
use crate::reports::ProgressCell;

/// Within which [`WorkerOptions::max_restarts`] are counted.
const RESTARTS_WITHIN: Duration = Duration::from_mins(1);

/// Jobs that a worker has at once for each place to compute in: the others are being written or settled. A disk that does
/// not keep up with the cores stops more from being begun.
const IN_HAND: usize = 4;

/// The pause before the queue is read again; doubles with each further failure up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A running worker.
#[derive(Debug, Clone)]
pub struct Worker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    queue: JobQueue,
    options: WorkerOptions,
    observer: Arc<dyn JobObserver>,
    /// Unique to the process and its start: a lease is never mistaken for that of a predecessor.
    name: String,
    tasks: TaskTracker,
    /// No further job is claimed.
    stopping: CancellationToken,
    /// Jobs under way are given back.
    giving_back: CancellationToken,
    /// Places to compute in, also for jobs of a reader that has ended since.
    places: Arc<Semaphore>,
    /// Jobs that may be there at once, whatever is done to them.
    in_hand: Semaphore,
    /// When the queue could not be read any more, the latest last.
    failures: Mutex<VecDeque<Instant>>,
}

impl Worker {
    /// Starts a worker on the current Tokio runtime.
    #[must_use]
    pub fn start(store: Store, queue: JobQueue, options: WorkerOptions, observer: Arc<dyn JobObserver>) -> Self {
        let places = options.concurrency;
        let worker = Self(Arc::new(Inner {
            store,
            queue,
            options,
            observer,
            name: format!("worker_{}", Uuid::now_v7()),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            giving_back: CancellationToken::new(),
            places: Arc::new(Semaphore::new(places)),
            in_hand: Semaphore::new(places.saturating_mul(IN_HAND).min(Semaphore::MAX_PERMITS)),
            failures: Mutex::new(VecDeque::new()),
        }));
        worker.0.tasks.spawn(worker.clone().serve());
        worker
    }

    /// Whether it hears of jobs: the queue has not failed more often of late than it may.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.0.stopping.is_cancelled() && self.recent_failures() <= self.0.options.max_restarts
    }

    fn recent_failures(&self) -> u32 {
        let mut failures = self.0.failures.lock().unwrap_or_else(PoisonError::into_inner);
        while failures.front().is_some_and(|failed| failed.elapsed() > RESTARTS_WITHIN) {
            failures.pop_front();
        }
        u32::try_from(failures.len()).unwrap_or(u32::MAX)
    }

    /// Stops claiming, lets jobs under way go on for the grace, gives the others back.
    pub async fn shut_down(&self) {
        self.0.stopping.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(self.0.options.shutdown_grace, self.0.tasks.wait()).await.is_err() {
            self.0.giving_back.cancel();
            self.0.tasks.wait().await;
        }
    }

    /// Reads the queue, and begins again where that ends with an error: at once, then ever later.
    async fn serve(self) {
        while !self.0.stopping.is_cancelled() {
            let runner = self.clone();
            let handle = move |_| runner.clone().run_tracked();
            let read = self.0.queue.read(&self.0.name, self.0.options.concurrency, handle);
            let ended = tokio::select! {
                ended = read => ended,
                () = self.0.stopping.cancelled() => return,
            };
            self.0.failures.lock().unwrap_or_else(PoisonError::into_inner).push_back(Instant::now());
            let failures = self.recent_failures();
            let pause = SHORTEST_PAUSE.saturating_mul(2_u32.saturating_pow(failures - 1)).min(LONGEST_PAUSE);
            let error = ended.err().map(|error| error.to_string()).unwrap_or_default();
            tracing::warn!(error, failures, pause_ms = pause.as_millis(), "the queue is not read; it will be again");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.0.stopping.cancelled() => return,
            }
        }
    }

    /// Waits until the job has left its place. The job itself goes on, and outlives the queue's reader, which is dropped as
    /// soon as the worker stops claiming.
    async fn run_tracked(self) {
        let (leaving, left) = oneshot::channel();
        let runner = self.clone();
        self.0.tasks.spawn(async move {
            if AssertUnwindSafe(runner.run(leaving)).catch_unwind().await.is_err() {
                tracing::error!("a job's task ended early");
            }
        });
        // Nothing is ever sent: the place is left when the other end is dropped, for whatever reason.
        drop(left.await);
    }

    /// An id in the queue says that there is something to do; whose turn it is the catalog says.
    async fn run(&self, leaving: oneshot::Sender<Infallible>) {
        let Ok(_in_hand) = self.0.in_hand.acquire().await else { return };
        let Ok(permit) = Arc::clone(&self.0.places).acquire_owned().await else { return };
        let place = Place::new(permit, leaving);
        if self.0.stopping.is_cancelled() {
            return;
        }
        let claimed = self.0.store.catalog.claim_job(&self.0.name, self.lease_ms()).await;
        let job = match claimed {
            Ok(Some(job)) => job,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the job could not be claimed yet");
                return;
            }
        };
        let span = tracing::info_span!("job", job = %job.id);
        self.run_claimed(&job, place).instrument(span).await;
    }

    async fn run_claimed(&self, job: &Job, place: Place) {
        let began = Instant::now();
        let ended = self.compute_under_lease(job, place).await;
        let outcome = self.settle(job, ended).await;
        let took = began.elapsed();
        tracing::info!(report = job.report, ?outcome, took_ms = took.as_millis(), "the job left the worker");
        self.0.observer.job_left(&job.report, outcome, took);
    }

    async fn compute_under_lease(&self, job: &Job, place: Place) -> Ended {
        let progress = ProgressCell::default();
        // Dropping the set ends the computation, whichever way this function is left.
        let mut computation = JoinSet::new();
        computation.spawn(compute(self.0.store.clone(), self.0.options.reports, job.clone(), progress.clone(), place));
        let time_limit = self.0.options.time_limit;
        let deadline = tokio::time::sleep(time_limit);
        tokio::pin!(deadline);
        let mut renewal = tokio::time::interval(self.0.options.lease / 3);
        renewal.tick().await;
        loop {
            tokio::select! {
                ended = computation.join_next() => return match ended {
                    Some(Ok(Ok(result))) => Ended::Computed(result),
                    Some(Ok(Err(error))) => Ended::Failed(error),
                    Some(Err(_)) | None => Ended::Failed(JobError::Panicked),
                },
                () = &mut deadline => return Ended::Failed(JobError::TimedOut(time_limit)),
                () = self.0.giving_back.cancelled() => return Ended::ShuttingDown,
                _ = renewal.tick() => {
                    if !self.renew(job, &progress).await {
                        return Ended::LostLease;
                    }
                }
            }
        }
    }

    async fn renew(&self, job: &Job, progress: &ProgressCell) -> bool {
        let catalog = &self.0.store.catalog;
        match catalog.renew_job(&job.id, &self.0.name, self.lease_ms(), progress.get()).await {
            Ok(still_ours) => still_ours,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the lease could not be renewed yet");
                true
            }
        }
    }

    async fn settle(&self, job: &Job, ended: Ended) -> Outcome {
        let catalog = &self.0.store.catalog;
        let (id, name) = (&job.id, self.0.name.as_str());
        let (settled, outcome) = match ended {
            Ended::LostLease => return Outcome::Lost,
            Ended::ShuttingDown => (catalog.give_back_job(id, name).await, Outcome::GivenBack),
            Ended::Computed(result) => {
                let finished = catalog.finish_job(id, name, &result).await;
                if matches!(finished, Ok(false)) {
                    self.forget(&result);
                }
                (finished, Outcome::Finished)
            }
            Ended::Failed(error) if error.is_temporary() && job.attempts < self.0.options.max_attempts => {
                let delay = self.0.options.backoff * 2_u32.saturating_pow(job.attempts.saturating_sub(1));
                tracing::warn!(error = &error as &dyn std::error::Error, attempt = job.attempts, "will be tried again");
                let settled = catalog.requeue_job(id, name, as_ms(delay)).await;
                self.push_after(id.clone(), delay);
                (settled, Outcome::Retried)
            }
            Ended::Failed(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, attempt = job.attempts, "the job failed");
                (catalog.fail_job(id, name, &error.sentence()).await, Outcome::Failed)
            }
        };
        match settled {
            Ok(true) => outcome,
            // Called off, or to be begun again.
            Ok(false) => Outcome::Lost,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "not settled; its lease will run out");
                Outcome::Lost
            }
        }
    }

    /// Deletes the file of a result that nobody will name. The sweep does it where this fails.
    fn forget(&self, result: &JobResult) {
        if let Err(error) = self.0.store.folder.remove(&result.path) {
            tracing::warn!(error = &error as &dyn std::error::Error, "a result without a job is swept later");
        }
    }

    fn push_after(&self, id: JobId, delay: Duration) {
        let (queue, stopping) = (self.0.queue.clone(), self.0.stopping.clone());
        self.0.tasks.spawn(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(delay) => queue.push(id),
            }
        });
    }

    fn lease_ms(&self) -> i64 {
        as_ms(self.0.options.lease)
    }
}

fn as_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
