//! Erasure: what was derived from events is taken back, and nothing of it stays in the database's own files.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::{AnyConnection, Row};

use super::Catalog;
use crate::error::StorageError;
use crate::events::receipt::Receipt;
use crate::ids::OrganizationUid;

/// How long readers may keep the write-ahead log from being emptied.
const READERS_END_WITHIN: Duration = Duration::from_secs(30);

/// What was taken back.
#[derive(Debug)]
pub(crate) struct Withdrawn {
    /// The files of results that no job names any more.
    pub(crate) results: Vec<String>,
    /// Jobs that begin again.
    pub(crate) jobs: u64,
    /// Receipts that quoted rejected lines.
    pub(crate) receipts: u64,
}

/// Takes back an organization's results and the quotes in its receipts, and begins its unfinished jobs again: what they
/// have read so far may be erased by now.
pub(crate) async fn withdraw_results(
    db: &mut AnyConnection,
    organization: &OrganizationUid,
) -> Result<Withdrawn, StorageError> {
    // Queued ones too: whoever is about to take one waits until this is over.
    let sql = "update jobs set state = 'queued', worker = null, lease_until = null, progress = 0
               where organization = $1 and state in ('queued', 'running')";
    let jobs = sqlx::query(sql).bind(organization.as_str()).execute(&mut *db).await?.rows_affected();
    let sql = "select result_path from jobs where organization = $1 and result_path is not null";
    let results = sqlx::query_scalar(sql).bind(organization.as_str()).fetch_all(&mut *db).await?;
    let sql = "update jobs set state = 'expired', result_path = null where organization = $1 and state = 'finished'";
    sqlx::query(sql).bind(organization.as_str()).execute(&mut *db).await?;
    let receipts = forget_quotes(db, organization).await?;
    Ok(Withdrawn { results, jobs, receipts })
}

/// A receipt names the first rejected lines and quotes what is wrong in them.
async fn forget_quotes(db: &mut AnyConnection, organization: &OrganizationUid) -> Result<u64, StorageError> {
    let sql = "select key, receipt from idempotency_keys where organization = $1";
    let rows = sqlx::query(sql).bind(organization.as_str()).fetch_all(&mut *db).await?;
    let mut forgotten = 0;
    for row in rows {
        let mut receipt: Receipt = serde_json::from_str(row.try_get("receipt")?)?;
        if receipt.errors.is_empty() {
            continue;
        }
        receipt.errors.clear();
        sqlx::query("update idempotency_keys set receipt = $3 where organization = $1 and key = $2")
            .bind(organization.as_str())
            .bind(row.try_get::<&str, _>("key")?)
            .bind(serde_json::to_string(&receipt)?)
            .execute(&mut *db)
            .await?;
        forgotten += 1;
    }
    Ok(forgotten)
}

/// The names of all files of an organization that are still of use.
pub(crate) async fn names_of_organization(
    db: &mut AnyConnection,
    organization: &OrganizationUid,
) -> Result<HashSet<String>, StorageError> {
    let sql = "select path from segments where organization = $1
               union all select path from summary_files where organization = $1
               union all select result_path from jobs where organization = $1 and result_path is not null";
    Ok(sqlx::query_scalar(sql).bind(organization.as_str()).fetch_all(db).await?.into_iter().collect())
}

impl Catalog {
    /// Keeps jobs of the organization from being inserted until the transaction ends.
    pub(crate) async fn hold_back_jobs(
        &self,
        db: &mut AnyConnection,
        organization: &OrganizationUid,
    ) -> Result<(), StorageError> {
        // `SQLite` has one writer at a time. In `PostgreSQL` a job that names its organization waits for this lock, and would
        // not for that of an update.
        if !self.is_sqlite() {
            let sql = "select uid from organizations where uid = $1 for update";
            sqlx::query(sql).bind(organization.as_str()).execute(db).await?;
        }
        Ok(())
    }

    /// Writes the database anew, so that no deleted byte is left in its free space. `SQLite`'s write-ahead log is emptied
    /// too; that of a `PostgreSQL` server, and its copies elsewhere, are the server's.
    pub(crate) async fn scrub(&self) -> Result<(), StorageError> {
        if !self.is_sqlite() {
            for table in ["event_log", "idempotency_keys"] {
                let sql = format!("vacuum (full) {table}");
                sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&self.writer).await?;
            }
            return Ok(());
        }
        sqlx::query("vacuum").execute(&self.writer).await?;
        let emptied = async {
            // Waits for the readers of its own accord, for as long as any statement waits.
            loop {
                let row = sqlx::query("pragma wal_checkpoint(truncate)").fetch_one(&self.writer).await?;
                if row.try_get::<i64, _>("busy")? == 0 {
                    return Ok(());
                }
                tokio::task::yield_now().await;
            }
        };
        let late = || StorageError::Background("the catalog is being read all the time; try again".to_owned());
        tokio::time::timeout(READERS_END_WITHIN, emptied).await.map_err(|_| late())?
    }
}

#[cfg(test)]
mod tests {
    use super::super::job_writer::tests::job_of;
    use super::super::organizations::tests::catalog;
    use super::*;

    /// Until somebody waits for a lock in this test's `PostgreSQL`.
    async fn somebody_waits(catalog: &Catalog) {
        let sql = "select count(*) from pg_locks, pg_stat_activity
                   where not granted and pg_locks.pid = pg_stat_activity.pid
                   and application_name = current_setting('application_name')";
        while !catalog.is_sqlite() && sqlx::query_scalar::<_, i64>(sql).fetch_one(&catalog.reader).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_job_that_comes_during_an_erasure_waits_for_its_end() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        let job = job_of(&organization);
        let mut transaction = catalog.begin_write().await.unwrap();
        catalog.hold_back_jobs(&mut transaction, &organization).await.unwrap();
        let mut insert = Box::pin(catalog.insert_job(&job));
        tokio::select! {
            biased;
            inserted = &mut insert => panic!("it did not wait: {inserted:?}"),
            () = somebody_waits(&catalog) => {}
        }
        transaction.commit().await.unwrap();
        insert.await.unwrap();
    }
}
