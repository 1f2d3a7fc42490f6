//! Black-box tests: the server as `tally serve` runs it, asked over HTTP as its clients ask it.
//!
//! | file | |
//! |---|---|
//! | `server.rs`, `tenant.rs`, `http.rs`, `program.rs` | a server in this process or as a process of its own, and its clients |
//! | `events.rs`, `generated.rs`, `reference.rs` | events, and every report computed a second way |
//! | `reports.rs`, `report_laws.rs`, `contract.rs` | what reports say |
//! | `refusals.rs`, `faults.rs` | every refusal of the contract, to the byte |
//! | `retrieve.rs`, `sessions.rs`, `rate_limits.rs`, `secrets.rs`, `operations.rs` | the rest of the API |
//! | `ingest.rs`, `ingest_limits.rs`, `idempotency.rs`, `event_ids.rs`, `launch.rs` | events in |
//! | `log_file.rs`, `log_formats.rs` | log files in |
//! | `crashes.rs`, `restarts.rs`, `backup.rs` | what is left after a process ends, and what a backup brings back |
//! | `scaled_out/` | several processes on servers, and what happens when one of them goes |
//! | `crate_arrows.rs` | which crate may know which |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on says so by panicking"
)]

mod backup;
mod contract;
mod crash_points;
mod crashes;
mod crate_arrows;
mod erasure;
mod event_ids;
mod events;
mod faults;
mod generated;
mod http;
mod idempotency;
mod ingest;
mod ingest_limits;
mod launch;
mod log_file;
mod log_formats;
mod operations;
mod program;
mod rate_limits;
mod readme;
mod reference;
mod refusals;
mod report_laws;
mod reports;
mod restarts;
mod retrieve;
mod scaled_out;
mod secrets;
mod server;
mod sessions;
mod tenant;
