//! Questions asked of the events: an [`Aggregate`](aggregate::Aggregate) over segments and log rows, answered in bounded
//! memory.
//!
//! | file | |
//! |---|---|
//! | `aggregate.rs` | the question, naming no engine |
//! | `query.rs` | its answer, batch by batch |
//! | `sources.rs`, `groups.rs`, `counted.rs` | what it is answered from, its groups counted in memory, and their rows |
//! | `table.rs`, `engine.rs` | events as one table, and the question in the terms of an engine that spills |
//! | `summary.rs` | which summaries there are |
//! | `adding_up.rs`, `interner.rs` | events, added up |
//! | `part.rs`, `dictionary.rs`, `varint.rs` | what was added up, as bytes |
//! | `contents.rs`, `summary_file.rs`, `summary_reader.rs` | summaries of many segments, and the file that holds them |
//! | `compact.rs`, `tiers.rs`, `summarize.rs`, `gather.rs` | segments become fewer, get summaries, and these few files |
//! | `erase.rs` | segments without events that were to be erased |
//! | `verify.rs` | summaries computed again, and compared |
//!
//! A question is answered from the narrowest summary that tells apart what it asks about, where a segment has one, and
//! from the events of all others and of the log.

mod adding_up;
pub mod aggregate;
mod compact;
mod contents;
mod counted;
mod dictionary;
mod engine;
mod erase;
mod gather;
mod groups;
mod interner;
mod part;
mod query;
mod repair;
mod sources;
mod summarize;
mod summary;
mod summary_file;
mod summary_reader;
mod table;
#[cfg(test)]
mod tests;
mod tiers;
mod varint;
mod verify;

use std::sync::Arc;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

pub use self::compact::Compacted;
pub use self::erase::{ErasedEvents, Selection};
pub(crate) use self::gather::Reason;
pub use self::query::{Answer, Progress};
pub(crate) use self::summary::Summaries;
use self::summary_reader::SummaryCache;
#[cfg(test)]
pub(crate) use self::summary_reader::words_of;
pub use self::tiers::Extent;
pub use self::verify::{Difference, Verified};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::error::StorageError;
use crate::folder::DataFolder;

/// Decoded summaries are kept in so large a part of the memory of queries, beside it.
const SUMMARIES_SHARE: u64 = 4;

/// The engine is only asked what does not fit into memory. Between several partitions it would exchange rows, and up to
/// DataFusion 55 two that spill at once can wait for each other for ever (apache/datafusion#24883).
const ENGINE_PARTITIONS: usize = 1;

/// Rows that the engine handles together: the most is what it is made for, the fewest still pays.
const MOST_BATCH_ROWS: usize = 8192;
const FEWEST_BATCH_ROWS: usize = 128;

/// Memory of queries for each row of such a batch.
const BYTES_FOR_A_ROW: usize = 8192;

/// How the engine may use the machine.
#[derive(Debug, Clone)]
pub struct LakeLimits {
    /// Memory of all queries together; beyond it they spill.
    pub memory_bytes: usize,
    /// Bytes that queries may spill to disk.
    pub spill_bytes: u64,
    /// Threads on which a query reads events.
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
    threads: usize,
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
        // To merge what was spilled takes a batch of each file: a small bound calls for small ones.
        let batch_rows = (limits.memory_bytes / BYTES_FOR_A_ROW).clamp(FEWEST_BATCH_ROWS, MOST_BATCH_ROWS);
        let mut config = SessionConfig::new().with_target_partitions(ENGINE_PARTITIONS).with_batch_size(batch_rows);
        // A spilling sort sets memory aside to merge with; the default takes more than a small bound has.
        config.options_mut().execution.sort_spill_reservation_bytes = limits.memory_bytes / 16;
        let session = SessionContext::new_with_config_rt(config, runtime);
        let summaries = SummaryCache::new(folder, limits.memory_bytes as u64 / SUMMARIES_SHARE);
        Ok(Self { catalog, folder: folder.clone(), clock, session, summaries, threads: limits.threads.max(1) })
    }

    /// Memory of a query, none of it reserved yet.
    fn reservation(&self, what: &str) -> MemoryReservation {
        MemoryConsumer::new(what).register(&self.session.runtime_env().memory_pool)
    }
}
