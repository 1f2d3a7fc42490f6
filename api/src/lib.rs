//! Tally's HTTP API. One folder for each family of URLs, so that a URL leads to its file.
//!
//! | path | folder |
//! |---|---|
//! | `/analytics/v2/…` | `v2/`: reports and Retrieve Data |
//! | `/v3/user-session` | `session/`: log in, log out |
//! | `/ingest/v1/…` | `ingest/`: events and the Launch inventory |
//! | `/healthz`, `/readyz`, `/metrics` | `operations/` |
//!
//! Beside them: `error.rs` (the one table of errors), `access.rs` (who may do it, as extractors), `rate_limit/`,
//! `query.rs` (query strings), `request_log.rs` (request ids, the log line, request metrics), `server.rs`.

mod access;
mod error;
mod ingest;
mod login_guard;
mod metrics;
mod operations;
pub mod postman;
mod query;
mod rate_limit;
mod request_log;
mod server;
mod session;
mod state;
mod v2;

pub use self::ingest::IngestOptions;
pub use self::metrics::Metrics;
pub use self::rate_limit::{RateLimits, SharedCounts};
pub use self::server::{Routes, Server, ServerHandle, ServerOptions};
pub use self::state::{Parts, Readiness};
