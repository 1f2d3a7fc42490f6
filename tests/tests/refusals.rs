//! Every refusal of the v2 contract: its status, headers and body. The code says status and error code; the snapshot
//! holds every byte.

use std::fmt::Write as _;

use tally_storage::catalog::Role;

use crate::http::Answer;
use crate::server::TestServer;
use crate::tenant::Tenant;

/// Asks one thing after the other, each in a second of its own so that headers do not depend on what was asked before.
struct Refused<'a> {
    server: &'a TestServer,
    tenant: &'a Tenant,
    shown: String,
}

impl<'a> Refused<'a> {
    fn new(server: &'a TestServer, tenant: &'a Tenant) -> Self {
        Self { server, tenant, shown: String::new() }
    }

    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], status: u16, code: u16) -> Answer {
        self.server.next_second();
        let path = path.replace("{org}", self.tenant.uid.as_str());
        let answer = self.server.client.send(method, &path, headers, None);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.shown());
        let envelope = answer.json();
        assert_eq!(envelope["error_code"], code, "{method} {path}: {}", answer.shown());
        assert!(!answer.header("x-request-id").unwrap().is_empty());
        let names: Vec<&String> = envelope.as_object().unwrap().keys().collect();
        assert_eq!(names, ["error_code", "error_message", "errors"]);
        let shown = format!("{method} {path}\n{}", answer.shown());
        writeln!(self.shown, "{}", shown.replace(self.tenant.uid.as_str(), "<organization>")).unwrap();
        answer
    }

    /// A request for a report by the organization's owner.
    fn ask(&mut self, report_and_query: &str, status: u16, code: u16) -> Answer {
        let authtoken = self.tenant.authtoken.clone();
        let path = format!("/analytics/v2/{report_and_query}");
        self.send("GET", &path, &[("authtoken", &authtoken)], status, code)
    }
}

fn server() -> TestServer {
    TestServer::start_with(|config| {
        config.rate_limit.requests_per_second = 10;
        config.rate_limit.anonymous_requests_per_second = 20;
    })
}

#[test]
fn parameters_that_every_report_takes_are_checked() {
    let server = server();
    let tenant = server.tenant();
    let mut refused = Refused::new(&server, &tenant);
    for query in [
        "",
        "orgUid=blt123&from=2024-01-01&to=2024-01-31",
        "orgUid=BLT0123456789ABCDEF&from=2024-01-01&to=2024-01-31",
        "orgUid={org}&from=2024-01-01",
        "orgUid={org}&to=2024-01-31",
        "orgUid={org}&from=2024-1-1&to=2024-01-31",
        "orgUid={org}&from=2023-02-29&to=2024-02-30",
        "orgUid={org}&from=01.01.2024&to=",
        "orgUid={org}&from=2024-02-01&to=2024-01-31",
        "orgUid={org}&from=2024-01-01&to=2024-01-31&from=2024-01-01",
        "orgUid={org}&orgUid={org}&from=2024-01-01&to=2024-01-31",
        "orgUid={org}&from=2024-01-01&to=2024-01-31&services=[%22cdn%22]",
        "orgUid={org}&from=2024-01-01&to=2024-01-31&page=0",
        "orgUid={org}&from=2024-01-01&to=2024-01-31&form=2024-01-01&%22=1",
    ] {
        refused.ask(&format!("subscription?{query}"), 422, 119);
    }
    insta::assert_snapshot!(refused.shown);
}

#[test]
fn parameters_that_reports_have_of_their_own_are_checked() {
    let server = server();
    let tenant = server.tenant();
    let mut refused = Refused::new(&server, &tenant);
    for query in [
        "devices?services=cdn",
        "devices?services=[]",
        "devices?services=[%22cdn%22,%22cdn%22]",
        "devices?services=[%22cdm%22,%22nothing%22]",
        "devices?services=[1]",
        "devices?services=%22cdn%22",
        "devices?duration=year",
        "devices?duration=Day",
        "devices?includeCount=yes",
        "devices?includeCount=",
        "devices?orderBy=0",
        "devices?orderBy=asc",
        "devices?limit=0",
        "devices?limit=901",
        "devices?limit=-1",
        "devices?limit=1.5",
        "devices?skip=-1",
        "devices?skip=9007199254740992",
        "devices?skip=%2B1",
        "devices?limit=1&limit=1",
        "devices?cache=HIT",
        "devices?includeTotalCount=true",
        "devices?apiKey=",
        "http-statuses?httpStatusCode=99&services=[%22cdn%22]&duration=day",
        "http-statuses?httpStatusCode=600&services=[%22cdn%22]&duration=day",
        "http-statuses?httpStatusCode=OK&services=[%22cdn%22]&duration=day",
        "http-statuses?limit=5&services=[%22cdn%22]&duration=day",
        "http-statuses?a=1",
        "hit-miss-ratio?cache=hit&services=[%22cdn%22]&duration=day",
        "hit-miss-ratio?services=[%22cdn%22]",
        "sdk?services=[%22cdn%22]&duration=day",
        "sdk?includeCount=true",
        "url?services=[%22cdn%22]",
        "url?includeTotalCount=TRUE",
        "usage?projectUid=p1",
        "usage?projectUid=p1&services=[%22launch%22,%22cdn%22]",
        "usage?environmentUid=e1&services=[%22launch%22]",
        "usage?environmentUid=e1",
    ] {
        refused.ask(&format!("{query}&orgUid={{org}}&from=2024-01-01&to=2024-01-31"), 422, 119);
    }
    let stack = &tenant.stacks[0];
    for service in ["launch", "automations"] {
        let query = format!("usage?orgUid={{org}}&from=2024-01-01&to=2024-01-31&services=[%22{service}%22]");
        refused.ask(&format!("{query}&apiKey={stack}"), 422, 119);
    }
    insta::assert_snapshot!(refused.shown.replace(stack.as_str(), "<stack>"));
}

#[test]
fn every_fault_of_a_request_is_named_at_once() {
    let server = server();
    let tenant = server.tenant();
    let mut refused = Refused::new(&server, &tenant);
    refused.ask("devices?orgUid=nobody&from=2024-13-01&limit=0&limit=1&lmit=2&services=[%22cdm%22]&skip=x", 422, 119);
    // Beside another fault a range that is too long is one fault more.
    refused.ask("devices?orgUid={org}&from=2024-01-01&to=2024-12-31&limit=0", 422, 119);
    refused.ask("devices?orgUid=nobody&from=2024-01-01&to=2024-12-31", 422, 119);
    insta::assert_snapshot!(refused.shown);
}

#[test]
fn a_range_of_91_days_is_a_failed_job_that_was_never_queued() {
    let server = server();
    let tenant = server.tenant();
    let mut refused = Refused::new(&server, &tenant);
    let tail = "services=[%22cdn%22]&duration=day&includeCount=true";
    for report in ["devices?", "http-statuses?", "hit-miss-ratio?", "sdk?", "subscription", "url?", "usage?"] {
        let query = match report {
            "subscription" => "subscription?".to_owned(),
            "url?" => "url?includeTotalCount=true&".to_owned(),
            "devices?" | "usage?" => report.to_owned(),
            other => format!("{other}{tail}&"),
        };
        let answer = refused.ask(&format!("{query}orgUid={{org}}&from=2023-12-15&to=2024-03-15"), 500, 141);
        assert!(answer.json()["error_message"].as_str().unwrap().starts_with("Job Failed:"));
    }
    assert_eq!(server.wait(server.store().catalog.count_jobs()).unwrap(), []);
    insta::assert_snapshot!(refused.shown);
}

#[test]
fn a_stack_of_nobody_or_of_another_organization_is_no_stack_of_this_one() {
    let server = server();
    let (tenant, other) = (server.tenant(), server.tenant());
    let mut refused = Refused::new(&server, &tenant);
    let query = "devices?orgUid={org}&from=2024-01-01&to=2024-01-31&apiKey=";
    let unknown = refused.ask(&format!("{query}blt0000000000000000"), 412, 109);
    let shown = refused.shown.clone();
    let foreign = refused.ask(&format!("{query}{}", other.stacks[0]), 412, 109);
    assert_eq!(foreign.shown(), unknown.shown());
    insta::assert_snapshot!(shown);
}

#[test]
fn without_a_valid_authtoken_nothing_is_answered() {
    let server = server();
    let tenant = server.tenant();
    let mut refused = Refused::new(&server, &tenant);
    let ended = server.wait(server.store().catalog.create_authtoken(&tenant.owner)).unwrap();
    assert!(server.wait(server.store().catalog.revoke_authtoken(&ended)).unwrap());
    let path = "/analytics/v2/subscription?orgUid={org}&from=2024-01-01&to=2024-01-31";
    refused.send("GET", path, &[], 401, 105);
    refused.send("GET", path, &[("authtoken", "nonsense")], 401, 105);
    refused.send("GET", path, &[("authtoken", &ended)], 401, 105);
    // Whoever proves nothing is told nothing of the parameters either.
    refused.send("GET", "/analytics/v2/subscription?orgUid=x&from=y", &[], 401, 105);
    let shown = refused.shown.clone();
    refused.send("GET", path, &[("authtoken", &tenant.key)], 401, 105);
    let missing = "/analytics/v2/job/job_00000000-0000-7000-8000-000000000000/data?orgUid={org}";
    refused.send("GET", missing, &[("authtoken", &ended)], 401, 105);
    insta::assert_snapshot!(shown);
}

#[test]
fn members_strangers_and_unknown_organizations_get_the_same_403() {
    let server = server();
    let (tenant, other) = (server.tenant(), server.tenant());
    let member = server.token_of_new(Role::Member, &tenant);
    let mut refused = Refused::new(&server, &tenant);
    let report =
        |organization: &str| format!("/analytics/v2/devices?orgUid={organization}&from=2024-01-01&to=2024-01-31");
    let by_member = refused.send("GET", &report("{org}"), &[("authtoken", &member)], 403, 106);
    let shown = refused.shown.clone();
    let by_stranger = refused.send("GET", &report("{org}"), &[("authtoken", &other.authtoken)], 403, 106);
    let to_nobody = refused.send("GET", &report("blt0123456789abcdef"), &[("authtoken", &other.authtoken)], 403, 106);
    // What else is wrong is not said to somebody who may not ask.
    let with_faults = format!("{}&limit=0&apiKey={}", report("{org}"), tenant.stacks[0]);
    let with_faults = refused.send("GET", &with_faults, &[("authtoken", &other.authtoken)], 403, 106);
    for answer in [by_stranger, to_nobody, with_faults] {
        assert_eq!(answer.shown(), by_member.shown());
    }
    for role in [Role::Admin, Role::Owner] {
        let email = format!("another-{}", tenant.email);
        let another = Tenant { email, ..tenant.clone() };
        let authtoken = server.token_of_new(role, &another);
        let asked = Tenant { authtoken, ..another };
        asked.submit(&server.client, "devices", &[("from", "2024-01-01"), ("to", "2024-01-31")]).ok();
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn what_is_no_percent_encoding_cannot_be_read() {
    let server = server();
    let tenant = server.tenant();
    let mut refused = Refused::new(&server, &tenant);
    for query in ["from=%", "from=%zz", "from=%2", "from=%ff", "%c3%28=1"] {
        refused.ask(&format!("devices?orgUid={{org}}&{query}"), 400, 100);
    }
    insta::assert_snapshot!(refused.shown);
}

#[test]
fn unknown_paths_are_answered_in_the_envelope() {
    let server = server();
    let tenant = server.tenant();
    let mut refused = Refused::new(&server, &tenant);
    for path in [
        "/",
        "/analytics",
        "/analytics/v2",
        "/analytics/v2/",
        "/analytics/v2/devics",
        "/analytics/v2/nothing",
        "/analytics/v2/devices/",
        "/analytics/v2/devices/more",
        "/analytics/v2/job",
        "/analytics/v2/job/job_00000000-0000-7000-8000-000000000000",
        "/analytics/v3/devices",
        "/ingest/v1",
        "/%ff",
    ] {
        refused.send("GET", path, &[], 404, 107);
    }
    refused.send("POST", "/analytics/v2/nothing/at/all", &[], 404, 107);
    insta::assert_snapshot!(refused.shown);
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let server = server();
    let tenant = server.tenant();
    let mut refused = Refused::new(&server, &tenant);
    for (method, path, right) in [
        ("POST", "/analytics/v2/devices", "GET"),
        ("DELETE", "/analytics/v2/subscription", "GET"),
        ("PUT", "/analytics/v2/job/job_00000000-0000-7000-8000-000000000000/data", "GET"),
        ("GET", "/v3/user-session", "POST, DELETE"),
        ("PATCH", "/v3/user-session", "POST, DELETE"),
        ("GET", "/ingest/v1/requests", "POST"),
        ("POST", "/ingest/v1/launch/projects/p1", "PUT, DELETE"),
        ("POST", "/healthz", "GET"),
        ("DELETE", "/readyz", "GET"),
        ("PUT", "/metrics", "GET"),
    ] {
        let answer = refused.send(method, path, &[], 405, 108);
        assert_eq!(answer.header("allow"), Some(right), "{method} {path}");
    }
    insta::assert_snapshot!(refused.shown);
}

#[test]
fn a_clients_request_id_comes_back_where_it_is_short_and_plain() {
    let server = server();
    let tenant = server.tenant();
    let answered = |id: &str| {
        server.next_second();
        let answer = server.client.get("/nothing", &[("x-request-id", id)]);
        answer.header("x-request-id").unwrap().to_owned()
    };
    let long = "x".repeat(129);
    assert_eq!(answered("ticket-17:a.b_c"), "ticket-17:a.b_c");
    assert_eq!(answered(&long[1..]), &long[1..]);
    for odd in ["", " ", "a b", "<script>", &long] {
        let own = answered(odd);
        assert!(own.len() == 36 && own != odd, "{own}");
    }
    let (first, second) =
        (tenant.submit(&server.client, "devices", &[]), tenant.submit(&server.client, "devices", &[]));
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
}
