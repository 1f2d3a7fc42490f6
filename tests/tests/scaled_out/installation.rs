//! An installation: processes that share a folder, a catalog and a queue.

use std::path::PathBuf;

use sqlx::{Connection as _, Executor as _, PgConnection};
use tally_storage::catalog::{Catalog, CatalogAddress};
use tally_storage::clock::Clock;
use tally_tests::{Scratch, Shape};
use tokio::runtime::Runtime;

use crate::program::{Served, run_with};
use crate::tenant::Tenant;

/// How long a worker of these tests may be silent.
pub(super) const LEASE_SECONDS: u64 = 2;

/// Writes down each time that a job is finished.
const RECORD_FINISHINGS: &str = "
    create table finishings (job text not null);
    create function record_finishing() returns trigger language plpgsql as
        $$ begin insert into finishings values (new.id); return new; end $$;
    create trigger record_finishing after update on jobs for each row
        when (new.state = 'finished' and old.state <> 'finished') execute function record_finishing();
";

#[derive(Debug)]
pub(super) struct Installation {
    settings: Vec<(&'static str, String)>,
    data_dir: PathBuf,
    catalog_url: String,
    runtime: Runtime,
    _scratch: Scratch,
}

impl Installation {
    /// On the servers of all tests.
    pub(super) fn new() -> Self {
        let scratch = Scratch::in_shape(Shape::ScaledOut);
        let catalog_url = scratch.catalog_url().unwrap().to_owned();
        let (queue_url, prefix) = scratch.queue().map(|(url, prefix)| (url, prefix.to_owned())).unwrap();
        Self::in_place(scratch, catalog_url, queue_url, prefix)
    }

    /// Writes down when jobs are finished, from here on.
    pub(super) fn recording(self) -> Self {
        self.run_sql(RECORD_FINISHINGS);
        self
    }

    /// On servers of its own.
    pub(super) fn on(catalog_url: String, queue_url: String) -> Self {
        Self::in_place(Scratch::in_shape(Shape::Embedded), catalog_url, queue_url, "tally".to_owned())
    }

    fn in_place(scratch: Scratch, catalog_url: String, queue_url: String, prefix: String) -> Self {
        let settings = vec![
            ("TALLY_CATALOG__URL", catalog_url.clone()),
            ("TALLY_CATALOG__MAX_CONNECTIONS", "8".to_owned()),
            ("TALLY_QUEUE__URL", queue_url),
            ("TALLY_QUEUE__PREFIX", prefix),
            ("TALLY_JOBS__CONCURRENCY", "2".to_owned()),
            ("TALLY_JOBS__LEASE_SECONDS", LEASE_SECONDS.to_string()),
            ("TALLY_JOBS__UPKEEP_SECONDS", "1".to_owned()),
            // Of those who are killed again and again.
            ("TALLY_JOBS__MAX_ATTEMPTS", "10".to_owned()),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let data_dir = scratch.path().join("data");
        let installation = Self { settings, data_dir, catalog_url, runtime, _scratch: scratch };
        run_with(&installation.data_dir, &installation.settings(), &["migrate"], b"").succeeded();
        installation
    }

    fn settings(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// Starts a process of that role.
    pub(super) fn start(&self, role: &str) -> Served {
        self.start_with(role, &[])
    }

    /// The same with further settings.
    pub(super) fn start_with(&self, role: &str, settings: &[(&str, &str)]) -> Served {
        Served::start_as(role, &self.data_dir, &[&self.settings(), settings].concat())
    }

    /// So many organizations.
    pub(super) fn tenants(&self, count: usize) -> Vec<Tenant> {
        self.runtime.block_on(async {
            let address = CatalogAddress::postgres(&self.catalog_url);
            let catalog = Catalog::open(&address, Clock::system()).await.unwrap();
            let mut tenants = Vec::new();
            for _ in 0..count {
                tenants.push(Tenant::in_catalog(&catalog).await);
            }
            catalog.close().await;
            tenants
        })
    }

    /// The number that a query of the catalog gives.
    pub(super) fn count(&self, query: &'static str) -> i64 {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect(&self.catalog_url).await.unwrap();
            sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
        })
    }

    /// The texts that a query of the catalog gives.
    pub(super) fn texts(&self, query: &'static str) -> Vec<String> {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect(&self.catalog_url).await.unwrap();
            sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap()
        })
    }

    fn run_sql(&self, text: &'static str) {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect(&self.catalog_url).await.unwrap();
            connection.execute(sqlx::raw_sql(text)).await.unwrap();
        });
    }

    /// Says that every job that there is has been finished, once, and has its own result.
    pub(super) fn assert_each_job_finished_once(&self) {
        assert_eq!(self.texts("select id || ' is ' || state from jobs where state <> 'finished'"), [""; 0]);
        let again = self.texts("select job from finishings group by job having count(*) > 1");
        assert_eq!(again, [""; 0], "finished more than once");
        let jobs = self.count("select count(*) from jobs");
        assert_eq!(self.count("select count(*) from finishings"), jobs);
        assert_eq!(self.count("select count(distinct result_path) from jobs"), jobs);
    }
}
