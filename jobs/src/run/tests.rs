//! What the worker does with jobs that go wrong, over a real store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tally_storage::catalog::{CatalogAddress, Job, JobState, NewJob, Retention};
use tally_storage::clock::Clock;
use tally_storage::error::StorageError;
use tally_storage::events::FlushAt;
use tally_storage::ids::{JobId, OrganizationUid};
use tally_storage::lake::LakeLimits;
use tally_storage::store::{Store, StoreOptions};
use tally_tests::Scratch;

use super::{JobQueue, RedisAddress, Unobserved, Upkeep, UpkeepOptions, Worker, WorkerOptions};
use crate::error::JobError;
use crate::reports::{About, Computed, Marker, Report, Task, find};

const DEADLINE: Duration = Duration::from_secs(20);

static PANICS: About = about("panics");
static HANGS: About = about("hangs");
static RECOVERS: About = about("recovers");
static NEVER_WORKS: About = about("never-works");

const fn about(name: &'static str) -> About {
    About {
        name,
        title: name,
        summary: name,
        paginated: false,
        parameters: &[],
        columns: &[],
        marker: Marker::None,
        source_field: None,
    }
}

/// A report that goes wrong as its name says.
#[derive(Debug)]
struct Broken(&'static About);

static RECOVERIES: AtomicU32 = AtomicU32::new(0);

#[async_trait]
impl Report for Broken {
    fn about(&self) -> &'static About {
        self.0
    }

    async fn compute(&self, task: &Task<'_>) -> Result<Computed, JobError> {
        match self.0.name {
            "panics" => panic!("as it was told"),
            "hangs" => std::future::pending().await,
            "recovers" if RECOVERIES.fetch_add(1, Ordering::SeqCst) > 0 => {
                find("subscription").unwrap().compute(task).await
            }
            _ => Err(StorageError::Background("for a moment".to_owned()).into()),
        }
    }
}

static REPORTS: [&dyn Report; 5] =
    [&Broken(&PANICS), &Broken(&HANGS), &Broken(&RECOVERS), &Broken(&NEVER_WORKS), &Healthy];

/// A report that works.
#[derive(Debug)]
struct Healthy;

#[async_trait]
impl Report for Healthy {
    fn about(&self) -> &'static About {
        find("subscription").unwrap().about()
    }

    async fn compute(&self, task: &Task<'_>) -> Result<Computed, JobError> {
        find("subscription").unwrap().compute(task).await
    }
}

struct Fixture {
    store: Store,
    organization: OrganizationUid,
    queue: JobQueue,
    scratch: Scratch,
}

/// The queue of this run's shape.
fn queue(scratch: &Scratch, suffix: &str) -> JobQueue {
    let Some((url, prefix)) = scratch.queue() else { return JobQueue::in_process() };
    JobQueue::redis(&RedisAddress {
        url,
        prefix: format!("{prefix}{suffix}"),
        poll: Duration::from_millis(500),
        timeout: Duration::from_secs(10),
    })
    .unwrap()
}

impl Fixture {
    async fn new() -> Self {
        let scratch = Scratch::new();
        let options = StoreOptions {
            data_dir: scratch.path().to_owned(),
            catalog: scratch
                .catalog_url()
                .map_or_else(|| CatalogAddress::in_folder(scratch.path()), CatalogAddress::postgres),
            max_backlog_bytes: 1 << 20,
            lake: LakeLimits { memory_bytes: 32 << 20, spill_bytes: 32 << 20, threads: 1 },
            retention: Retention::default(),
        };
        let store = Store::open(&options, Clock::system()).await.unwrap();
        let organization = store.catalog.create_organization("Example").await.unwrap();
        let queue = queue(&scratch, "");
        Self { store, organization, queue, scratch }
    }

    fn worker(&self, options: WorkerOptions) -> Worker {
        Worker::start(self.store.clone(), self.queue.clone(), options, Arc::new(Unobserved))
    }

    async fn submit(&self, report: &str) -> JobId {
        let parameters = crate::parameters::parse(
            &[],
            &[("from".to_owned(), "2024-01-01".to_owned()), ("to".to_owned(), "2024-01-02".to_owned())],
        );
        let job = NewJob {
            id: JobId::mint(),
            organization: self.organization.clone(),
            report: report.to_owned(),
            parameters: serde_json::to_string(&parameters.unwrap()).unwrap(),
        };
        self.store.catalog.insert_job(&job).await.unwrap();
        self.queue.push(job.id.clone());
        job.id
    }

    /// Waits until the job is in that state.
    async fn until(&self, id: &JobId, state: JobState) -> Job {
        let wait = async {
            loop {
                let job = self.store.catalog.job(&self.organization, id).await.unwrap().unwrap();
                if job.state == state {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("job {id} is not {state} in time"))
    }
}

fn options() -> WorkerOptions {
    WorkerOptions { reports: &REPORTS, backoff: Duration::from_millis(10), ..WorkerOptions::default() }
}

#[tokio::test]
async fn a_panic_ends_the_job_and_nothing_else() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker(options());
    let broken = fixture.submit("panics").await;
    let healthy = fixture.submit("subscription").await;
    let failed = fixture.until(&broken, JobState::Failed).await;
    assert!(failed.error.unwrap().starts_with("the report could not be computed"));
    assert_eq!(failed.attempts, 1);
    fixture.until(&healthy, JobState::Finished).await;
    assert!(worker.is_alive());
    worker.shut_down().await;
}

#[tokio::test]
async fn a_job_over_its_time_fails_and_says_so() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker(WorkerOptions { time_limit: Duration::from_millis(50), ..options() });
    let job = fixture.submit("hangs").await;
    let failed = fixture.until(&job, JobState::Failed).await;
    assert!(failed.error.unwrap().contains("took longer"));
    worker.shut_down().await;
}

#[tokio::test]
async fn a_temporary_error_is_tried_again_and_the_third_is_the_last() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker(options());
    let recovering = fixture.submit("recovers").await;
    let hopeless = fixture.submit("never-works").await;
    assert_eq!(fixture.until(&recovering, JobState::Finished).await.attempts, 2);
    assert_eq!(fixture.until(&hopeless, JobState::Failed).await.attempts, 3);
    worker.shut_down().await;
}

#[tokio::test]
async fn a_report_of_another_version_fails_and_names_it() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker(options());
    let job = fixture.submit("yesterdays-report").await;
    assert!(fixture.until(&job, JobState::Failed).await.error.unwrap().contains("yesterdays-report"));
    worker.shut_down().await;
}

#[tokio::test]
async fn shutdown_gives_a_job_back_as_if_it_had_not_been_begun() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker(WorkerOptions { shutdown_grace: Duration::from_millis(20), ..options() });
    let job = fixture.submit("hangs").await;
    fixture.until(&job, JobState::Running).await;
    worker.shut_down().await;
    let given_back = fixture.until(&job, JobState::Queued).await;
    assert_eq!(given_back.attempts, 0);
    assert!(!worker.is_alive());
}

#[tokio::test]
async fn the_upkeep_gives_the_job_of_a_vanished_worker_to_another_and_finds_ids_that_the_queue_lost() {
    let fixture = Fixture::new().await;
    let lost = fixture.submit("subscription").await;
    let claimed = fixture.store.catalog.claim_job("a worker that vanishes", -1).await.unwrap();
    assert_eq!(claimed.unwrap().state, JobState::Running);
    // Another queue: the ids pushed so far are gone.
    let fixture = Fixture { queue: queue(&fixture.scratch, "-other"), ..fixture };
    let worker = fixture.worker(options());
    let upkeep = Upkeep::start(
        &fixture.store,
        &fixture.queue,
        UpkeepOptions {
            jobs_every: Duration::from_millis(20),
            files_every: Duration::from_mins(1),
            compact_every: Duration::from_mins(1),
            flush_at: FlushAt { bytes: 1 << 20, age: Duration::from_mins(1) },
            max_attempts: 3,
        },
    );
    assert_eq!(fixture.until(&lost, JobState::Finished).await.attempts, 2);
    upkeep.shut_down().await;
    worker.shut_down().await;
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_changes_nothing() {
    let fixture = Fixture::new().await;
    let job = fixture.submit("subscription").await;
    let catalog = &fixture.store.catalog;
    catalog.claim_job("slow", -1).await.unwrap().unwrap();
    catalog.release_lost_jobs(3, "vanished").await.unwrap();
    catalog.claim_job("fast", 60_000).await.unwrap().unwrap();
    assert!(!catalog.renew_job(&job, "slow", 60_000, 0.5).await.unwrap());
    assert!(!catalog.fail_job(&job, "slow", "too late").await.unwrap());
    assert!(!catalog.requeue_job(&job, "slow", 0).await.unwrap());
    assert!(catalog.renew_job(&job, "fast", 60_000, 0.5).await.unwrap());
}

#[tokio::test]
async fn a_job_that_is_pushed_many_times_is_computed_once() {
    let fixture = Fixture::new().await;
    let job = fixture.submit("subscription").await;
    for _ in 0..50 {
        fixture.queue.push(job.clone());
    }
    let worker = fixture.worker(WorkerOptions { concurrency: 8, ..options() });
    let finished = fixture.until(&job, JobState::Finished).await;
    let after = fixture.submit("subscription").await;
    fixture.until(&after, JobState::Finished).await;
    let still = fixture.store.catalog.job(&fixture.organization, &job).await.unwrap().unwrap();
    assert_eq!((still.attempts, still.result), (1, finished.result));
    worker.shut_down().await;
}
