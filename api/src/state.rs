//! What the handlers share.

use std::sync::Arc;

use tally_jobs::run::{JobQueue, Worker};
use tally_storage::store::Store;
use tokio::sync::Semaphore;

use crate::ingest::{IngestOptions, KeysUnderWay};
use crate::login_guard::LoginGuard;
use crate::metrics::Metrics;
use crate::rate_limit::RateLimiters;
use crate::server::ServerOptions;
use crate::v2::PageCache;

/// Whether this process does what it is there for.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// The worker that takes jobs, where the process has one.
    pub worker: Option<Worker>,
}

/// Passwords checked at once.
const LOGINS_AT_ONCE: usize = 4;

/// What the API is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Where everything is kept.
    pub store: Store,
    /// Where accepted jobs are announced.
    pub queue: JobQueue,
    /// Whether the process is ready.
    pub readiness: Readiness,
    /// What is counted.
    pub metrics: Metrics,
}

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct AppState {
    pub(crate) store: Store,
    pub(crate) queue: JobQueue,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Metrics,
    pub(crate) rate: RateLimiters,
    pub(crate) logins: LoginGuard,
    /// A place for each password that may be checked at once.
    pub(crate) login_places: Semaphore,
    pub(crate) pages: PageCache,
    pub(crate) ingest: IngestOptions,
    /// A place for each batch that may be read at once.
    pub(crate) ingest_places: Arc<Semaphore>,
    /// Idempotency keys whose first request is under way.
    pub(crate) keys_under_way: KeysUnderWay,
    pub(crate) trust_forwarded_for: bool,
}

impl AppState {
    pub(crate) fn new(parts: Parts, options: &ServerOptions) -> Self {
        Self {
            rate: RateLimiters::new(
                options.rate_limits,
                options.shared_counts.clone(),
                parts.store.clock.clone(),
                parts.metrics.clone(),
            ),
            store: parts.store,
            queue: parts.queue,
            readiness: parts.readiness,
            metrics: parts.metrics,
            logins: LoginGuard::new(),
            login_places: Semaphore::new(LOGINS_AT_ONCE),
            pages: PageCache::new(options.page_cache_bytes),
            ingest: options.ingest,
            ingest_places: Arc::new(Semaphore::new(options.ingest.max_concurrent)),
            keys_under_way: Arc::default(),
            trust_forwarded_for: options.trust_forwarded_for,
        }
    }
}
