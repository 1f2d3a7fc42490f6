use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use tally_storage::clock::Clock;

use super::memory_sink::MemorySink;
use super::*;
use crate::decode::Encoding;
use crate::formats::{FORMATS, fixture};
use crate::test_input::compressed;

const FIELDS: &str = "#Fields: date time cs-method cs-uri-stem sc-status\n";
const OTHER_FIELDS: &str = "#Fields: sc-status cs-uri-stem time date\n";

fn options(max_line_bytes: usize) -> FileOptions {
    FileOptions {
        format: Selection::Auto,
        rules: Rules::new(HashSet::new(), Clock::fixed("2024-03-07T12:00:00Z".parse().unwrap())),
        threads: 2,
        max_line_bytes,
        portion: PortionBounds::default(),
    }
}

fn read_with(options: FileOptions, path: &Path, sink: &mut MemorySink<'_>) -> Report {
    let running = AtomicBool::new(false);
    let mut ingest = FileIngest::new(options, Arc::default(), &running);
    ingest.read(&Input::Path(path.to_owned()), sink).unwrap();
    ingest.report().clone()
}

/// Accepted and rejected.
fn counts(path: &Path, sink: &mut MemorySink<'_>) -> (u64, u64) {
    let report = read_with(options(64 * 1024), path, sink);
    (report.accepted, report.rejected)
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::File::create(path).unwrap().write_all(bytes.as_ref()).unwrap();
}

fn append(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes.as_ref()).unwrap();
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("2024-03-05 08:15:30 GET /{number} 200\n")).collect()
}

fn other_lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("404 /{number} 08:15:30 2024-03-05\n")).collect()
}

fn urls(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("/{number}")).collect()
}

#[test]
fn lines_that_are_none_of_its_format_disturb_no_other_line_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    for format in FORMATS {
        let whole = fixture::read(format.name());
        write(&path, &whole);
        let mut clean = MemorySink::default();
        let (accepted, rejected) = counts(&path, &mut clean);
        let last = fixture::lines(&whole).last().unwrap();
        let other = if format.name() == "common" { "haproxy" } else { "common" };
        let other = fixture::read(other);
        let damage: [&[u8]; 6] = [
            b"\xff\xfe\xfa no text\n",
            b"\0\0\0\0\0\0\n",
            &[&last[..last.len() / 2], b"\0\0 a hole\r\n"].concat(),
            &[b"x".repeat(1 << 20), b"\n".to_vec()].concat(),
            &[b"{\"long\":\"".to_vec(), b"x".repeat(1 << 20), b"\n".to_vec()].concat(),
            &other[..=other.iter().position(|byte| *byte == b'\n').unwrap()],
        ];
        write(&path, [&whole, damage.concat().as_slice(), &whole].concat());
        for max_line_bytes in [64 * 1024, 4 << 20] {
            let mut sink = MemorySink::default();
            let report = read_with(options(max_line_bytes), &path, &mut sink);
            assert_eq!(report.files[0].format, Some(format.name()));
            assert_eq!((report.accepted, report.rejected), (2 * accepted, 2 * rejected + 6), "{}", format.name());
            assert_eq!(sink.urls, [clean.urls.as_slice(), &clean.urls].concat());
            assert!(report.errors.iter().all(|error| error.error.reason.len() > 10 && error.error.reason.len() < 600));
        }
    }
}

#[test]
fn windows_line_ends_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for format in FORMATS {
        let whole = fixture::read(format.name());
        let unix: Vec<u8> = fixture::lines(&whole).flat_map(|line| [line, b"\n"].concat()).collect();
        let dos: Vec<u8> = fixture::lines(&whole).flat_map(|line| [line, b"\r\n"].concat()).collect();
        let [unix, dos] = [("unix", unix), ("dos", dos)].map(|(name, text)| {
            let path = folder.path().join(name);
            write(&path, text);
            let mut sink = MemorySink::default();
            let report = read_with(options(64 * 1024), &path, &mut sink);
            let reasons: Vec<_> = report.errors.into_iter().map(|error| error.error).collect();
            (sink.urls, sink.lines, reasons, sink.batches.iter().map(|batch| batch.events.clone()).collect::<Vec<_>>())
        });
        assert_eq!(unix, dos, "{}", format.name());
    }
}

#[test]
fn a_grown_file_is_read_on_by_the_header_that_holds_there() {
    for encoding in [Encoding::Plain, Encoding::Gzip] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("u_ex240305.log");
        let mut sink = MemorySink::default();
        let mut text = FIELDS.to_owned() + &lines(0..5_000);
        let mut check = |text: &str, expected: (u64, u64)| {
            write(&path, compressed(encoding, text.as_bytes()));
            assert_eq!(counts(&path, &mut sink), expected, "{encoding}");
        };
        check(&text, (5_000, 0));
        text += &lines(5_000..5_010);
        check(&text, (10, 0));
        // The header changes in the middle of what the second run reads, and holds for the third.
        text += &(lines(5_010..5_020) + OTHER_FIELDS + &other_lines(5_020..5_030));
        check(&text, (20, 0));
        text += &other_lines(5_030..40_000);
        check(&text, (34_970, 0));
        // In the meantime the server has been started anew.
        text += &(FIELDS.to_owned() + &lines(40_000..40_001));
        check(&text, (1, 0));
        text += &(other_lines(0..1) + &lines(40_001..40_002));
        check(&text, (1, 1));
        check(&text, (0, 0));
        assert_eq!(sink.urls, urls(0..40_002), "{encoding}");
    }
}

#[test]
fn a_header_that_is_not_ended_waits_and_holds_for_what_comes_after_it() {
    for cut in [1, 9, 20, OTHER_FIELDS.len() - 1] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("u_ex240305.log");
        let mut sink = MemorySink::default();
        write(&path, FIELDS.to_owned() + &lines(0..3) + &OTHER_FIELDS[..cut]);
        assert_eq!(counts(&path, &mut sink), (3, 0));
        assert_eq!(counts(&path, &mut sink), (0, 0));
        append(&path, OTHER_FIELDS[cut..].to_owned() + &other_lines(3..5));
        assert_eq!(counts(&path, &mut sink), (2, 0), "cut at {cut}");
        assert_eq!((&sink.urls, sink.lines.as_slice()), (&urls(0..5), [2, 3, 4, 6, 7].as_slice()));
    }
}

#[test]
fn a_header_holds_for_the_blocks_after_it_on_every_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("u_ex240305.log");
    let mut text = String::new();
    for part in (0..200_000).step_by(10_000) {
        text += &(FIELDS.to_owned() + &lines(part..part + 7_000));
        text += &(OTHER_FIELDS.to_owned() + &other_lines(part + 7_000..part + 10_000));
    }
    write(&path, text);
    let mut sink = MemorySink::default();
    let report = read_with(FileOptions { threads: 4, ..options(64 * 1024) }, &path, &mut sink);
    assert_eq!((report.accepted, report.rejected, report.files[0].format), (200_000, 0, Some("w3c")));
    assert_eq!(sink.urls, urls(0..200_000));
    assert_eq!(sink.counts_of("status"), [("200".to_owned(), 140_000), ("404".to_owned(), 60_000)].into());
}

#[test]
fn lines_before_any_header_are_rejected_and_those_after_it_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("u_ex240305.log");
    write(&path, lines(0..2) + FIELDS + &lines(2..5));
    let mut sink = MemorySink::default();
    let report = read_with(options(64 * 1024), &path, &mut sink);
    assert_eq!((report.accepted, report.rejected), (3, 2));
    insta::assert_snapshot!(report.errors[0].error.reason, @"has no `#Fields` line before it, which names the columns");
}
