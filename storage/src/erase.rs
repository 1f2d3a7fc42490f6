//! Erasure: events that must not be there any more, with all that was made of them.
//!
//! What was acknowledged before the call is erased: from the log, which becomes segments first, from segments, and from
//! their summaries. The organization's results are taken back, all of them, and its unfinished jobs begin again. Then every
//! file of the organization that the catalog does not name is deleted, and the catalog itself is written anew.
//!
//! Each step is done or not; a call that was cut off is simply made again. What other processes are about to publish is
//! refused to them, since the segments that they read are gone, and they delete what they have written.

use serde::Serialize;

use crate::blocking;
use crate::catalog::{last_commit, lock_organization, names_of_organization, withdraw_results};
use crate::error::StorageError;
use crate::ids::OrganizationUid;
use crate::lake::{ErasedEvents, Reason, Selection};
use crate::store::Store;

/// What was erased: the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Which events were meant.
    #[serde(flatten)]
    pub selection: Selection,
    /// Those that there were.
    #[serde(flatten)]
    pub erased: ErasedEvents,
    /// What went with them.
    #[serde(flatten)]
    pub traces: ErasedTraces,
}

/// What went with erased events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ErasedTraces {
    /// Results that were taken back.
    pub results: u64,
    /// Unfinished jobs that begin again.
    pub jobs_begun_again: u64,
    /// Receipts of batches that quoted rejected lines, and do so no more.
    pub receipts: u64,
    /// Files that were deleted.
    pub deleted_files: u64,
}

impl Store {
    /// Erases the selected events and all that was made of them. `progress` hears of each day.
    ///
    /// # Errors
    /// [`StorageError::NoSuchOrganization`], or when catalog or files cannot be read or written. What was erased before
    /// stays erased.
    pub async fn erase(
        &self,
        selection: Selection,
        progress: impl FnMut(&ErasedEvents),
    ) -> Result<Erased, StorageError> {
        let organization = &selection.organization;
        self.empty_log(organization).await?;
        let erased = self.lake.erase(&selection, progress).await?;
        self.lake.gather(organization, Reason::Gone, |_| false).await?;
        let traces = self.delete_traces(organization).await?;
        self.catalog.scrub().await?;
        tracing::info!(%organization, events = erased.events, "events were erased");
        Ok(Erased { selection, erased, traces })
    }

    /// Makes segments of all log rows that there are.
    async fn empty_log(&self, organization: &OrganizationUid) -> Result<(), StorageError> {
        let last = last_commit(&mut *self.catalog.begin_read().await?, organization).await?;
        while self.catalog.has_log_rows_until(organization, last).await? {
            self.events.flush(organization).await?;
        }
        Ok(())
    }

    /// Takes results back and deletes every file of the organization that is of no use any more.
    async fn delete_traces(&self, organization: &OrganizationUid) -> Result<ErasedTraces, StorageError> {
        let mut transaction = self.catalog.begin_write().await?;
        // A job that came now would have its result in the folder before a row names it, and lose it.
        self.catalog.hold_back_jobs(&mut transaction, organization).await?;
        lock_organization(&mut transaction, organization).await?;
        let withdrawn = withdraw_results(&mut transaction, organization).await?;
        let mut named = names_of_organization(&mut transaction, organization).await?;
        // Theirs go when it is certain that no job names them.
        named.extend(withdrawn.results.iter().cloned());
        let (folder, owner) = (self.folder.clone(), organization.clone());
        let unnamed = blocking(move || {
            folder.sweep_staging()?;
            let mut unnamed = folder.files_of(&owner)?;
            unnamed.retain(|name| !named.contains(name));
            folder.remove_all(&unnamed)?;
            Ok(unnamed)
        })
        .await?;
        transaction.commit().await?;
        self.catalog.forget_recent();
        let traces = ErasedTraces {
            results: withdrawn.results.len() as u64,
            jobs_begun_again: withdrawn.jobs,
            receipts: withdrawn.receipts,
            deleted_files: (unnamed.len() + withdrawn.results.len()) as u64,
        };
        let folder = self.folder.clone();
        blocking(move || folder.remove_all(&withdrawn.results)).await?;
        self.catalog.forget_retired(&unnamed).await?;
        Ok(traces)
    }
}

#[cfg(test)]
#[path = "erase_tests.rs"]
mod tests;
