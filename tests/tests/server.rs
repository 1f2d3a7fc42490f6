//! The server of `tally serve` inside the test: a folder of its own, a free port, a clock that stands still.

use std::future::Future;
use std::net::SocketAddr;

use chrono::{DateTime, Utc};
use tally::config::Config;
use tally::serve::{self, Running};
use tally_storage::clock::Clock;
use tally_storage::store::Store;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::http::Client;

/// A moment of the fixed clock: some time after all events of these tests.
pub(crate) const NOW: &str = "2024-06-15T12:00:00Z";

/// A server that lives as long as this.
#[derive(Debug)]
pub(crate) struct TestServer {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    running: Option<Running>,
    runtime: Runtime,
    _folder: TempDir,
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
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: folder.path().join("data"), ..Config::default() };
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
        let running = runtime.block_on(serve::start(&config, clock.clone())).unwrap();
        let client = Client::new(format!("http://{}", running.address));
        Self { client, clock, config, running: Some(running), runtime, _folder: folder }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.running.as_ref().unwrap().store
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().address
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
        let running = self.running.take().unwrap();
        self.runtime.block_on(running.shut_down());
    }

    /// Starts it again on the same folder, with the settings as they are now.
    pub(crate) fn start_again(&mut self) {
        let running = self.runtime.block_on(serve::start(&self.config, self.clock.clone())).unwrap();
        self.client = Client::new(format!("http://{}", running.address));
        self.running = Some(running);
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start_again();
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.stop();
        }
    }
}
