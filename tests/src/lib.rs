//! A place of its own for each test, so that tests run side by side and leave nothing behind. The tests of the whole are in
//! `tests/`.
//!
//! Every test runs in two shapes. *Embedded* is what Tally is by itself: a folder. *Scaled out* is a schema on a
//! `PostgreSQL` server and a prefix on a Redis server. `TALLY_TEST_SHAPE` chooses, `make test` runs both.

#![expect(clippy::expect_used, reason = "a place that cannot be made fails its test")]

use std::path::Path;
use std::thread;

use redis::AsyncCommands as _;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

/// Where the catalog and the queue of a test are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `SQLite` and a queue in the process.
    Embedded,
    /// `PostgreSQL` and Redis.
    ScaledOut,
}

impl Shape {
    /// What `TALLY_TEST_SHAPE` says.
    ///
    /// # Panics
    /// Where it says something else.
    #[must_use]
    pub fn of_this_run() -> Self {
        match variable("TALLY_TEST_SHAPE", "embedded").as_str() {
            "embedded" => Self::Embedded,
            "scaled-out" => Self::ScaledOut,
            other => panic!("`TALLY_TEST_SHAPE` is `{other}`: expected `embedded` or `scaled-out`"),
        }
    }
}

/// A test's own folder and, scaled out, its own schema and queue prefix; all gone when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    servers: Option<Servers>,
}

#[derive(Debug)]
struct Servers {
    name: String,
    catalog_url: String,
}

impl Scratch {
    /// In the shape of this run.
    #[must_use]
    pub fn new() -> Self {
        Self::in_shape(Shape::of_this_run())
    }

    /// In that shape.
    ///
    /// # Panics
    /// Where there is no room for a folder, or the servers do not answer.
    #[must_use]
    pub fn in_shape(shape: Shape) -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        Self { folder, servers: (shape == Shape::ScaledOut).then(Servers::new) }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `catalog.url`, where it is not the default: the schema is part of it.
    #[must_use]
    pub fn catalog_url(&self) -> Option<&str> {
        self.servers.as_ref().map(|servers| servers.catalog_url.as_str())
    }

    /// `queue.url` and `queue.prefix`, where they are not the default.
    #[must_use]
    pub fn queue(&self) -> Option<(String, &str)> {
        self.servers.as_ref().map(|servers| (redis_url(), servers.name.as_str()))
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Servers {
    fn new() -> Self {
        let name = format!("test_{:.24}", Uuid::new_v4().simple().to_string());
        let url = postgres_url();
        let separator = if url.contains('?') { '&' } else { '?' };
        let catalog_url = format!("{url}{separator}application_name={name}&options[search_path]={name}");
        run_sql(format!("create schema {name}"));
        Self { name, catalog_url }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // A test that ends in the middle of a transaction leaves it open, and its runtime no longer ends it.
        let name = &self.name;
        run_sql(format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = '{name}';
             set lock_timeout = '10s'; set client_min_messages = warning; drop schema {name} cascade"
        ));
        delete_keys(name.clone());
    }
}

/// The `PostgreSQL` server of the tests: `TALLY_TEST_POSTGRES_URL`, or the one on the standard port.
#[must_use]
pub fn postgres_url() -> String {
    variable("TALLY_TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
}

/// The Redis server of the tests: `TALLY_TEST_REDIS_URL`, or the one on the standard port.
#[must_use]
pub fn redis_url() -> String {
    variable("TALLY_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
}

#[expect(clippy::disallowed_methods, reason = "the tests are told of their servers by the environment alone")]
fn variable(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn run_sql(sql: String) {
    apart(async move {
        let url = postgres_url();
        let connected = PgConnection::connect(&url).await;
        let mut connection = connected.unwrap_or_else(|error| panic!("PostgreSQL at `{url}`: {error}"));
        connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.expect("the statement is run");
        connection.close().await.expect("the connection closes");
    });
}

fn delete_keys(prefix: String) {
    apart(async move {
        let client = redis::Client::open(redis_url()).expect("`TALLY_TEST_REDIS_URL` is a Redis URL");
        let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
        let keys: Vec<String> = connection.keys(format!("{prefix}*")).await.expect("Redis lists keys");
        if !keys.is_empty() {
            let _deleted: i64 = connection.del(keys).await.expect("Redis deletes keys");
        }
    });
}

/// Waits for it on a thread and a runtime of its own: a test may stand on a runtime that cannot be blocked.
fn apart(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let done = thread::spawn(move || runtime().block_on(work)).join();
    if let Err(panic) = done
        && !thread::panicking()
    {
        std::panic::resume_unwind(panic);
    }
}
