//! The queue: ids of jobs on their way to a worker.
//!
//! An id that is lost costs time, never a job: the jobs' rows are what is true, and the upkeep pushes ids again. One that
//! comes twice, late, or of a job that does not exist finds nothing to claim.
//!
//! `in_process.rs` carries ids inside a process, `redis.rs` between processes; they alone know the queue's library.

mod in_process;
mod redis;
mod redis_address;

use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;
use tally_storage::ids::JobId;

use self::in_process::InProcessQueue;
use self::redis::RedisQueue;
pub use self::redis_address::{MalformedRedisUrl, RedisAddress};

/// Where ids are pushed; clones share one queue.
#[derive(Debug, Clone)]
pub struct JobQueue(Transport);

#[derive(Debug, Clone)]
enum Transport {
    InProcess(InProcessQueue),
    Redis(Arc<RedisQueue>),
}

/// Why a queue is not read any more.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct ReaderEnded(String);

impl JobQueue {
    /// A queue inside this process.
    #[must_use]
    pub fn in_process() -> Self {
        Self(Transport::InProcess(InProcessQueue::new()))
    }

    /// A queue on a Redis server, which need not answer yet. Starts a task on the current Tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn redis(address: &RedisAddress) -> Result<Self, MalformedRedisUrl> {
        Ok(Self(Transport::Redis(RedisQueue::open(address)?)))
    }

    /// Whether other processes may read and push to it.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.0, Transport::Redis(_))
    }

    /// Says that a job is there to be looked at. Never waits and never fails: what cannot be pushed now is pushed by the
    /// upkeep later.
    pub fn push(&self, id: JobId) {
        match &self.0 {
            Transport::InProcess(queue) => queue.push(id),
            Transport::Redis(queue) => queue.push(id),
        }
    }

    /// Gives each id to `handle`, so many at once, until the reader ends with an error or the future is dropped.
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
        match &self.0 {
            Transport::InProcess(queue) => queue.read(name, at_once, handle),
            Transport::Redis(queue) => Box::pin(Arc::clone(queue).read(name.to_owned(), at_once, handle)),
        }
    }

    /// Waits until what was pushed before has been sent, or cannot be.
    pub async fn close(&self) {
        match &self.0 {
            Transport::InProcess(_) => {}
            Transport::Redis(queue) => queue.close().await,
        }
    }
}
