//! Summaries whose file cannot be read: they are forgotten, so that they are made anew of the events.

use std::io;

use super::Lake;
use super::summary_reader::{self, is_damage};
use crate::blocking;
use crate::catalog::{
    SummaryFileUse, forget_summaries, lock_organization, retire_unused_summaries, segments_summarized_in,
};
use crate::error::StorageError;
use crate::ids::OrganizationUid;

impl Lake {
    /// Forgets the summaries of that organization, or of all, whose file is damaged or gone.
    pub(super) async fn forget_unreadable(&self, organization: Option<&OrganizationUid>) -> Result<(), StorageError> {
        let days = self.catalog.segment_days(organization).await?;
        let mut organizations: Vec<OrganizationUid> = days.into_iter().map(|day| day.organization).collect();
        organizations.dedup();
        for organization in organizations {
            for file in self.catalog.summary_files(&organization).await? {
                if let Err(error) = self.read_all(&file).await {
                    if !is_damage(&error) && !is_missing(&error) {
                        return Err(error);
                    }
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        file = file.path,
                        "summaries that cannot be read are made anew"
                    );
                    self.forget(&organization, &file).await?;
                }
            }
        }
        Ok(())
    }

    async fn read_all(&self, file: &SummaryFileUse) -> Result<(), StorageError> {
        let segments = segments_summarized_in(&mut *self.catalog.begin_read().await?, &file.path).await?;
        let (folder, path) = (self.folder.clone(), file.path.clone());
        blocking(move || {
            let places: Vec<usize> = segments.iter().map(|segment| segment.place).collect();
            summary_reader::read(&folder, &path, &places).map(drop)
        })
        .await
    }

    async fn forget(&self, organization: &OrganizationUid, file: &SummaryFileUse) -> Result<(), StorageError> {
        let mut transaction = self.catalog.begin_write().await?;
        lock_organization(&mut transaction, organization).await?;
        forget_summaries(&mut transaction, &file.path).await?;
        retire_unused_summaries(&mut transaction, organization, self.clock.now_ms()).await?;
        Ok(transaction.commit().await?)
    }
}

fn is_missing(error: &StorageError) -> bool {
    matches!(error, StorageError::File { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
