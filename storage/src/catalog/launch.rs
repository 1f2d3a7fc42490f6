//! The Launch inventory: projects, environments and domains, which Subscription Usage counts.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::Row;

use super::Catalog;
use crate::error::StorageError;
use crate::ids::OrganizationUid;
use crate::lake::aggregate::day_number;

const DAY_MS: i64 = 86_400_000;

/// What kind of thing Launch hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LaunchKind {
    /// A project.
    Project,
    /// An environment of a project.
    Environment,
    /// A domain.
    Domain,
}

impl LaunchKind {
    /// The name in the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Environment => "environment",
            Self::Domain => "domain",
        }
    }
}

/// A project, environment or domain as it is put into the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchResource {
    /// What it is.
    pub kind: LaunchKind,
    /// Its id, unique in its organization and kind.
    pub uid: String,
    /// What people call it.
    pub name: Option<String>,
    /// The project that it belongs to.
    pub project_uid: Option<String>,
    /// Since when it exists; `None` leaves a known one's time as it is and is *now* for a new one.
    pub created_at: Option<DateTime<Utc>>,
    /// Since when it no longer exists.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// How many there are at the end of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaunchTotals {
    /// Projects.
    pub projects: u64,
    /// Environments.
    pub environments: u64,
    /// Domains.
    pub domains: u64,
}

impl Catalog {
    /// Adds or changes what the inventory says of one resource. True where it is new.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn put_launch_resource(
        &self,
        organization: &OrganizationUid,
        resource: &LaunchResource,
    ) -> Result<bool, StorageError> {
        let mut transaction = self.begin_write().await?;
        let known: i64 = sqlx::query_scalar(
            "select count(*) from launch_resources where organization = $1 and kind = $2 and uid = $3",
        )
        .bind(organization.as_str())
        .bind(resource.kind.as_str())
        .bind(&resource.uid)
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::query(
            "insert into launch_resources (organization, kind, uid, name, project_uid, created_at, deleted_at)
             values ($1, $2, $3, $4, $5, coalesce($6, $8), $7)
             on conflict (organization, kind, uid) do update set name = excluded.name,
             project_uid = excluded.project_uid, created_at = coalesce($6, launch_resources.created_at),
             deleted_at = excluded.deleted_at",
        )
        .bind(organization.as_str())
        .bind(resource.kind.as_str())
        .bind(&resource.uid)
        .bind(&resource.name)
        .bind(&resource.project_uid)
        .bind(resource.created_at.map(|time| time.timestamp_millis()))
        .bind(resource.deleted_at.map(|time| time.timestamp_millis()))
        .bind(self.clock.now_ms())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(known == 0)
    }

    /// Says that a resource does not exist any more, from now on. False where the inventory does not know it.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn delete_launch_resource(
        &self,
        organization: &OrganizationUid,
        kind: LaunchKind,
        uid: &str,
    ) -> Result<bool, StorageError> {
        let query = sqlx::query(
            "update launch_resources set deleted_at = coalesce(deleted_at, $4)
             where organization = $1 and kind = $2 and uid = $3",
        )
        .bind(organization.as_str())
        .bind(kind.as_str())
        .bind(uid)
        .bind(self.clock.now_ms());
        Ok(query.execute(&self.writer).await?.rows_affected() == 1)
    }

    /// What exists at the end of that UTC day.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn launch_totals(
        &self,
        organization: &OrganizationUid,
        day: NaiveDate,
    ) -> Result<LaunchTotals, StorageError> {
        let end = (day_number(day) + 1) * DAY_MS;
        let rows = sqlx::query(
            "select kind, count(*) as resources from launch_resources
             where organization = $1 and created_at < $2 and (deleted_at is null or deleted_at >= $2) group by kind",
        )
        .bind(organization.as_str())
        .bind(end)
        .fetch_all(&self.reader)
        .await?;
        let mut totals = LaunchTotals::default();
        for row in &rows {
            let count = u64::try_from(row.try_get::<i64, _>("resources")?).unwrap_or(0);
            match row.try_get::<&str, _>("kind")? {
                "project" => totals.projects = count,
                "environment" => totals.environments = count,
                "domain" => totals.domains = count,
                other => return Err(StorageError::Corrupt(format!("Launch resource of kind `{other}`"))),
            }
        }
        Ok(totals)
    }
}
