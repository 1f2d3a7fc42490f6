//! Where Tally keeps things: the catalog (SQL rows), the events (columns) and the results (pages).
//!
//! | folder | |
//! |---|---|
//! | `catalog/` | rows that say what is true |
//! | `events/` | events in: staged, committed, flushed into segments |
//! | `lake/` | questions asked of the events |
//! | `results/` | one file for each finished job, one record batch for each page |
//! | `folder.rs`, `durable.rs` | the files below `data/`: written aside, synced, then named |
//! | `fan_out.rs` | many like pieces of work on a few threads |
//! | `backup.rs` | a copy of all of them, and the way back |

pub mod backup;
pub mod catalog;
pub mod clock;
mod durable;
pub mod erase;
pub mod error;
pub mod events;
mod fan_out;
pub mod folder;
pub mod ids;
pub mod lake;
pub mod password;
pub mod results;
mod secret;
pub mod store;

use error::StorageError;

/// Runs work that reads files or computes for long where it keeps no other task waiting.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, StorageError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, StorageError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(StorageError::Background(error.to_string())),
    }
}
