//! `tally org`: organizations, which own everything else.

use std::num::NonZeroU32;
use std::str::FromStr;

use anyhow::Context as _;
use serde_json::json;
use tally_storage::catalog::{Catalog, Organization, OwnRetention};
use tally_storage::ids::OrganizationUid;

use super::lookup;
use crate::output::{Column, Output, time_cell};
use crate::prompt::Prompt;

/// What `tally org` can do.
#[derive(Debug, clap::Subcommand)]
pub enum OrgCommand {
    /// Make an organization
    ///
    /// It owns stacks, ingest keys, members, events and jobs. Its uid is what reports are asked for, as `orgUid`.
    #[command(after_help = "Example:\n  tally org create --name Acme")]
    Create {
        /// Its name, for people; two may have the same
        #[arg(long, value_parser = lookup::name)]
        name: String,
    },
    /// List the organizations, the oldest first
    #[command(after_help = "Example:\n  tally org list --json | jq -r '.[].uid'")]
    List,
    /// Give an organization its own rate limit
    ///
    /// It counts the report requests of all its users together. `default` takes it back: then the limit of
    /// config.toml holds. A running server follows at once.
    #[command(after_help = "Examples:\n  tally org limit --org blt0123456789abcdef --requests-per-second 50\n  \
                            tally org limit --org blt0123456789abcdef --requests-per-second default")]
    Limit {
        /// The organization's uid
        #[arg(long, value_name = "UID")]
        org: OrganizationUid,
        /// A number from 1, or `default`
        #[arg(long, value_name = "N|default")]
        requests_per_second: RequestsPerSecond,
    },
    /// Give an organization its own retention
    ///
    /// What is older is deleted within a minute, and cannot be brought back. `default` takes it back: then the retention
    /// of config.toml holds. What is not named stays as it was.
    #[command(after_help = "Examples:\n  tally org retention --org blt0123456789abcdef --events-days 90\n  \
                            tally org retention --org blt0123456789abcdef --events-days forever --results-hours 24")]
    Retention {
        /// The organization's uid
        #[arg(long, value_name = "UID")]
        org: OrganizationUid,
        /// Whole UTC days before the present one whose events are kept: 1 to 36500, `forever`, or `default`
        #[arg(long, value_name = "N|forever|default", value_parser = events_days, required_unless_present = "results_hours")]
        events_days: Option<Own>,
        /// Hours that the result of a report can be read: 1 to 87600, or `default`
        #[arg(long, value_name = "N|default", value_parser = results_hours)]
        results_hours: Option<Own>,
    },
    /// Delete an organization with its events, jobs, stacks, keys and memberships
    ///
    /// This cannot be undone. Its users stay, without this membership. On a terminal the uid has to be typed again,
    /// elsewhere `--yes` is needed.
    #[command(after_help = "Example:\n  tally org delete --org blt0123456789abcdef --yes")]
    Delete {
        /// The organization's uid
        #[arg(long, value_name = "UID")]
        org: OrganizationUid,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// A rate limit as an operator writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestsPerSecond {
    /// The organization's own.
    Own(NonZeroU32),
    /// That of config.toml.
    Default,
}

/// A text that is no rate limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a number from 1 to {max}, or `default`", max = u32::MAX)]
pub struct MalformedLimit;

impl FromStr for RequestsPerSecond {
    type Err = MalformedLimit;

    fn from_str(text: &str) -> Result<Self, MalformedLimit> {
        if text == "default" {
            return Ok(Self::Default);
        }
        text.parse().map(Self::Own).map_err(|_| MalformedLimit)
    }
}

/// A number of the organization's own; `None` is that of config.toml.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own(Option<u32>);

fn own(text: &str, most: u32) -> Option<Own> {
    if text == "default" {
        return Some(Own(None));
    }
    text.parse().ok().filter(|number| (1..=most).contains(number)).map(|number| Own(Some(number)))
}

fn events_days(text: &str) -> anyhow::Result<Own> {
    if text == "forever" {
        return Ok(Own(Some(0)));
    }
    own(text, 36_500).context("expected a number from 1 to 36500, `forever`, or `default`")
}

fn results_hours(text: &str) -> anyhow::Result<Own> {
    own(text, 87_600).context("expected a number from 1 to 87600, or `default`")
}

const COLUMNS: &[Column<Organization>] = &[
    ("uid", |organization| organization.uid.to_string()),
    ("name", |organization| organization.name.clone()),
    ("requests/s", |organization| limit_cell(organization.requests_per_second)),
    ("events kept", |organization| events_cell(organization.retention)),
    ("results kept", |organization| results_cell(organization.retention)),
    ("created", |organization| time_cell(organization.created_at)),
];

fn limit_cell(limit: Option<NonZeroU32>) -> String {
    limit.map_or_else(|| "default".to_owned(), |limit| limit.to_string())
}

fn events_cell(retention: OwnRetention) -> String {
    match retention.events_days {
        None => "default".to_owned(),
        Some(0) => "forever".to_owned(),
        Some(days) => format!("{days} d"),
    }
}

fn results_cell(retention: OwnRetention) -> String {
    retention.results_hours.map_or_else(|| "default".to_owned(), |hours| format!("{hours} h"))
}

impl OrgCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the organization does not exist, a deletion is not confirmed, or the catalog does not answer.
    pub async fn run(self, catalog: &Catalog, prompt: &mut Prompt, out: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::Create { name } => {
                let uid = catalog.create_organization(&name).await?;
                out.answer(&json!({"uid": uid}), format_args!("organization `{uid}` made"))
            }
            Self::List => out.list(&catalog.organizations().await?, COLUMNS),
            Self::Limit { org, requests_per_second } => limit(&org, requests_per_second, catalog, out).await,
            Self::Retention { org, events_days, results_hours } => {
                let Organization { uid, retention, .. } = lookup::organization(catalog, &org).await?;
                let retention = OwnRetention {
                    events_days: events_days.map_or(retention.events_days, |own| own.0),
                    results_hours: results_hours.map_or(retention.results_hours, |own| own.0),
                };
                catalog.set_retention(&uid, retention).await?;
                let (events, results) = (events_cell(retention), results_cell(retention));
                out.answer(
                    &json!({"uid": uid, "events_days": retention.events_days, "results_hours": retention.results_hours}),
                    format_args!("organization `{uid}`: events are kept `{events}`, results `{results}`"),
                )
            }
            Self::Delete { org, yes } => {
                let Organization { uid, name, .. } = lookup::organization(catalog, &org).await?;
                let consequence =
                    format!("this deletes organization `{uid}` (`{name}`) with its events, jobs, stacks and keys");
                prompt.confirm(&consequence, uid.as_str(), yes)?;
                catalog.delete_organization(&uid).await?;
                out.answer(&json!({"uid": uid}), format_args!("organization `{uid}` (`{name}`) deleted"))
            }
        }
    }
}

async fn limit(
    org: &OrganizationUid,
    limit: RequestsPerSecond,
    catalog: &Catalog,
    out: &mut Output,
) -> anyhow::Result<()> {
    let uid = lookup::organization(catalog, org).await?.uid;
    let own = match limit {
        RequestsPerSecond::Own(limit) => Some(limit),
        RequestsPerSecond::Default => None,
    };
    catalog.set_requests_per_second(&uid, own).await?;
    out.answer(
        &json!({"uid": uid, "requests_per_second": own}),
        format_args!("organization `{uid}` has the limit `{}`", limit_cell(own)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::operator::Operator;

    #[test]
    fn a_limit_is_a_number_from_one_or_default() {
        assert_eq!("default".parse(), Ok(RequestsPerSecond::Default));
        assert_eq!("7".parse(), Ok(RequestsPerSecond::Own(NonZeroU32::new(7).unwrap())));
        for wrong in ["0", "-1", "", "ten", "4294967296"] {
            assert_eq!(wrong.parse::<RequestsPerSecond>(), Err(MalformedLimit), "{wrong}");
        }
    }

    #[tokio::test]
    async fn an_organization_is_made_limited_listed_and_deleted() {
        let operator = Operator::new().await;
        let uid = operator.json("org create --name Acme").await["uid"].as_str().unwrap().to_owned();
        let limited = operator.json(&format!("org limit --org {uid} --requests-per-second 50")).await;
        assert_eq!(limited, json!({"uid": uid, "requests_per_second": 50}));
        let expected = json!([
            {"uid": uid, "name": "Acme", "requests_per_second": 50, "events_days": null, "results_hours": null,
             "created_at": "2026-03-01T12:00:00Z"}
        ]);
        assert_eq!(operator.json("org list").await, expected);
        let table = operator.text("org list").await;
        assert!(table.contains("requests/s  events kept  results kept  created\n"), "{table}");
        assert!(table.contains("Acme  50          default      default       2026-03-01T12:00:00Z\n"), "{table}");

        operator.json(&format!("org limit --org {uid} --requests-per-second default")).await;
        assert_eq!(operator.json("org list").await[0]["requests_per_second"], json!(null));
        assert_eq!(operator.json(&format!("org delete --org {uid} --yes")).await, json!({"uid": uid}));
        assert_eq!(operator.json("org list").await, json!([]));
    }

    #[tokio::test]
    async fn a_retention_is_given_in_parts_and_taken_back() {
        let operator = Operator::new().await;
        let uid = operator.organization().await;
        for (options, days, hours) in [
            ("--events-days 90", json!(90), json!(null)),
            ("--results-hours 24", json!(90), json!(24)),
            ("--events-days forever --results-hours default", json!(0), json!(null)),
            ("--events-days default", json!(null), json!(null)),
        ] {
            let said = operator.json(&format!("org retention --org {uid} {options}")).await;
            assert_eq!(said, json!({"uid": uid, "events_days": days, "results_hours": hours}));
            let listed = operator.json("org list").await;
            assert_eq!((&listed[0]["events_days"], &listed[0]["results_hours"]), (&days, &hours));
        }
    }

    #[test]
    fn a_retention_is_a_number_within_bounds_or_a_word() {
        for wrong in ["0", "-1", "36501", "ever", ""] {
            let error = events_days(wrong).unwrap_err().to_string();
            assert_eq!(error, "expected a number from 1 to 36500, `forever`, or `default`", "{wrong}");
        }
        assert_eq!(results_hours("87600").unwrap(), Own(Some(87_600)));
        assert!(results_hours("87601").is_err() && results_hours("forever").is_err());
    }

    #[tokio::test]
    async fn a_deletion_that_nobody_confirms_deletes_nothing() {
        let operator = Operator::new().await;
        let uid = operator.organization().await;
        let error = operator.error(&format!("org delete --org {uid}")).await;
        assert!(error.ends_with("confirm with `--yes`"), "{error}");
        let error = operator.typing("blt\n", &format!("org delete --org {uid}")).await.unwrap_err().to_string();
        assert!(error.starts_with("nothing was deleted"), "{error}");
        assert_eq!(operator.json("org list").await.as_array().unwrap().len(), 1);
        let line = format!("org delete --org {uid}");
        operator.typing(&format!("{uid}\n"), &line).await.unwrap();
        assert_eq!(operator.json("org list").await, json!([]));
    }

    #[tokio::test]
    async fn an_unknown_organization_is_named_with_where_to_look() {
        let operator = Operator::new().await;
        for command in ["delete --yes", "limit --requests-per-second 5"] {
            let error = operator.error(&format!("org {command} --org blt0000000000000000")).await;
            assert_eq!(
                error,
                "organization `blt0000000000000000` does not exist; `tally org list` shows those that do"
            );
        }
    }
}
