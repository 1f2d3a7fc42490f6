//! `tally demo generate`: made-up events as a file, for trying an import and for measuring one.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::NaiveDate;
use tally_storage::clock::Clock;

use crate::demo::DemoPlan;
use crate::progress::events_bar;
use crate::whole_file::write_whole;

/// What `tally demo` can do.
#[derive(Debug, clap::Subcommand)]
pub enum DemoCommand {
    /// Write made-up request events as NDJSON; the same options always give the same bytes
    Generate(DemoGenerateArgs),
}

impl DemoCommand {
    /// Does it.
    ///
    /// # Errors
    /// If the events cannot be written.
    pub fn run(&self, clock: &Clock) -> anyhow::Result<()> {
        match self {
            Self::Generate(args) => args.run(clock),
        }
    }
}

/// The options of `tally demo generate`.
#[derive(Debug, clap::Args)]
pub struct DemoGenerateArgs {
    /// How many events
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub events: u64,
    /// Another seed gives other events with the same shape
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Over how many UTC days
    #[arg(long, value_name = "D", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3_660))]
    pub days: u32,
    /// The last of those days [default: today]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub end: Option<NaiveDate>,
    /// API key of a stack that the events name; once for each stack
    #[arg(long = "stack", value_name = "API_KEY")]
    pub stacks: Vec<String>,
    /// Give each event an id of its own
    #[arg(long)]
    pub ids: bool,
    /// Where to write; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

impl DemoGenerateArgs {
    /// Writes the events.
    ///
    /// # Errors
    /// If the file cannot be written; then there is none.
    pub fn run(&self, clock: &Clock) -> anyhow::Result<()> {
        let plan = self.plan(clock);
        if self.out == Path::new("-") {
            return match write_to(&plan, io::stdout().lock()) {
                // Whoever reads has seen enough, as `head` has.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => written.context("cannot write to standard output"),
            };
        }
        write_whole(&self.out, |out| write_to(&plan, out))
            .with_context(|| format!("cannot write `{}`", self.out.display()))
    }

    fn plan(&self, clock: &Clock) -> DemoPlan {
        DemoPlan {
            events: self.events,
            seed: self.seed,
            days: self.days,
            end: self.end.unwrap_or_else(|| clock.today()),
            stacks: self.stacks.clone(),
            ids: self.ids,
        }
    }
}

fn write_to(plan: &DemoPlan, mut out: impl Write) -> io::Result<()> {
    let bar = events_bar(plan.events);
    let written = plan.write_ndjson(&mut out, &mut |events| bar.set_position(events));
    bar.finish_and_clear();
    written
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(subcommand)]
        command: DemoCommand,
    }

    fn run(options: &[&str]) -> anyhow::Result<()> {
        let clock = Clock::fixed("2026-05-31T12:00:00Z".parse().unwrap());
        Cli::parse_from(["tally", "generate"].iter().chain(options)).command.run(&clock)
    }

    #[test]
    fn the_file_is_whole_and_ends_today() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("events.ndjson");
        run(&["--events", "500", "--days", "2", "--out", out.to_str().unwrap()]).unwrap();
        let text = fs::read_to_string(out).unwrap();
        assert_eq!(text.lines().count(), 500);
        assert!(text.lines().last().unwrap().starts_with("{\"ts\":\"2026-05-31T2"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_left_when_the_file_cannot_be_put_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("nowhere").join("events.ndjson");
        let error = run(&["--events", "5", "--out", out.to_str().unwrap()]).unwrap_err();
        assert!(error.to_string().contains("nowhere/events.ndjson"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
