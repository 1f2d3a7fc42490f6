//! Retention: how long events and results are kept, and what goes when that is over.

use serde::Serialize;
use sqlx::Row;

use super::compaction::retire;
use super::organizations::lock_organization;
use super::{Catalog, retire_unused_summaries, row};
use crate::error::StorageError;
use crate::ids::OrganizationUid;

const DAY_MS: i64 = 86_400_000;

/// Days that nothing is older than: what is kept for ever is kept that long.
const FOREVER_DAYS: i64 = 1_000_000_000;

/// How long an organization's events and results are kept, where it says nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Whole UTC days before the present one whose events are kept; 0 keeps them for ever.
    pub events_days: u32,
    /// Hours from the end of a job to the deletion of its result, at least 1.
    pub results_hours: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { events_days: 0, results_hours: 7 * 24 }
    }
}

/// An organization's own retention; `None` is the configured one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OwnRetention {
    /// As [`Retention::events_days`].
    pub events_days: Option<u32>,
    /// As [`Retention::results_hours`].
    pub results_hours: Option<u32>,
}

impl Catalog {
    /// Gives an organization its own retention. False if it does not exist.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn set_retention(&self, uid: &OrganizationUid, own: OwnRetention) -> Result<bool, StorageError> {
        let done = sqlx::query("update organizations set events_days = $2, results_hours = $3 where uid = $1")
            .bind(uid.as_str())
            .bind(own.events_days.map(i64::from))
            .bind(own.results_hours.map(i64::from))
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Deletes events whose time is over; says whose. Their files are retired.
    pub(crate) async fn delete_old_events(&self, retention: Retention) -> Result<Vec<OrganizationUid>, StorageError> {
        let now = self.clock.now_ms();
        let sql = format!(
            "select uid, cut from (
                 select uid, $1 - coalesce(nullif(coalesce(events_days, $2), 0), {FOREVER_DAYS}) as cut
                 from organizations) as cuts
             where exists (select 1 from segments where organization = uid and day < cut)
                or exists (select 1 from event_log where organization = uid and last_day < cut)"
        );
        let old = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now.div_euclid(DAY_MS));
        let mut organizations = Vec::new();
        for due in old.bind(i64::from(retention.events_days)).fetch_all(&self.reader).await? {
            let organization = row::parsed(&due, "uid")?;
            self.delete_events_before(&organization, due.try_get("cut")?, now).await?;
            organizations.push(organization);
        }
        Ok(organizations)
    }

    /// Log rows with events of that day or a later one stay until they are segments.
    async fn delete_events_before(
        &self,
        organization: &OrganizationUid,
        day: i64,
        now: i64,
    ) -> Result<(), StorageError> {
        let mut transaction = self.begin_write().await?;
        lock_organization(&mut transaction, organization).await?;
        let segments = "delete from segments where organization = $1 and day < $2 returning event_count, path";
        let log_rows = "delete from event_log where organization = $1 and last_day < $2
                        returning event_count, cast(null as text) as path";
        let mut deleted = 0;
        for sql in [segments, log_rows] {
            let gone = sqlx::query(sql).bind(organization.as_str()).bind(day).fetch_all(&mut *transaction).await?;
            for row in gone {
                deleted += row::count(&row, "event_count")?;
                if let Some(path) = row.try_get::<Option<String>, _>("path")? {
                    retire(&mut transaction, &path, now).await?;
                }
            }
        }
        retire_unused_summaries(&mut transaction, organization, now).await?;
        transaction.commit().await?;
        tracing::info!(%organization, deleted, "events whose time is over");
        Ok(())
    }

    /// Marks finished jobs whose result has been kept long enough, and gives the files that no row names any more.
    pub(crate) async fn expire_jobs(&self, retention: Retention) -> Result<Vec<String>, StorageError> {
        let sql = "select jobs.id, result_path from jobs join organizations on uid = organization
                   where state = 'finished' and finished_at <= $1 - coalesce(results_hours, $2) * 3600000";
        let mut transaction = self.begin_write().await?;
        let expired = sqlx::query(sql).bind(self.clock.now_ms()).bind(i64::from(retention.results_hours));
        let expired = expired.fetch_all(&mut *transaction).await?;
        for job in &expired {
            let id: &str = job.try_get("id")?;
            sqlx::query("update jobs set state = 'expired', result_path = null where id = $1")
                .bind(id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        if !expired.is_empty() {
            self.recent.forget();
        }
        Ok(expired.iter().map(|job| job.try_get("result_path")).collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::TimeDelta;

    use super::super::NewJob;
    use super::super::organizations::tests::{catalog, nobody};
    use super::*;
    use crate::ids::JobId;

    pub(in crate::catalog) async fn finished_job(catalog: &Catalog, organization: &OrganizationUid) -> JobId {
        let job = NewJob {
            id: JobId::mint(),
            organization: organization.clone(),
            report: "usage".to_owned(),
            parameters: "{}".to_owned(),
        };
        catalog.insert_job(&job).await.unwrap();
        catalog.claim_job("worker", 1000).await.unwrap().unwrap();
        let result = super::super::JobResult {
            uid: job.id.to_string(),
            path: format!("results/{}", job.id),
            row_count: 1,
            page_count: 1,
            total: 1,
            document_count: 1,
            marker: None,
            size_bytes: 1,
        };
        assert!(catalog.finish_job(&job.id, "worker", &result).await.unwrap());
        job.id
    }

    #[tokio::test]
    async fn a_finished_job_is_known_for_a_moment_to_its_organization_and_not_after_its_time() {
        let (catalog, clock, _folder) = catalog().await;
        let organization = catalog.create_organization("a").await.unwrap();
        let id = finished_job(&catalog, &organization).await;
        assert_eq!(catalog.recently_finished(&organization, &id), None);
        let job = catalog.job(&organization, &id).await.unwrap().unwrap();
        assert_eq!(catalog.recently_finished(&organization, &id).as_deref(), Some(&job));
        assert_eq!(catalog.recently_finished(&nobody(), &id), None);
        clock.set(clock.now() + TimeDelta::hours(1));
        let retention = Retention { results_hours: 1, ..Retention::default() };
        assert_eq!(catalog.expire_jobs(retention).await.unwrap().len(), 1);
        assert_eq!(catalog.recently_finished(&organization, &id), None);
    }

    #[tokio::test]
    async fn results_are_kept_as_long_as_their_organization_says_now() {
        let (catalog, clock, _folder) = catalog().await;
        let (plain, brief) =
            (catalog.create_organization("a").await.unwrap(), catalog.create_organization("b").await.unwrap());
        let (plain_job, brief_job) = (finished_job(&catalog, &plain).await, finished_job(&catalog, &brief).await);
        let retention = Retention { results_hours: 3, ..Retention::default() };
        clock.set(clock.now() + TimeDelta::hours(2));
        assert!(catalog.expire_jobs(retention).await.unwrap().is_empty());
        let own = OwnRetention { results_hours: Some(2), ..OwnRetention::default() };
        assert!(catalog.set_retention(&brief, own).await.unwrap());
        assert_eq!(catalog.expire_jobs(retention).await.unwrap(), [format!("results/{brief_job}")]);
        assert!(catalog.expire_jobs(retention).await.unwrap().is_empty());
        clock.set(clock.now() + TimeDelta::hours(1));
        assert_eq!(catalog.expire_jobs(retention).await.unwrap(), [format!("results/{plain_job}")]);
        assert!(!catalog.set_retention(&nobody(), own).await.unwrap());
    }
}
