//! A backup of a running server, and the server that is made of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::events::{Event, lines};
use crate::http::wait_for;
use crate::program::{Served, run_in, run_with, tenant_in};

const DAY: &str = "2024-03-01";
const EVENTS_IN_A_BATCH: u64 = 20;
const BATCHES: u64 = 200;
const BATCHES_BEFORE: u64 = 10;

/// Log rows become columns at once.
const SETTINGS: [(&str, &str); 1] = [("TALLY_INGEST__FLUSH_BYTES", "1")];

fn batch(number: u64) -> String {
    let event = |at: u64| Event {
        id: Some(format!("{number}/{at}")),
        user_agent: Some(format!("agent/{at}")),
        ..Event::at("2024-03-01T10:00:00Z")
    };
    lines(&(0..EVENTS_IN_A_BATCH).map(event).collect::<Vec<_>>(), &[])
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_backup_under_load_holds_all_that_was_acknowledged_before_and_can_be_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let [data_dir, backup, restored] = ["data", "backup", "restored"].map(|name| folder.path().join(name));
    let tenant = tenant_in(&data_dir);
    let server = Served::start(&data_dir, &SETTINGS);
    let (sent, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let before = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) && sent.load(Ordering::SeqCst) < BATCHES {
                tenant.take_in(&server.client, &batch(sent.load(Ordering::SeqCst)));
                sent.fetch_add(1, Ordering::SeqCst);
            }
        });
        wait_for("batches", || (sent.load(Ordering::SeqCst) >= BATCHES_BEFORE).then_some(()));
        run_in(&data_dir, &["lake", "compact"], b"").succeeded();
        let before = sent.load(Ordering::SeqCst);
        run_in(&data_dir, &["backup", text(&backup), "--json"], b"").succeeded();
        stop.store(true, Ordering::SeqCst);
        before
    });
    let sent = sent.into_inner();
    let finished = tenant.report(&server.client, "devices", &[("from", DAY), ("to", DAY)]).texts(&tenant);
    server.kill();

    run_in(&restored, &["restore", text(&backup)], b"").succeeded();
    run_in(&restored, &["lake", "verify"], b"").succeeded();
    let server = Served::start(&restored, &SETTINGS);
    let counted = tenant.counted(&server.client, DAY, DAY);
    assert_eq!(counted % EVENTS_IN_A_BATCH, 0);
    assert!((before..=sent).contains(&(counted / EVENTS_IN_A_BATCH)), "{before} {counted} {sent}");
    // What came after the backup comes again: what it held already is known, and all is as it was.
    for number in 0..sent {
        tenant.take_in(&server.client, &batch(number));
    }
    let again = tenant.report(&server.client, "devices", &[("from", DAY), ("to", DAY)]).texts(&tenant);
    assert_eq!(again, finished);
}

/// A stopped installation with events in columns and a finished job, and its backup.
fn with_backup(folder: &Path) -> PathBuf {
    let [data_dir, backup] = ["data", "backup"].map(|name| folder.join(name));
    let tenant = tenant_in(&data_dir);
    let server = Served::start(&data_dir, &SETTINGS);
    tenant.take_in(&server.client, &batch(0));
    tenant.report(&server.client, "devices", &[("from", DAY), ("to", DAY)]);
    assert!(server.terminate().0.success());
    run_in(&data_dir, &["backup", text(&backup)], b"").succeeded();
    backup
}

fn first_file(folder: &Path) -> PathBuf {
    let path = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    if path.is_dir() { first_file(&path) } else { path }
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let backup = with_backup(folder.path());
    let data_dir = folder.path().join("data");
    for line in [["backup", text(&backup)], ["restore", text(&backup)]] {
        let refused = run_in(&data_dir, &line, b"");
        assert_eq!(refused.status, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("exists already"), "{refused:?}");
    }
    assert!(!backup.with_added_extension("partial").exists());
}

#[test]
fn a_backup_is_restored_to_where_the_catalog_is_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let backup = with_backup(folder.path());
    let restored = folder.path().join("restored");
    let restore = |url: &str| run_with(&restored, &[("TALLY_CATALOG__URL", url)], &["restore", text(&backup)], b"");
    let refused = restore("postgres://nobody@127.0.0.1:1/none");
    assert!(refused.stderr.contains("PostgreSQL"), "{refused:?}");
    assert!(!restored.exists());
    let elsewhere = folder.path().join("elsewhere/catalog.sqlite");
    let url = format!("sqlite:{}", text(&elsewhere));
    restore(&url).succeeded();
    assert!(elsewhere.exists() && !restored.join("catalog.db").exists());
    assert!(restore(&url).stderr.contains("exists already"));
    run_with(&restored, &[("TALLY_CATALOG__URL", &*url)], &["lake", "verify"], b"").succeeded();
}

#[test]
fn a_log_that_an_earlier_catalog_left_is_not_read_into_the_restored_one() {
    let folder = tempfile::tempdir().unwrap();
    let backup = with_backup(folder.path());
    let restored = folder.path().join("restored");
    fs::create_dir(&restored).unwrap();
    let log = restored.join("catalog.db-wal");
    fs::write(&log, b"of another catalog").unwrap();
    let refused = run_in(&restored, &["restore", text(&backup)], b"");
    assert!(refused.stderr.contains("catalog.db-wal` exists already"), "{refused:?}");
    fs::remove_file(&log).unwrap();
    run_in(&restored, &["restore", text(&backup)], b"").succeeded();
}

#[test]
fn two_backups_are_not_made_in_one_folder_and_what_a_killed_one_left_goes() {
    let folder = tempfile::tempdir().unwrap();
    let backup = with_backup(folder.path());
    let data_dir = folder.path().join("data");
    let partial = backup.with_added_extension("partial");
    fs::rename(&backup, &partial).unwrap();
    fs::write(partial.join("left"), b"by a killed one").unwrap();
    let other = fs::File::open(&partial).unwrap();
    other.lock().unwrap();
    let refused = run_in(&data_dir, &["backup", text(&backup)], b"");
    assert!(refused.stderr.contains("another backup is being made"), "{refused:?}");
    assert!(partial.join("left").exists() && !backup.exists());
    drop(other);
    run_in(&data_dir, &["backup", text(&backup)], b"").succeeded();
    assert!(!partial.exists() && !backup.join("left").exists());
    run_in(&folder.path().join("restored"), &["restore", text(&backup)], b"").succeeded();
}

#[test]
fn a_backup_with_a_file_that_is_cut_off_or_missing_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let backup = with_backup(folder.path());
    let restored = folder.path().join("restored");
    let result = first_file(&backup.join("results"));
    fs::write(&result, b"short").unwrap();
    let refused = run_in(&restored, &["restore", text(&backup)], b"");
    assert!(refused.stderr.contains(&format!("`{}` has 5 bytes", result.display())), "{refused:?}");
    fs::remove_file(&result).unwrap();
    let refused = run_in(&restored, &["restore", text(&backup)], b"");
    assert!(refused.stderr.contains(text(&result)), "{refused:?}");
    assert_eq!(refused.status, Some(1));
    assert!(!restored.join("catalog.db").exists());
}
