//! The `tally` command: its settings, its commands, the server that it runs, and the demo.
//!
//! | | |
//! |---|---|
//! | `arguments.rs` | the command line |
//! | `config/` | settings: read, checked, handed out |
//! | `commands/` | one file for each command |
//! | `serve.rs` | the server that `tally serve` runs, and the parts of it |
//! | `report/` | the client that `tally report` is |
//! | `demo/` | made-up traffic |
//! | `output.rs`, `prompt.rs`, `progress.rs`, `logging.rs` | answers, questions, progress bars, the log |
//! | `whole_file.rs` | files that are there as a whole or not at all |

mod arguments;
pub mod commands;
pub mod config;
pub mod demo;
mod logging;
pub mod output;
mod progress;
pub mod prompt;
pub mod report;
pub mod serve;
mod whole_file;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tally_storage::clock::Clock;
use tokio::runtime::Runtime;

use self::arguments::{Arguments, Command};
use self::commands::migrate;
use self::commands::serve::ServeArgs;
use self::config::{Role, Sources};

/// Does what the command line says, and says how the process is to exit.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let done = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments.run(),
        Err(refused) => {
            // Help and version are no failures. There is nobody to tell where they cannot be printed.
            let code = if refused.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
            return refused.print().map_or(ExitCode::FAILURE, |()| code);
        }
    };
    done.unwrap_or_else(|error| {
        drop(writeln!(io::stderr(), "error: {error:#}"));
        ExitCode::FAILURE
    })
}

impl Arguments {
    fn run(self) -> anyhow::Result<ExitCode> {
        let clock = Clock::system();
        let sources = Sources { file: self.config, variables: env::vars_os().collect(), log_level: self.log_level };
        let configured = || {
            let config = sources.load()?;
            logging::start(&config.log)?;
            anyhow::Ok(config)
        };
        match self.command {
            Command::Ingest(args) => return args.run(&configured()?, clock, &runtime()?, &mut io::stdout()),
            Command::Lake(command) => return runtime()?.block_on(command.run(&configured()?, clock)),
            Command::Serve(args) => runtime()?.block_on(args.run(Role::Serve, &configured()?, clock)),
            Command::Api => runtime()?.block_on(ServeArgs::default().run(Role::Api, &configured()?, clock)),
            Command::Worker => runtime()?.block_on(ServeArgs::default().run(Role::Worker, &configured()?, clock)),
            Command::Scheduler => runtime()?.block_on(ServeArgs::default().run(Role::Scheduler, &configured()?, clock)),
            Command::Migrate => runtime()?.block_on(migrate::run(&configured()?, clock, &mut io::stdout())),
            Command::Erase(args) => runtime()?.block_on(args.run(&configured()?, clock)),
            Command::Backup(args) => runtime()?.block_on(args.back_up(&configured()?, clock)),
            Command::Restore(args) => runtime()?.block_on(args.restore(&configured()?, clock)),
            Command::Check(args) => args.run(&configured()?, &mut io::stdout()),
            Command::Ping(args) => args.run(&configured()?),
            Command::Account(command) => runtime()?.block_on(command.run(&configured()?, clock)),
            Command::Report(command) => command.run(),
            Command::Demo(command) => command.run(&clock),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    Runtime::new().context("the runtime cannot be started")
}
