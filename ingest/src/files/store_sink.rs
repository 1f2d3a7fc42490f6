//! Straight into the store of this machine.

use std::time::Duration;

use tally_storage::catalog::Catalog;
use tally_storage::events::ledger::SourcePosition;
use tally_storage::events::{Commit, Events, FlushAt, Stage};
use tally_storage::ids::OrganizationUid;
use tokio::runtime::Handle;

use super::sink::{Batch, Portion, Sink, SinkError, Stored};

/// Over its bound all of the log is due; else nothing.
const FLUSH_IF_FULL: FlushAt = FlushAt { bytes: u64::MAX, age: Duration::MAX };

/// Stages and commits batches of one organization. Blocks: never use it on a thread of the runtime.
#[derive(Debug)]
pub struct StoreSink {
    events: Events,
    catalog: Catalog,
    organization: OrganizationUid,
    runtime: Handle,
    stage: Option<Stage>,
}

impl StoreSink {
    /// A sink for events of `organization`; commits run on `runtime`.
    #[must_use]
    pub fn new(events: Events, catalog: Catalog, organization: OrganizationUid, runtime: Handle) -> Self {
        Self { events, catalog, organization, runtime, stage: None }
    }
}

impl Sink for StoreSink {
    fn positions(&mut self) -> Result<Vec<SourcePosition>, SinkError> {
        Ok(self.runtime.block_on(self.catalog.source_positions(&self.organization))?)
    }

    fn push(&mut self, batch: Batch) -> Result<(), SinkError> {
        let stage = self.stage.get_or_insert_with(|| self.events.stage(&self.organization));
        Ok(stage.push(batch.events)?)
    }

    fn commit(&mut self, portion: Portion) -> Result<Stored, SinkError> {
        if self.runtime.block_on(self.events.admit()).is_err() {
            // No server may be running, so nobody else makes room.
            self.runtime.block_on(self.events.flush_due(FLUSH_IF_FULL))?;
        }
        let stage = self.stage.take().unwrap_or_else(|| self.events.stage(&self.organization));
        let commit = Commit {
            rejected: portion.rejected,
            unknown_fields: portion.unknown_fields,
            errors: portion.errors,
            idempotency: None,
            source: Some(portion.position),
            replaces: portion.replaces,
        };
        let receipt = self.runtime.block_on(self.events.commit(stage, commit))?;
        Ok(Stored { accepted: receipt.accepted, duplicates: receipt.duplicates, refused: 0, errors: Vec::new() })
    }
}
