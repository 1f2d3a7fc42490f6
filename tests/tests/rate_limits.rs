//! The rate limit: so many requests a second of an organization or, without a right to one, of an address.

use tally_storage::catalog::Role;

use crate::http::{Answer, wait_for};
use crate::server::TestServer;
use crate::tenant::Tenant;

const RANGE: [(&str, &str); 2] = [("from", "2024-01-01"), ("to", "2024-01-31")];

fn server() -> TestServer {
    TestServer::start_with(|config| {
        config.rate_limit.requests_per_second = 10;
        config.rate_limit.anonymous_requests_per_second = 5;
    })
}

/// Limit and remaining, as the headers say.
fn rate(answer: &Answer) -> (u64, u64) {
    (answer.count("x-ratelimit-limit"), answer.count("x-ratelimit-remaining"))
}

#[test]
fn ten_requests_a_second_of_an_organization_are_answered_and_the_eleventh_is_not() {
    let server = server();
    let tenant = server.tenant();
    let admin = Tenant { authtoken: server.token_of_new(Role::Admin, &tenant), ..tenant.clone() };
    let accepted = tenant.submit(&server.client, "devices", &RANGE).ok();
    assert_eq!(rate(&accepted), (10, 9));
    let job_id = accepted.json()["jobId"].as_str().unwrap().to_owned();
    // All users, all paths, and refused requests too.
    assert_eq!(rate(&admin.submit(&server.client, "usage", &RANGE).ok()), (10, 8));
    assert_eq!(rate(&admin.retrieve(&server.client, &job_id, "")), (10, 7));
    assert_eq!(rate(&tenant.submit(&server.client, "devices", &[])), (10, 6));
    assert_eq!(rate(&tenant.retrieve(&server.client, "17", "")), (10, 5));
    for left in (0..5).rev() {
        assert_eq!(rate(&tenant.submit(&server.client, "devices", &[])), (10, left));
    }
    let refused = tenant.submit(&server.client, "devices", &RANGE);
    assert_eq!((refused.status, refused.json()["error_code"].as_u64()), (429, Some(129)));
    assert_eq!(rate(&refused), (10, 0));
    insta::assert_snapshot!(refused.shown());
    assert_eq!(admin.retrieve(&server.client, &job_id, "").status, 429);
    // Another organization has a limit of its own.
    assert_eq!(rate(&server.tenant().submit(&server.client, "devices", &RANGE)), (10, 9));
    server.set_clock("2024-06-15T12:00:00.999Z");
    assert_eq!(tenant.submit(&server.client, "devices", &RANGE).status, 429);
    server.set_clock("2024-06-15T12:00:01Z");
    assert_eq!(rate(&tenant.submit(&server.client, "devices", &RANGE).ok()), (10, 9));
}

#[test]
fn the_operator_gives_one_organization_another_limit_and_takes_it_back() {
    let server = server();
    let (tenant, other) = (server.tenant(), server.tenant());
    // Another process has set it: those that answer may not know for a second.
    let limit = |value: &str, expected: (u64, u64)| {
        let arguments = ["org", "limit", "--org", tenant.uid.as_str(), "--requests-per-second", value];
        server.run(&arguments).succeeded();
        for process in server.processes().into_iter().filter(|(role, _)| role.answers_requests()) {
            wait_for("the limit to hold", || {
                server.next_second();
                (rate(&tenant.submit(&process.1, "devices", &RANGE).ok()) == expected).then_some(())
            });
        }
        server.next_second();
    };
    limit("3", (3, 2));
    assert_eq!(rate(&other.submit(&server.client, "devices", &RANGE).ok()), (10, 9));
    limit("1", (1, 0));
    tenant.submit(&server.client, "devices", &RANGE).ok();
    assert_eq!(tenant.submit(&server.client, "devices", &RANGE).status, 429);
    limit("4294967295", (4_294_967_295, 4_294_967_294));
    limit("default", (10, 9));
}

#[test]
fn requests_that_prove_no_right_are_counted_by_address() {
    let server = server().of_one_process();
    let (tenant, other) = (server.tenant(), server.tenant());
    let stranger = Tenant { authtoken: other.authtoken.clone(), ..tenant.clone() };
    let nobody = Tenant { authtoken: String::new(), ..tenant.clone() };
    assert_eq!(rate(&nobody.submit(&server.client, "devices", &RANGE)), (5, 4));
    assert_eq!(rate(&stranger.submit(&server.client, "devices", &RANGE)), (5, 3));
    assert_eq!(rate(&server.client.get("/nothing", &[])), (5, 2));
    assert_eq!(rate(&server.client.send("POST", "/v3/user-session", &[], Some(b"{}"))), (5, 1));
    let keyless = Tenant { key: String::new(), ..tenant.clone() };
    assert_eq!(rate(&keyless.post(&server.client, &[], b"{}")), (5, 0));
    let refused = nobody.submit(&server.client, "devices", &RANGE);
    assert_eq!((refused.status, refused.json()["error_code"].as_u64()), (429, Some(129)));
    insta::assert_snapshot!(refused.shown());
    // Nobody uses up the limit of an organization, and those with a right are not kept out.
    assert_eq!(rate(&tenant.submit(&server.client, "devices", &RANGE).ok()), (10, 9));
    assert_eq!(tenant.take_in(&server.client, "")["accepted"], 0);
    server.next_second();
    assert_eq!(rate(&nobody.submit(&server.client, "devices", &RANGE)), (5, 4));
}

#[test]
fn a_proxys_word_for_the_address_counts_only_where_it_is_trusted() {
    for (trusted, left) in [(true, 4), (false, 3)] {
        let server = TestServer::start_with(|config| {
            config.rate_limit.anonymous_requests_per_second = 5;
            config.server.trust_forwarded_for = trusted;
        })
        .of_one_process();
        let from = |address: &str| rate(&server.client.get("/nothing", &[("x-forwarded-for", address)]));
        assert_eq!(from("192.0.2.1"), (5, 4));
        assert_eq!(from("192.0.2.1, 192.0.2.2"), (5, left));
    }
}
