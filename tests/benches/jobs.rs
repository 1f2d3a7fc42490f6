//! How fast jobs go through, measured from outside on real processes: `cargo bench --package tally-tests --bench jobs`.
//!
//! Embedded, and on Redis and `PostgreSQL` (`TALLY_TEST_REDIS_URL`, `TALLY_TEST_POSTGRES_URL`) with 1, 2 and 4 workers. A
//! job is Device Usage over a day of a thousand events. The one client that times are taken with polls without a pause; of
//! the many that share the machine with the server each waits between two polls.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement on the tests' own parts, of which it needs some"
)]

#[path = "../tests/events.rs"]
mod events;
#[path = "../tests/http.rs"]
mod http;
#[path = "../tests/scaled_out/installation.rs"]
mod installation;
#[path = "../tests/program.rs"]
mod program;
#[path = "../tests/tenant.rs"]
mod tenant;

use std::thread;
use std::time::{Duration, Instant};

use self::events::Event;
use self::http::Client;
use self::installation::Installation;
use self::program::{Served, tenant_in};
use self::tenant::Tenant;

const EVENTS: usize = 1000;
const DAY: &str = "2024-03-01";
const ONE_BY_ONE: usize = 300;
const WARM_UP: usize = 20;
const CLIENTS: usize = 16;
const LASTS: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// A job from its submission until its first page is there.
fn job(client: &Client, tenant: &Tenant, pause: Duration) -> Duration {
    let began = Instant::now();
    let accepted = tenant.submit(client, "devices", &[("from", DAY), ("to", DAY)]).ok().json();
    let job_id = accepted["jobId"].as_str().unwrap();
    while tenant.retrieve(client, job_id, "").ok().header("x-page-count").is_none() {
        thread::sleep(pause);
    }
    began.elapsed()
}

fn prepare(client: &Client, tenant: &Tenant) {
    let event =
        |at: usize| Event { user_agent: Some(format!("agent/{}", at % 50)), ..Event::at("2024-03-01T10:00:00Z") };
    tenant.take_in_events(client, &(0..EVENTS).map(event).collect::<Vec<_>>());
    for _ in 0..WARM_UP {
        job(client, tenant, Duration::ZERO);
    }
}

/// One job after the other: the middle one and the slowest hundredth, in milliseconds.
fn latency(client: &Client, tenant: &Tenant) -> (f64, f64) {
    let mut times: Vec<Duration> = (0..ONE_BY_ONE).map(|_| job(client, tenant, Duration::ZERO)).collect();
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    (at(50), at(99))
}

/// Finished jobs a second with many clients.
fn throughput(client: &Client, tenant: &Tenant) -> f64 {
    let began = Instant::now();
    let finished: u32 = thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|_| {
            scope.spawn(|| {
                let mut finished = 0;
                while began.elapsed() < LASTS {
                    job(client, tenant, PAUSE);
                    finished += 1;
                }
                finished
            })
        });
        let clients: Vec<_> = clients.collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    f64::from(finished) / began.elapsed().as_secs_f64()
}

fn report(shape: &str, client: &Client, tenant: &Tenant) {
    prepare(client, tenant);
    let (p50, p99) = latency(client, tenant);
    let rate = throughput(client, tenant);
    println!("| {shape} | {p50:.1} | {p99:.1} | {rate:.0} |");
}

fn main() {
    println!("| shape | submit → finished p50, ms | p99, ms | jobs/s, {CLIENTS} clients |");
    println!("|---|---|---|---|");
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let tenant = tenant_in(&data_dir);
    let server = Served::start(&data_dir, &[]);
    report("embedded", &server.client, &tenant);
    drop(server);
    for count in [1, 2, 4] {
        let installation = Installation::new();
        let tenant = &installation.tenants(1)[0];
        let [api, _scheduler] = ["api", "scheduler"].map(|role| installation.start(role));
        let workers: Vec<Served> = (0..count).map(|_| installation.start("worker")).collect();
        let s = if count == 1 { "" } else { "s" };
        report(&format!("Redis and PostgreSQL, {count} worker{s}"), &api.client, tenant);
        drop(workers);
    }
}
