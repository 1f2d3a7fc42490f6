//! The HTTP server: its routes, and how it starts and stops.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::{Server as ActixServer, ServerHandle as ActixHandle};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};

use crate::error::ApiError;
use crate::ingest::IngestOptions;
use crate::rate_limit::{RateLimits, SharedCounts};
use crate::request_log::log_request;
use crate::state::{AppState, Parts};
use crate::{access, ingest, operations, session, v2};

/// What is said about HTTP in the configuration.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Threads that answer requests.
    pub workers: usize,
    /// How long a client may take to send a request's head.
    pub request_timeout: Duration,
    /// How long requests under way may go on at shutdown.
    pub shutdown_grace: Duration,
    /// Whether `X-Forwarded-For` is the word of a proxy of ours.
    pub trust_forwarded_for: bool,
    /// How many requests are answered.
    pub rate_limits: RateLimits,
    /// Where several processes count them together.
    pub shared_counts: Option<SharedCounts>,
    /// What is answered.
    pub routes: Routes,
    /// Bytes of rendered pages kept in memory.
    pub page_cache_bytes: u64,
    /// What is taken in.
    pub ingest: IngestOptions,
}

/// What a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routes {
    /// The whole API.
    All,
    /// What those who run Tally ask of a process that does other work.
    Operations,
}

/// A server that listens. Nothing is answered until it is [`run`](Self::run).
pub struct Server {
    address: SocketAddr,
    server: ActixServer,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Stops a running server.
#[derive(Debug, Clone)]
pub struct ServerHandle(ActixHandle);

impl ServerHandle {
    /// Stops accepting, lets requests under way end, and returns.
    pub async fn stop(&self) {
        self.0.stop(true).await;
    }
}

impl Server {
    /// Listens on the address of the options.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn bind(parts: Parts, options: &ServerOptions) -> io::Result<Self> {
        let state = Data::new(AppState::new(parts, options));
        let routes = options.routes;
        let server = HttpServer::new(move || {
            App::new()
                .app_data(state.clone())
                .wrap(from_fn(log_request))
                .configure(|config| {
                    if routes == Routes::All {
                        config.configure(v2::routes).configure(session::routes).configure(ingest::routes);
                    }
                })
                .configure(operations::routes)
                .default_service(web::to(unknown_path))
        })
        .workers(options.workers.max(1))
        .client_request_timeout(options.request_timeout)
        .shutdown_timeout(options.shutdown_grace.as_secs())
        .disable_signals()
        .bind(options.bind)?;
        let address = server.addrs().first().copied().unwrap_or(options.bind);
        Ok(Self { address, server: server.run() })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stops it.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle(self.server.handle())
    }

    /// Answers requests until it is stopped.
    ///
    /// # Errors
    /// When the listening socket fails.
    pub async fn run(self) -> io::Result<()> {
        self.server.await
    }
}

/// Answers what no route takes.
pub(crate) async fn unknown_path(request: actix_web::HttpRequest) -> Result<&'static str, ApiError> {
    access::count_address(&request)?;
    Err(ApiError::UnknownPath)
}
