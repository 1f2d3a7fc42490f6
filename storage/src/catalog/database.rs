//! Connections: what differs between `SQLite` and `PostgreSQL`.
//!
//! `SQLite` has one writer at a time. So writes go through a pool of one connection and take the write lock when they
//! begin: a transaction never fails half-way because another writer came between. Readers have connections of their own
//! and, with the write-ahead log, never wait for the writer. The many small writes of jobs share commits, see
//! `job_writer.rs`. Another process (an operator's command beside a running
//! server) is waited for.
//!
//! `PostgreSQL` has one pool for all. A connection is tried before it is used and made anew where it was lost, so that a
//! restarted server costs the statements under way and nothing after them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use super::Catalog;
use super::job_writer::JobWriter;
use super::recent::Recent;
use crate::clock::Clock;
use crate::error::StorageError;

/// How long a `SQLite` write waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);
const SQLITE_READERS: u32 = 8;

/// Where the catalog is.
#[derive(Debug, Clone)]
pub enum CatalogAddress {
    /// A `SQLite` file, made if it is not there.
    Sqlite(PathBuf),
    /// A `PostgreSQL` server.
    Postgres(PostgresAddress),
}

/// A `PostgreSQL` database and how it may be used.
#[derive(Clone)]
pub struct PostgresAddress {
    /// `postgres://user:password@host:port/database`, with libpq's options as its query.
    pub url: String,
    /// Connections of this process at most.
    pub max_connections: u32,
    /// How long a statement may wait for a connection.
    pub acquire_timeout: Duration,
}

impl CatalogAddress {
    /// The file that the folder's catalog is in where nothing else is said.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self::Sqlite(folder.join("catalog.db"))
    }

    /// A `PostgreSQL` database with the usual limits.
    #[must_use]
    pub fn postgres(url: &str) -> Self {
        Self::Postgres(PostgresAddress {
            url: url.to_owned(),
            max_connections: 16,
            acquire_timeout: Duration::from_secs(10),
        })
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL holds a password.
        formatter
            .debug_struct("PostgresAddress")
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

pub(super) async fn connect(address: &CatalogAddress, clock: Clock) -> Result<Catalog, StorageError> {
    sqlx::any::install_default_drivers();
    match address {
        CatalogAddress::Sqlite(path) => connect_sqlite(path, clock).await,
        CatalogAddress::Postgres(address) => connect_postgres(address, clock).await,
    }
}

async fn connect_sqlite(path: &Path, clock: Clock) -> Result<Catalog, StorageError> {
    // Write-ahead logging is a property of the file: set once, before many connections are made at once.
    let file = SqliteConnectOptions::new().filename(path).create_if_missing(true).busy_timeout(BUSY_TIMEOUT);
    let connection = file.clone().journal_mode(SqliteJournalMode::Wal).connect().await?;
    connection.close().await?;
    let options = AnyConnectOptions::from_str(&sqlite_url(path)?)?;
    let pool = || {
        // A file is not lost as a server is: to try a connection before each use would only take time.
        AnyPoolOptions::new().test_before_acquire(false).after_connect(|connection, _| {
            Box::pin(async move {
                let busy_ms = BUSY_TIMEOUT.as_millis();
                let pragmas =
                    format!("pragma busy_timeout = {busy_ms}; pragma synchronous = full; pragma foreign_keys = on");
                connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(pragmas))).await?;
                Ok(())
            })
        })
    };
    let writer = pool().max_connections(1).connect_with(options.clone()).await?;
    let begin_write = "begin immediate";
    Ok(Catalog {
        reader: pool().max_connections(SQLITE_READERS).connect_with(options).await?,
        job_writer: Some(JobWriter::start(writer.clone(), begin_write)),
        writer,
        begin_write,
        begin_read: "begin",
        clock,
        recent: Recent::new(),
    })
}

fn sqlite_url(path: &Path) -> Result<String, StorageError> {
    let absolute = std::path::absolute(path).map_err(|error| StorageError::file("could not find", path, error))?;
    Ok(format!("sqlite://{}?mode=rwc", percent_encode(absolute.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC)))
}

async fn connect_postgres(address: &PostgresAddress, clock: Clock) -> Result<Catalog, StorageError> {
    let pool = AnyPoolOptions::new()
        .max_connections(address.max_connections)
        .acquire_timeout(address.acquire_timeout)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // Else every start would log that the tables are there already.
                connection.execute(sqlx::raw_sql("set client_min_messages = warning")).await?;
                Ok(())
            })
        })
        .connect(&address.url)
        .await?;
    Ok(Catalog {
        writer: pool.clone(),
        reader: pool,
        begin_write: "begin",
        begin_read: "begin isolation level repeatable read read only",
        job_writer: None,
        clock,
        recent: Recent::new(),
    })
}
