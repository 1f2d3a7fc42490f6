//! Leases on tasks that one process alone does at a time, however many could.

use super::Catalog;
use crate::error::StorageError;

impl Catalog {
    /// Takes the task, or renews the lease of who has it. False where another one has it.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn take_task(&self, task: &str, holder: &str, lease_ms: i64) -> Result<bool, StorageError> {
        let now = self.clock.now_ms();
        let query = sqlx::query(
            "insert into task_leases (task, holder, lease_until) values ($1, $2, $3)
             on conflict (task) do update set holder = excluded.holder, lease_until = excluded.lease_until
             where task_leases.holder = excluded.holder or task_leases.lease_until < $4",
        )
        .bind(task)
        .bind(holder)
        .bind(now.saturating_add(lease_ms))
        .bind(now);
        Ok(query.execute(&self.writer).await?.rows_affected() == 1)
    }

    /// Lets another one take the holder's tasks at once.
    ///
    /// # Errors
    /// When the catalog does not answer; the leases run out then.
    pub async fn leave_tasks(&self, holder: &str) -> Result<(), StorageError> {
        sqlx::query("delete from task_leases where holder = $1").bind(holder).execute(&self.writer).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use futures::future::join_all;

    use crate::catalog::organizations::tests::catalog;

    #[tokio::test]
    async fn a_task_is_taken_by_one_until_its_lease_runs_out_or_it_is_left() {
        let (catalog, clock, _scratch) = catalog().await;
        assert!(catalog.take_task("sweep", "first", 1000).await.unwrap());
        assert!(!catalog.take_task("sweep", "second", 1000).await.unwrap());
        assert!(catalog.take_task("flush", "second", 1000).await.unwrap());
        clock.set(clock.now() + TimeDelta::milliseconds(900));
        assert!(catalog.take_task("sweep", "first", 1000).await.unwrap(), "it is renewed");
        clock.set(clock.now() + TimeDelta::milliseconds(900));
        assert!(!catalog.take_task("sweep", "second", 1000).await.unwrap());
        clock.set(clock.now() + TimeDelta::milliseconds(101));
        assert!(catalog.take_task("sweep", "second", 1000).await.unwrap());
        catalog.leave_tasks("second").await.unwrap();
        assert!(catalog.take_task("sweep", "first", 1000).await.unwrap());
    }

    #[tokio::test]
    async fn of_many_that_want_a_task_at_once_one_has_it() {
        let (catalog, _clock, _scratch) = catalog().await;
        let names: Vec<String> = (0..20).map(|number| format!("process {number}")).collect();
        let taken = join_all(names.iter().map(|name| catalog.take_task("sweep", name, 1000))).await;
        assert_eq!(taken.into_iter().filter(|taken| *taken.as_ref().unwrap()).count(), 1);
    }
}
