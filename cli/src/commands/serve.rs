//! `tally serve`, `tally api`, `tally worker` and `tally scheduler`: the server or a part of it, until it is told to stop.

use std::env;
use std::io::{self, Write as _};
use std::process;

use anyhow::Context as _;
use tally_storage::clock::Clock;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ping::base_url;
use crate::config::{Config, Role};
use crate::demo::{self, Banner, DEMO_EVENTS};
use crate::serve::{self, Running};

/// The options of `tally serve`.
#[derive(Debug, Default, clap::Args)]
pub struct ServeArgs {
    /// Make an organization with 90 days of made-up events, once, and print lines to try
    #[arg(long)]
    pub demo: bool,
}

impl ServeArgs {
    /// Does what the role says until the process is told to stop.
    ///
    /// # Errors
    /// When it cannot start, or HTTP fails.
    pub async fn run(&self, role: Role, config: &Config, clock: Clock) -> anyhow::Result<()> {
        let mut signals = Signals::listen().context("signals cannot be listened for")?;
        let mut running = serve::start(config, role, clock).await?;
        let served = tokio::select! {
            served = self.serve(&mut running) => served,
            name = signals.next() => {
                tracing::info!(signal = name, "stopping; a second signal stops at once");
                Ok(())
            }
        };
        stop(running, &mut signals).await;
        served
    }

    async fn serve(&self, running: &mut Running) -> anyhow::Result<()> {
        if self.demo {
            let store = running.store.clone();
            let access = demo::prepare(&store, &base_url(running.address), DEMO_EVENTS).await;
            let access = access.context("the demo cannot be made")?;
            let program = env::args().next().unwrap_or_else(|| "tally".to_owned());
            let banner = Banner { access: &access, program: &program, now: store.clock.now() };
            write!(io::stdout(), "\n{banner}\n").context("the demo's lines cannot be printed")?;
        }
        running.ended().await
    }
}

async fn stop(running: Running, signals: &mut Signals) {
    tokio::select! {
        () = running.shut_down() => tracing::info!("stopped"),
        name = signals.next() => {
            tracing::warn!(signal = name, "stopped at once");
            process::exit(1);
        }
    }
}

/// What asks the process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
