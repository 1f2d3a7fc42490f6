//! Questions asked of the events: an [`Aggregate`](aggregate::Aggregate) over segments and log rows, answered by
//! `DataFusion` in bounded memory.
//!
//! | file | |
//! |---|---|
//! | `aggregate.rs` | the question, naming no engine |
//! | `table.rs` | the events of some days as one table: segments from disk, log rows from memory |
//! | `query.rs` | the question in the engine's terms, and its answer as a stream |
//!
//! Once days have summaries, `table.rs` is where they come in: an aggregate over a covered day reads the summary's rows
//! in place of the day's segments, and adds counts up instead of counting.

pub mod aggregate;
mod query;
mod table;

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

pub use self::query::Answer;
use crate::catalog::Catalog;
use crate::error::StorageError;
use crate::folder::DataFolder;

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
    root: PathBuf,
    session: SessionContext,
}

impl std::fmt::Debug for Lake {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lake").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Lake {
    /// Opens the lake of that data folder.
    ///
    /// # Errors
    /// When the engine cannot use the folder to spill to.
    pub fn open(catalog: Catalog, folder: &DataFolder, limits: &LakeLimits) -> Result<Self, StorageError> {
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
        Ok(Self { catalog, root: folder.root().to_owned(), session })
    }
}
