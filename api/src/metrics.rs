//! What `/metrics` tells, in the Prometheus text format.

use std::time::Duration;

use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use tally_jobs::run::{JobObserver, Outcome};
use tally_storage::catalog::{JobCounts, JobState};
use tally_storage::events::receipt::Receipt;

/// The metrics of one process; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    submitted: IntCounterVec,
    left: IntCounterVec,
    job_seconds: HistogramVec,
    jobs: IntGaugeVec,
    events: IntCounterVec,
    batches: IntCounterVec,
    backlog: IntGauge,
    counted_alone: IntCounter,
}

impl Metrics {
    /// Metrics that have counted nothing yet.
    ///
    /// # Errors
    /// Only if two metrics had one name, which would be a fault in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let seconds = |name: &str, help: &str, labels: &[&str]| -> Result<HistogramVec, prometheus::Error> {
            let buckets = prometheus::exponential_buckets(0.001, 4.0, 9)?;
            let metric = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let jobs = IntGaugeVec::new(Opts::new("tally_jobs", "Jobs by state."), &["state"])?;
        registry.register(Box::new(jobs.clone()))?;
        let backlog = IntGauge::new("tally_ingest_backlog_bytes", "Bytes of events that wait to be flushed.")?;
        registry.register(Box::new(backlog.clone()))?;
        let counted_alone =
            IntCounter::new("tally_rate_limit_local_total", "Requests counted by this process alone: Redis was away.")?;
        registry.register(Box::new(counted_alone.clone()))?;
        Ok(Self {
            requests: counter("tally_http_requests_total", "HTTP requests.", &["method", "path", "status"])?,
            request_seconds: seconds("tally_http_request_seconds", "Time to answer a request.", &["path"])?,
            submitted: counter("tally_jobs_submitted_total", "Jobs accepted.", &["report"])?,
            left: counter("tally_jobs_left_total", "Jobs that left a worker.", &["report", "outcome"])?,
            job_seconds: seconds("tally_job_seconds", "Time that a worker had a job.", &["report"])?,
            events: counter("tally_ingest_events_total", "Events by what became of them.", &["outcome"])?,
            batches: counter("tally_ingest_batches_total", "Batches by HTTP status.", &["status"])?,
            jobs,
            backlog,
            counted_alone,
            registry,
        })
    }

    pub(crate) fn request_answered(&self, method: &str, path: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[method, path, &status.to_string()]).inc();
        self.request_seconds.with_label_values(&[path]).observe(took.as_secs_f64());
    }

    pub(crate) fn request_counted_alone(&self) {
        self.counted_alone.inc();
    }

    pub(crate) fn job_submitted(&self, report: &str) {
        self.submitted.with_label_values(&[report]).inc();
    }

    pub(crate) fn batch_answered(&self, status: u16, receipt: Option<&Receipt>) {
        self.batches.with_label_values(&[&status.to_string()]).inc();
        if let Some(receipt) = receipt {
            self.events.with_label_values(&["accepted"]).inc_by(receipt.accepted);
            self.events.with_label_values(&["duplicate"]).inc_by(receipt.duplicates);
            self.events.with_label_values(&["rejected"]).inc_by(receipt.rejected);
        }
    }

    /// The text, with the states of jobs and the backlog as they are now.
    pub(crate) fn render(&self, jobs: &JobCounts, backlog_bytes: u64) -> Result<Vec<u8>, prometheus::Error> {
        for state in JobState::ALL {
            let count = jobs.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
            self.jobs.with_label_values(&[state.as_str()]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.backlog.set(i64::try_from(backlog_bytes).unwrap_or(i64::MAX));
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl JobObserver for Metrics {
    fn job_left(&self, report: &str, outcome: Outcome, took: Duration) {
        let outcome = match outcome {
            Outcome::Finished => "finished",
            Outcome::Failed => "failed",
            Outcome::Retried => "retried",
            Outcome::GivenBack => "given_back",
            Outcome::Lost => "lost",
        };
        self.left.with_label_values(&[report, outcome]).inc();
        self.job_seconds.with_label_values(&[report]).observe(took.as_secs_f64());
    }
}
