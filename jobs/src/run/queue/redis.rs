//! The queue on a Redis server, between any number of processes.
//!
//! Pushing is a task's work: whoever accepts a job does not wait for Redis, and many ids go in few round trips. An id that
//! waits already is not pushed again; a key of its own that expires says so, so that an id which got lost on its way is
//! pushed once more after [`PUSHED_AGAIN_AFTER`].
//!
//! The library's worker would look for messages only at its heartbeat. It is woken by a `PUBLISH` after each push and,
//! as a net, by a timer. It ends with the first reply that fails or comes too late, and its caller begins it again: under
//! another name, since its old one counts as alive for minutes.
//!
//! The library keeps what was done. [`FORGET`] deletes it, some of it with each message, so that Redis holds little more
//! than what waits.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use apalis::prelude::{BackendExt as _, TaskSink as _, WorkerBuilder, WorkerBuilderExt as _};
use apalis_redis::{Config, RedisStorage};
use futures::StreamExt as _;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands as _, Client, ExistenceCheck, RedisError, Script, SetExpiry, SetOptions};
use tally_storage::ids::JobId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::ReaderEnded;
use super::redis_address::{MalformedRedisUrl, RedisAddress};

/// A message that was pushed so long ago and has not come is taken for lost.
const PUSHED_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// The pause after a push that failed.
const PUSHED_ANEW_AFTER: Duration = Duration::from_secs(1);

/// Ids that are pushed in one round trip.
const BATCH: usize = 256;

/// A worker that is silent so long is dead to the library, which then hands out its messages again.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long the connection for wake-ups is given up after an error.
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Says that an id waits no more, and deletes what the library keeps of messages that were handled.
static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("forget.lua")));

/// Gives back what a reader had fetched when it ended.
static LEAVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("leave.lua")));

pub(super) struct RedisQueue {
    client: Client,
    connection: ConnectionManager,
    keys: Keys,
    poll: Duration,
    /// Taken when the queue is closed.
    ids: Mutex<Option<mpsc::UnboundedSender<JobId>>>,
    tasks: TaskTracker,
}

impl fmt::Debug for RedisQueue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RedisQueue").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// Names in Redis.
#[derive(Debug)]
struct Keys {
    /// The library's name of the queue.
    queue: String,
    /// The channel on which workers are woken.
    wake: String,
    /// Before the id of a job that waits.
    waiting: String,
}

impl RedisQueue {
    pub(super) fn open(address: &RedisAddress) -> Result<Arc<Self>, MalformedRedisUrl> {
        let client = Client::open(address.url.as_str()).map_err(MalformedRedisUrl)?;
        let patience = ConnectionManagerConfig::new()
            .set_response_timeout(Some(address.timeout))
            .set_connection_timeout(Some(address.timeout))
            .set_number_of_retries(1);
        let connection = client.get_connection_manager_lazy(patience).map_err(MalformedRedisUrl)?;
        let prefix = &address.prefix;
        let keys = Keys {
            queue: format!("{prefix}:jobs"),
            wake: format!("{prefix}:wake"),
            waiting: format!("{prefix}:waiting:"),
        };
        let (ids, pushed) = mpsc::unbounded_channel();
        let (ids, tasks) = (Mutex::new(Some(ids)), TaskTracker::new());
        let queue = Arc::new(Self { client, connection, keys, poll: address.poll, ids, tasks });
        queue.tasks.spawn(Arc::clone(&queue).push_all(pushed));
        Ok(queue)
    }

    pub(super) fn push(&self, id: JobId) {
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.as_ref().is_none_or(|ids| ids.send(id).is_err()) {
            tracing::debug!("the queue is closed; the upkeep pushes the job");
        }
    }

    pub(super) async fn close(&self) {
        drop(self.ids.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn push_all(self: Arc<Self>, mut pushed: mpsc::UnboundedReceiver<JobId>) {
        let mut ids = Vec::with_capacity(BATCH);
        while pushed.recv_many(&mut ids, BATCH).await > 0 {
            self.push_until_taken(&ids, || pushed.is_closed()).await;
            ids.clear();
        }
    }

    /// Pushes the ids again until Redis has taken them, or the queue is closed and they are left to the upkeep.
    async fn push_until_taken(&self, ids: &[JobId], is_closed: impl Fn() -> bool) {
        let mut tried = self.push_batch(ids).await;
        while let Err(error) = tried {
            tracing::warn!(error, jobs = ids.len(), "Redis did not take the ids of jobs");
            if is_closed() {
                return;
            }
            tokio::time::sleep(PUSHED_ANEW_AFTER).await;
            tried = match self.unmark(ids).await {
                Ok(()) => self.push_batch(ids).await,
                Err(error) => Err(error.to_string()),
            };
        }
    }

    async fn push_batch(&self, ids: &[JobId]) -> Result<(), String> {
        let mut connection = self.connection.clone();
        let new = self.not_waiting(&mut connection, ids).await.map_err(|error| error.to_string())?;
        if new.is_empty() {
            return Ok(());
        }
        let messages = new.iter().map(|id| id.as_str().to_owned()).collect();
        self.storage().push_bulk(messages).await.map_err(|error| error.to_string())?;
        connection.publish(&self.keys.wake, new.len()).await.map_err(|error: RedisError| error.to_string())
    }

    /// After a reply that did not come nobody knows which of the ids are marked, and which of these wait.
    async fn unmark(&self, ids: &[JobId]) -> Result<(), RedisError> {
        let marks: Vec<String> = ids.iter().map(|id| self.waiting(id)).collect();
        self.connection.clone().del(marks).await
    }

    /// Those of the ids that do not wait yet; they are marked as waiting.
    async fn not_waiting<'a>(
        &self,
        connection: &mut ConnectionManager,
        ids: &'a [JobId],
    ) -> Result<Vec<&'a JobId>, RedisError> {
        let once = SetOptions::default()
            .conditional_set(ExistenceCheck::NX)
            .with_expiration(SetExpiry::EX(PUSHED_AGAIN_AFTER.as_secs()));
        let mut marks = redis::pipe();
        for id in ids {
            marks.set_options(self.waiting(id), 1, once.clone());
        }
        let marked: Vec<Option<String>> = marks.query_async(connection).await?;
        Ok(ids.iter().zip(marked).filter(|(_, marked)| marked.is_some()).map(|(id, _)| id).collect())
    }

    /// Reads until the library's worker ends.
    pub(super) async fn read<F, R>(self: Arc<Self>, name: String, at_once: usize, handle: F) -> Result<(), ReaderEnded>
    where
        F: Fn(JobId) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let name = format!("{name}/{}", Uuid::new_v4().simple());
        let ended = CancellationToken::new();
        // However the reader ends, also by being dropped.
        let _ended_with_this = ended.clone().drop_guard();
        let wakes = self.wakes(name.clone(), ended);
        let queue = Arc::clone(&self);
        let worker = WorkerBuilder::new(name)
            .backend(self.storage().poll_with_stream(wakes))
            .concurrency(at_once)
            .build(move |id: String| {
                let (queue, handle) = (Arc::clone(&queue), handle.clone());
                async move {
                    if let Err(error) = queue.forget(&id).await {
                        tracing::debug!(error = &error as &dyn std::error::Error, "what Redis keeps of it expires");
                    }
                    // What is no id of a job is a message of somebody else.
                    if let Ok(id) = id.parse() {
                        handle(id).await;
                    }
                }
            });
        worker.run().await.map_err(|error| ReaderEnded(error.to_string()))
    }

    /// From here on the id may be pushed again.
    async fn forget(&self, id: &str) -> Result<(), RedisError> {
        let queue = &self.keys.queue;
        let mut invocation = FORGET.key(format!("{}{id}", self.keys.waiting));
        invocation.key(format!("{queue}:done")).key(format!("{queue}:dead")).key(format!("{queue}:data"));
        invocation.key(format!("{queue}:meta")).invoke_async(&mut self.connection.clone()).await
    }

    /// Says that a reader has ended. Where Redis does not hear it, the library finds out by itself, later.
    async fn leave(&self, reader: &str) {
        let queue = &self.keys.queue;
        let mut invocation = LEAVE.key(format!("{queue}:workers"));
        invocation.key(format!("{queue}:inflight:{reader}")).key(format!("{queue}:workers:metadata:{reader}"));
        invocation.key(format!("{queue}:active")).key(format!("{queue}:data")).key(format!("{queue}:meta"));
        let left: Result<(), RedisError> = invocation.arg(reader).invoke_async(&mut self.connection.clone()).await;
        if let Err(error) = left {
            tracing::debug!(error = &error as &dyn std::error::Error, "a reader left without a word");
        }
    }

    /// An item now and then, and whenever something was pushed; until the reader has ended.
    fn wakes(
        self: &Arc<Self>,
        reader: String,
        ended: CancellationToken,
    ) -> impl futures::Stream<Item = ()> + Unpin + Send + Sync + 'static {
        let (wake, mut woken) = futures::channel::mpsc::channel(1);
        let queue = Arc::clone(self);
        self.tasks.spawn(async move {
            let listening = listen(queue.client.clone(), queue.keys.wake.clone(), queue.poll, wake);
            ended.run_until_cancelled(listening).await;
            queue.leave(&reader).await;
        });
        futures::stream::poll_fn(move |context| {
            let polled = woken.poll_next_unpin(context);
            if polled.is_ready() {
                // The library may be looking already, and too early to see what this wake-up is for: once more, then.
                context.waker().wake_by_ref();
            }
            polled
        })
    }

    fn storage(&self) -> RedisStorage<String> {
        let config = Config::default()
            .queue(&self.keys.queue)
            // Further messages would wait behind a long job while another worker is idle.
            .batch_size(1)
            .heartbeat_interval(HEARTBEAT)
            .lock_tasks(false)
            .emit_events(false);
        RedisStorage::new(self.connection.clone()).with_config(config)
    }

    fn waiting(&self, id: &JobId) -> String {
        format!("{}{id}", self.keys.waiting)
    }
}

/// Wakes by the timer, and by what is published while Redis answers. A wake-up that finds the last one still unseen is not
/// needed.
async fn listen(client: Client, channel: String, poll: Duration, mut wake: futures::channel::mpsc::Sender<()>) {
    loop {
        let subscribed = async {
            let mut subscription = client.get_async_pubsub().await?;
            subscription.subscribe(&channel).await?;
            Ok::<_, RedisError>(subscription)
        };
        let Ok(Ok(mut subscription)) = tokio::time::timeout(LISTEN_AGAIN_AFTER, subscribed).await else {
            drop(wake.try_send(()));
            tokio::time::sleep(poll).await;
            continue;
        };
        let mut published = subscription.on_message();
        loop {
            drop(wake.try_send(()));
            // `None` is a connection that was lost; an elapsed time is the net.
            if let Ok(None) = tokio::time::timeout(poll, published.next()).await {
                break;
            }
        }
    }
}
