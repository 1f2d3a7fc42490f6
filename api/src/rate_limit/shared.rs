//! Counts that all API processes share, on a Redis server.
//!
//! While Redis is away each process counts by itself, so that the limit holds for each instead of for all together; it
//! looks for Redis again once a second, and no request waits long to find out.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, Script};
use tally_storage::ids::OrganizationUid;

/// A reply that takes longer counts as none.
const PATIENCE: Duration = Duration::from_millis(250);
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// One round trip; the key goes away by itself.
static COUNT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local count = redis.call('incr', KEYS[1]) \
         if count == 1 then redis.call('expire', KEYS[1], 5) end \
         return count",
    )
});

/// Where the counts are shared. Clones share one connection.
#[derive(Clone)]
pub struct SharedCounts {
    connection: ConnectionManager,
    prefix: String,
    away_since: Arc<Mutex<Option<Instant>>>,
}

impl fmt::Debug for SharedCounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedCounts").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl SharedCounts {
    /// On the server of that URL, which need not answer yet, under keys that begin with the prefix.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn open(url: &str, prefix: &str) -> Result<Self, RedisError> {
        let patience = ConnectionManagerConfig::new()
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE))
            .set_number_of_retries(0);
        let connection = Client::open(url)?.get_connection_manager_lazy(patience)?;
        Ok(Self { connection, prefix: prefix.to_owned(), away_since: Arc::default() })
    }

    /// Counts a request of that second; says how many there were with it. `None` where Redis is away.
    pub(super) async fn count(&self, organization: &OrganizationUid, second: i64) -> Option<u64> {
        if self.away().is_some_and(|since| since.elapsed() < LOOK_AGAIN_AFTER) {
            return None;
        }
        let key = format!("{}:rate:{organization}:{second}", self.prefix);
        let counted = COUNT.key(key).invoke_async(&mut self.connection.clone()).await;
        match counted {
            Ok(count) => {
                if self.set_away(None).is_some() {
                    tracing::info!("Redis counts requests again");
                }
                Some(count)
            }
            Err(error) => {
                if self.set_away(Some(Instant::now())).is_none() {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "Redis is away: each process counts requests by itself");
                }
                None
            }
        }
    }

    fn away(&self) -> Option<Instant> {
        *self.away_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_away(&self, since: Option<Instant>) -> Option<Instant> {
        std::mem::replace(&mut *self.away_since.lock().unwrap_or_else(PoisonError::into_inner), since)
    }
}
