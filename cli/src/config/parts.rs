//! What each part of the server is told of the configuration.

use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tally_api::{IngestOptions, RateLimits, Routes, ServerOptions, SharedCounts};
use tally_ingest::body::BodyLimits;
use tally_jobs::reports::REPORTS;
use tally_jobs::run::{JobQueue, RedisAddress, UpkeepOptions, WorkerOptions};
use tally_storage::catalog::{CatalogAddress, PostgresAddress, Retention};
use tally_storage::events::FlushAt;
use tally_storage::lake::LakeLimits;
use tally_storage::store::StoreOptions;

use super::{CatalogUrl, Config, QueueUrl, Role};

/// How often files that nothing names are deleted.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// How often it is looked for segments to merge and summarize.
const COMPACT_EVERY: Duration = Duration::from_secs(30);

impl Config {
    /// What the store is told.
    #[must_use]
    pub fn store(&self) -> StoreOptions {
        let lake = LakeLimits {
            memory_bytes: self.reports.memory_bytes,
            spill_bytes: self.reports.spill_bytes,
            threads: cores(),
        };
        StoreOptions {
            data_dir: self.data_dir.clone(),
            catalog: self.catalog_address(),
            max_backlog_bytes: self.ingest.max_backlog_bytes,
            lake,
            retention: Retention {
                events_days: self.retention.events_days,
                results_hours: self.retention.results_hours,
            },
        }
    }

    /// Where the catalog is.
    #[must_use]
    pub fn catalog_address(&self) -> CatalogAddress {
        match &self.catalog.url {
            CatalogUrl::Sqlite(file) => CatalogAddress::Sqlite(self.data_dir.join(file)),
            CatalogUrl::Postgres(url) => CatalogAddress::Postgres(PostgresAddress {
                url: url.clone(),
                max_connections: self.catalog.max_connections,
                acquire_timeout: Duration::from_secs(self.catalog.acquire_timeout_seconds),
            }),
        }
    }

    /// What the worker is told.
    #[must_use]
    pub fn worker(&self) -> WorkerOptions {
        let jobs = &self.jobs;
        WorkerOptions {
            concurrency: or_cores(jobs.concurrency),
            time_limit: Duration::from_secs(jobs.time_limit_seconds),
            lease: Duration::from_secs(jobs.lease_seconds),
            max_attempts: jobs.max_attempts,
            backoff: Duration::from_millis(jobs.backoff_ms),
            shutdown_grace: self.shutdown_grace(),
            max_restarts: self.queue.max_restarts,
            reports: &REPORTS,
        }
    }

    /// What the upkeep is told.
    #[must_use]
    pub fn upkeep(&self) -> UpkeepOptions {
        UpkeepOptions {
            jobs_every: Duration::from_secs(self.jobs.upkeep_seconds),
            files_every: SWEEP_EVERY,
            compact_every: COMPACT_EVERY,
            flush_at: FlushAt {
                bytes: self.ingest.flush_bytes,
                age: Duration::from_secs(self.ingest.flush_after_seconds),
            },
            max_attempts: self.jobs.max_attempts,
        }
    }

    /// The queue, which need not answer yet. A shared one starts a task on the current Tokio runtime.
    ///
    /// # Errors
    /// When its URL cannot be used.
    pub fn job_queue(&self) -> anyhow::Result<JobQueue> {
        let QueueUrl::Redis(url) = &self.queue.url else { return Ok(JobQueue::in_process()) };
        let address = RedisAddress {
            url: url.clone(),
            prefix: self.queue.prefix.clone(),
            poll: Duration::from_millis(self.queue.poll_ms),
            timeout: Duration::from_secs(self.queue.timeout_seconds),
        };
        JobQueue::redis(&address).with_context(|| format!("`queue.url`, `{}`", self.queue.url))
    }

    /// Where API processes count requests together; `None` where there is one alone.
    fn shared_counts(&self) -> anyhow::Result<Option<SharedCounts>> {
        let QueueUrl::Redis(url) = &self.queue.url else { return Ok(None) };
        let counts = SharedCounts::open(url, &self.queue.prefix);
        Ok(Some(counts.with_context(|| format!("`queue.url`, `{}`", self.queue.url))?))
    }

    /// What the HTTP server of a process of that role is told.
    ///
    /// # Errors
    /// When the queue's URL, where requests are counted too, cannot be used.
    pub fn server(&self, role: Role) -> anyhow::Result<ServerOptions> {
        let (server, limits) = (&self.server, &self.rate_limit);
        let rate = |limit| NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN);
        Ok(ServerOptions {
            bind: server.bind,
            workers: or_cores(server.workers),
            request_timeout: Duration::from_secs(server.request_timeout_seconds),
            shutdown_grace: self.shutdown_grace(),
            trust_forwarded_for: server.trust_forwarded_for,
            rate_limits: RateLimits {
                organization: rate(limits.requests_per_second),
                address: rate(limits.anonymous_requests_per_second),
            },
            shared_counts: self.shared_counts()?,
            routes: if role.answers_requests() { Routes::All } else { Routes::Operations },
            page_cache_bytes: self.results.page_cache_bytes,
            ingest: IngestOptions { limits: self.body_limits(), max_concurrent: self.ingest.max_concurrent },
        })
    }

    fn body_limits(&self) -> BodyLimits {
        BodyLimits {
            wire_bytes: self.ingest.max_wire_bytes,
            decompressed_bytes: self.ingest.max_decompressed_bytes,
            line_bytes: self.ingest.max_line_bytes,
        }
    }

    fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.jobs.shutdown_grace_seconds)
    }
}

fn or_cores(count: usize) -> usize {
    if count == 0 { cores() } else { count }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
