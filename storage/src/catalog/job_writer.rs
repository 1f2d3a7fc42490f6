//! The moves of jobs, many at once in one transaction, so that one sync of the disk serves all that wait.
//!
//! `SQLite` has one writer at a time, so moves would be written one after the other, each with a sync of its own. Here one
//! task writes them. While one group is being written the next gathers: no timer is needed, and a lone move never waits.
//! Each move has its own answer, after the commit of its group. `PostgreSQL` commits side by side and shares the sync of
//! its log by itself: there each move is a statement of its own, as it would be here without company.
//!
//! A move need not outlive a loss of power where forgetting it is harmless, see [`Outlives`]. `SQLite` writes it to its log
//! without waiting for the disk then, and the next commit that does wait brings it along: what is durable never depends
//! on something that is not.

use std::mem;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Catalog;
use crate::error::StorageError;

/// Moves in one transaction at most.
const GROUP: usize = 64;

/// What `SQLite` is told before and after a commit that need not wait for the disk.
const UNSYNCED: &str = "pragma synchronous = normal";
const SYNCED: &str = "pragma synchronous = full";

/// A move: one statement, with what is bound to it.
pub(super) type Statement = Query<'static, Any, AnyArguments>;

/// What became of a move: the rows that it returned.
type Outcome = Result<Vec<AnyRow>, StorageError>;

/// What a move that was answered outlives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlives {
    /// The end of any process, however it ends.
    Processes,
    /// A machine that loses its power, too.
    PowerLoss,
}

struct Pending {
    statement: Statement,
    outlives: Outlives,
    answer: oneshot::Sender<Outcome>,
}

/// Hands moves to the task that writes them; clones share it.
#[derive(Debug, Clone)]
pub(super) struct JobWriter {
    moves: mpsc::Sender<Pending>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Catalog {
    /// Makes a move, and gives the rows that it returns.
    pub(super) async fn move_job(&self, statement: Statement, outlives: Outlives) -> Outcome {
        match &self.job_writer {
            Some(writer) => writer.write(statement, outlives).await,
            None => Ok(statement.fetch_all(&self.writer).await?),
        }
    }
}

impl JobWriter {
    /// Starts the task on the current Tokio runtime; it ends when it is closed, or with the last clone of this.
    pub(super) fn start(pool: AnyPool, begin_write: &'static str) -> Self {
        let (moves, waiting) = mpsc::channel(GROUP);
        let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(run(pool, begin_write, waiting, closing.clone()));
        Self { moves, closing, tasks }
    }

    async fn write(&self, statement: Statement, outlives: Outlives) -> Outcome {
        let (answer, answered) = oneshot::channel();
        let ended = || StorageError::Background("the writer of jobs' moves gave no answer".to_owned());
        self.moves.send(Pending { statement, outlives, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// Waits until every move under way has been answered; no further one is taken.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn run(
    pool: AnyPool,
    begin_write: &'static str,
    mut waiting: mpsc::Receiver<Pending>,
    closing: CancellationToken,
) {
    let mut group = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = closing.cancelled(), if !waiting.is_closed() => waiting.close(),
            received = waiting.recv_many(&mut group, GROUP) => {
                if received == 0 {
                    return;
                }
                write_all(&pool, begin_write, mem::take(&mut group)).await;
            }
        }
    }
}

/// Those that need no sync first: they are answered while the others wait for the disk.
async fn write_all(pool: &AnyPool, begin_write: &'static str, moves: Vec<Pending>) {
    let mut connection = match pool.acquire().await {
        Ok(connection) => connection,
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the moves of jobs wait for a connection in vain"
            );
            return;
        }
    };
    let (quick, durable): (Vec<_>, Vec<_>) = moves.into_iter().partition(|one| one.outlives == Outlives::Processes);
    if !quick.is_empty() {
        let (statements, answers) = taken_apart(quick);
        answer(answers, write_unsynced(&mut connection, begin_write, statements).await);
    }
    if !durable.is_empty() {
        let (statements, answers) = taken_apart(durable);
        answer(answers, write_group(&mut connection, begin_write, statements).await);
    }
}

async fn write_unsynced(
    connection: &mut PoolConnection<Any>,
    begin_write: &'static str,
    statements: Vec<Statement>,
) -> Result<Vec<Outcome>, StorageError> {
    set(connection, UNSYNCED).await?;
    let written = write_group(connection, begin_write, statements).await;
    set(connection, SYNCED).await?;
    written
}

/// A connection that cannot be set is never used again: nobody shall take a commit for durable that is not.
async fn set(connection: &mut PoolConnection<Any>, pragma: &'static str) -> Result<(), StorageError> {
    let set = connection.execute(sqlx::raw_sql(pragma)).await;
    if set.is_err() {
        connection.close_on_drop();
    }
    set?;
    Ok(())
}

fn taken_apart(moves: Vec<Pending>) -> (Vec<Statement>, Vec<oneshot::Sender<Outcome>>) {
    moves.into_iter().map(|one| (one.statement, one.answer)).unzip()
}

/// Answers each move with what came of it, or with the failure of the whole group.
fn answer(answers: Vec<oneshot::Sender<Outcome>>, written: Result<Vec<Outcome>, StorageError>) {
    let outcomes = written.unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a group of jobs' moves could not be written");
        answers.iter().map(|_| Err(group_failed())).collect()
    });
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        // Nobody may be waiting any more: who asked went away.
        drop(answer.send(outcome));
    }
}

/// A refused statement leaves the others as they are; an error of the disk or of the lock ends the group.
async fn write_group(
    connection: &mut AnyConnection,
    begin_write: &'static str,
    statements: Vec<Statement>,
) -> Result<Vec<Outcome>, StorageError> {
    let statements = match <[Statement; 1]>::try_from(statements) {
        Ok([alone]) => return Ok(vec![alone.fetch_all(connection).await.map_err(StorageError::from)]),
        Err(several) => several,
    };
    let mut outcomes = Vec::with_capacity(statements.len());
    let mut transaction = connection.begin_with(begin_write).await?;
    for statement in statements {
        let outcome = statement.fetch_all(&mut *transaction).await.map_err(StorageError::from);
        match outcome {
            Err(error) if error.is_temporary() => return Err(error),
            outcome => outcomes.push(outcome),
        }
    }
    transaction.commit().await?;
    Ok(outcomes)
}

fn group_failed() -> StorageError {
    StorageError::Background("the transaction of this job's move could not be committed".to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashSet;

    use futures::future::join_all;

    use super::super::NewJob;
    use super::super::organizations::tests::{catalog, nobody};
    use crate::ids::{JobId, OrganizationUid};

    pub(in crate::catalog) fn job_of(organization: &OrganizationUid) -> NewJob {
        NewJob {
            id: JobId::mint(),
            organization: organization.clone(),
            report: "usage".to_owned(),
            parameters: "{}".to_owned(),
        }
    }

    #[tokio::test]
    async fn of_moves_made_at_once_a_refused_one_is_refused_alone() {
        let (catalog, _clock, _folder) = catalog().await;
        let (organization, nowhere) = (catalog.create_organization("Acme").await.unwrap(), nobody());
        let refused = |at: usize| at.is_multiple_of(10);
        let jobs: Vec<NewJob> = (0..200).map(|at| job_of(if refused(at) { &nowhere } else { &organization })).collect();
        let inserted = join_all(jobs.iter().map(|job| catalog.insert_job(job))).await;
        for (at, (job, inserted)) in jobs.iter().zip(&inserted).enumerate() {
            assert_eq!(inserted.is_err(), refused(at), "{at}");
            assert_eq!(catalog.job(&organization, &job.id).await.unwrap().is_none(), refused(at), "{at}");
        }
    }

    #[tokio::test]
    async fn of_claims_made_at_once_each_has_a_job_of_its_own_or_none() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        for _ in 0..20 {
            catalog.insert_job(&job_of(&organization)).await.unwrap();
        }
        let workers: Vec<String> = (0..30).map(|number| format!("worker {number}")).collect();
        let claimed = join_all(workers.iter().map(|worker| catalog.claim_job(worker, 60_000))).await;
        let claimed: Vec<_> = claimed.into_iter().filter_map(Result::unwrap).map(|job| job.id).collect();
        assert_eq!(claimed.len(), 20);
        assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), 20);
    }

    #[tokio::test]
    async fn after_a_claim_commits_are_synced_as_before() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        catalog.insert_job(&job_of(&organization)).await.unwrap();
        assert!(catalog.claim_job("worker", 60_000).await.unwrap().is_some());
        if catalog.is_sqlite() {
            let synchronous = sqlx::query_scalar::<_, i64>("pragma synchronous").fetch_one(&catalog.writer).await;
            assert_eq!(synchronous.unwrap(), 2);
        }
    }

    #[tokio::test]
    async fn a_closed_catalog_takes_no_move() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        catalog.close().await;
        let refused = catalog.insert_job(&job_of(&organization)).await.unwrap_err();
        assert!(refused.is_temporary(), "{refused}");
    }
}
