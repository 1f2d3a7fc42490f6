use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tally_storage::clock::Clock;
use tempfile::TempDir;

use super::memory_sink::{MemorySink, Trouble};
use super::*;
use crate::decode::Encoding;
use crate::test_input::compressed;

const MAX_LINE_BYTES: usize = 64 * 1024;

fn options() -> FileOptions {
    let clock = Clock::fixed("2015-05-21T12:00:00Z".parse().unwrap());
    FileOptions {
        format: Selection::Auto,
        rules: Rules::new(HashSet::new(), clock),
        threads: 2,
        max_line_bytes: MAX_LINE_BYTES,
        portion: PortionBounds::default(),
    }
}

fn small_portions() -> FileOptions {
    FileOptions { portion: PortionBounds { events: 1, size_bytes: 1 }, ..options() }
}

fn apache_log() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/apache_access_2015.log")
}

fn run(options: FileOptions, path: &Path, sink: &mut MemorySink<'_>) -> (Result<(), FileError>, Report) {
    let running = AtomicBool::new(false);
    let cancelled = sink.cancel_at.map_or(&running, |(_, flag)| flag);
    let mut ingest = FileIngest::new(options, Arc::default(), cancelled);
    let outcome = ingest.read(&Input::Path(path.to_owned()), sink);
    let report = ingest.report().clone();
    (outcome, report)
}

/// Reads the file, which must work; how many events were added.
fn added(path: &Path, sink: &mut MemorySink<'_>) -> u64 {
    let (outcome, report) = run(options(), path, sink);
    outcome.unwrap();
    report.accepted
}

fn line(number: usize) -> String {
    format!(r#"{{"ts":1431857103250,"url":"/{number}","status":200}}"#)
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| line(number) + "\n").collect()
}

/// A folder, and a file in it with that text.
fn file(text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    write(&path, text);
    (folder, path)
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::File::create(path).unwrap().write_all(bytes.as_ref()).unwrap();
}

fn append(path: &Path, text: &str) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn urls(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("/{number}")).collect()
}

#[test]
fn the_apache_log_of_2015_is_counted_as_it_is() {
    let mut sink = MemorySink::default();
    let (outcome, report) = run(options(), &apache_log(), &mut sink);
    outcome.unwrap();
    assert_eq!((report.accepted, report.rejected, report.files[0].format), (9_999, 1, Some("combined")));
    insta::assert_debug_snapshot!("the_cut_off_line", report.errors[0].error);
    insta::assert_debug_snapshot!("statuses", sink.counts_of("status"));
    let days = sink.counts_of("ts").into_iter().fold(std::collections::BTreeMap::new(), |mut days, (ts, count)| {
        *days.entry(ts[..10].to_owned()).or_insert(0) += count;
        days
    });
    insta::assert_debug_snapshot!("days", days);
    let urls = sink.counts_of("url");
    assert_eq!((urls.len(), urls.values().max(), urls["/favicon.ico"]), (1498, Some(&807), 807));
    assert_eq!(sink.counts_of("user_agent").len(), 558);
}

#[test]
fn a_second_run_adds_nothing_and_a_grown_file_adds_what_is_new() {
    let (_folder, path) = file(fs::read(apache_log()).unwrap());
    let mut sink = MemorySink::default();
    assert_eq!(added(&path, &mut sink), 9_999);
    let (_, again) = run(options(), &path, &mut sink);
    assert_eq!((again.accepted, again.rejected, again.files[0].format), (0, 0, Some("combined")));
    append(&path, &fs::read_to_string(apache_log()).unwrap().split_inclusive('\n').take(3).collect::<String>());
    assert_eq!(added(&path, &mut sink), 3);
    assert_eq!(&sink.lines[9_999..], [10_001, 10_002, 10_003]);
}

#[test]
fn a_rotated_file_is_known_under_any_name_and_in_any_compression() {
    let (folder, path) = file(lines(0..200));
    let mut sink = MemorySink::default();
    assert_eq!(added(&path, &mut sink), 200);
    let renamed = folder.path().join("access.log.1");
    fs::rename(&path, &renamed).unwrap();
    write(&path, lines(200..210));
    assert_eq!(added(&renamed, &mut sink), 0);
    assert_eq!(added(&path, &mut sink), 10);
    for encoding in [Encoding::Gzip, Encoding::Zstd, Encoding::Bzip2] {
        let packed = folder.path().join(format!("access.log.2.{encoding}"));
        write(&packed, compressed(encoding, lines(0..205).as_bytes()));
        assert_eq!(added(&packed, &mut sink), if encoding == Encoding::Gzip { 5 } else { 0 }, "{encoding}");
    }
}

#[test]
fn a_file_that_was_copied_away_and_truncated_is_a_new_one() {
    let (_folder, path) = file(lines(0..500));
    let mut sink = MemorySink::default();
    assert_eq!(added(&path, &mut sink), 500);
    write(&path, lines(500..520));
    assert_eq!(added(&path, &mut sink), 20);
    append(&path, &lines(520..1200));
    assert_eq!(added(&path, &mut sink), 680);
    assert_eq!(sink.urls, urls(0..1200));
}

#[test]
fn a_file_that_merely_begins_alike_is_read_from_its_start() {
    let (folder, path) = file(lines(0..500));
    let mut sink = MemorySink::default();
    assert_eq!(added(&path, &mut sink), 500);
    let other = folder.path().join("other.log");
    write(&other, lines(0..300) + &lines(1000..1500));
    assert_eq!(added(&other, &mut sink), 800);
    assert_eq!(added(&other, &mut sink), 0);
    assert_eq!(added(&path, &mut sink), 0);
}

#[test]
fn an_empty_file_has_no_format_and_does_no_harm() {
    let (_folder, path) = file("");
    let mut sink = MemorySink::default();
    let (outcome, report) = run(options(), &path, &mut sink);
    outcome.unwrap();
    assert_eq!((report.files[0].format, sink.portions.len()), (None, 0));
    append(&path, &lines(0..2));
    assert_eq!(added(&path, &mut sink), 2);
}

#[test]
fn a_last_line_that_is_not_ended_waits_if_it_is_no_event_yet() {
    let whole = line(3);
    let (_folder, path) = file(lines(0..3) + &whole[..20]);
    let mut sink = MemorySink::default();
    let (_, first) = run(options(), &path, &mut sink);
    assert_eq!((first.accepted, first.rejected, first.errors[0].error.line), (3, 1, 4));
    let (_, again) = run(options(), &path, &mut sink);
    assert_eq!((again.accepted, again.rejected, again.errors[0].error.line), (0, 1, 4));
    append(&path, &format!("{}\n{}", &whole[20..], lines(4..5)));
    assert_eq!(added(&path, &mut sink), 2);
    assert_eq!((&sink.urls, sink.lines.as_slice()), (&urls(0..5), [1, 2, 3, 4, 5].as_slice()));
}

#[test]
fn a_last_line_that_is_not_ended_counts_if_it_is_an_event_and_its_end_is_no_line() {
    for end in ["\n", "\r\n"] {
        let (_folder, path) = file(lines(0..3) + &line(3));
        let mut sink = MemorySink::default();
        assert_eq!(added(&path, &mut sink), 4);
        append(&path, &format!("{end}{}", lines(4..5)));
        assert_eq!(added(&path, &mut sink), 1);
        assert_eq!((&sink.urls, sink.lines.as_slice()), (&urls(0..5), [1, 2, 3, 4, 5].as_slice()));
        assert_eq!(added(&path, &mut sink), 0);
    }
}

#[test]
fn rejected_lines_are_written_with_file_reason_and_text() {
    let long = "x".repeat(MAX_LINE_BYTES + 1);
    let (_folder, path) = file(format!("{}nonsense\n{long}\n{}", lines(0..1), lines(1..2)));
    let stop = AtomicBool::new(false);
    let mut rejects = Vec::new();
    let mut ingest = FileIngest::new(options(), Arc::default(), &stop);
    ingest.write_rejects_to(&mut rejects);
    ingest.read(&Input::Path(path), &mut MemorySink::default()).unwrap();
    drop(ingest);
    let written: Vec<serde_json::Value> =
        rejects.split_inclusive(|b| *b == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect();
    assert_eq!((written[0]["line"].as_u64(), written[0]["text"].as_str()), (Some(2), Some("nonsense")));
    assert_eq!(
        (written[1]["line"].as_u64(), written[1]["reason"].as_str()),
        (Some(3), Some("is longer than 65536 bytes"))
    );
    assert_eq!(written[1]["text"].as_str().map(str::len), Some(MAX_LINE_BYTES));
}

#[test]
fn a_line_without_end_is_rejected_in_constant_memory() {
    let (_folder, path) = file(lines(0..1) + &"x".repeat(5 << 20) + "\n" + &lines(1..2));
    let mut sink = MemorySink::default();
    let (outcome, report) = run(options(), &path, &mut sink);
    outcome.unwrap();
    assert_eq!((report.accepted, report.rejected, report.errors[0].error.line), (2, 1, 2));
    assert_eq!(added(&path, &mut sink), 0);
}

#[test]
fn what_stands_before_a_broken_end_is_kept() {
    let packed = compressed(Encoding::Gzip, lines(0..20_000).as_bytes());
    let (_folder, path) = file(&packed[..packed.len() / 2]);
    let mut sink = MemorySink::default();
    let (outcome, report) = run(options(), &path, &mut sink);
    assert!(matches!(outcome, Err(FileError::Read(_))));
    assert!(report.accepted > 0 && report.rejected == 0);
    write(&path, &packed);
    assert_eq!(report.accepted + added(&path, &mut sink), 20_000);
    assert_eq!(sink.urls, urls(0..20_000));
}

#[test]
fn files_that_cannot_be_read_or_told_are_named_faults() {
    let (folder, path) = file("hello\nworld\n");
    let mut sink = MemorySink::default();
    assert!(matches!(run(options(), &path, &mut sink).0, Err(FileError::Format(FormatError::NotTold { .. }))));
    assert!(matches!(run(options(), folder.path(), &mut sink).0, Err(FileError::Read(_))));
    assert!(matches!(run(options(), &folder.path().join("none"), &mut sink).0, Err(FileError::Read(_))));
}

#[test]
fn a_failed_commit_counts_nothing_and_the_next_run_makes_it_right() {
    let (_folder, path) = file(lines(0..60_000));
    let mut sink = MemorySink { trouble: Some((1, Trouble::Fails)), ..MemorySink::default() };
    let (outcome, report) = run(small_portions(), &path, &mut sink);
    assert!(matches!(outcome, Err(FileError::Sink(_))));
    assert!(report.accepted > 0 && report.accepted < 60_000);
    assert_eq!(report.accepted + added(&path, &mut sink), 60_000);
    assert_eq!(sink.urls, urls(0..60_000));
}

#[test]
fn a_lost_answer_is_asked_for_again_within_the_same_bounds() {
    let (_folder, path) = file(lines(0..60_000));
    let mut sink = MemorySink { trouble: Some((1, Trouble::AnswerLost)), ..MemorySink::default() };
    assert!(run(small_portions(), &path, &mut sink).0.is_err());
    append(&path, &lines(60_000..60_010));
    run(options(), &path, &mut sink).0.unwrap();
    assert_eq!(sink.portions[1], sink.portions[2]);
    assert_eq!(sink.urls, urls(0..60_010));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_run_that_is_stopped_anywhere_goes_on_where_it_was(stop_at in 1_usize..5, pack in any::<bool>()) {
        let text = lines(0..30_000);
        let (_folder, path) = file(if pack { compressed(Encoding::Zstd, text.as_bytes()) } else { text.into_bytes() });
        let stop = AtomicBool::new(false);
        let mut sink = MemorySink { cancel_at: Some((stop_at, &stop)), ..MemorySink::default() };
        let (outcome, _) = run(small_portions(), &path, &mut sink);
        prop_assert!(outcome.is_ok() || matches!(outcome, Err(FileError::Cancelled)));
        sink.cancel_at = None;
        added(&path, &mut sink);
        prop_assert_eq!(&sink.urls, &urls(0..30_000));
        prop_assert_eq!(&sink.lines, &(1..=30_000).collect::<Vec<u64>>());
    }
}
