//! What a worker is told, and whom it tells what became of a job.

use std::fmt;
use std::time::Duration;

use crate::reports::{REPORTS, Report};

/// What is said about jobs in the configuration.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Jobs computed at once.
    pub concurrency: usize,
    /// How long a job may take.
    pub time_limit: Duration,
    /// How long a worker may be silent before its job is given to another.
    pub lease: Duration,
    /// How often a job is begun before it fails.
    pub max_attempts: u32,
    /// The pause before the second attempt; doubles with each further one.
    pub backoff: Duration,
    /// How long jobs under way may go on at shutdown before they are given back.
    pub shutdown_grace: Duration,
    /// How often the queue may fail within a minute before the worker does not count as alive.
    pub max_restarts: u32,
    /// What can be computed.
    pub reports: &'static [&'static dyn Report],
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            concurrency: 2,
            time_limit: Duration::from_mins(10),
            lease: Duration::from_secs(15),
            max_attempts: 3,
            backoff: Duration::from_secs(1),
            shutdown_grace: Duration::from_secs(10),
            max_restarts: 10,
            reports: &REPORTS,
        }
    }
}

/// What became of a job that a worker had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It has a result.
    Finished,
    /// It will never have one.
    Failed,
    /// A temporary error: it will be tried again.
    Retried,
    /// The worker shuts down: another one will begin it afresh.
    GivenBack,
    /// Another worker has it, or it was called off.
    Lost,
}

/// Hears of every job that a worker had; counts them for the metrics.
pub trait JobObserver: Send + Sync + fmt::Debug {
    /// A job of that report left the worker after that time.
    fn job_left(&self, report: &str, outcome: Outcome, took: Duration);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl JobObserver for Unobserved {
    fn job_left(&self, _report: &str, _outcome: Outcome, _took: Duration) {}
}
