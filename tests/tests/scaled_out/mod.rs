//! Several processes of the real binary on Redis and `PostgreSQL`: whichever of them goes, no job is lost and none is
//! finished twice.
//!
//! They are the same in both shapes of a run; `make test` runs them in one.
//!
//! | file | |
//! |---|---|
//! | `servers.rs` | servers that a test may stop |
//! | `installation.rs` | the processes, and what their catalog says |
//! | `workers.rs` | workers that are killed, idle, replaced |
//! | `outages.rs` | servers that go away |

mod installation;
mod outages;
mod servers;
mod workers;
