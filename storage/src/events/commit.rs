//! The commit of batches: many at once in one transaction, so that one sync of the disk serves all that wait.
//!
//! A batch is looked at for duplicates twice. The first look is outside the transaction and reads whatever it must. The
//! second is inside, where nobody else can commit, and reads only what was committed since the first. So the
//! transaction stays short, and two batches with the same event id can never both be counted.
//!
//! While one transaction is being written the next batches gather; no timer is needed, and a lone batch never waits.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sqlx::AnyConnection;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::batch::Batch;
use super::duplicates::IdIndex;
use super::group::Group;
use super::receipt::{LineError, Receipt};
use super::segment;
use super::{Backlog, Events, Stage, requests};
use crate::blocking;
use crate::catalog::{
    Catalog, IdSource, Idempotency, advance_source, earlier_receipt, insert_receipt, insert_segment, last_commit,
    number_commit,
};
use crate::clock::Clock;
use crate::error::StorageError;
use crate::events::ledger::SourcePosition;
use crate::folder::DataFolder;

/// Batches in one transaction at most.
const GROUP: usize = 64;

/// What is said about a batch besides its events; becomes true together with them.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Lines that were no event.
    pub rejected: u64,
    /// Fields that Tally does not know.
    pub unknown_fields: u64,
    /// The first rejected lines.
    pub errors: Vec<LineError>,
    /// The client's key for this batch.
    pub idempotency: Option<Idempotency>,
    /// How far the batch's file has been read with it.
    pub source: Option<SourcePosition>,
    /// The position that `source` moves on from.
    pub replaces: Option<SourcePosition>,
}

/// A batch on its way to the committer.
#[derive(Debug)]
pub(super) struct Pending {
    batch: Batch,
    details: Commit,
    answer: oneshot::Sender<Result<Receipt, StorageError>>,
}

impl Events {
    /// Commits a batch: when this returns, the events are counted, on the disk, and will never be counted again.
    ///
    /// # Errors
    /// [`StorageError::IdempotencyMismatch`], [`StorageError::SourceMoved`], [`StorageError::NoSuchOrganization`],
    /// [`StorageError::Backlog`], or a failure of catalog or disk. Nothing of the batch is kept then.
    pub async fn commit(&self, stage: Stage, details: Commit) -> Result<Receipt, StorageError> {
        self.admit().await?;
        let organization = stage.organization().clone();
        let (written, rows) = blocking(move || stage.finish()).await?;
        let mut batch = Batch {
            organization,
            rows,
            segments: written.segments,
            duplicates: written.duplicates,
            looked_at: 0,
            looked_at_all: false,
        };
        let (sources, looked_at) = {
            let mut db = self.catalog.begin_read().await?;
            let looked_at = last_commit(&mut db, &batch.organization).await?;
            (batch.sources(&mut db, &self.ids, 0).await?, looked_at)
        };
        let (ids, folder) = (self.ids.clone(), self.folder.clone());
        batch = blocking(move || batch.without_known(&ids, &folder, &sources)).await?;
        if batch.looked_at_all {
            batch.looked_at = looked_at;
        }
        let (answer, answered) = oneshot::channel();
        let ended = || StorageError::Background("the committer has stopped".to_owned());
        self.commits.send(Pending { batch, details, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// Waits until every commit under way has been answered; no further one is taken.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The one task of a process that commits events.
#[derive(Debug)]
pub(super) struct Committer {
    catalog: Catalog,
    folder: DataFolder,
    clock: Clock,
    ids: IdIndex,
    backlog: Arc<Backlog>,
}

impl Committer {
    pub(super) fn new(
        catalog: &Catalog,
        folder: &DataFolder,
        clock: &Clock,
        ids: &IdIndex,
        backlog: &Arc<Backlog>,
    ) -> Self {
        Self {
            catalog: catalog.clone(),
            folder: folder.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            backlog: Arc::clone(backlog),
        }
    }

    /// Commits what comes in until it is told to close, and then what had come in by then.
    pub(super) async fn run(self, mut waiting: mpsc::Receiver<Pending>, closing: CancellationToken) {
        let mut batches = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = closing.cancelled(), if !waiting.is_closed() => waiting.close(),
                received = waiting.recv_many(&mut batches, GROUP) => {
                    if received == 0 {
                        return;
                    }
                    self.commit_all(mem::take(&mut batches)).await;
                }
            }
        }
    }

    async fn commit_all(&self, mut batches: Vec<Pending>) {
        // Organizations are locked in one order by every process, so that no two wait for each other. The sort is stable:
        // the batches of one organization stay in the order in which they came.
        batches.sort_by(|one, other| one.batch.organization.cmp(&other.batch.organization));
        let mut answers = Vec::with_capacity(batches.len());
        let mut outcomes = Vec::with_capacity(batches.len());
        let mut group = Group::default();
        let work = async {
            let mut transaction = self.catalog.begin_write().await?;
            for Pending { batch, details, answer } in batches {
                answers.push(answer);
                let mut savepoint = sqlx::Acquire::begin(&mut *transaction).await?;
                let outcome = self.write(&mut savepoint, batch, details, &mut group).await;
                if outcome.is_ok() {
                    savepoint.commit().await?;
                } else {
                    savepoint.rollback().await?;
                }
                outcomes.push(outcome);
            }
            let logged_bytes = group.write(&mut transaction, self.clock.now_ms()).await?;
            transaction.commit().await?;
            Ok(logged_bytes)
        };
        let committed: Result<u64, StorageError> = work.await;
        match &committed {
            Ok(logged_bytes) => {
                self.backlog.size_bytes.fetch_add(*logged_bytes, Ordering::Relaxed);
                self.backlog.grown.notify_one();
            }
            Err(error) => {
                tracing::error!(error = error as &dyn std::error::Error, "a group of batches could not be committed");
            }
        }
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            let outcome = if committed.is_ok() { outcome } else { Err(group_failed()) };
            // Nobody may be waiting any more: a client that went away sends the batch again under its key.
            drop(answer.send(outcome));
        }
    }

    async fn write(
        &self,
        db: &mut AnyConnection,
        batch: Batch,
        details: Commit,
        group: &mut Group,
    ) -> Result<Receipt, StorageError> {
        let organization = batch.organization.clone();
        // The number comes first, since it locks the organization: what follows sees all that was committed before, and
        // nobody else commits until this is.
        let number = number_commit(db, &organization).await?;
        let number = number.ok_or_else(|| StorageError::NoSuchOrganization(organization.clone()))?;
        if let Some(idempotency) = &details.idempotency
            && let Some(receipt) = earlier_receipt(db, &organization, idempotency).await?
        {
            return Ok(receipt);
        }
        let batch = self.without_newly_known(db, batch, group).await?;
        let now = self.clock.now_ms();
        if let Some(source) = &details.source {
            advance_source(db, &organization, details.replaces.as_ref(), source, now).await?;
        }
        let receipt = Receipt {
            batch: format!("batch_{}", Uuid::now_v7()),
            accepted: batch.event_count(),
            duplicates: batch.duplicates,
            rejected: details.rejected,
            unknown_fields: details.unknown_fields,
            errors: details.errors,
        };
        if let Some(idempotency) = &details.idempotency {
            insert_receipt(db, &organization, idempotency, &receipt, now).await?;
        }
        let (folder, owner, staged) = (self.folder.clone(), organization.clone(), batch.segments);
        for segment in blocking(move || segment::publish_all(&folder, &owner, staged)).await? {
            insert_segment(db, &organization, requests::KIND, &segment, (number, now)).await?;
        }
        // Last: nothing of a batch that fails may be taken for counted.
        if let Some(rows) = batch.rows {
            group.add(organization, rows)?;
        }
        Ok(receipt)
    }

    /// The second look: what was committed since the first, and what this transaction has written so far.
    async fn without_newly_known(
        &self,
        db: &mut AnyConnection,
        batch: Batch,
        group: &Group,
    ) -> Result<Batch, StorageError> {
        if !batch.has_ids()? {
            return Ok(batch);
        }
        let mut sources = batch.sources(db, &self.ids, batch.looked_at).await?;
        sources.extend(group.ids_of(&batch.organization).map(IdSource::Memory));
        let (ids, folder) = (self.ids.clone(), self.folder.clone());
        let batch = blocking(move || batch.without_known(&ids, &folder, &sources)).await?;
        if !batch.looked_at_all {
            return Err(StorageError::Corrupt("it names a segment whose file is not there".to_owned()));
        }
        Ok(batch)
    }
}

fn group_failed() -> StorageError {
    StorageError::Background("the transaction of this batch could not be committed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::fixture::{Fixture, batch, read, requests};

    #[tokio::test]
    async fn in_a_group_what_was_taken_is_known_to_those_after_it_and_what_was_refused_is_not() {
        let fixture = Fixture::new().await;
        let Events { catalog, folder, clock, ids, backlog, .. } = &fixture.store.events;
        let pending = |details| {
            let (answer, answered) = oneshot::channel();
            let batch = Batch {
                organization: fixture.organization.clone(),
                rows: Some(batch(&requests(&[(1, Some("a"))]))),
                segments: Vec::new(),
                duplicates: 0,
                looked_at: 0,
                looked_at_all: true,
            };
            (Pending { batch, details, answer }, answered)
        };
        let (refused, refusal) = pending(read(Some(10), 20));
        let (taken, receipt) = pending(Commit::default());
        let (repeated, again) = pending(Commit::default());
        Committer::new(catalog, folder, clock, ids, backlog).commit_all(vec![refused, taken, repeated]).await;
        assert!(matches!(refusal.await.unwrap(), Err(StorageError::SourceMoved)));
        let receipt = receipt.await.unwrap().unwrap();
        assert_eq!((receipt.accepted, receipt.duplicates), (1, 0));
        let again = again.await.unwrap().unwrap();
        assert_eq!((again.accepted, again.duplicates), (0, 1));
        assert_eq!(fixture.counted().await, 1);
    }
}
