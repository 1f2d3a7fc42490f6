//! `tally migrate`: the catalog's tables, brought up to date.

use std::io::Write;

use anyhow::Context as _;
use tally_storage::catalog::Catalog;
use tally_storage::clock::Clock;
use tally_storage::folder::DataFolder;

use crate::config::Config;

/// Brings them up to date and says so.
///
/// # Errors
/// When the catalog cannot be reached, or a step fails: it is undone then, and the steps before it stay done.
pub async fn run(config: &Config, clock: Clock, output: &mut impl Write) -> anyhow::Result<()> {
    DataFolder::open(&config.data_dir)?;
    let catalog = Catalog::open(&config.catalog_address(), clock).await;
    let catalog = catalog.with_context(|| format!("`catalog.url`, `{}`", config.catalog.url))?;
    catalog.close().await;
    writeln!(output, "the catalog `{}` is up to date", config.catalog.url)?;
    Ok(())
}
