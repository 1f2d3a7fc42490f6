//! `tally erase` beside a running server.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::events::{Event, lines};
use crate::http::wait_for;
use crate::program::{Served, run_in, tenant_in};

const DAY: &str = "2024-03-01";
const DEVICE: &str = "device-of-somebody-who-wants-to-be-forgotten";

/// Half of its events are of the device, where there is one.
fn batch(number: u64, device: Option<&str>) -> String {
    let event = |at: u64| Event {
        id: Some(format!("{number}/{at}")),
        user_agent: device.filter(|_| at.is_multiple_of(2)).map(str::to_owned),
        ..Event::at("2024-03-01T10:00:00Z")
    };
    lines(&(0..20).map(event).collect::<Vec<_>>(), &[])
}

fn holds(folder: &Path, needle: &str) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return holds(&path, needle);
        }
        // A file may be gone by now.
        let bytes = fs::read(&path).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}

#[test]
fn beside_a_server_under_load_it_erases_what_was_acknowledged_before_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let tenant = tenant_in(&data_dir);
    let server = Served::start(&data_dir, &[("TALLY_INGEST__FLUSH_BYTES", "1")]);
    for number in 0..10 {
        tenant.take_in(&server.client, &batch(number, Some(DEVICE)));
    }
    let before = tenant.report(&server.client, "devices", &[("from", DAY), ("to", DAY)]);
    assert!(before.texts(&tenant).concat().contains(DEVICE));
    let (sent, stop) = (AtomicU64::new(10), AtomicBool::new(false));
    let receipt = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let number = sent.load(Ordering::SeqCst);
                let receipt = tenant.take_in(&server.client, &batch(number, None));
                assert_eq!(receipt["accepted"], 20, "{receipt}");
                sent.fetch_add(1, Ordering::SeqCst);
            }
        });
        wait_for("batches", || (sent.load(Ordering::SeqCst) >= 20).then_some(()));
        assert!(holds(&data_dir, DEVICE));
        let erase = ["erase", "--org", tenant.uid.as_str(), "--device", DEVICE, "--yes", "--json"];
        let receipt = run_in(&data_dir, &erase, b"").succeeded().json();
        stop.store(true, Ordering::SeqCst);
        receipt
    });
    assert_eq!((&receipt["events"], &receipt["results"]), (&100.into(), &1.into()), "{receipt}");
    assert_eq!(receipt["devices"], serde_json::json!([DEVICE]), "{receipt}");
    assert!(!holds(&data_dir, DEVICE));
    // The server may remember for a second that the job was finished.
    let status = || tenant.retrieve(&server.client, &before.job_id, "").status;
    wait_for("the result to be gone", || (status() == 410).then_some(()));
    let after = tenant.report(&server.client, "devices", &[("from", DAY), ("to", DAY)]);
    assert!(!after.texts(&tenant).concat().contains(DEVICE));
    assert_eq!(tenant.counted(&server.client, DAY, DAY), sent.into_inner() * 20 - 100);
    run_in(&data_dir, &["lake", "compact"], b"").succeeded();
    run_in(&data_dir, &["lake", "verify"], b"").succeeded();
    assert!(!holds(&data_dir, DEVICE));
}

#[test]
fn what_makes_no_sense_or_nobody_confirms_erases_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let tenant = tenant_in(&data_dir);
    let server = Served::start(&data_dir, &[]);
    tenant.take_in(&server.client, &batch(0, Some(DEVICE)));
    let uid = tenant.uid.as_str();
    let cases: [(&[&str], &str); 5] = [
        (&["--org", uid], "confirm with `--yes`"),
        (&["--org", uid, "--from", "2024-03-02", "--to", "2024-03-01", "--yes"], "expected the earlier day first"),
        (&["--org", uid, "--url-prefix", "", "--yes"], "leave it out to mean any URL"),
        (&["--org", "blt0000000000000000", "--yes"], "`tally org list` shows those that do"),
        (&["--org", uid, "--from", "yesterday", "--yes"], "invalid value 'yesterday'"),
    ];
    for (arguments, expected) in cases {
        let ran = run_in(&data_dir, &[&["erase"], arguments].concat(), b"");
        assert!(ran.status != Some(0) && ran.stderr.contains(expected), "{ran:?}");
    }
    assert_eq!(tenant.counted(&server.client, DAY, DAY), 20);
}
