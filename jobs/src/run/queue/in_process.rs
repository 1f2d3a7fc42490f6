//! The queue inside a process.
//!
//! Ids go into a channel of ours, which the library's worker reads as its backend: its own in-memory sink may panic
//! under concurrent pushes. The channel outlives the worker, so a worker that was restarted goes on where it stopped.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use apalis::prelude::{BoxDynError, MemorySink, MemoryStorage, TaskBuilder, WorkerBuilder, WorkerBuilderExt as _};
use futures::future::BoxFuture;
use futures::{SinkExt as _, StreamExt as _, TryFutureExt as _};
use tally_storage::ids::JobId;
use tokio::sync::mpsc;

use super::ReaderEnded;

/// Clones share one queue.
#[derive(Debug, Clone)]
pub(super) struct InProcessQueue {
    ids: mpsc::UnboundedSender<JobId>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    ids: mpsc::UnboundedReceiver<JobId>,
    known: HashSet<JobId>,
}

impl Waiting {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<JobId>> {
        let next = self.ids.poll_recv(context);
        if let Poll::Ready(Some(id)) = &next {
            self.known.remove(id);
        }
        next
    }
}

impl InProcessQueue {
    pub(super) fn new() -> Self {
        let (ids, waiting) = mpsc::unbounded_channel();
        Self { ids, waiting: Arc::new(Mutex::new(Waiting { ids: waiting, known: HashSet::new() })) }
    }

    pub(super) fn push(&self, id: JobId) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // An id that waits already is not taken a second time: the queue is never longer than there are jobs.
        if waiting.known.insert(id.clone()) && self.ids.send(id).is_err() {
            tracing::debug!("nobody reads the queue any more; the next start looks at every queued job");
        }
    }

    pub(super) fn read<F, R>(
        &self,
        name: &str,
        at_once: usize,
        handle: F,
    ) -> BoxFuture<'static, Result<(), ReaderEnded>>
    where
        F: Fn(JobId) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let waiting = Arc::clone(&self.waiting);
        let ids = futures::stream::poll_fn(move |context| {
            waiting.lock().unwrap_or_else(PoisonError::into_inner).poll_next(context)
        });
        let tasks = ids.map(|id| TaskBuilder::new(id).build());
        // Never used: ids come through the channel.
        let nowhere = futures::sink::drain().sink_map_err(|never: Infallible| match never {});
        let sink = MemorySink::new(Arc::new(futures::lock::Mutex::new(Box::new(nowhere))));
        let worker =
            WorkerBuilder::new(name).backend(MemoryStorage::new_with(sink, tasks.boxed())).concurrency(at_once);
        let worker = worker.build(move |id: JobId| {
            let handled = handle(id);
            async move {
                handled.await;
                Ok::<(), BoxDynError>(())
            }
        });
        Box::pin(worker.run().map_err(|error| ReaderEnded(error.to_string())))
    }
}
