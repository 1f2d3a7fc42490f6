//! The catalog: SQL rows that say what is true.
//!
//! | file | rows |
//! |---|---|
//! | `organizations.rs` | organizations and their own rate limits |
//! | `users.rs` | users, memberships, passwords |
//! | `authtokens.rs`, `ingest_keys.rs` | secrets, stored hashed |
//! | `stacks.rs` | stacks and their API keys |
//! | `launch.rs` | what Subscription Usage counts |
//! | `jobs.rs`, `job_moves.rs` | jobs, their leases and results |
//! | `event_log.rs`, `segments.rs` | where the events are |
//! | `receipts.rs`, `sources.rs` | what was already counted: idempotency keys, read files |
//!
//! `SQLite` has one writer at a time. So writes go through a pool of one connection and take the write lock when they
//! begin: a transaction never fails half-way because another writer came between. Readers have connections of their own
//! and, with the write-ahead log, never wait for the writer. Another process (an operator's command beside a running
//! server) is waited for.

mod authtokens;
mod event_log;
mod ingest_keys;
mod job_moves;
mod jobs;
mod launch;
mod organizations;
mod receipts;
mod segments;
mod sources;
mod stacks;
mod users;

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, Transaction};

pub use self::authtokens::{Access, Authtoken, AuthtokenId, MAX_AUTHTOKENS};
pub(crate) use self::event_log::{LogRow, NewLogRow, delete_log_rows, insert_log_row};
pub use self::ingest_keys::{IngestKey, IngestKeyId};
pub use self::jobs::{Job, JobCounts, JobResult, JobState, NewJob};
pub use self::launch::{LaunchKind, LaunchResource, LaunchTotals};
pub use self::organizations::Organization;
pub use self::receipts::Idempotency;
pub(crate) use self::receipts::{earlier_receipt, insert_receipt};
pub(crate) use self::segments::{
    EventSnapshot, IdSource, PublishedSegment, Segment, id_sources, insert_segment, last_commit, number_commit,
};
pub(crate) use self::sources::advance_source;
pub use self::stacks::Stack;
pub use self::users::{Email, MalformedEmail, Member, Membership, Role, UnknownRole, User};
use crate::clock::Clock;
use crate::error::StorageError;

static MIGRATIONS: Migrator = sqlx::migrate!("src/catalog/migrations");

/// How long a write waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);
const READERS: u32 = 8;

/// A handle on the catalog; clones share its connections.
#[derive(Debug, Clone)]
pub struct Catalog {
    writer: SqlitePool,
    reader: SqlitePool,
    clock: Clock,
}

impl Catalog {
    /// Opens `catalog.db` in the folder, made if it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// When the file cannot be opened or made, or a migration fails.
    pub async fn open(path: &Path, clock: Clock) -> Result<Self, StorageError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        MIGRATIONS.run(&writer).await?;
        let reader = SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await?;
        Ok(Self { writer, reader, clock })
    }

    /// Answers when the catalog can be read.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn ping(&self) -> Result<(), StorageError> {
        sqlx::query("select 1").execute(&self.reader).await?;
        Ok(())
    }

    /// Closes every connection, after which the file may be moved.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    /// A transaction that holds the write lock from its start.
    pub(crate) async fn begin_write(&self) -> Result<Transaction<'static, Sqlite>, StorageError> {
        Ok(self.writer.begin_with("begin immediate").await?)
    }

    /// A transaction that sees one state of the catalog throughout.
    pub(crate) async fn begin_read(&self) -> Result<Transaction<'static, Sqlite>, StorageError> {
        Ok(self.reader.begin().await?)
    }
}
