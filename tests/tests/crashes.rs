//! kill -9 at any moment: every acknowledged event is counted exactly once, every accepted job ends.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use uuid::Uuid;

use crate::events::{Event, lines};
use crate::http::{Client, wait_for};
use crate::program::{Served, run_for, run_in, tenant_in};
use crate::tenant::Tenant;

const KILLS: u64 = 5;
const SENDERS: u64 = 3;
const EVENTS_IN_A_BATCH: u64 = 25;
/// Batches that are acknowledged between two kills.
const BATCHES_BETWEEN: u64 = 12;
const JOBS_IN_A_LIFE: usize = 60;

/// Log rows become columns at once, and lost jobs are found at once: as much as possible is under way at each kill.
const SETTINGS: [(&str, &str); 4] = [
    ("TALLY_INGEST__FLUSH_BYTES", "1"),
    ("TALLY_JOBS__LEASE_SECONDS", "1"),
    ("TALLY_JOBS__UPKEEP_SECONDS", "1"),
    ("TALLY_JOBS__MAX_ATTEMPTS", "100"),
];

/// What clients know: batches that were acknowledged, and jobs that were accepted.
#[derive(Debug, Default)]
struct Known {
    acknowledged: AtomicU64,
    jobs: Mutex<Vec<String>>,
}

/// A batch of one sender. Half of the senders name their events, half only their batches.
fn batch(sender: u64, number: u64) -> String {
    let event = |at: u64| {
        let id = format!("{sender}/{number}/{at}");
        Event { id: sender.is_multiple_of(2).then_some(id), ..Event::at("2024-03-01T10:00:00Z") }
    };
    lines(&(0..EVENTS_IN_A_BATCH).map(event).collect::<Vec<_>>(), &[])
}

/// Sends batch after batch until the server is gone; says which batch was not acknowledged.
fn send(client: &Client, tenant: &Tenant, known: &Known, sender: u64, mut number: u64) -> u64 {
    let bearer = format!("Bearer {}", tenant.key);
    loop {
        let key = format!("{sender}/{number}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/x-ndjson"),
            ("idempotency-key", key.as_str()),
        ];
        let body = batch(sender, number);
        let Ok(answer) = client.try_send("POST", "/ingest/v1/requests", &headers, Some(body.as_bytes())) else {
            return number;
        };
        let receipt = answer.ok().json();
        assert_eq!(receipt["rejected"], 0, "{receipt}");
        known.acknowledged.fetch_add(1, Ordering::SeqCst);
        number += 1;
    }
}

/// Asks for report after report until the server is gone: more than it can compute meanwhile.
fn ask(client: &Client, tenant: &Tenant, known: &Known) {
    let query = format!("orgUid={}&from=2024-02-01&to=2024-03-31", tenant.uid);
    for report in ["devices", "usage"].iter().cycle().take(JOBS_IN_A_LIFE) {
        let path = format!("/analytics/v2/{report}?{query}");
        let Ok(answer) = client.try_send("GET", &path, &[("authtoken", &tenant.authtoken)], None) else { return };
        known.jobs.lock().unwrap().push(answer.ok().json()["jobId"].as_str().unwrap().to_owned());
    }
}

/// Operator's commands beside the server, each killed somewhere in the middle.
fn kill_commands(data_dir: &Path) {
    for life_ms in [15, 25, 40, 60, 90, 130] {
        let life = Duration::from_millis(life_ms);
        run_for(data_dir, &["lake", "compact"], life);
        let backup = data_dir.parent().unwrap().join(format!("backup-{}", Uuid::now_v7()));
        run_for(data_dir, &["backup", backup.to_str().unwrap()], life);
    }
}

/// One life of the server, ended by kill -9 while everything is under way.
fn one_life(data_dir: &Path, tenant: &Tenant, known: &Known, next: &mut [u64]) {
    let server = Served::start(data_dir, &SETTINGS);
    let client = server.client.clone();
    let goal = known.acknowledged.load(Ordering::SeqCst) + BATCHES_BETWEEN;
    thread::scope(|scope| {
        let senders = next.iter_mut().zip(0..).map(|(next, sender)| {
            let client = &client;
            scope.spawn(move || *next = send(client, tenant, known, sender, *next))
        });
        let senders: Vec<_> = senders.collect();
        scope.spawn(|| ask(&client, tenant, known));
        scope.spawn(|| kill_commands(data_dir));
        wait_for("batches to be acknowledged", || {
            let stuck = senders.iter().all(thread::ScopedJoinHandle::is_finished);
            (stuck || known.acknowledged.load(Ordering::SeqCst) >= goal).then_some(())
        });
        server.kill();
    });
    assert!(known.acknowledged.load(Ordering::SeqCst) >= goal);
}

#[test]
fn killed_again_and_again_it_counts_every_acknowledged_event_once_and_ends_every_job() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let tenant = tenant_in(&data_dir);
    let known = Known::default();
    let mut next = vec![0; usize::try_from(SENDERS).unwrap()];
    for _ in 0..KILLS {
        one_life(&data_dir, &tenant, &known, &mut next);
        // What was under way at the kill is either in or not; nothing else may be.
        let server = Served::start(&data_dir, &SETTINGS);
        let acknowledged = known.acknowledged.load(Ordering::SeqCst) * EVENTS_IN_A_BATCH;
        let counted = tenant.counted(&server.client, "2024-03-01", "2024-03-01");
        let unknown = counted.checked_sub(acknowledged).expect("acknowledged events are missing");
        assert!(unknown <= SENDERS * EVENTS_IN_A_BATCH && unknown.is_multiple_of(EVENTS_IN_A_BATCH), "{unknown}");
        server.kill();
    }
    let server = Served::start(&data_dir, &SETTINGS);
    // Clients send again what they got no answer for: now each batch is in, once.
    for (sender, number) in (0..).zip(&next) {
        let headers = [("idempotency-key", format!("{sender}/{number}"))];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        tenant.post(&server.client, &headers, batch(sender, *number).as_bytes()).ok();
    }
    let sent = next.iter().map(|number| (number + 1) * EVENTS_IN_A_BATCH).sum::<u64>();
    assert_eq!(tenant.counted(&server.client, "2024-03-01", "2024-03-01"), sent);
    let jobs = known.jobs.into_inner().unwrap();
    assert!(!jobs.is_empty());
    for job_id in &jobs {
        let page = tenant.ended(&server.client, job_id).ok();
        assert!(page.json()["data"].is_array(), "{}", page.shown());
    }
    let (status, _) = server.terminate();
    assert_eq!(status.code(), Some(0));
    run_in(&data_dir, &["lake", "compact"], b"").succeeded();
    run_in(&data_dir, &["lake", "verify"], b"").succeeded();
}
