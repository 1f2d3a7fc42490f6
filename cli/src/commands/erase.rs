//! `tally erase`: events that must not be there any more.

use anyhow::ensure;
use chrono::NaiveDate;
use indicatif::HumanCount;
use tally_storage::clock::Clock;
use tally_storage::ids::OrganizationUid;
use tally_storage::lake::Selection;
use tally_storage::store::Store;

use super::lookup;
use crate::config::Config;
use crate::output::Output;
use crate::progress::counting;
use crate::prompt::Prompt;

/// Which events are erased: those that meet all that is said.
#[derive(Debug, clap::Args)]
pub struct EraseArgs {
    /// The organization's uid
    #[arg(long, value_name = "UID")]
    org: OrganizationUid,
    /// Only events of this UTC day and later ones
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Option<NaiveDate>,
    /// Only events of this UTC day and earlier ones
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: Option<NaiveDate>,
    /// Only events of this device: the whole user agent, as the devices report shows it. May be given several times
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Only events whose URL, as the url report shows it, begins with this: mostly scheme and host first. May be given
    /// several times
    #[arg(long, value_name = "TEXT")]
    url_prefix: Vec<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Answer with JSON
    #[arg(long)]
    json: bool,
}

impl EraseArgs {
    /// Erases them and prints the receipt.
    ///
    /// # Errors
    /// When it makes no sense, the organization does not exist, nobody confirms it, or the store fails.
    pub async fn run(self, config: &Config, clock: Clock) -> anyhow::Result<()> {
        let store = Store::open(&config.store(), clock).await?;
        let mut out = Output::stdout(self.json);
        let erased = self.erase(&store, &mut Prompt::stdin(), &mut out).await;
        store.close().await;
        erased
    }

    async fn erase(self, store: &Store, prompt: &mut Prompt, out: &mut Output) -> anyhow::Result<()> {
        if let (Some(from), Some(to)) = (self.from, self.to) {
            ensure!(from <= to, "`--from` is `{from}`, after `--to`, `{to}`: expected the earlier day first");
        }
        // Every URL begins with nothing: a prefix that a script left empty must not mean all events.
        ensure!(!self.url_prefix.iter().any(String::is_empty), "`--url-prefix` is empty: leave it out to mean any URL");
        let organization = lookup::organization(&store.catalog, &self.org).await?;
        let selection = Selection {
            organization: organization.uid,
            from: self.from,
            to: self.to,
            devices: self.device,
            url_prefixes: self.url_prefix,
        };
        let consequence = format!("this erases {}", sentence(&selection, &organization.name));
        prompt.confirm(&consequence, selection.organization.as_str(), self.yes)?;
        let status = store.catalog.lake_status(Some(&selection.organization)).await?;
        let bar = counting(status.iter().map(|status| status.events + status.log_events).sum(), "events");
        let receipt = store.erase(selection, |progress| bar.set_position(progress.seen_events)).await?;
        bar.finish_and_clear();
        let (events, files) = (HumanCount(receipt.erased.events), HumanCount(receipt.traces.deleted_files));
        out.answer(
            &receipt,
            format_args!(
                "{events} events erased: {} segments written again, {} removed, {} results taken back, {} jobs begun \
                 again, {} receipts without their quotes, {files} files deleted",
                HumanCount(receipt.erased.rewritten_segments),
                HumanCount(receipt.erased.removed_segments),
                HumanCount(receipt.traces.results),
                HumanCount(receipt.traces.jobs_begun_again),
                HumanCount(receipt.traces.receipts),
            ),
        )
    }
}

/// What is meant, for people.
fn sentence(selection: &Selection, name: &str) -> String {
    let day = |word: &str, day: Option<NaiveDate>| day.map(|day| format!(" {word} {day}")).unwrap_or_default();
    let any = |word: &str, values: &[String]| {
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        if values.is_empty() { String::new() } else { format!(" {word} {}", values.join(" or ")) }
    };
    format!(
        "the events of organization `{}` (`{name}`){}{}{}{}, and all its results",
        selection.organization,
        day("from", selection.from),
        day("to", selection.to),
        any("of the device", &selection.devices),
        any("whose URL begins with", &selection.url_prefixes),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_said_in_full() {
        let mut selection = Selection {
            organization: "blt0123456789abcdef".parse().unwrap(),
            from: None,
            to: None,
            devices: Vec::new(),
            url_prefixes: Vec::new(),
        };
        assert_eq!(
            sentence(&selection, "Acme"),
            "the events of organization `blt0123456789abcdef` (`Acme`), and all its results"
        );
        selection.from = "2026-01-02".parse().ok();
        selection.devices = vec!["curl/8".to_owned(), "-".to_owned()];
        selection.url_prefixes = vec!["/users/7/".to_owned()];
        assert_eq!(
            sentence(&selection, "Acme"),
            "the events of organization `blt0123456789abcdef` (`Acme`) from 2026-01-02 of the device `curl/8` or `-` \
             whose URL begins with `/users/7/`, and all its results"
        );
    }
}
