//! Ingest keys: what a sender of events shows. A key opens the ingest of one organization and nothing else.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::organizations::refused_by_organization;
use super::{Catalog, row};
use crate::error::StorageError;
use crate::ids::OrganizationUid;
use crate::secret::{self, Digest};

const PREFIX: &str = "tally_key_";

/// Names an ingest key without giving it away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct IngestKeyId(String);

impl IngestKeyId {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for IngestKeyId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for IngestKeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What may be known of an ingest key after it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IngestKey {
    /// Its name.
    pub id: IngestKeyId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

struct StoredKey {
    id: IngestKeyId,
    organization: OrganizationUid,
    digest: String,
}

impl FromRow<'_, AnyRow> for IngestKey {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self { id: IngestKeyId(row.try_get("id")?), created_at: row::time(row, "created_at")? })
    }
}

impl FromRow<'_, AnyRow> for StoredKey {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: IngestKeyId(row.try_get("id")?),
            organization: row::parsed(row, "organization")?,
            digest: row.try_get("digest")?,
        })
    }
}

impl Catalog {
    /// Makes an ingest key, shown this once.
    ///
    /// # Errors
    /// When the organization does not exist.
    pub async fn create_ingest_key(&self, organization: &OrganizationUid) -> Result<String, StorageError> {
        let key = secret::mint(PREFIX);
        let digest = Digest::of(&key);
        sqlx::query(
            "insert into ingest_keys (id, organization, digest_start, digest, created_at) values ($1, $2, $3, $4, $5)",
        )
        .bind(format!("key_{}", Uuid::now_v7()))
        .bind(organization.as_str())
        .bind(digest.start())
        .bind(digest.as_str())
        .bind(self.clock.now_ms())
        .execute(&self.writer)
        .await
        .map_err(|error| refused_by_organization(error, organization))?;
        Ok(key)
    }

    /// The organization that a key sends events to; none if it is not valid.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn organization_of_ingest_key(&self, key: &str) -> Result<Option<OrganizationUid>, StorageError> {
        Ok(self.stored_key(key).await?.map(|stored| stored.organization))
    }

    /// An organization's ingest keys, the oldest first.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn ingest_keys_of(&self, organization: &OrganizationUid) -> Result<Vec<IngestKey>, StorageError> {
        let text = "select id, created_at from ingest_keys where organization = $1 order by created_at, id";
        Ok(sqlx::query_as(text).bind(organization.as_str()).fetch_all(&self.reader).await?)
    }

    /// Ends an ingest key. False if it was not valid.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn revoke_ingest_key(&self, key: &str) -> Result<bool, StorageError> {
        match self.stored_key(key).await? {
            Some(stored) => self.revoke_ingest_key_by_id(&stored.id).await,
            None => Ok(false),
        }
    }

    /// Ends the ingest key of this name. False if there is none.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn revoke_ingest_key_by_id(&self, id: &IngestKeyId) -> Result<bool, StorageError> {
        let done = sqlx::query("delete from ingest_keys where id = $1").bind(id.as_str()).execute(&self.writer).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn stored_key(&self, key: &str) -> Result<Option<StoredKey>, StorageError> {
        let digest = Digest::of(key);
        let found: Vec<StoredKey> =
            sqlx::query_as("select id, organization, digest from ingest_keys where digest_start = $1")
                .bind(digest.start())
                .fetch_all(&self.reader)
                .await?;
        Ok(found.into_iter().find(|stored| digest.matches(&stored.digest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::organizations::tests::{catalog, nobody};

    #[tokio::test]
    async fn a_key_names_its_organization_until_it_is_revoked() {
        let (catalog, clock, _folder) = catalog().await;
        let first = catalog.create_organization("First").await.unwrap();
        let second = catalog.create_organization("Second").await.unwrap();
        let key = catalog.create_ingest_key(&first).await.unwrap();
        let other = catalog.create_ingest_key(&second).await.unwrap();
        assert!(key.starts_with("tally_key_"));
        assert_eq!(catalog.organization_of_ingest_key(&key).await.unwrap(), Some(first.clone()));
        let listed = catalog.ingest_keys_of(&first).await.unwrap();
        assert_eq!(listed.iter().map(|key| key.created_at).collect::<Vec<_>>(), [clock.now()]);

        assert!(catalog.revoke_ingest_key(&key).await.unwrap());
        assert!(!catalog.revoke_ingest_key(&key).await.unwrap());
        assert!(!catalog.revoke_ingest_key_by_id(&listed[0].id).await.unwrap());
        assert_eq!(catalog.organization_of_ingest_key(&key).await.unwrap(), None);
        assert_eq!(catalog.organization_of_ingest_key(&other).await.unwrap(), Some(second));
    }

    #[tokio::test]
    async fn a_key_is_revoked_by_its_id() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        let revoked = catalog.create_ingest_key(&organization).await.unwrap();
        let kept = catalog.create_ingest_key(&organization).await.unwrap();
        let listed = catalog.ingest_keys_of(&organization).await.unwrap();
        assert!(catalog.revoke_ingest_key_by_id(&listed[0].id).await.unwrap());
        assert_eq!(catalog.organization_of_ingest_key(&revoked).await.unwrap(), None);
        assert_eq!(catalog.organization_of_ingest_key(&kept).await.unwrap(), Some(organization));
    }

    #[tokio::test]
    async fn what_is_no_key_names_no_organization() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        let key = catalog.create_ingest_key(&organization).await.unwrap();
        let digest = Digest::of(&key);
        for wrong in ["", "tally_key_", &key[..key.len() - 1], digest.as_str(), organization.as_str()] {
            assert_eq!(catalog.organization_of_ingest_key(wrong).await.unwrap(), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_key_needs_an_organization() {
        let (catalog, _clock, _folder) = catalog().await;
        let error = catalog.create_ingest_key(&nobody()).await.unwrap_err();
        assert!(matches!(error, StorageError::NoSuchOrganization(uid) if uid == nobody()));
    }
}
