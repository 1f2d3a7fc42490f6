//! `tally ingest`: log files and standard input, into this machine's store or over HTTP into another Tally.

mod display;
mod ledger;
mod receipt;
mod remote;
mod stop;

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use anyhow::{Context as _, bail, ensure};
use tally_ingest::base_url::BaseUrl;
use tally_ingest::event::Rules;
use tally_ingest::files::{FileError, FileIngest, FileOptions, Input, PortionBounds, Progress, Sink, StoreSink};
use tally_ingest::formats::{FORMATS, Selection};
use tally_storage::catalog::Catalog;
use tally_storage::clock::Clock;
use tally_storage::events::requests::Service;
use tally_storage::ids::OrganizationUid;
use tally_storage::store::Store;
use tokio::runtime::Runtime;

use self::ledger::LedgerFile;
use self::remote::{Patience, Remote, RemoteSink};
use super::lookup;
use crate::config::Config;

const AFTER_FORMATS: &str = "  '<log_format>'   any log_format of nginx, as its string with its $variables

Files may be plain, gzip, zstd or bzip2. Running it again is safe: a ledger knows files by what they say, \
so a file that has grown, was renamed or compressed adds only what is new.

Exit status: 0 all accepted, 2 some lines rejected or files not read to their end, 1 nothing done, 130 stopped.

Examples:
  tally ingest access.log
  tally ingest --org blt0123456789abcdef --base-url https://www.example.com /var/log/nginx/access.log*
  tally ingest --format '$remote_addr [$time_local] \"$request\" $status $body_bytes_sent \"$http_user_agent\"' cdn.log
  tally ingest --rejects rejected.ndjson --json events.ndjson.zst
  zcat old.log.gz | tally ingest --format combined -
  tally ingest --server https://tally.example.com access.log   (the key in TALLY_INGEST_KEY)";

/// What stands below the options: every format of the registry, and how the command is used.
fn help() -> String {
    let formats = FORMATS.map(|format| format!("  {:<16} {}\n", format.name(), format.describe()));
    format!("Formats (told from the first lines unless --format names one):\n{}{AFTER_FORMATS}", formats.concat())
}

/// The options of `tally ingest`.
#[derive(Debug, clap::Args)]
#[command(after_help = help())]
pub struct IngestArgs {
    /// Log files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How lines are written: a format's name, or a `log_format` of nginx
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    pub format: Selection,
    /// Whose events these are; may be left out where there is only one organization
    #[arg(long, value_name = "UID", conflicts_with = "server")]
    pub org: Option<OrganizationUid>,
    /// What answered the requests, where a line does not say: cma, ui, cdn, graphql, images, assets, automations, launch
    #[arg(long, default_value = "cdn", value_parser = service)]
    pub service: Service,
    /// Scheme and host to put before logged paths, such as `https://www.example.com`
    #[arg(long, value_name = "URL")]
    pub base_url: Option<BaseUrl>,
    /// Send the events to this Tally instead of storing them here
    #[arg(long, value_name = "URL", requires = "key")]
    pub server: Option<String>,
    /// The ingest key for --server; better given as a variable, where other users do not see it
    #[arg(long, value_name = "KEY", env = "TALLY_INGEST_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// The ledger for --server [default: one for each server and key, in `$XDG_STATE_HOME/tally`]
    #[arg(long, value_name = "FILE", requires = "server")]
    pub ledger: Option<PathBuf>,
    /// Append rejected lines to this file, as NDJSON with file, line, field, reason and text
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Answer with the receipt as JSON
    #[arg(long)]
    pub json: bool,
}

fn service(name: &str) -> Result<Service, String> {
    Service::from_name(name)
        .ok_or_else(|| format!("no such service; expected one of {}", Service::ALL.map(Service::as_str).join(", ")))
}

impl IngestArgs {
    /// Reads the files, writes the receipt to `out` and says how to exit. Not to be called on a thread of the runtime.
    ///
    /// # Errors
    /// Nothing was done: the options contradict what is there, or no file could be read.
    pub fn run(
        self,
        config: &Config,
        clock: Clock,
        runtime: &Runtime,
        out: &mut dyn Write,
    ) -> anyhow::Result<ExitCode> {
        self.status(config, clock, runtime, out).map(ExitCode::from)
    }

    fn status(&self, config: &Config, clock: Clock, runtime: &Runtime, out: &mut dyn Write) -> anyhow::Result<u8> {
        let inputs = self.inputs()?;
        let cancelled = stop::on_signals(runtime);
        if let Some(server) = &self.server {
            let mut sink = self.remote_sink(server, &cancelled)?;
            return self.ingest(&inputs, self.options(config, self.remote_rules(clock)), &mut sink, &cancelled, out);
        }
        let store = runtime.block_on(Store::open(&config.store(), clock.clone()));
        let store =
            store.with_context(|| format!("the data folder `{}` cannot be opened", config.data_dir.display()))?;
        let done = self.ingest_here(&inputs, config, &store, runtime, &cancelled, out);
        runtime.block_on(store.close());
        done
    }

    fn ingest_here(
        &self,
        inputs: &[Input],
        config: &Config,
        store: &Store,
        runtime: &Runtime,
        cancelled: &AtomicBool,
        out: &mut dyn Write,
    ) -> anyhow::Result<u8> {
        let organization = runtime.block_on(self.organization(&store.catalog))?;
        let stacks = runtime.block_on(store.catalog.stack_api_keys(&organization))?;
        let rules =
            Rules { service: self.service, base_url: self.base_url.clone(), ..Rules::new(stacks, store.clock.clone()) };
        let mut sink =
            StoreSink::new(store.events.clone(), store.catalog.clone(), organization, runtime.handle().clone());
        self.ingest(inputs, self.options(config, rules), &mut sink, cancelled, out)
    }

    /// One file after the other, until one fails in a way that the next would too.
    fn ingest(
        &self,
        inputs: &[Input],
        options: FileOptions,
        sink: &mut dyn Sink,
        cancelled: &AtomicBool,
        out: &mut dyn Write,
    ) -> anyhow::Result<u8> {
        let mut rejects = self.rejects.as_deref().map(open_rejects).transpose()?;
        let progress = Arc::<Progress>::default();
        let shown = display::Shown::start(Arc::clone(&progress), total_bytes(inputs));
        let mut ingest = FileIngest::new(options, progress, cancelled);
        if let Some(rejects) = &mut rejects {
            ingest.write_rejects_to(rejects);
        }
        let mut failures = Vec::new();
        for input in inputs {
            let Err(error) = ingest.read(input, sink) else { continue };
            let fatal = !matches!(error, FileError::Read(_) | FileError::Format(_) | FileError::PipeDiffers { .. });
            failures.push(receipt::Failure { file: input.to_string(), error });
            if fatal {
                break;
            }
        }
        shown.finish();
        receipt::answer(ingest.report(), &failures, self.json, out)
    }

    fn options(&self, config: &Config, rules: Rules) -> FileOptions {
        FileOptions {
            format: self.format.clone(),
            rules,
            threads: thread::available_parallelism().map_or(1, usize::from),
            max_line_bytes: config.ingest.max_line_bytes,
            portion: if self.server.is_some() { remote::PORTION } else { PortionBounds::default() },
        }
    }

    /// The server checks API keys: only it knows the organization's stacks.
    fn remote_rules(&self, clock: Clock) -> Rules {
        Rules { stacks: None, clock, service: self.service, base_url: self.base_url.clone() }
    }

    fn remote_sink(&self, server: &str, cancelled: &Arc<AtomicBool>) -> anyhow::Result<RemoteSink> {
        let key = self.key.as_deref().context("--server needs an ingest key: --key or TALLY_INGEST_KEY")?;
        let path = self.ledger.clone().map_or_else(|| ledger::default_path(server, key), Ok)?;
        let remote = Remote::new(server, key, Patience::default(), Arc::clone(cancelled))?;
        RemoteSink::new(remote, LedgerFile::open(path)?)
    }

    async fn organization(&self, catalog: &Catalog) -> anyhow::Result<OrganizationUid> {
        if let Some(uid) = &self.org {
            return Ok(lookup::organization(catalog, uid).await?.uid);
        }
        let mut all = catalog.organizations().await?;
        match (all.pop(), all.len()) {
            (Some(only), 0) => Ok(only.uid),
            (None, _) => bail!("there is no organization yet; `tally org create --name <NAME>` makes one"),
            (Some(_), others) => {
                bail!("there are {} organizations; name one with --org, `tally org list` shows them", others + 1)
            }
        }
    }

    /// The files, all of which are there.
    fn inputs(&self) -> anyhow::Result<Vec<Input>> {
        let piped = self.files.iter().filter(|path| path.as_os_str() == "-").count();
        ensure!(piped <= 1, "standard input, `-`, can be read only once");
        self.files.iter().map(|path| input(path)).collect()
    }
}

fn input(path: &Path) -> anyhow::Result<Input> {
    if path.as_os_str() == "-" {
        return Ok(Input::Stdin);
    }
    let metadata = fs::metadata(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    ensure!(!metadata.is_dir(), "`{}` is a folder; expected files, such as `{0}/*.log`", path.display());
    Ok(Input::Path(path.to_owned()))
}

/// The size of all files; none where a pipe is among them.
fn total_bytes(inputs: &[Input]) -> Option<u64> {
    let size = |input: &Input| match input {
        Input::Path(path) => fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len()),
        Input::Stdin => None,
    };
    inputs.iter().map(size).sum()
}

fn open_rejects(path: &Path) -> anyhow::Result<BufWriter<File>> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    Ok(BufWriter::new(file.with_context(|| format!("`{}` cannot be written", path.display()))?))
}

#[cfg(test)]
mod tests;
