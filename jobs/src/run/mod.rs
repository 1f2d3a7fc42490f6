//! How jobs get run: SQL says what is true, the queue only says "look".
//!
//! | file | |
//! |---|---|
//! | `queue/` | carries ids from who accepts a job to who computes it |
//! | `options.rs` | what a worker is told, and whom it tells |
//! | `worker.rs` | claims a job, has it computed under a lease and a time limit, and settles it |
//! | `computation.rs` | what a job's own task does |
//! | `upkeep.rs` | gives lost jobs back, flushes events, sweeps what nothing names |

mod computation;
mod options;
mod queue;
#[cfg(test)]
mod tests;
mod upkeep;
mod worker;

pub use self::options::{JobObserver, Outcome, Unobserved, WorkerOptions};
pub use self::queue::{JobQueue, MalformedRedisUrl, RedisAddress};
pub use self::upkeep::{Upkeep, UpkeepOptions};
pub use self::worker::Worker;
