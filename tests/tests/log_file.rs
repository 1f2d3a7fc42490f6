//! `tally ingest` of a real log, and what the reports then say of it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::program::{Ran, Served, run_for, run_in, tenant_in};

const LOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/apache_access_2015.log");

const MAY: [(&str, &str); 2] = [("from", "2015-05-17"), ("to", "2015-05-20")];

fn ingest(data_dir: &Path, files: &[&str]) -> Ran {
    let ran = run_in(data_dir, &[&["ingest", "--json"], files].concat(), b"");
    assert!(matches!(ran.status, Some(0 | 2)), "{ran:?}");
    ran
}

/// Accepted, duplicates and rejected, as the receipt says.
fn counts(ran: &Ran) -> [u64; 3] {
    let receipt = ran.json();
    ["accepted", "duplicates", "rejected"].map(|name| receipt[name].as_u64().unwrap())
}

/// Rows as `(text of the field, sum of the counts)`, the largest first.
fn summed(rows: &[Value], field: &str) -> Vec<(String, u64)> {
    let mut sums = std::collections::BTreeMap::<String, u64>::new();
    for row in rows.iter().filter(|row| row["count"] != 0 && row.get(field).is_some() && row.get("count").is_some()) {
        let count = row["count"].as_u64().or_else(|| row["count"].as_str()?.parse().ok()).unwrap();
        *sums.entry(row[field].as_str().unwrap().to_owned()).or_default() += count;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    sums
}

#[test]
fn a_log_that_is_still_being_written_is_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let tenant = tenant_in(&data_dir);
    let log = folder.path().join("access.log");
    let whole = fs::read(LOG).unwrap();
    // The writer has not got to the end yet.
    let half = whole.len() / 2;
    File::create(&log).unwrap().write_all(&whole[..half]).unwrap();
    let file = log.to_str().unwrap();
    let first = ingest(&data_dir, &[file]);
    OpenOptions::new().append(true).open(&log).unwrap().write_all(&whole[half..]).unwrap();
    let second = ingest(&data_dir, &[file]);
    let (first, second) = (counts(&first), counts(&second));
    assert!(first[0] > 4000 && second[0] > 4000, "{first:?} {second:?}");
    // The half line was rejected at first, and read again once its writer had ended it.
    assert_eq!([0, 1, 2].map(|at| first[at] + second[at]), [9_999, 0, 2], "{first:?} {second:?}");
    let server = Served::start(&data_dir, &[]);
    assert_eq!(tenant.counted(&server.client, MAY[0].1, MAY[1].1), 9_999);
}

#[test]
fn the_apache_log_gives_the_numbers_that_are_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let tenant = tenant_in(&data_dir);
    let rejects = folder.path().join("rejects.ndjson");
    let log = folder.path().join("access.log");
    fs::copy(LOG, &log).unwrap();
    let file = log.to_str().unwrap();
    let first = ingest(&data_dir, &["--rejects", rejects.to_str().unwrap(), file]);
    assert_eq!((first.status, counts(&first)), (Some(2), [9_999, 0, 1]), "{first:?}");
    assert_eq!(first.json()["errors"][0]["line"], 8899);
    let rejected = fs::read_to_string(&rejects).unwrap();
    assert_eq!(rejected.lines().count(), 1);
    let rejected: Value = serde_json::from_str(rejected.trim()).unwrap();
    assert_eq!(rejected["line"], 8899);
    // Again, and under another name: nothing is added.
    let again = ingest(&data_dir, &[file]);
    assert_eq!((again.status, counts(&again)), (Some(0), [0, 0, 0]), "{again:?}");
    let renamed = folder.path().join("access.log.1");
    fs::rename(&log, &renamed).unwrap();
    assert_eq!(counts(&ingest(&data_dir, &[renamed.to_str().unwrap()])), [0, 0, 0]);

    let server = Served::start(&data_dir, &[]);
    let report = |name: &str, more: &[(&str, &str)]| {
        let pairs = [&MAY[..], &[("services", "[\"cdn\"]")], more].concat();
        tenant.report(&server.client, name, &pairs).rows()
    };
    let statuses = report("http-statuses", &[("duration", "day")]);
    let of_status =
        [("200", 9_125), ("304", 445), ("404", 213), ("301", 164), ("206", 45), ("500", 3), ("403", 2), ("416", 2)];
    assert_eq!(summed(&statuses, "status"), of_status.map(|(status, count)| (status.to_owned(), count)));
    let mut days = summed(&statuses, "date");
    days.sort();
    let of_day = [("2015-05-17", 1_632), ("2015-05-18", 2_893), ("2015-05-19", 2_896), ("2015-05-20", 2_578)];
    assert_eq!(days, of_day.map(|(day, count)| (day.to_owned(), count)));
    let urls = report("url", &[("includeTotalCount", "true")]);
    assert_eq!(urls.len(), 1_498);
    assert_eq!((urls[0]["url"].as_str(), urls[0]["count"].as_str()), (Some("/favicon.ico"), Some("807")));
    let devices = report("devices", &[]);
    assert_eq!(summed(&devices, "device").len(), 558);
    assert_eq!(summed(&devices, "device").iter().map(|(_, count)| count).sum::<u64>(), 9_999);

    // While the server runs: only what was appended is added, and it counts at once.
    let line = "192.0.2.1 - - [20/May/2015:21:05:59 +0000] \"GET /appended HTTP/1.1\" 200 17 \"-\" \"curl/8.5.0\"\n";
    OpenOptions::new().append(true).open(&renamed).unwrap().write_all(line.repeat(3).as_bytes()).unwrap();
    let appended = ingest(&data_dir, &[renamed.to_str().unwrap()]);
    assert_eq!((appended.status, counts(&appended)), (Some(0), [3, 0, 0]), "{appended:?}");
    let urls = report("url", &[("includeTotalCount", "true")]);
    let found = urls.iter().find(|row| row["url"] == "/appended").unwrap();
    assert_eq!((urls.len(), found["count"].as_str()), (1_499, Some("3")));
}

#[test]
fn a_log_sent_over_http_is_counted_as_one_that_is_read_here() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let tenant = tenant_in(&data_dir);
    let server = Served::start(&data_dir, &[]);
    let ledger = folder.path().join("ledger.json");
    let options = [
        ["--server", server.client.base(), "--key", &tenant.key],
        ["--ledger", ledger.to_str().unwrap(), "--service", "assets"],
    ];
    let send = |file: &str| ingest(&data_dir, &[&options.concat()[..], &[file]].concat());
    assert_eq!(counts(&send(LOG)), [9_999, 0, 1]);
    assert_eq!(counts(&send(LOG)), [0, 0, 0]);
    // Compressed it is the same file.
    let gzipped = folder.path().join("access.log.gz");
    let mut encoder = flate2::write::GzEncoder::new(File::create(&gzipped).unwrap(), flate2::Compression::fast());
    encoder.write_all(&fs::read(LOG).unwrap()).unwrap();
    encoder.finish().unwrap();
    assert_eq!(counts(&send(gzipped.to_str().unwrap())), [0, 0, 0]);
    let services = [("services", "[\"assets\"]"), ("duration", "day")];
    let rows = tenant.report(&server.client, "http-statuses", &[&MAY[..], &services].concat()).rows();
    assert_eq!(summed(&rows, "status")[..2], [("200".to_owned(), 9_125), ("304".to_owned(), 445)]);
}

#[test]
fn a_file_ingest_that_is_killed_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let tenant = tenant_in(&data_dir);
    // Killed at once, in the middle, and around its commit.
    for life_ms in [1, 20, 40, 80, 120, 160, 240] {
        run_for(&data_dir, &["ingest", "--json", LOG], Duration::from_millis(life_ms));
    }
    let last = counts(&ingest(&data_dir, &[LOG]));
    assert!(last == [0, 0, 0] || last == [9_999, 0, 1], "{last:?}");
    let server = Served::start(&data_dir, &[]);
    assert_eq!(tenant.counted(&server.client, MAY[0].1, MAY[1].1), 9_999);
}
