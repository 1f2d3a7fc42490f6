//! What a process does: HTTP, worker and upkeep, or one of them, started and stopped in an order that loses nothing.
//!
//! Reports are computed on the runtime that calls [`start`], HTTP is answered on threads of its own: a report that
//! takes long keeps no request waiting. Tests start the very same thing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tally_api::{Metrics, Parts, Readiness, Server, ServerHandle};
use tally_jobs::run::{JobQueue, Upkeep, Worker};
use tally_storage::clock::Clock;
use tally_storage::store::Store;
use tokio::task::JoinSet;

use crate::config::{Config, Role};

/// A process that does what its role says, and answers.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it keeps everything.
    pub store: Store,
    queue: JobQueue,
    worker: Option<Worker>,
    upkeep: Option<Upkeep>,
    http: ServerHandle,
    /// The one task that answers; here so that it ends with the server, however that ends.
    answering: JoinSet<io::Result<()>>,
}

/// Starts it on the current Tokio runtime. It answers when this returns.
///
/// # Errors
/// When the settings contradict the role, data folder or catalog cannot be opened, or the address cannot be listened on.
pub async fn start(config: &Config, role: Role, clock: Clock) -> anyhow::Result<Running> {
    role.check(config)?;
    let store = open_store(config, clock).await?;
    let metrics = Metrics::new().context("the metrics cannot be made")?;
    let queue = config.job_queue()?;
    let worker = role
        .computes_reports()
        .then(|| Worker::start(store.clone(), queue.clone(), config.worker(), Arc::new(metrics.clone())));
    let readiness = Readiness { worker: worker.clone() };
    let parts = Parts { store: store.clone(), queue: queue.clone(), readiness, metrics };
    let server = match Server::bind(parts, &config.server(role)?) {
        Ok(server) => server,
        Err(error) => {
            stop_working(worker, None, queue, store).await;
            let bind = config.server.bind;
            return Err(error).with_context(|| format!("`server.bind`: cannot listen on `{bind}`"));
        }
    };
    let (address, http) = (server.address(), server.handle());
    let upkeep = role.looks_after_tasks().then(|| Upkeep::start(&store, &queue, config.upkeep()));
    tracing::info!(%address, command = role.command(), data_dir = %config.data_dir.display(), "listening");
    let mut answering = JoinSet::new();
    answering.spawn(server.run());
    Ok(Running { address, store, queue, worker, upkeep, http, answering })
}

async fn open_store(config: &Config, clock: Clock) -> anyhow::Result<Store> {
    let store = Store::open(&config.store(), clock).await;
    store.with_context(|| {
        let (folder, catalog) = (config.data_dir.display(), &config.catalog.url);
        format!("`data_dir`, the folder `{folder}`, or `catalog.url`, `{catalog}`, cannot be opened")
    })
}

/// Gives unfinished jobs and tasks back, and closes what they need after them.
async fn stop_working(worker: Option<Worker>, upkeep: Option<Upkeep>, queue: JobQueue, store: Store) {
    if let Some(worker) = worker {
        worker.shut_down().await;
    }
    if let Some(upkeep) = upkeep {
        upkeep.shut_down().await;
    }
    queue.close().await;
    store.close().await;
}

impl Running {
    /// Waits until HTTP is no longer answered, which happens by itself only when something is wrong.
    ///
    /// # Errors
    /// What was wrong.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        let Some(ended) = self.answering.join_next().await else { return Ok(()) };
        ended.context("the HTTP server ended early")?.context("the HTTP server failed")
    }

    /// Stops accepting, lets requests and jobs under way end within their grace, and closes the store.
    pub async fn shut_down(self) {
        self.http.stop().await;
        stop_working(self.worker, self.upkeep, self.queue, self.store).await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::commands::ping::{PingArgs, base_url};

    fn config(folder: &tempfile::TempDir) -> Config {
        let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        config.server.bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config
    }

    fn is_ready(address: SocketAddr) -> bool {
        PingArgs { url: Some(base_url(address)) }.run(&Config::default()).is_ok()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_is_ready_when_it_has_started_and_gone_when_it_has_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let running = start(&config(&folder), Role::Serve, Clock::system()).await.unwrap();
        let address = running.address;
        assert!(is_ready(address));
        running.shut_down().await;
        assert!(!is_ready(address));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_address_in_use_is_refused_with_the_setting() {
        let folder = tempfile::tempdir().unwrap();
        let running = start(&config(&folder), Role::Serve, Clock::system()).await.unwrap();
        let mut other = config(&folder);
        other.server.bind = running.address;
        let error = start(&other, Role::Serve, Clock::system()).await.unwrap_err().to_string();
        assert_eq!(error, format!("`server.bind`: cannot listen on `{}`", running.address));
        running.shut_down().await;
    }
}
