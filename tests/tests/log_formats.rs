//! `tally ingest` of every log format: told from its lines, counted, and read on where it stopped.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{Ran, Served, run_in, tenant_in};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/log_formats");

/// Each format, with the events and the rejected lines of its fixture.
const FORMATS: [(&str, u64, u64); 15] = [
    ("alb", 5, 4),
    ("caddy", 5, 5),
    ("cloudflare", 6, 4),
    ("cloudfront", 5, 2),
    ("combined", 3, 2),
    ("combined-cache", 8, 3),
    ("common", 3, 2),
    ("fastly", 6, 4),
    ("haproxy", 5, 4),
    ("ndjson", 3, 2),
    ("nginx-json", 5, 4),
    ("s3", 5, 3),
    ("traefik", 5, 4),
    ("vhost-combined", 3, 2),
    ("w3c", 6, 5),
];

fn fixture(format: &str) -> PathBuf {
    Path::new(FIXTURES).join(format!("{format}.log"))
}

fn ingest(data_dir: &Path, arguments: &[&str]) -> Ran {
    run_in(data_dir, &[&["ingest", "--json"], arguments].concat(), b"")
}

/// Format, events and rejected lines of each file, as the receipt says.
fn files(ran: &Ran) -> Vec<(String, u64, u64)> {
    let number = |file: &Value, name: &str| file[name].as_u64().unwrap_or_else(|| panic!("{ran:?}"));
    let receipt = ran.json();
    let files = receipt["files"].as_array().unwrap().iter();
    files
        .map(|file| {
            let format = file["format"].as_str().unwrap_or_default().to_owned();
            (format, number(file, "accepted"), number(file, "rejected"))
        })
        .collect()
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn every_format_is_told_counted_and_not_counted_twice() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let tenant = tenant_in(&data_dir);
    let fixtures = fs::read_dir(FIXTURES).unwrap().count();
    assert_eq!(fixtures, FORMATS.len());
    let paths = FORMATS.map(|(format, ..)| fixture(format).display().to_string());
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let rejects = folder.path().join("rejects.ndjson");
    let first = ingest(&data_dir, &[&["--rejects", rejects.to_str().unwrap()], paths.as_slice()].concat());
    assert_eq!(first.status, Some(2), "{first:?}");
    let expected = FORMATS.map(|(format, accepted, rejected)| (format.to_owned(), accepted, rejected));
    assert_eq!(files(&first), expected);
    let rejected = fs::read_to_string(&rejects).unwrap();
    assert_eq!(rejected.lines().count() as u64, FORMATS.iter().map(|(.., rejected)| rejected).sum::<u64>());
    for line in rejected.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(
            ["field", "reason", "text"].iter().all(|name| line[name].as_str().is_some_and(|text| !text.is_empty()))
        );
    }
    let again = ingest(&data_dir, &paths);
    assert_eq!(files(&again), FORMATS.map(|(format, ..)| (format.to_owned(), 0, 0)));

    let server = Served::start(&data_dir, &[]);
    let total: u64 = FORMATS.iter().map(|(_, accepted, _)| accepted).sum();
    // One of S3's lines is of 2018.
    assert_eq!(tenant.counted(&server.client, "2024-03-01", "2024-03-10"), total - 1);
    assert_eq!(tenant.counted(&server.client, "2018-03-01", "2018-03-10"), 1);
    let pairs =
        [("from", "2024-03-01"), ("to", "2024-03-10"), ("services", "[\"cdn\"]"), ("includeTotalCount", "true")];
    let rows = tenant.report(&server.client, "url", &pairs).rows();
    let count = |url: &str| rows.iter().find(|row| row["url"] == url).map(|row| row["count"].clone());
    // The same page of the same shop, in the logs of five servers.
    assert_eq!(count("https://www.example.com/shop?page=2"), Some("4".into()));
    assert_eq!(count("https://www.example.com/a%20b.png?w=100&q=%22x%22"), Some("1".into()));
    assert_eq!(count("/after.aspx?page=2"), Some("1".into()));
}

#[test]
fn a_format_may_be_named_and_its_lines_come_from_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    tenant_in(&data_dir);
    for (format, accepted, rejected) in FORMATS {
        let lines = fs::read(fixture(format)).unwrap();
        let ran = run_in(&data_dir, &["ingest", "--json", "--format", format, "-"], &lines);
        assert_eq!(files(&ran), [(format.to_owned(), accepted, rejected)], "{ran:?}");
    }
}

#[test]
fn a_log_whose_header_changes_is_read_on_while_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let tenant = tenant_in(&data_dir);
    let log = folder.path().join("u_ex240305.log");
    let added = |text: &str| {
        append(&log, text);
        let ran = ingest(&data_dir, &[log.to_str().unwrap()]);
        let receipt = ran.json();
        (receipt["accepted"].as_u64().unwrap(), receipt["rejected"].as_u64().unwrap())
    };
    let start =
        "#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n#Date: 2024-03-05 08:15:00\r\n";
    assert_eq!(added(start), (0, 0));
    assert_eq!(added("#Fields: date time cs-method cs-uri-stem sc-sta"), (0, 0));
    assert_eq!(added("tus\r\n2024-03-05 08:15:30 GET /one 200\r\n"), (1, 0));
    assert_eq!(added("2024-03-05 08:15:31 GET /two 200\r\n2024-03-05 08:15:32 GET"), (1, 1));
    assert_eq!(added(" /three 404\r\n#Date: 2024-03-06 00:00:00\r\n#Fields: sc-status time cs-uri-stem\r\n"), (1, 0));
    assert_eq!(added("200 00:00:01 /four\r\n2024-03-06 00:00:02 GET /rejected 200\r\n"), (1, 1));
    assert_eq!(added(""), (0, 0));
    let server = Served::start(&data_dir, &[]);
    assert_eq!(tenant.counted(&server.client, "2024-03-05", "2024-03-05"), 3);
    assert_eq!(tenant.counted(&server.client, "2024-03-06", "2024-03-06"), 1);
}

#[test]
fn a_file_of_no_format_is_refused_with_the_formats_that_were_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    tenant_in(&data_dir);
    let log = folder.path().join("messages");
    File::create(&log).unwrap().write_all(b"Mar  5 08:15:30 host kernel: eth0: link is up\n").unwrap();
    let ran = run_in(&data_dir, &["ingest", log.to_str().unwrap()], b"");
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let said = format!("{ran:?}");
    for (format, ..) in FORMATS {
        assert!(said.contains(&format!("`{format}`")), "{format}: {said}");
    }
    let help = run_in(&data_dir, &["ingest", "--help"], b"").succeeded();
    for (format, ..) in FORMATS {
        assert!(help.stdout.contains(&format!("\n  {format} ")), "{format}: {help:?}");
    }
}
