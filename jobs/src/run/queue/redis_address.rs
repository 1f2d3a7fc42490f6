//! Which Redis server, and how it is used.

use std::fmt;
use std::time::Duration;

use redis::RedisError;

/// A Redis server and how it is used.
#[derive(Clone)]
pub struct RedisAddress {
    /// `redis://:password@host:port/database`, or `rediss:` for TLS.
    pub url: String,
    /// What the names of all keys begin with.
    pub prefix: String,
    /// How often a worker looks where nothing wakes it.
    pub poll: Duration,
    /// How long a reply may take.
    pub timeout: Duration,
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL holds a password.
        formatter.debug_struct("RedisAddress").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// A text that is no address of a Redis server.
#[derive(Debug, thiserror::Error)]
#[error("the Redis URL cannot be used")]
pub struct MalformedRedisUrl(#[source] pub(super) RedisError);
