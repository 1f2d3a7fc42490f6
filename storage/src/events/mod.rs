//! Events in: gathered in a [`Stage`], committed at once, flushed into segments later.
//!
//! | file | |
//! |---|---|
//! | `requests.rs`, `texts.rs` | the one kind of event: its columns |
//! | `stage.rs` | a batch being gathered, spilled aside when it is large |
//! | `batch.rs`, `group.rs`, `commit.rs` | many batches, one transaction: acknowledged means durable |
//! | `duplicates.rs` | an event's id counts once a day |
//! | `log.rs`, `flush.rs` | small batches wait in log rows; the flusher turns these into segments |
//! | `segment.rs`, `order.rs` | Parquet files, and the order of their events |
//! | `receipt.rs`, `ledger.rs` | what was counted, and from which file |

mod batch;
mod commit;
pub(crate) mod duplicates;
#[cfg(test)]
pub(crate) mod fixture;
mod flush;
mod group;
pub mod ledger;
pub(crate) mod log;
pub(crate) mod order;
pub mod receipt;
pub mod requests;
pub(crate) mod segment;
mod stage;
#[cfg(test)]
mod tests;
mod texts;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::commit::Commit;
use self::commit::Pending;
use self::duplicates::IdIndex;
pub use self::flush::FlushAt;
pub use self::stage::Stage;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::error::StorageError;
use crate::folder::DataFolder;
use crate::ids::OrganizationUid;

/// Commits that may wait for the one being written.
const WAITING_COMMITS: usize = 256;

/// Where events go in; clones share one committer.
#[derive(Debug, Clone)]
pub struct Events {
    catalog: Catalog,
    folder: DataFolder,
    clock: Clock,
    ids: IdIndex,
    commits: mpsc::Sender<Pending>,
    closing: CancellationToken,
    tasks: TaskTracker,
    backlog: Arc<Backlog>,
}

#[derive(Debug)]
struct Backlog {
    size_bytes: AtomicU64,
    bound_bytes: u64,
    grown: Notify,
}

impl Events {
    /// Starts the committer on the current Tokio runtime. No commit is taken while more than `max_backlog_bytes` of log
    /// rows wait to be flushed.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn open(
        catalog: Catalog,
        folder: DataFolder,
        clock: Clock,
        max_backlog_bytes: u64,
    ) -> Result<Self, StorageError> {
        let (commits, waiting) = mpsc::channel(WAITING_COMMITS);
        let size_bytes = AtomicU64::new(catalog.log_bytes().await?);
        let backlog = Arc::new(Backlog { size_bytes, bound_bytes: max_backlog_bytes, grown: Notify::new() });
        let ids = IdIndex::new(folder.clone());
        let tasks = TaskTracker::new();
        let committer = commit::Committer::new(&catalog, &folder, &clock, &ids, &backlog);
        let closing = CancellationToken::new();
        tasks.spawn(committer.run(waiting, closing.clone()));
        Ok(Self { catalog, folder, clock, ids, commits, closing, tasks, backlog })
    }

    /// A new batch of that organization.
    #[must_use]
    pub fn stage(&self, organization: &OrganizationUid) -> Stage {
        Stage::new(organization.clone(), self.folder.clone())
    }

    /// Says whether there is room for another batch, before its bytes are read.
    ///
    /// # Errors
    /// [`StorageError::Backlog`] when there is none.
    pub async fn admit(&self) -> Result<(), StorageError> {
        let bound_bytes = self.backlog.bound_bytes;
        if self.backlog_bytes() <= bound_bytes {
            return Ok(());
        }
        // Another process may have flushed it.
        let backlog_bytes = self.look_at_backlog().await?;
        if backlog_bytes > bound_bytes { Err(StorageError::Backlog { backlog_bytes, bound_bytes }) } else { Ok(()) }
    }

    async fn look_at_backlog(&self) -> Result<u64, StorageError> {
        let size_bytes = self.catalog.log_bytes().await?;
        self.backlog.size_bytes.store(size_bytes, Ordering::Relaxed);
        Ok(size_bytes)
    }

    /// Bytes of log rows that wait to be flushed, as last seen.
    #[must_use]
    pub fn backlog_bytes(&self) -> u64 {
        self.backlog.size_bytes.load(Ordering::Relaxed)
    }
}
