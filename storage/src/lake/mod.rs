//! Questions asked of the events: an [`Aggregate`](aggregate::Aggregate) over segments and log rows, answered by
//! `DataFusion` in bounded memory.
//!
//! | file | |
//! |---|---|
//! | `aggregate.rs` | the question, naming no engine |
//! | `summary.rs`, `summary_file.rs` | a segment's events, added up: which ways there are, and the file that holds them |
//! | `table.rs` | events as one table: segments from disk, log rows from memory |
//! | `query.rs` | the question in the engine's terms, and its answer as a stream |
//! | `compact.rs`, `summarize.rs` | segments become fewer, and get summaries |
//! | `erase.rs` | segments without events that were to be erased |
//! | `verify.rs` | summaries computed again, and compared |
//!
//! A question is answered from the narrowest summary that tells apart what it asks about, where a segment has one, and
//! from the events of all others and of the log.

pub mod aggregate;
mod compact;
mod erase;
mod query;
mod summarize;
mod summary;
mod summary_file;
mod table;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Arc;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

pub use self::compact::{Compacted, Extent};
pub use self::erase::{ErasedEvents, Selection};
pub use self::query::Answer;
pub(crate) use self::summary::Summaries;
use self::summary_file::SummaryCache;
pub use self::verify::{Difference, Verified};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::error::StorageError;
use crate::folder::DataFolder;

/// Decoded summaries are kept in so large a part of the memory of queries, beside it.
const SUMMARIES_SHARE: u64 = 4;

/// How the engine may use the machine.
#[derive(Debug, Clone)]
pub struct LakeLimits {
    /// Memory of all queries together; beyond it they spill.
    pub memory_bytes: usize,
    /// Bytes that queries may spill to disk.
    pub spill_bytes: u64,
    /// Threads that one query is cut for.
    pub threads: usize,
}

/// Where events are asked about; clones share one memory bound.
#[derive(Clone)]
pub struct Lake {
    catalog: Catalog,
    folder: DataFolder,
    clock: Clock,
    session: SessionContext,
    summaries: SummaryCache,
}

impl std::fmt::Debug for Lake {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lake").field("root", &self.folder.root()).finish_non_exhaustive()
    }
}

impl Lake {
    /// Opens the lake of that data folder.
    ///
    /// # Errors
    /// When the engine cannot use the folder to spill to.
    pub fn open(
        catalog: Catalog,
        folder: &DataFolder,
        clock: Clock,
        limits: &LakeLimits,
    ) -> Result<Self, StorageError> {
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![folder.spill_path()]))
            .with_max_temp_directory_size(limits.spill_bytes);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
            .with_disk_manager_builder(disk)
            .build_arc()?;
        let mut config = SessionConfig::new().with_target_partitions(limits.threads.max(1));
        // A spilling sort sets memory aside to merge with; the default takes more than a small bound has.
        config.options_mut().execution.sort_spill_reservation_bytes = limits.memory_bytes / 16;
        let session = SessionContext::new_with_config_rt(config, runtime);
        let summaries = SummaryCache::new(folder, limits.memory_bytes as u64 / SUMMARIES_SHARE);
        Ok(Self { catalog, folder: folder.clone(), clock, session, summaries })
    }
}
