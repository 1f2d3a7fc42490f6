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
//! | `job_writer.rs` | how their moves are written: together |
//! | `event_log.rs`, `segments.rs` | where the events are |
//! | `compaction.rs` | which segments take the place of which, and when their files go |
//! | `erasure.rs` | what an erasure takes back besides events, and that nothing stays in the database's own files |
//! | `retention.rs` | how long events and results are kept |
//! | `files.rs` | all files that these rows name |
//! | `task_leases.rs` | who does what only one process may do |
//! | `recent.rs` | what was asked within the last second, and need not be asked again |
//! | `row.rs` | how a row is read |
//! | `receipts.rs`, `sources.rs` | what was already counted: idempotency keys, read files |
//!
//! Every statement is one text for `SQLite` and for `PostgreSQL`; `database.rs` knows what differs.

mod authtokens;
mod compaction;
mod database;
mod erasure;
mod event_log;
mod files;
mod ingest_keys;
mod job_moves;
mod job_writer;
mod jobs;
mod launch;
mod organizations;
mod receipts;
mod recent;
mod retention;
mod row;
mod segments;
mod sources;
mod stacks;
mod summary_files;
mod task_leases;
mod users;

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Any, AnyPool, SqlSafeStr as _, Transaction};

pub use self::authtokens::{Access, Authtoken, AuthtokenId, MAX_AUTHTOKENS};
pub use self::compaction::LakeStatus;
pub(crate) use self::compaction::{SegmentDay, put_in_place, take_out_segments};
pub use self::database::{CatalogAddress, PostgresAddress};
pub(crate) use self::erasure::{names_of_organization, withdraw_results};
pub(crate) use self::event_log::{LogBound, LogRow, NewLogRow, delete_log_rows, insert_log_row};
pub(crate) use self::files::NamedFile;
pub use self::ingest_keys::{IngestKey, IngestKeyId};
use self::job_writer::JobWriter;
pub use self::jobs::{Job, JobCounts, JobResult, JobState, NewJob};
pub use self::launch::{LaunchKind, LaunchResource, LaunchTotals};
pub use self::organizations::Organization;
pub(crate) use self::organizations::lock_organization;
pub use self::receipts::Idempotency;
pub(crate) use self::receipts::{earlier_receipt, insert_receipt};
use self::recent::Recent;
pub use self::retention::{OwnRetention, Retention};
pub(crate) use self::segments::{
    EventSnapshot, IdSource, PublishedSegment, Segment, id_sources, insert_segment, last_commit, number_commit,
};
pub(crate) use self::sources::advance_source;
pub use self::stacks::Stack;
pub(crate) use self::summary_files::{
    SegmentSummaries, SummarizedSegment, SummaryFile, SummaryFileUse, forget_summaries, insert_summary_file,
    move_summaries, retire_unused_summaries, segments_summarized_in, set_summaries,
};
pub use self::users::{Email, MalformedEmail, Member, Membership, Role, UnknownRole, User};
use crate::clock::Clock;
use crate::error::StorageError;

/// The tables, step by step: number, name, text. A step that was released is never changed.
const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "start", include_str!("migrations/0001_start.sql")),
    (2, "task leases", include_str!("migrations/0002_task_leases.sql")),
    (3, "summaries", include_str!("migrations/0003_summaries.sql")),
    (4, "retention", include_str!("migrations/0004_retention.sql")),
    (5, "summary files", include_str!("migrations/0005_summary_files.sql")),
];

/// A handle on the catalog; clones share its connections.
#[derive(Debug, Clone)]
pub struct Catalog {
    writer: AnyPool,
    reader: AnyPool,
    begin_write: &'static str,
    begin_read: &'static str,
    clock: Clock,
    recent: Recent,
    /// Where moves of jobs are better written together.
    job_writer: Option<JobWriter>,
}

impl Catalog {
    /// Opens the catalog and brings its tables up to date.
    ///
    /// # Errors
    /// When the database cannot be reached, opened or made, or a migration fails.
    pub async fn open(address: &CatalogAddress, clock: Clock) -> Result<Self, StorageError> {
        let catalog = database::connect(address, clock).await?;
        migrations().run(&catalog.writer).await?;
        Ok(catalog)
    }

    /// Answers when the catalog can be read.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn ping(&self) -> Result<(), StorageError> {
        sqlx::query("select 1").execute(&self.reader).await?;
        Ok(())
    }

    /// Waits for the moves of jobs under way and closes every connection, after which a catalog's file may be moved.
    pub async fn close(&self) {
        if let Some(writer) = &self.job_writer {
            writer.close().await;
        }
        self.reader.close().await;
        self.writer.close().await;
    }

    /// Says that a transaction was committed that took back results, rights or organizations: what this process was told
    /// before holds no more.
    pub(crate) fn forget_recent(&self) {
        self.recent.forget();
    }

    fn is_sqlite(&self) -> bool {
        self.reader.connect_options().database_url.scheme() == "sqlite"
    }

    /// A transaction for writing. `SQLite` lets nobody else write until it ends; on `PostgreSQL` a statement waits for the
    /// rows that it changes, so what must not happen twice at once begins by locking a row.
    pub(crate) async fn begin_write(&self) -> Result<Transaction<'static, Any>, StorageError> {
        Ok(self.writer.begin_with(self.begin_write).await?)
    }

    /// A transaction that sees one state of the catalog throughout.
    pub(crate) async fn begin_read(&self) -> Result<Transaction<'static, Any>, StorageError> {
        Ok(self.reader.begin_with(self.begin_read).await?)
    }
}

fn migrations() -> Migrator {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.into())
}
