//! The answer to an aggregate, as a stream of record batches.
//!
//! Groups are counted in memory: from the narrowest summary that tells apart what is asked about, where a segment has one;
//! from the events of other segments and of the log, which are added up on the way. Where that takes more memory than may
//! be used, the engine answers, from events alone: it spills.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Lake;
use super::aggregate::Aggregate;
use super::counted::Counted;
use super::engine::events_read;
use super::groups;
use super::sources;
use crate::blocking;
use crate::catalog::EventSnapshot;
use crate::error::StorageError;
use crate::events::requests;

/// The answer to an [`Aggregate`], batch by batch. Dropping it stops the query.
pub struct Answer {
    state: State,
    progress: Progress,
    _stop: DropGuard,
}

enum State {
    /// Nothing is known yet.
    Beginning(BoxFuture<'static, Result<Rows, StorageError>>),
    Given(Rows),
}

/// Where rows come from.
enum Rows {
    Counted(Counted),
    OfEngine(SendableRecordBatchStream),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Answer").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl Answer {
    /// The next rows; `None` at the end. A call that is given up loses none.
    ///
    /// # Errors
    /// When a segment cannot be read, or the query ran out of memory and of room to spill.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, StorageError> {
        if let State::Beginning(beginning) = &mut self.state {
            self.state = State::Given(beginning.as_mut().await?);
        }
        match &mut self.state {
            State::Given(Rows::OfEngine(batches)) => Ok(Pin::new(batches).next().await.transpose()?),
            State::Given(Rows::Counted(counted)) => counted.next_batch(),
            State::Beginning(_) => Ok(None),
        }
    }

    /// Whether it was too large to be counted in memory.
    #[cfg(test)]
    pub(super) fn is_of_engine(&self) -> bool {
        matches!(self.state, State::Given(Rows::OfEngine(_)))
    }

    /// A probe that tells how far the query has read, also while somebody waits for [`next`](Self::next).
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

/// How far a query has read.
#[derive(Clone, Default)]
pub struct Progress(Arc<Read>);

#[derive(Default)]
pub(super) struct Read {
    /// Rows of summaries and events.
    pub(super) rows: AtomicU64,
    pub(super) of_rows: AtomicU64,
    /// The engine's plan and the events that it reads, where it has to answer.
    plan: OnceLock<(Arc<dyn ExecutionPlan>, u64)>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Progress").field(&self.fraction()).finish()
    }
}

impl Progress {
    /// The share of events and summaries that was read, 0 to 1. Row groups that were skipped are never counted as read.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share of events, shown to people")]
    pub fn fraction(&self) -> f64 {
        let (read, of) = match self.0.plan.get() {
            Some((plan, event_count)) => (events_read(plan.as_ref()), *event_count),
            None => (self.0.rows.load(Ordering::Relaxed), self.0.of_rows.load(Ordering::Relaxed)),
        };
        (read as f64 / of.max(1) as f64).min(1.0)
    }
}

impl Lake {
    /// Answers an aggregate over every event that was committed before the call.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn answer(&self, aggregate: &Aggregate) -> Result<Answer, StorageError> {
        let days = aggregate.days.as_numbers();
        let snapshot = Arc::new(self.catalog.events_of(&aggregate.organization, requests::KIND, days).await?);
        let progress = Progress::default();
        let stopped = CancellationToken::new();
        let stop = stopped.clone().drop_guard();
        let beginning = begin(self.clone(), aggregate.clone(), snapshot, progress.clone(), stopped);
        Ok(Answer { state: State::Beginning(Box::pin(beginning)), progress, _stop: stop })
    }
}

async fn begin(
    lake: Lake,
    question: Aggregate,
    snapshot: Arc<EventSnapshot>,
    progress: Progress,
    stopped: CancellationToken,
) -> Result<Rows, StorageError> {
    let counted = {
        let (lake, question, snapshot, progress) =
            (lake.clone(), question.clone(), Arc::clone(&snapshot), progress.clone());
        blocking(move || {
            let memory = lake.reservation("groups");
            let sources = sources::read(&lake, &question, &snapshot, &memory, &progress.0, &stopped)?;
            groups::count(&question, &sources, &lake.summaries, &memory, |rows| {
                progress.0.rows.fetch_add(rows, Ordering::Relaxed);
            })
        })
        .await
    };
    match counted {
        Ok(counted) => Ok(Rows::Counted(counted)),
        Err(StorageError::TooLarge(what)) => {
            tracing::debug!(what, "too large to be counted in memory: the engine answers");
            let answer = lake.ask_engine(&question, snapshot).await?;
            // Nobody else sets it.
            drop(progress.0.plan.set((answer.plan, answer.event_count)));
            Ok(Rows::OfEngine(answer.batches))
        }
        Err(error) => Err(error),
    }
}
