//! `tally report`: asks a server for a report and writes its rows. What a cron line would run.
//!
//! The command line is made from the registry of reports: one subcommand for each, with the parameters that it takes.
//! Their values are checked by the server, which names every fault at once.

use std::fmt;
use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use chrono::NaiveDate;
use clap::{Arg, ArgMatches, Command, FromArgMatches, Subcommand, value_parser};
use serde_json::json;
use tally_jobs::parameters::{Accepted, Parameter};
use tally_jobs::reports::{About, REPORTS, find};
use tally_storage::events::requests::Service;
use tally_storage::ids::OrganizationUid;

use crate::report::{Client, DEFAULT_SERVER, Format, ReportRequest, fetch};
use crate::whole_file::write_whole;

const AUTHTOKEN: &str = "An authtoken of an owner or admin of the organization, as `tally token create` makes one; \
                         better given as a variable, where other users do not see it";

/// A report, its parameters, and where its rows go.
pub struct ReportCommand {
    request: ReportRequest,
    server: String,
    authtoken: Option<String>,
    format: Format,
    output: Option<PathBuf>,
}

impl fmt::Debug for ReportCommand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReportCommand").field("request", &self.request).finish_non_exhaustive()
    }
}

impl ReportCommand {
    /// Fetches the report.
    ///
    /// # Errors
    /// When there is no authtoken, the server cannot be reached or refuses, the job fails, or the rows cannot be
    /// written; then there is no file.
    pub fn run(&self) -> anyhow::Result<()> {
        let authtoken = self.authtoken.clone().context(
            "there is no authtoken: set the variable `TALLY_AUTHTOKEN` to one, as `tally token create` makes them",
        )?;
        let client = Client::new(&self.server, authtoken)?;
        let Some(path) = &self.output else {
            return fetch(&client, &self.request, self.format, io::BufWriter::new(io::stdout().lock())).or_else(unread);
        };
        write_whole(path, |out| fetch(&client, &self.request, self.format, out))
            .with_context(|| format!("`{}` is not written", path.display()))
    }
}

/// Whoever reads standard output has seen enough, as `head` has.
fn unread(error: anyhow::Error) -> anyhow::Result<()> {
    let closed = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    let written = error.chain().find_map(|cause| {
        let in_csv = cause.downcast_ref::<csv::Error>().and_then(|error| match error.kind() {
            csv::ErrorKind::Io(cause) => Some(cause),
            _ => None,
        });
        cause.downcast_ref::<io::Error>().or(in_csv)
    });
    if written.is_some_and(closed) { Ok(()) } else { Err(error) }
}

impl Subcommand for ReportCommand {
    fn augment_subcommands(command: Command) -> Command {
        command.subcommands(REPORTS.iter().map(|report| subcommand(report.about())))
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        find(name).is_some()
    }
}

impl FromArgMatches for ReportCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (name, matches) = matches.subcommand().ok_or_else(missing)?;
        let about = find(name).ok_or_else(missing)?.about();
        let text = |id| matches.get_one::<String>(id).cloned();
        let day = |id| matches.get_one::<NaiveDate>(id).map(NaiveDate::to_string);
        let days = [("from", day("from")), ("to", day("to"))];
        let others = about.parameters.iter().map(|Accepted { parameter, .. }| {
            let given = text(option(*parameter));
            (parameter.name(), if *parameter == Parameter::Services { given.map(services) } else { given })
        });
        let pairs = days.into_iter().chain(others).filter_map(|(name, value)| Some((name, value?))).collect();
        let organization = matches.get_one::<OrganizationUid>("org").ok_or_else(missing)?.to_string();
        Ok(Self {
            request: ReportRequest { about, organization, pairs },
            server: text("server").unwrap_or_else(|| DEFAULT_SERVER.to_owned()),
            authtoken: text("authtoken"),
            format: matches.get_one("format").copied().unwrap_or(Format::Table),
            output: matches.get_one("output").cloned(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The API takes a JSON array; a list with commas is easier to type.
fn services(given: String) -> String {
    if given.starts_with('[') { given } else { json!(given.split(',').map(str::trim).collect::<Vec<_>>()).to_string() }
}

fn subcommand(about: &'static About) -> Command {
    let required = about.parameters.iter().filter(|accepted| accepted.required);
    let optional = about.parameters.iter().filter(|accepted| !accepted.required);
    Command::new(about.name)
        .about(format!("{}: {}", about.title, about.summary.trim_end_matches('.')))
        .after_help(after_help(about))
        .arg(value("org", "UID", "Whose events").required(true).value_parser(value_parser!(OrganizationUid)))
        .arg(value("from", "YYYY-MM-DD", "The first UTC day").required(true).value_parser(value_parser!(NaiveDate)))
        .arg(
            value("to", "YYYY-MM-DD", "The last UTC day, at most 90 days after the first")
                .required(true)
                .value_parser(value_parser!(NaiveDate)),
        )
        .args(required.chain(optional).copied().map(parameter))
        .arg(
            value("server", "URL", "The server to ask")
                .env("TALLY_URL")
                .hide_env_values(true)
                .default_value(DEFAULT_SERVER),
        )
        .arg(value("authtoken", "TOKEN", AUTHTOKEN).env("TALLY_AUTHTOKEN").hide_env_values(true))
        .arg(
            value("format", "FORMAT", "The form of the rows")
                .value_parser(value_parser!(Format))
                .default_value("table"),
        )
        .arg(
            value("output", "FILE", "Write to this file, once all rows are there, instead of standard output")
                .value_parser(value_parser!(PathBuf)),
        )
}

fn value(name: &'static str, placeholder: &'static str, help: impl Into<clap::builder::StyledStr>) -> Arg {
    Arg::new(name).long(name).value_name(placeholder).help(help)
}

fn parameter(accepted: Accepted) -> Arg {
    let parameter = accepted.parameter;
    let names = || Service::ALL.map(Service::as_str).join(",");
    let (values, default) = match parameter {
        Parameter::Services => (format!("Which services, with commas between them: {}", names()), Some("cdn,cma")),
        other => (other.values().to_owned(), other.default_value()),
    };
    let help = match default {
        Some(default) if !accepted.required => format!("{values} [default: {default}]"),
        _ => values,
    };
    // A count ascending is `1`, descending `-1`.
    value(option(parameter), "VALUE", help).required(accepted.required).allow_hyphen_values(true)
}

/// A parameter's option.
const fn option(parameter: Parameter) -> &'static str {
    match parameter {
        Parameter::Services => "services",
        Parameter::Duration => "duration",
        Parameter::IncludeCount => "include-count",
        Parameter::IncludeTotalCount => "include-total-count",
        Parameter::OrderBy => "order-by",
        Parameter::Skip => "skip",
        Parameter::Limit => "limit",
        Parameter::ApiKey => "api-key",
        Parameter::HttpStatusCode => "http-status-code",
        Parameter::Cache => "cache",
        Parameter::ProjectUid => "project-uid",
        Parameter::EnvironmentUid => "environment-uid",
    }
}

fn after_help(about: &About) -> String {
    let columns = about.columns.iter().map(|column| format!("  {:<22} {}", column.name, column.about));
    let required = about.parameters.iter().filter(|accepted| accepted.required).map(|accepted| {
        let example = match accepted.parameter {
            Parameter::Services => "cdn,cma",
            other => other.default_value().unwrap_or("VALUE"),
        };
        format!(" --{} {example}", option(accepted.parameter))
    });
    format!(
        "Columns:\n{}\n\nExample:\n  tally report {} --org blt0123456789abcdef \\\n    --from 2026-03-01 --to 2026-03-31{} \\\n    \
         --format csv --output {}.csv",
        columns.collect::<Vec<_>>().join("\n"),
        about.name,
        required.collect::<String>(),
        about.name,
    )
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        report: ReportCommand,
    }

    const DAYS: &str = "--org blt0123456789abcdef --from 2026-03-01 --to 2026-03-31";

    fn parsed(line: &str) -> Result<ReportCommand, String> {
        let words = ["report"].into_iter().chain(line.split_whitespace()).chain(["--authtoken", "secret"]);
        Cli::try_parse_from(words).map(|cli| cli.report).map_err(|error| error.to_string())
    }

    #[test]
    fn options_become_the_parameters_of_the_api() {
        let command = parsed(&format!("devices {DAYS} --services cdn,cma --order-by -1 --api-key blt1")).unwrap();
        assert_eq!(command.request.organization, "blt0123456789abcdef");
        let pairs = [
            ("from", "2026-03-01"),
            ("to", "2026-03-31"),
            ("services", "[\"cdn\",\"cma\"]"),
            ("orderBy", "-1"),
            ("apiKey", "blt1"),
        ];
        assert_eq!(command.request.pairs, pairs.map(|(name, value)| (name, value.to_owned())));
        assert_eq!((command.server.as_str(), command.format, command.output), (DEFAULT_SERVER, Format::Table, None));
    }

    #[test]
    fn services_may_be_written_as_the_api_takes_them() {
        assert_eq!(services("[\"launch\"]".to_owned()), "[\"launch\"]");
        assert_eq!(services("cdn, cma".to_owned()), "[\"cdn\",\"cma\"]");
    }

    #[test]
    fn a_report_takes_its_own_parameters_only_and_asks_for_those_that_it_needs() {
        assert!(parsed(&format!("devices {DAYS} --cache HIT")).unwrap_err().contains("unexpected argument '--cache'"));
        let error = parsed(&format!("http-statuses {DAYS}")).unwrap_err();
        assert!(error.contains("--services <VALUE>") && error.contains("--duration <VALUE>"), "{error}");
        assert!(parsed("nothing").is_err());
        assert!(!format!("{:?}", parsed(&format!("usage {DAYS}")).unwrap()).contains("secret"));
    }

    #[test]
    fn every_example_can_be_parsed() {
        for report in &REPORTS {
            let help = after_help(report.about());
            let example = help.split("tally report ").nth(1).unwrap().replace("\\\n", "");
            parsed(&example).unwrap();
        }
    }

    #[test]
    fn the_help_is_made_from_the_registry() {
        let command = Cli::command().term_width(100);
        let help = command.try_get_matches_from(["report", "http-statuses", "--help"]).unwrap_err();
        insta::assert_snapshot!(help.to_string());
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        unread(closed().into()).unwrap();
        unread(csv::Error::from(closed()).into()).unwrap();
        unread(anyhow::anyhow!("refused")).unwrap_err();
    }
}
