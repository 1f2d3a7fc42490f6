//! Workers that are killed, left idle, replaced; messages that are doubled, late, or nobody's.

use std::thread;
use std::time::{Duration, Instant};

use redis::Commands as _;

use super::installation::{Installation, LEASE_SECONDS};
use super::servers::OwnRedis;
use crate::events::Event;
use crate::http::{Client, wait_for};
use crate::program::Served;
use crate::tenant::Tenant;

const RANGE: [(&str, &str); 2] = [("from", "2024-01-01"), ("to", "2024-03-30")];

fn submit(client: &Client, tenant: &Tenant) -> String {
    let accepted = tenant.submit(client, "devices", &RANGE).ok().json();
    accepted["jobId"].as_str().unwrap().to_owned()
}

/// Stops the worker while it has a job; says which. However fast it is, there is always one more job.
fn caught_in_a_job(installation: &Installation, client: &Client, tenant: &Tenant, worker: &Served) -> Vec<String> {
    wait_for("the worker to be caught in a job", || {
        submit(client, tenant);
        worker.pause();
        let running = installation.texts("select id from jobs where state = 'running'");
        if running.is_empty() {
            worker.resume();
            return None;
        }
        Some(running)
    })
}

#[test]
fn a_job_whose_worker_is_killed_in_the_middle_is_finished_elsewhere_within_the_lease_and_once() {
    let installation = Installation::new().recording();
    let (api, worker, _scheduler) =
        (installation.start("api"), installation.start("worker"), installation.start("scheduler"));
    let tenant = &installation.tenants(1)[0];
    tenant.take_in_events(&api.client, &[Event::default()]);
    for _ in 0..100 {
        submit(&api.client, tenant);
    }
    let caught = caught_in_a_job(&installation, &api.client, tenant, &worker);
    let _other = installation.start("worker");
    worker.kill();
    let killed = Instant::now();
    for job_id in &caught {
        assert_eq!(tenant.ended(&api.client, job_id).ok().json()["total"], 1);
    }
    let bound = Duration::from_secs(LEASE_SECONDS + 5);
    assert!(killed.elapsed() <= bound, "{:?}", killed.elapsed());
    wait_for("the other jobs to end", || {
        (installation.count("select count(*) from jobs where state <> 'finished'") == 0).then_some(())
    });
    installation.assert_each_job_finished_once();
    assert!(installation.count("select max(attempts) from jobs") >= 2);
}

#[test]
fn a_worker_that_was_idle_for_a_minute_is_woken_by_the_next_job() {
    let installation = Installation::new().recording();
    // No timer looks for jobs: without being woken the worker would sleep on.
    let (api, _worker) =
        (installation.start("api"), installation.start_with("worker", &[("TALLY_QUEUE__POLL_MS", "60000")]));
    let tenant = &installation.tenants(1)[0];
    tenant.ended(&api.client, &submit(&api.client, tenant)).ok();
    // The time itself is what is tested: the library's worker falls asleep for half a minute.
    thread::sleep(Duration::from_mins(1));
    for _ in 0..5 {
        tenant.ended(&api.client, &submit(&api.client, tenant)).ok();
    }
    let slowest = "select max(started_at - created_at) from jobs";
    assert!(installation.count(slowest) < 10_000, "{} ms", installation.count(slowest));
}

#[test]
fn a_worker_that_takes_the_place_of_a_killed_one_begins_at_once() {
    let installation = Installation::new().recording();
    let (api, _scheduler) = (installation.start("api"), installation.start("scheduler"));
    let tenant = &installation.tenants(1)[0];
    let mut worker = installation.start("worker");
    for _ in 0..3 {
        for _ in 0..50 {
            submit(&api.client, tenant);
        }
        caught_in_a_job(&installation, &api.client, tenant, &worker);
        worker.kill();
        worker = installation.start("worker");
    }
    wait_for("all jobs to end", || {
        (installation.count("select count(*) from jobs where state <> 'finished'") == 0).then_some(())
    });
    installation.assert_each_job_finished_once();
}

#[test]
fn messages_that_come_twice_or_late_or_are_nobodys_change_nothing() {
    let (redis, installation) = (OwnRedis::start(), Installation::new().recording());
    let settings = [("TALLY_QUEUE__URL", &*redis.url()), ("TALLY_QUEUE__PREFIX", "tally")];
    let api = installation.start_with("api", &settings);
    let tenant = &installation.tenants(1)[0];
    let jobs: Vec<String> = (0..20).map(|_| submit(&api.client, tenant)).collect();
    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    // What the library keeps: what was pushed, what is next, and the texts of both.
    let (pushed, list, data) = ("tally:jobs:scheduled", "tally:jobs:active", "tally:jobs:data");
    let messages: Vec<String> = wait_for("the jobs to be pushed", || {
        let messages: Vec<String> = connection.zrange(pushed, 0, -1).unwrap();
        (messages.len() == jobs.len()).then_some(messages)
    });
    for (message, at) in messages.iter().zip(0..) {
        let copy = format!("01HV00000000000000000001{at:02}");
        let text: String = connection.hget(data, message).unwrap();
        let kept: Vec<(String, String)> = connection.hgetall(format!("tally:jobs:meta:{message}")).unwrap();
        let _: () = connection.hset(data, &copy, text).unwrap();
        let _: () = connection.hset_multiple(format!("tally:jobs:meta:{copy}"), &kept).unwrap();
        let _: () = connection.lpush(list, copy).unwrap();
    }
    let _: () = connection.lpush(list, &messages[0]).unwrap();
    for (message, text) in [("01HV0000000000000000000001", "\"job_0\""), ("01HV0000000000000000000002", "{")] {
        let _: () = connection.hset(data, message, text).unwrap();
        let _: () = connection.lpush(list, message).unwrap();
    }
    let _: () = connection.lpush(list, "01HV0000000000000000000003").unwrap();
    let _worker = installation.start_with("worker", &settings);
    for job_id in &jobs {
        tenant.ended(&api.client, job_id).ok();
    }
    tenant.ended(&api.client, &submit(&api.client, tenant)).ok();
    installation.assert_each_job_finished_once();
    assert_eq!(installation.count("select max(attempts) from jobs"), 1);
}

/// Asks one process after the other, as a proxy does with what may be asked twice.
fn behind_a_proxy(apis: &[Client], tenant: &Tenant) -> String {
    let path = format!("/analytics/v2/usage?orgUid={}&from=2024-01-01&to=2024-01-31", tenant.uid);
    let answers =
        apis.iter().find_map(|api| api.try_send("GET", &path, &[("authtoken", &tenant.authtoken)], None).ok());
    let accepted = answers.expect("a process answers").ok().json();
    accepted["jobId"].as_str().unwrap().to_owned()
}

#[test]
fn every_process_is_replaced_under_load_and_no_request_fails() {
    let installation = Installation::new().recording();
    let start = |role: &str| installation.start_with(role, &[("TALLY_JOBS__SHUTDOWN_GRACE_SECONDS", "0")]);
    let tenant = &installation.tenants(1)[0];
    let mut served = ["api", "api", "worker", "worker", "scheduler"].map(|role| (role, start(role)));
    let mut jobs = Vec::new();
    for turn in 0..served.len() {
        let clients: Vec<Client> = served[..2].iter().map(|(_, served)| served.client.clone()).collect();
        thread::scope(|scope| {
            let asking = scope.spawn(|| (0..100).map(|_| behind_a_proxy(&clients, tenant)).collect::<Vec<_>>());
            let role = served[turn].0;
            let old = std::mem::replace(&mut served[turn].1, start(role));
            let (status, log) = old.terminate();
            assert_eq!(status.code(), Some(0), "{log}");
            jobs.extend(asking.join().unwrap());
        });
    }
    assert_eq!(jobs.len(), 500);
    for job_id in &jobs {
        tenant.ended(&served[0].1.client, job_id).ok();
    }
    installation.assert_each_job_finished_once();
    assert_eq!(installation.count("select max(attempts) from jobs"), 1, "what is given back has not been tried");
}
