//! Orderly ends: what was accepted before one is done after it.

use std::thread;

use tally_storage::catalog::{Catalog, JobState};

use crate::events::Event;
use crate::program::{Served, tenant_in};
use crate::server::{LATER, TestServer};

const RANGE: [(&str, &str); 2] = [("from", "2024-01-01"), ("to", "2024-03-30")];
/// Who submits at once, and how many jobs each, one after another.
const CLIENTS: usize = 4;
const JOBS_OF_A_CLIENT: usize = 15;
/// Jobs that wait at the restart however fast the worker is.
const SILENT_JOBS: usize = 5;

#[test]
fn jobs_accepted_before_a_graceful_restart_finish_after_it() {
    let mut server = TestServer::start_with(|config| {
        config.jobs.concurrency = 1;
        config.jobs.shutdown_grace_seconds = 0;
    });
    let tenant = server.tenant();
    tenant.take_in_events(&server.client, &[Event::default()]);
    let submit = || {
        let accepted = tenant.submit(&server.client, "devices", &RANGE).ok().json();
        accepted["jobId"].as_str().unwrap().to_owned()
    };
    let id = submit().parse().unwrap();
    let parameters = server.wait(server.store().catalog.job(&tenant.uid, &id)).unwrap().unwrap().parameters;
    let silent = (0..SILENT_JOBS).map(|_| server.silent_job(&tenant, "devices", &parameters).to_string());
    let mut jobs: Vec<String> = silent.collect();
    thread::scope(|scope| {
        let client = || (0..JOBS_OF_A_CLIENT).map(|_| submit()).collect::<Vec<_>>();
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        jobs.extend(clients.into_iter().flat_map(|client| client.join().unwrap()));
    });
    server.stop();
    let counts = server.wait(async {
        let catalog = Catalog::open(&server.config.catalog_address(), server.clock.clone()).await.unwrap();
        let counts = catalog.count_jobs().await.unwrap();
        catalog.close().await;
        counts
    });
    let of = |state| counts.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
    assert!(of(JobState::Queued) >= SILENT_JOBS as u64, "{counts:?}");
    assert_eq!(of(JobState::Running), 0, "jobs under way are given back");
    server.set_clock(LATER);
    server.start_again();
    for job_id in jobs {
        let page = tenant.ended(&server.client, &job_id).ok();
        assert_eq!(page.json()["total"], 1);
    }
}

#[test]
fn sigterm_ends_the_server_with_status_0_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let tenant = tenant_in(&data_dir);
    let server = Served::start(&data_dir, &[]);
    tenant.take_in_events(&server.client, &[Event::with_id("2024-03-01T10:00:00Z", "a")]);
    let job_id = tenant.submit(&server.client, "devices", &RANGE).ok().json()["jobId"].as_str().unwrap().to_owned();
    let client = server.client.clone();
    let (status, log) = server.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("SIGTERM"), "{log}");
    for secret in [&tenant.authtoken, &tenant.key] {
        assert!(!log.contains(secret.as_str()), "a secret stands in the log");
    }
    assert!(client.try_send("GET", "/healthz", &[], None).is_err());
    let server = Served::start(&data_dir, &[]);
    assert_eq!(tenant.ended(&server.client, &job_id).ok().json()["total"], 1);
    let again = tenant.take_in(&server.client, &Event::with_id("2024-03-01T10:00:00Z", "a").line(&[]));
    assert_eq!(again["duplicates"], 1);
}
