//! Organizations: what owns everything else. Deleting one deletes all that names it.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, FromRow, Row};

use super::{Catalog, OwnRetention, row};
use crate::error::StorageError;
use crate::ids::OrganizationUid;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Organization {
    /// Its identifier.
    pub uid: OrganizationUid,
    /// Its name, for people; not unique.
    pub name: String,
    /// Its own rate limit in place of the configured one.
    pub requests_per_second: Option<NonZeroU32>,
    /// Its own retention in place of the configured one.
    #[serde(flatten)]
    pub retention: OwnRetention,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl FromRow<'_, AnyRow> for Organization {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            uid: row::parsed(row, "uid")?,
            name: row.try_get("name")?,
            requests_per_second: row::optional_limit(row, "requests_per_second")?,
            retention: OwnRetention {
                events_days: row::optional_number(row, "events_days")?,
                results_hours: row::optional_number(row, "results_hours")?,
            },
            created_at: row::time(row, "created_at")?,
        })
    }
}

/// Says which organization is missing, where a row was to belong to one that does not exist.
pub(super) fn refused_by_organization(error: sqlx::Error, organization: &OrganizationUid) -> StorageError {
    match error.as_database_error() {
        Some(database) if database.is_foreign_key_violation() => StorageError::NoSuchOrganization(organization.clone()),
        _ => error.into(),
    }
}

/// Keeps everybody else from committing events of the organization, or publishing files of them, until the transaction
/// ends.
pub(crate) async fn lock_organization(
    db: &mut AnyConnection,
    organization: &OrganizationUid,
) -> Result<(), StorageError> {
    let sql = "update organizations set event_commits = event_commits where uid = $1";
    let locked = sqlx::query(sql).bind(organization.as_str()).execute(db).await?;
    if locked.rows_affected() == 1 { Ok(()) } else { Err(StorageError::NoSuchOrganization(organization.clone())) }
}

impl Catalog {
    /// Makes an organization and answers with its new identifier.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn create_organization(&self, name: &str) -> Result<OrganizationUid, StorageError> {
        let uid = OrganizationUid::mint();
        sqlx::query("insert into organizations (uid, name, created_at) values ($1, $2, $3)")
            .bind(uid.as_str())
            .bind(name)
            .bind(self.clock.now_ms())
            .execute(&self.writer)
            .await?;
        Ok(uid)
    }

    /// One organization, if it exists.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn organization(&self, uid: &OrganizationUid) -> Result<Option<Organization>, StorageError> {
        let text = "select * from organizations where uid = $1";
        Ok(sqlx::query_as(text).bind(uid.as_str()).fetch_optional(&self.reader).await?)
    }

    /// All organizations, the oldest first.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn organizations(&self) -> Result<Vec<Organization>, StorageError> {
        let text = "select * from organizations order by created_at, uid";
        Ok(sqlx::query_as(text).fetch_all(&self.reader).await?)
    }

    /// Gives an organization its own rate limit, or none: then the configured one holds. False if it does not exist.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn set_requests_per_second(
        &self,
        uid: &OrganizationUid,
        limit: Option<NonZeroU32>,
    ) -> Result<bool, StorageError> {
        let done = sqlx::query("update organizations set requests_per_second = $2 where uid = $1")
            .bind(uid.as_str())
            .bind(limit.map(|limit| i64::from(limit.get())))
            .execute(&self.writer)
            .await?;
        self.recent.forget();
        Ok(done.rows_affected() > 0)
    }

    /// Deletes an organization with its memberships, keys, stacks, events and jobs. False if it did not exist.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn delete_organization(&self, uid: &OrganizationUid) -> Result<bool, StorageError> {
        let done =
            sqlx::query("delete from organizations where uid = $1").bind(uid.as_str()).execute(&self.writer).await?;
        self.recent.forget();
        Ok(done.rows_affected() > 0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::TimeZone as _;
    use tally_tests::Scratch;

    use super::super::users::tests::user_of;
    use super::super::{CatalogAddress, Role};
    use super::*;
    use crate::clock::Clock;

    /// A catalog in a place of its own, at a time that stands still.
    pub(in crate::catalog) async fn catalog() -> (Catalog, Clock, Scratch) {
        let scratch = Scratch::new();
        let clock = Clock::fixed(Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap());
        let catalog = Catalog::open(&address(&scratch), clock.clone()).await.unwrap();
        (catalog, clock, scratch)
    }

    pub(in crate::catalog) fn address(scratch: &Scratch) -> CatalogAddress {
        scratch.catalog_url().map_or_else(|| CatalogAddress::in_folder(scratch.path()), CatalogAddress::postgres)
    }

    /// An identifier that nobody was given.
    pub(in crate::catalog) fn nobody() -> OrganizationUid {
        "blt0000000000000000".parse().unwrap()
    }

    #[tokio::test]
    async fn a_made_organization_is_found_by_its_uid_and_in_the_list() {
        let (catalog, clock, _folder) = catalog().await;
        let uid = catalog.create_organization("Acme").await.unwrap();
        let acme = catalog.organization(&uid).await.unwrap().unwrap();
        assert_eq!((acme.name.as_str(), acme.requests_per_second, acme.created_at), ("Acme", None, clock.now()));
        assert_eq!(catalog.organizations().await.unwrap(), [acme]);
        assert_eq!(catalog.organization(&nobody()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_organizations_own_limit_is_set_and_taken_back() {
        let (catalog, _clock, _folder) = catalog().await;
        let uid = catalog.create_organization("Acme").await.unwrap();
        for limit in [NonZeroU32::new(u32::MAX), None] {
            assert!(catalog.set_requests_per_second(&uid, limit).await.unwrap());
            assert_eq!(catalog.organization(&uid).await.unwrap().unwrap().requests_per_second, limit);
        }
        assert!(!catalog.set_requests_per_second(&nobody(), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_limit_that_makes_no_sense_is_an_error_and_no_limit() {
        let (catalog, _clock, _folder) = catalog().await;
        let uid = catalog.create_organization("Acme").await.unwrap();
        sqlx::query("update organizations set requests_per_second = 0").execute(&catalog.writer).await.unwrap();
        assert!(catalog.organization(&uid).await.is_err());
    }

    #[tokio::test]
    async fn deleting_an_organization_deletes_what_belongs_to_it_and_nothing_else() {
        let (catalog, _clock, _folder) = catalog().await;
        let gone = catalog.create_organization("Gone").await.unwrap();
        let kept = catalog.create_organization("Kept").await.unwrap();
        let user = user_of(&catalog, &gone, "a@example.com", Role::Owner).await;
        catalog.add_member(&kept, &user, Role::Member).await.unwrap();
        let (gone_key, kept_key) =
            (catalog.create_ingest_key(&gone).await.unwrap(), catalog.create_ingest_key(&kept).await.unwrap());
        let stack = catalog.create_stack(&gone, "Blog").await.unwrap();

        assert!(catalog.delete_organization(&gone).await.unwrap());
        assert!(!catalog.delete_organization(&gone).await.unwrap());

        assert_eq!(catalog.role_in(&user, &gone).await.unwrap(), None);
        assert_eq!(catalog.role_in(&user, &kept).await.unwrap(), Some(Role::Member));
        assert_eq!(catalog.organization_of_ingest_key(&gone_key).await.unwrap(), None);
        assert_eq!(catalog.organization_of_ingest_key(&kept_key).await.unwrap(), Some(kept));
        assert!(!catalog.stack_belongs_to(&stack, &gone).await.unwrap());
    }
}
