//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands::account::{AccountCommand, Answered};
use crate::commands::backup::BackupArgs;
use crate::commands::check::CheckArgs;
use crate::commands::demo::DemoCommand;
use crate::commands::erase::EraseArgs;
use crate::commands::ingest::IngestArgs;
use crate::commands::lake::LakeCommand;
use crate::commands::ping::PingArgs;
use crate::commands::report::ReportCommand;
use crate::commands::serve::ServeArgs;

const EXAMPLES: &str = "\
Try it:
  tally serve --demo

Set it up:
  tally org create --name Acme
  tally user create --org blt0123456789abcdef --email ada@example.com --role owner
  tally key create --org blt0123456789abcdef
  tally serve

Settings come from `config.toml` in the working folder, or from `--config`; a variable comes before the file:
  TALLY_SERVER__BIND=0.0.0.0:80 tally serve";

/// Self-hosted usage reports: events in, reports asked for as jobs, results read page by page
#[derive(Debug, Parser)]
#[command(name = "tally", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Read the settings from this file
    #[arg(long, value_name = "FILE", global = true, env = "TALLY_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// What the log tells: `error`, `warn`, `info`, `debug`, `trace`; comes before the setting `log.level`
    #[arg(long, value_name = "LEVEL", global = true)]
    pub(crate) log_level: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What `tally` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server: API, worker and upkeep
    ///
    /// It stops on SIGTERM and SIGINT: requests and jobs under way may end first, a second signal stops it at once.
    Serve(ServeArgs),
    /// Run a part of the server: the API
    ///
    /// Any number of processes share a catalog, a queue on Redis and a data folder.
    Api,
    /// Run a part of the server: a worker, which computes reports
    ///
    /// It answers `/healthz`, `/readyz` and `/metrics` at `server.bind`. It gives unfinished jobs back when it stops.
    Worker,
    /// Run a part of the server: the scheduler, which looks after jobs, events and files
    ///
    /// It answers `/healthz`, `/readyz` and `/metrics` at `server.bind`. Of several, one does each task.
    Scheduler,
    /// Bring the catalog's tables up to date and exit
    ///
    /// Every other command does so too where it starts; run this first where many start at once.
    Migrate,
    /// Organizations and who may do what in them
    #[command(flatten)]
    Account(AccountCommand),
    /// Read log files into the store, or send them to a server
    ///
    /// It works while a server runs on the same folder.
    Ingest(IngestArgs),
    /// Look at the files of events, and do their upkeep by hand
    Lake(Answered<LakeCommand>),
    /// Erase events, and all that was made of them
    ///
    /// Of all events that were acknowledged before: from the log, the segments, their summaries and the organization's
    /// results, while servers run. Afterwards no byte of them is in the data folder; backups that were made before still
    /// hold them. It prints a receipt. It may be stopped at any time, and is then to be run again. On a terminal the
    /// organization's uid has to be typed again, elsewhere `--yes` is needed.
    #[command(after_help = "Examples:\n  tally erase --org blt0123456789abcdef \
                            --url-prefix https://api.example.com/users/4711/ --yes\n  \
                            tally erase --org blt0123456789abcdef --from 2026-01-01 --to 2026-01-31 --device curl/8.5.0")]
    Erase(EraseArgs),
    /// Copy everything into a new folder, while servers run
    ///
    /// The copy is of one moment. It may be stopped at any time: the folder is there when it is whole, or not at all.
    #[command(after_help = "Example:\n  tally backup /backups/tally-2026-11-24")]
    Backup(BackupArgs),
    /// Make the data folder out of a backup
    ///
    /// The data folder must not have a catalog. No file of the backup may be missing or cut off.
    #[command(after_help = "Example:\n  tally restore /backups/tally-2026-11-24")]
    Restore(BackupArgs),
    /// Ask a server for a report and write its rows
    #[command(subcommand)]
    Report(ReportCommand),
    /// Check the configuration and exit
    Check(CheckArgs),
    /// Exit with 0 if a server is ready
    Ping(PingArgs),
    /// Make up events
    #[command(subcommand)]
    Demo(DemoCommand),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_example_is_a_line_that_can_be_run() {
        Arguments::command().debug_assert();
        let lines = EXAMPLES.lines().filter_map(|line| line.trim().split_once("tally "));
        let parsed = lines.map(|(_, line)| Arguments::try_parse_from(["tally"].into_iter().chain(line.split(' '))));
        assert_eq!(parsed.map(Result::unwrap).count(), 6);
    }

    #[test]
    fn settings_may_be_named_after_the_command_too() {
        let arguments =
            Arguments::try_parse_from(["tally", "check", "--config", "x.toml", "--log-level", "warn"]).unwrap();
        assert_eq!(arguments.config, Some("x.toml".into()));
        assert_eq!(arguments.log_level.as_deref(), Some("warn"));
    }
}
