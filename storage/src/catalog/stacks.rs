//! Stacks: the parts of an organization by which its events may be told apart. An event names its stack by API key.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

use super::organizations::refused_by_organization;
use super::{Catalog, row};
use crate::error::StorageError;
use crate::ids::{OrganizationUid, mint_stack_api_key};

/// A stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stack {
    /// What events and requests name it by; no secret.
    pub api_key: String,
    /// Its name, for people; not unique.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl FromRow<'_, AnyRow> for Stack {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            api_key: row.try_get("api_key")?,
            name: row.try_get("name")?,
            created_at: row::time(row, "created_at")?,
        })
    }
}

impl Catalog {
    /// Makes a stack and answers with its new API key.
    ///
    /// # Errors
    /// When the organization does not exist.
    pub async fn create_stack(&self, organization: &OrganizationUid, name: &str) -> Result<String, StorageError> {
        let api_key = mint_stack_api_key();
        sqlx::query("insert into stacks (api_key, organization, name, created_at) values ($1, $2, $3, $4)")
            .bind(&api_key)
            .bind(organization.as_str())
            .bind(name)
            .bind(self.clock.now_ms())
            .execute(&self.writer)
            .await
            .map_err(|error| refused_by_organization(error, organization))?;
        Ok(api_key)
    }

    /// An organization's stacks, the oldest first.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn stacks_of(&self, organization: &OrganizationUid) -> Result<Vec<Stack>, StorageError> {
        let text = "select api_key, name, created_at from stacks where organization = $1 order by created_at, api_key";
        Ok(sqlx::query_as(text).bind(organization.as_str()).fetch_all(&self.reader).await?)
    }

    /// The API keys of an organization's stacks.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn stack_api_keys(&self, organization: &OrganizationUid) -> Result<HashSet<String>, StorageError> {
        let text = "select api_key from stacks where organization = $1";
        let keys: Vec<String> = sqlx::query_scalar(text).bind(organization.as_str()).fetch_all(&self.reader).await?;
        Ok(keys.into_iter().collect())
    }

    /// Whether the API key is of a stack of the organization.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn stack_belongs_to(&self, api_key: &str, organization: &OrganizationUid) -> Result<bool, StorageError> {
        let text = "select count(*) from stacks where api_key = $1 and organization = $2";
        let count: i64 =
            sqlx::query_scalar(text).bind(api_key).bind(organization.as_str()).fetch_one(&self.reader).await?;
        Ok(count > 0)
    }

    /// Deletes a stack of the organization; its events stay counted in the organization's reports. False if it did not
    /// exist.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn delete_stack(&self, organization: &OrganizationUid, api_key: &str) -> Result<bool, StorageError> {
        let done = sqlx::query("delete from stacks where api_key = $1 and organization = $2")
            .bind(api_key)
            .bind(organization.as_str())
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::organizations::tests::{catalog, nobody};

    #[tokio::test]
    async fn a_stack_belongs_to_its_organization_alone() {
        let (catalog, _clock, _folder) = catalog().await;
        let acme = catalog.create_organization("Acme").await.unwrap();
        let other = catalog.create_organization("Other").await.unwrap();
        let blog = catalog.create_stack(&acme, "Blog").await.unwrap();
        let shop = catalog.create_stack(&other, "Shop").await.unwrap();
        assert!(catalog.stack_belongs_to(&blog, &acme).await.unwrap());
        assert!(!catalog.stack_belongs_to(&blog, &other).await.unwrap());
        assert_eq!(catalog.stack_api_keys(&acme).await.unwrap(), HashSet::from([blog.clone()]));
        assert_eq!(catalog.stacks_of(&other).await.unwrap()[0].api_key, shop);
        assert!(blog.parse::<OrganizationUid>().is_ok(), "`{blog}` has the same shape");
    }

    #[tokio::test]
    async fn a_stack_is_deleted_only_through_its_own_organization() {
        let (catalog, _clock, _folder) = catalog().await;
        let acme = catalog.create_organization("Acme").await.unwrap();
        let other = catalog.create_organization("Other").await.unwrap();
        let blog = catalog.create_stack(&acme, "Blog").await.unwrap();
        assert!(!catalog.delete_stack(&other, &blog).await.unwrap());
        assert!(catalog.delete_stack(&acme, &blog).await.unwrap());
        assert!(!catalog.delete_stack(&acme, &blog).await.unwrap());
        assert_eq!(catalog.stacks_of(&acme).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_stack_needs_an_organization() {
        let (catalog, _clock, _folder) = catalog().await;
        let error = catalog.create_stack(&nobody(), "Blog").await.unwrap_err();
        assert!(matches!(error, StorageError::NoSuchOrganization(uid) if uid == nobody()));
    }
}
