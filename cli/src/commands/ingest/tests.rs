use std::fs;

use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;

use super::*;

const APACHE_LOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/apache_access_2015.log");

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    ingest: IngestArgs,
}

/// A data folder with organizations, and a place for logs.
struct Machine {
    folder: TempDir,
    config: Config,
    runtime: Runtime,
}

impl Machine {
    fn with_organizations(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data_dir: folder.path().join("data"), ..Config::default() };
        let machine = Self { folder, config, runtime: Runtime::new().unwrap() };
        machine.runtime.block_on(async {
            let store = Store::open(&machine.config.store(), clock()).await.unwrap();
            for _ in 0..count {
                store.catalog.create_organization("Acme").await.unwrap();
            }
            store.close().await;
        });
        machine
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<(u8, String)> {
        let mut out = Vec::new();
        let args = Cli::try_parse_from(["tally-ingest"].iter().chain(arguments))?.ingest;
        let status = args.status(&self.config, clock(), &self.runtime, &mut out)?;
        Ok((status, String::from_utf8(out)?))
    }

    /// Exit status, and how many were accepted and rejected.
    fn counts(&self, arguments: &[&str]) -> (u8, u64, u64) {
        let (status, out) = self.run(&[arguments, &["--json"]].concat()).unwrap();
        let receipt: Value = serde_json::from_str(&out).unwrap();
        (status, receipt["accepted"].as_u64().unwrap(), receipt["rejected"].as_u64().unwrap())
    }

    fn error(&self, arguments: &[&str]) -> String {
        format!("{:#}", self.run(arguments).unwrap_err())
    }
}

fn clock() -> Clock {
    Clock::fixed("2015-05-21T12:00:00Z".parse().unwrap())
}

#[test]
fn a_log_is_counted_once_however_often_it_is_read_and_what_is_appended_is_added() {
    let machine = Machine::with_organizations(1);
    let log = machine.path("access.log");
    fs::copy(APACHE_LOG, &log).unwrap();
    assert_eq!(machine.counts(&[&log]), (2, 9_999, 1));
    assert_eq!(machine.counts(&[&log]), (0, 0, 0));
    assert_eq!(machine.run(&[&log]).unwrap(), (0, "nothing new: all of it was counted before\n".to_owned()));
    let first = fs::read_to_string(APACHE_LOG).unwrap().lines().next().unwrap().to_owned();
    let mut grown = OpenOptions::new().append(true).open(&log).unwrap();
    writeln!(grown, "{first}\n{first}").unwrap();
    assert_eq!(machine.counts(&[&log]), (0, 2, 0));
}

#[test]
fn the_receipt_reads_well_and_rejected_lines_are_kept_with_their_reasons() {
    let machine = Machine::with_organizations(1);
    let (log, rejects) = (machine.path("access.log"), machine.path("rejects.ndjson"));
    let lines = r#"{"ts":1431857103250,"url":"/","status":200,"extra":1}"#;
    fs::OpenOptions::new().create(true).append(true).open(&log).unwrap().write_all(lines.as_bytes()).unwrap();
    let broken = machine.path("broken.log");
    let lines = lines.replace('/', "/other");
    File::create(&broken).unwrap().write_all(format!("{lines}\nnonsense\n{{\"ts\":1}}\n").as_bytes()).unwrap();
    let (status, out) = machine.run(&[&log, &broken, "--rejects", &rejects]).unwrap();
    assert_eq!(status, 2);
    insta::assert_snapshot!(out.replace(&machine.path(""), ""));
    let kept = fs::read_to_string(&rejects).unwrap();
    insta::assert_snapshot!(kept.replace(&machine.path(""), ""));
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_keeps_what_stood_before() {
    let machine = Machine::with_organizations(1);
    let (log, none) = (machine.path("access.log"), machine.path("none.log"));
    fs::copy(APACHE_LOG, &log).unwrap();
    let unknown = machine.path("unknown.log");
    File::create(&unknown).unwrap().write_all(b"hello\n").unwrap();
    let (status, out) = machine.run(&[&unknown, &log]).unwrap();
    assert_eq!((status, out.lines().next().unwrap()), (2, "9,999 accepted, 1 rejected"));
    assert!(machine.error(&[&unknown]).contains("none of the first lines is of a known format"));
    assert!(machine.error(&[&log, &none]).contains("none.log` cannot be read"));
    assert!(machine.error(&[&machine.path("")]).contains("is a folder"));
}

#[test]
fn an_organization_is_needed_and_named_where_there_are_several() {
    let log = &[APACHE_LOG];
    assert!(Machine::with_organizations(0).error(log).contains("`tally org create"));
    let machine = Machine::with_organizations(2);
    assert!(machine.error(log).contains("there are 2 organizations; name one with --org"));
    let error = machine.error(&[APACHE_LOG, "--org", "blt0000000000000000"]);
    assert!(error.starts_with("organization `blt0000000000000000` does not exist"), "{error}");
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_is_read() {
    let machine = Machine::with_organizations(1);
    for (arguments, reason) in [
        (&["--service", "cnd"][..], "expected one of cma"),
        (&["--format", "apache"], "format `apache` does not exist"),
        (&["--format", "$request"], "no variable gives the time"),
        (&["--base-url", "example.com"], "is no base URL"),
        (&["--server", "https://a.example", "--org", "blt0000000000000000"], "cannot be used with"),
        (&["--ledger", "ledger.json"], "--server"),
    ] {
        let error = machine.error(&[arguments, &[APACHE_LOG]].concat());
        assert!(error.contains(reason), "{arguments:?}: {error}");
    }
    assert!(machine.error(&["-", "-"]).contains("only once"));
}
