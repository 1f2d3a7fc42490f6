//! A server inside the test: a place of its own, free ports, a clock that stands still.
//!
//! Embedded it is `tally serve`; scaled out it is two of `tally api` and two of `tally worker` with a scheduler, which share
//! nothing but what separate processes would.

use std::future::Future;
use std::net::SocketAddr;

use chrono::{DateTime, Utc};
use tally::config::{Config, Role};
use tally::serve::{self, Running};
use tally_storage::catalog::{NewJob, Role as MemberRole};
use tally_storage::clock::Clock;
use tally_storage::erase::Erased;
use tally_storage::ids::JobId;
use tally_storage::lake::{Compacted, Extent, Selection, Verified};
use tally_storage::password::Password;
use tally_storage::store::Store;
use tally_tests::{Scratch, Shape};
use tokio::runtime::Runtime;

use crate::http::Client;
use crate::program::{Ran, run_with};
use crate::tenant::{PASSWORD, Tenant};

/// A moment of the fixed clock: some time after all events of these tests.
pub(crate) const NOW: &str = "2024-06-15T12:00:00Z";

/// A moment after it, to which a test may move the clock.
pub(crate) const LATER: &str = "2024-06-15T18:00:00Z";

/// A server that lives as long as this.
#[derive(Debug)]
pub(crate) struct TestServer {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    running: Vec<Running>,
    runtime: Runtime,
    scratch: Scratch,
}

/// What runs: the one that answers first.
fn roles() -> &'static [Role] {
    match Shape::of_this_run() {
        Shape::Embedded => &[Role::Serve],
        Shape::ScaledOut => &[Role::Api, Role::Api, Role::Worker, Role::Worker, Role::Scheduler],
    }
}

/// The settings of that place.
pub(crate) fn config_in(scratch: &Scratch) -> Config {
    let mut config = Config { data_dir: scratch.path().join("data"), ..Config::default() };
    if let Some(url) = scratch.catalog_url() {
        config.catalog.url = url.parse().unwrap();
        config.catalog.max_connections = 4;
    }
    if let Some((url, prefix)) = scratch.queue() {
        config.queue.url = url.parse().unwrap();
        prefix.clone_into(&mut config.queue.prefix);
    }
    config
}

pub(crate) fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

impl TestServer {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// Starts one whose settings differ.
    pub(crate) fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let scratch = Scratch::new();
        let mut config = config_in(&scratch);
        config.server.bind = "127.0.0.1:0".parse().unwrap();
        config.server.workers = 2;
        config.jobs.upkeep_seconds = 1;
        // Under the fixed clock a second never ends. What limits do is tested where limits are small.
        config.rate_limit.requests_per_second = 100_000;
        config.rate_limit.anonymous_requests_per_second = 100_000;
        change(&mut config);
        config.validate().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let clock = Clock::fixed(moment(NOW));
        let client = Client::new(String::new());
        let mut server = Self { client, clock, config, running: Vec::new(), runtime, scratch };
        server.start_again();
        server
    }

    pub(crate) fn store(&self) -> &Store {
        &self.running[0].store
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running[0].address
    }

    /// Asks the first process alone from here on: what is tested is kept by each process for itself.
    #[must_use]
    pub(crate) fn of_one_process(mut self) -> Self {
        self.client = Client::new(format!("http://{}", self.address()));
        self
    }

    /// A client of each process, whatever its role.
    pub(crate) fn processes(&self) -> Vec<(Role, Client)> {
        let clients = self.running.iter().map(|running| Client::new(format!("http://{}", running.address)));
        roles().iter().copied().zip(clients).collect()
    }

    /// Runs an operator's command beside it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let settings: Vec<_> = self.scratch.catalog_url().map(|url| ("TALLY_CATALOG__URL", url)).into_iter().collect();
        run_with(&self.config.data_dir, &settings, arguments, b"")
    }

    /// Waits for something that the server's parts do.
    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    pub(crate) fn set_clock(&self, text: &str) {
        self.clock.set(moment(text));
    }

    /// The clock's next full second, in which every rate limit starts again.
    pub(crate) fn next_second(&self) {
        self.clock.set(self.clock.now() + chrono::Duration::seconds(1));
    }

    /// Stops the server as SIGTERM does.
    pub(crate) fn stop(&mut self) {
        // Connections that are kept open would be waited for.
        self.client = Client::new(String::new());
        for running in self.running.drain(..) {
            self.runtime.block_on(running.shut_down());
        }
    }

    /// Starts it again on the same folder, with the settings as they are now.
    pub(crate) fn start_again(&mut self) {
        let start = |role| self.runtime.block_on(serve::start(&self.config, role, self.clock.clone())).unwrap();
        self.running = roles().iter().copied().map(start).collect();
        let answering = self.running.iter().zip(roles()).filter(|(_, role)| role.answers_requests());
        self.client = Client::of(answering.map(|(running, _)| format!("http://{}", running.address)).collect());
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start_again();
    }
}

impl TestServer {
    pub(crate) fn tenant(&self) -> Tenant {
        self.wait(Tenant::in_catalog(&self.store().catalog))
    }

    /// The authtoken of a new user with that role in the organization.
    pub(crate) fn token_of_new(&self, role: MemberRole, tenant: &Tenant) -> String {
        let catalog = &self.store().catalog;
        self.wait(async {
            let email = format!("{role}-{}", tenant.email).parse().unwrap();
            let password = Password::new(PASSWORD.to_owned()).unwrap();
            let user = catalog.create_user(&tenant.uid, &email, role, &password).await.unwrap();
            catalog.create_authtoken(&user).await.unwrap()
        })
    }

    /// A job as the API accepts it, which nobody hears of, and whose time comes at [`LATER`]: until then neither a worker nor an
    /// upkeep takes it.
    pub(crate) fn silent_job(&self, tenant: &Tenant, report: &str, parameters: &str) -> JobId {
        self.set_clock(LATER);
        let job = NewJob {
            id: JobId::mint(),
            organization: tenant.uid.clone(),
            report: report.to_owned(),
            parameters: parameters.to_owned(),
        };
        self.wait(self.store().catalog.insert_job(&job)).unwrap();
        self.set_clock(NOW);
        job.id
    }

    /// Merges and summarizes segments.
    pub(crate) fn compact(&self, extent: Extent) -> Compacted {
        self.wait(self.store().lake.compact(None, extent, |_| false)).unwrap()
    }

    /// Compares summaries with events.
    pub(crate) fn verify(&self) -> Verified {
        self.wait(self.store().lake.verify(None, |_| {})).unwrap()
    }

    /// Erases all events of a device.
    pub(crate) fn erase(&self, tenant: &Tenant, device: &str) -> Erased {
        let selection = Selection {
            organization: tenant.uid.clone(),
            from: None,
            to: None,
            devices: vec![device.to_owned()],
            url_prefixes: Vec::new(),
        };
        self.wait(self.store().erase(selection, |_| {})).unwrap()
    }

    /// Makes columns of what waits in the log.
    pub(crate) fn flush(&self, tenant: &Tenant) -> usize {
        self.wait(self.store().events.flush(&tenant.uid)).unwrap()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop();
    }
}
