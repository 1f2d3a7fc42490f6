//! Everything that a process keeps or reads, opened together.

use std::time::Duration;

use crate::blocking;
use crate::catalog::{Catalog, CatalogAddress, Retention};
use crate::clock::Clock;
use crate::error::StorageError;
use crate::events::Events;
use crate::folder::DataFolder;
use crate::lake::{Lake, LakeLimits, Reason};

/// A file without a name in the catalog is rubbish once it is older than any commit takes.
const RUBBISH_AFTER: Duration = Duration::from_hours(1);

/// A file that the compactor replaced may still be read by a report that began before; longer than this none should run,
/// and one that does is tried again.
const RETIRED_FOR: Duration = Duration::from_mins(15);

/// What is said about storage in the configuration.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The data folder, made if it is not there.
    pub data_dir: std::path::PathBuf,
    /// Where the catalog is.
    pub catalog: CatalogAddress,
    /// Bytes of log rows that may wait to be flushed.
    pub max_backlog_bytes: u64,
    /// How queries may use the machine.
    pub lake: LakeLimits,
    /// How long events and results are kept where their organization says nothing else.
    pub retention: Retention,
}

/// Catalog, events, lake and files of one process. Clones share them.
#[derive(Debug, Clone)]
pub struct Store {
    /// SQL rows.
    pub catalog: Catalog,
    /// Events in.
    pub events: Events,
    /// Questions asked of the events.
    pub lake: Lake,
    /// Files.
    pub folder: DataFolder,
    /// The time of day.
    pub clock: Clock,
    retention: Retention,
}

impl Store {
    /// Opens the store on the current Tokio runtime.
    ///
    /// # Errors
    /// When the folder or the catalog cannot be opened.
    pub async fn open(options: &StoreOptions, clock: Clock) -> Result<Self, StorageError> {
        let folder = DataFolder::open(&options.data_dir)?;
        let catalog = Catalog::open(&options.catalog, clock.clone()).await?;
        let events = Events::open(catalog.clone(), folder.clone(), clock.clone(), options.max_backlog_bytes).await?;
        let lake = Lake::open(catalog.clone(), &folder, clock.clone(), &options.lake)?;
        Ok(Self { catalog, events, lake, folder, clock, retention: options.retention })
    }

    /// Deletes what has been kept long enough, events, results and idempotency keys, and what nothing names any more: files
    /// that others took the place of, files of crashed commits, staging of dead processes. Says how many files went.
    ///
    /// # Errors
    /// When catalog or folder cannot be read. What was deleted before stays deleted; the next sweep goes on.
    pub async fn sweep(&self) -> Result<usize, StorageError> {
        self.catalog.forget_old_receipts().await?;
        let expired = self.catalog.expire_jobs(self.retention).await?;
        for organization in self.catalog.delete_old_events(self.retention).await? {
            self.lake.gather(&organization, Reason::Gone, |_| false).await?;
        }
        let retired = self.delete_retired().await?;
        let folder = self.folder.clone();
        // The files are listed before the names: one that is named in between is not in the list.
        let old = blocking(move || {
            folder.sweep_staging()?;
            folder.published_before(RUBBISH_AFTER)
        })
        .await?;
        let named = self.catalog.named_files().await?;
        let rubbish: Vec<String> = old.into_iter().filter(|name| !named.contains(name)).chain(expired).collect();
        let folder = self.folder.clone();
        blocking(move || {
            folder.remove_all(&rubbish)?;
            Ok(retired + rubbish.len())
        })
        .await
    }

    async fn delete_retired(&self) -> Result<usize, StorageError> {
        let retired_for_ms = i64::try_from(RETIRED_FOR.as_millis()).unwrap_or(i64::MAX);
        let retired = self.catalog.files_retired_before(self.clock.now_ms().saturating_sub(retired_for_ms)).await?;
        let folder = self.folder.clone();
        let retired = blocking(move || {
            folder.remove_all(&retired)?;
            Ok(retired)
        })
        .await?;
        self.catalog.forget_retired(&retired).await?;
        Ok(retired.len())
    }

    /// Whether a file can be written where events and results are.
    pub async fn folder_is_writable(&self) -> bool {
        let folder = self.folder.clone();
        blocking(move || folder.probe()).await.is_ok()
    }

    /// Waits for the commits under way and closes the catalog.
    pub async fn close(self) {
        self.events.close().await;
        self.catalog.close().await;
    }
}
