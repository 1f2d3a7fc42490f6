//! Redis and `PostgreSQL` go away, with all that Redis holds.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::installation::Installation;
use super::servers::{OwnPostgres, OwnRedis};
use crate::events::Event;
use crate::http::{Answer, Client, wait_for, wait_for_within};
use crate::program::Served;
use crate::tenant::Tenant;

const RANGE: [(&str, &str); 2] = [("from", "2024-01-01"), ("to", "2024-03-30")];
const ORGANIZATIONS: usize = 20;
const JOBS: usize = 5000;
const SENDERS: usize = 4;
const OUTAGE: Duration = Duration::from_secs(20);

/// What was pushed into an outage is looked for a minute later.
const ALL_ENDED_WITHIN: Duration = Duration::from_mins(4);

/// A worker counts for a minute how often it could not read the queue. Two outages in one are more than it may say it is
/// ready after, and the jobs may all be done before that is over.
const READY_AGAIN_WITHIN: Duration = Duration::from_mins(2);

fn job_of(accepted: &Answer) -> String {
    accepted.json()["jobId"].as_str().unwrap().to_owned()
}

#[test]
fn jobs_that_are_accepted_while_redis_is_away_or_that_it_forgot_end_when_it_is_back() {
    let mut redis = OwnRedis::start();
    let installation = Installation::new().recording();
    let settings = [("TALLY_QUEUE__URL", &*redis.url()), ("TALLY_QUEUE__TIMEOUT_SECONDS", "1")];
    let [api, _scheduler] = ["api", "scheduler"].map(|role| installation.start_with(role, &settings));
    let tenant = &installation.tenants(1)[0];
    let submit = || job_of(&tenant.submit(&api.client, "devices", &RANGE).ok());

    // Nobody reads yet: these wait in Redis, and are forgotten with all else.
    let forgotten: Vec<String> = (0..5).map(|_| submit()).collect();
    redis.flush();
    let _worker = installation.start_with("worker", &settings);
    for job_id in &forgotten {
        tenant.ended(&api.client, job_id).ok();
    }

    redis.stop();
    let away: Vec<String> = (0..5).map(|_| submit()).collect();
    assert_eq!(tenant.retrieve(&api.client, &away[0], "").ok().json()["message"], "Job active");
    assert_eq!(api.client.get("/readyz", &[]).status, 200, "requests are still answered");
    redis.start_again();
    for job_id in &away {
        tenant.ended(&api.client, job_id).ok();
    }
    installation.assert_each_job_finished_once();
}

/// Jobs to be asked for, some more of them with each outage.
#[derive(Debug, Default)]
struct Load {
    next: AtomicUsize,
    released: AtomicUsize,
    accepted: AtomicUsize,
}

impl Load {
    /// Asks for jobs as they are released, until each is accepted.
    fn send(&self, apis: &[Client], tenants: &[Tenant]) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= JOBS {
                return;
            }
            wait_for("the job to be released", || (self.released.load(Ordering::Relaxed) > number).then_some(()));
            let tenant = &tenants[number % tenants.len()];
            let report = ["devices", "usage", "subscription"][number % 3];
            let path = format!("/analytics/v2/{report}?orgUid={}&from=2024-01-01&to=2024-03-30", tenant.uid);
            wait_for("the job to be accepted", || {
                let api = &apis[number % apis.len()];
                let answer = api.try_send("GET", &path, &[("authtoken", &tenant.authtoken)], None).ok()?;
                assert!(answer.status == 200 || answer.status >= 500, "{}", answer.shown());
                (answer.status == 200).then_some(())
            });
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets further jobs come while something goes wrong, and waits until they are accepted.
    fn during(&self, share: usize, goes_wrong: impl FnOnce()) {
        let released = self.released.fetch_add(share, Ordering::Relaxed) + share;
        goes_wrong();
        wait_for_within(2 * OUTAGE, "the jobs of an outage to be accepted", || {
            (self.accepted.load(Ordering::Relaxed) >= released).then_some(())
        });
    }
}

#[test]
fn five_thousand_jobs_outlive_every_outage_and_each_is_finished_once() {
    let (mut redis, postgres) = (OwnRedis::start(), OwnPostgres::start());
    let installation = Installation::on(postgres.url(), redis.url()).recording();
    let tenants = installation.tenants(ORGANIZATIONS);
    let apis = ["api", "api"].map(|role| installation.start(role));
    let clients = apis.each_ref().map(|api| api.client.clone());
    let mut workers = ["worker", "worker"].map(|role| installation.start(role));
    let mut scheduler = installation.start("scheduler");
    for tenant in &tenants {
        tenant.take_in_events(&clients[0], &[Event::default()]);
    }
    let replace = |served: &mut Served, role: &str| mem::replace(served, installation.start(role)).kill();
    let load = Load::default();
    let share = JOBS / 8;
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| load.send(&clients, &tenants));
        }
        load.during(share, || replace(&mut workers[0], "worker"));
        load.during(share, || {
            redis.pause();
            thread::sleep(OUTAGE);
            redis.resume();
        });
        load.during(share, || postgres.restart());
        load.during(share, || redis.flush());
        load.during(share, || replace(&mut scheduler, "scheduler"));
        load.during(share, || {
            redis.stop();
            thread::sleep(OUTAGE);
            redis.start_again();
        });
        load.during(share, || {
            postgres.restart();
            redis.flush();
            replace(&mut workers[1], "worker");
        });
        load.during(JOBS - 7 * share, || {});
    });
    wait_for_within(ALL_ENDED_WITHIN, "all jobs to end", || {
        (installation.count("select count(*) from jobs where state in ('queued', 'running')") == 0).then_some(())
    });
    // An answer that was lost may have left a job that its client does not know.
    assert!(installation.count("select count(*) from jobs") >= i64::try_from(JOBS).unwrap());
    installation.assert_each_job_finished_once();
    for served in workers.into_iter().chain(apis).chain([scheduler]) {
        wait_for_within(READY_AGAIN_WITHIN, "a process to be ready", || {
            (served.client.get("/readyz", &[]).status == 200).then_some(())
        });
        let (status, log) = served.terminate();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}
