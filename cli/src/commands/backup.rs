//! `tally backup` and `tally restore`: a copy of everything, and a data folder made of it.

use std::path::PathBuf;

use indicatif::{HumanBytes, HumanCount};
use tally_storage::backup::{self, Copied};
use tally_storage::clock::Clock;
use tally_storage::store::Store;

use crate::config::Config;
use crate::output::Output;
use crate::progress::bytes_bar;

/// The folder of a backup.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The backup's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Answer with JSON
    #[arg(long)]
    json: bool,
}

impl BackupArgs {
    /// Makes a backup there.
    ///
    /// # Errors
    /// When there is something there, or it cannot be written; there is no backup then.
    pub async fn back_up(self, config: &Config, clock: Clock) -> anyhow::Result<()> {
        let store = Store::open(&config.store(), clock).await?;
        let (bar, shown) = progress();
        let copied = store.backup(&self.dir, shown).await;
        store.close().await;
        bar.finish_and_clear();
        self.answer("copied to", &copied?)
    }

    /// Makes the data folder of the configuration out of it.
    ///
    /// # Errors
    /// When there is a catalog, it is in PostgreSQL, or the backup is not whole; nothing is restored then.
    pub async fn restore(self, config: &Config, clock: Clock) -> anyhow::Result<()> {
        let (bar, shown) = progress();
        let copied = backup::restore(&self.dir, &config.data_dir, &config.catalog_address(), clock, shown).await;
        bar.finish_and_clear();
        self.answer("restored from", &copied?)
    }

    fn answer(&self, done: &str, copied: &Copied) -> anyhow::Result<()> {
        let (files, bytes) = (HumanCount(copied.files), HumanBytes(copied.bytes));
        let sentence = format_args!("the catalog and {files} files, {bytes}, {done} `{}`", self.dir.display());
        Output::stdout(self.json).answer(copied, sentence)
    }
}

fn progress() -> (indicatif::ProgressBar, impl FnMut(&Copied) + Send + 'static) {
    let bar = bytes_bar();
    let shown = bar.clone();
    (bar, move |copied: &Copied| {
        shown.set_length(copied.of_bytes);
        shown.set_position(copied.bytes);
    })
}
