//! What can go wrong in storage.

use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use sqlx::postgres::PgDatabaseError;

use crate::catalog::Email;
use crate::ids::{OrganizationUid, UserUid};

/// A failure of the catalog, of the lake or of a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The catalog's database refused or could not be reached.
    #[error("the catalog did not answer")]
    Catalog(#[from] sqlx::Error),
    /// A migration could not be applied at start.
    #[error("the catalog's tables could not be brought up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A file could not be read or written.
    #[error("{action} `{path}`")]
    File {
        /// What was tried, as "could not write".
        action: &'static str,
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Columns that do not fit, or a damaged column file.
    #[error("columns could not be encoded or decoded")]
    Arrow(#[from] ArrowError),
    /// A segment that could not be written or read.
    #[error("a segment could not be encoded or decoded")]
    Parquet(#[from] ParquetError),
    /// The query engine failed.
    #[error("the query engine failed")]
    Query(#[from] datafusion::error::DataFusionError),
    /// A catalog row that says something impossible.
    #[error("the catalog holds a value that makes no sense: {0}")]
    Corrupt(String),
    /// A text column of the catalog that should be JSON.
    #[error("the catalog holds text that is no JSON")]
    Json(#[from] serde_json::Error),
    /// The password could not be hashed or its hash not be read.
    #[error("the password could not be hashed: {0}")]
    Password(String),
    /// The organization went away, or never was.
    #[error("organization `{0}` does not exist")]
    NoSuchOrganization(OrganizationUid),
    /// The user went away, or never was.
    #[error("user `{0}` does not exist")]
    NoSuchUser(UserUid),
    /// Another user has this email address.
    #[error("a user with the email address `{0}` exists already")]
    EmailTaken(Email),
    /// The user has a role in this organization.
    #[error("user `{user}` is already a member of organization `{organization}`")]
    AlreadyMember {
        /// Who was to be added.
        user: UserUid,
        /// To which organization.
        organization: OrganizationUid,
    },
    /// More unflushed events than the bound allows.
    #[error("{backlog_bytes} bytes of events wait to be flushed, over the bound of {bound_bytes}")]
    Backlog {
        /// How much waits.
        backlog_bytes: u64,
        /// `ingest.max_backlog_bytes`.
        bound_bytes: u64,
    },
    /// The idempotency key was used before, with other bytes.
    #[error("the idempotency key was used before with another body")]
    IdempotencyMismatch,
    /// Another run has read further in the same file since this one looked.
    #[error("another `tally ingest` is reading the same file; run it again when that one has ended")]
    SourceMoved,
    /// There is something already where a backup or a restored catalog would be.
    #[error("`{0}` exists already, and would be overwritten")]
    BackupTarget(String),
    /// Two backups of one name at once.
    #[error("another backup is being made in `{0}`")]
    BackupUnderWay(String),
    /// Only a `SQLite` catalog is one file that can be copied.
    #[error("the catalog is PostgreSQL: copy it with PostgreSQL's own tools, and the data folder after it")]
    NotSqlite,
    /// Bytes that are not what was written.
    #[error("{0} is damaged")]
    Damaged(&'static str),
    /// More than fits into memory at once.
    #[error("{0} take more memory than there may be used")]
    TooLarge(&'static str),
    /// A thread or task of ours ended before its answer.
    #[error("a background task ended early: {0}")]
    Background(String),
}

impl StorageError {
    /// Whether the same call may work a moment later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Catalog(error) => is_temporary_database_error(error),
            Self::Query(error) => is_temporary_query_error(error),
            Self::File { source, .. } | Self::Arrow(ArrowError::IoError(_, source)) => is_temporary_io_error(source),
            Self::Parquet(ParquetError::External(source)) => {
                source.downcast_ref::<std::io::Error>().is_some_and(is_temporary_io_error)
            }
            Self::Backlog { .. } | Self::Background(_) => true,
            Self::Migration(_)
            | Self::Arrow(_)
            | Self::Parquet(_)
            | Self::Corrupt(_)
            | Self::Json(_)
            | Self::Password(_)
            | Self::NoSuchOrganization(_)
            | Self::NoSuchUser(_)
            | Self::EmailTaken(_)
            | Self::AlreadyMember { .. }
            | Self::IdempotencyMismatch
            | Self::BackupTarget(_)
            | Self::BackupUnderWay(_)
            | Self::NotSqlite
            | Self::Damaged(_)
            | Self::TooLarge(_)
            | Self::SourceMoved => false,
        }
    }

    /// Wraps an I/O error with what was tried on which file.
    pub(crate) fn file(action: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        Self::File { action, path: path.display().to_string(), source }
    }
}

fn is_temporary_database_error(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(inner) => {
            let code = inner.code().unwrap_or_default();
            if inner.try_downcast_ref::<PgDatabaseError>().is_some() {
                is_temporary_sqlstate(&code)
            } else {
                // Busy, locked, I/O error and full disk, with SQLite's extended codes in the upper bits.
                code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13))
            }
        }
        _ => false,
    }
}

/// Lost connections, transactions that lost against another one, a server without resources, stopping or starting, and
/// its own I/O errors: <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
fn is_temporary_sqlstate(code: &str) -> bool {
    ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class)) || code == "55P03"
}

fn is_temporary_io_error(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    // A segment may have been replaced between the catalog's answer and the read: the next try sees the new list.
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::Interrupted
            | ErrorKind::TimedOut
            | ErrorKind::WouldBlock
            | ErrorKind::StorageFull
    )
}

fn is_temporary_query_error(error: &datafusion::error::DataFusionError) -> bool {
    use datafusion::error::DataFusionError;
    matches!(error.find_root(), DataFusionError::ObjectStore(_) | DataFusionError::IoError(_))
}
