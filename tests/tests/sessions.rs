//! `/v3/user-session`: logging in and out.

use serde_json::{Value, json};
use tally_storage::catalog::Role;

use crate::http::{Answer, wait_for};
use crate::server::TestServer;
use crate::tenant::{PASSWORD, Tenant};

const RANGE: [(&str, &str); 2] = [("from", "2024-01-01"), ("to", "2024-01-31")];

fn log_in(server: &TestServer, email: &str, password: &str) -> Answer {
    let body = json!({"user": {"email": email, "password": password}}).to_string();
    server.client.send("POST", "/v3/user-session", &[("content-type", "application/json")], Some(body.as_bytes()))
}

fn status_with(server: &TestServer, tenant: &Tenant, authtoken: &str) -> u16 {
    let asker = Tenant { authtoken: authtoken.to_owned(), ..tenant.clone() };
    asker.submit(&server.client, "devices", &RANGE).status
}

#[test]
fn a_login_gives_an_authtoken_and_says_who_one_is() {
    let server = TestServer::start();
    let (tenant, second) = (server.tenant(), server.tenant());
    let catalog = &server.store().catalog;
    server.wait(catalog.add_member(&second.uid, &tenant.owner, Role::Member)).unwrap();
    let answer = log_in(&server, &tenant.email, PASSWORD).ok().json();
    assert_eq!(answer["notice"], "Login Successful.");
    let mut user = answer["user"].clone();
    let authtoken = user["authtoken"].take();
    let mut organizations = user["organizations"].take();
    organizations.as_array_mut().unwrap().sort_by_key(|it| it["role"].to_string());
    assert_eq!(
        organizations,
        json!([
            {"uid": second.uid, "name": "Example", "role": "member"},
            {"uid": tenant.uid, "name": "Example", "role": "owner"},
        ])
    );
    let expected = json!({"uid": tenant.owner, "email": tenant.email, "authtoken": Value::Null, "organizations": null});
    assert_eq!(user, expected);
    assert_eq!(status_with(&server, &tenant, authtoken.as_str().unwrap()), 200);
    // An address is the same in any case.
    log_in(&server, &tenant.email.to_uppercase(), PASSWORD).ok();
}

#[test]
fn the_21st_authtoken_silently_ends_the_oldest() {
    // Another process may remember it for a second.
    let server = TestServer::start().of_one_process();
    let tenant = server.tenant();
    // The tenant has one already.
    let mut tokens = vec![tenant.authtoken.clone()];
    for _ in 1..20 {
        server.next_second();
        tokens.push(log_in(&server, &tenant.email, PASSWORD).ok().json()["user"]["authtoken"].as_str().unwrap().into());
    }
    assert!(tokens.iter().all(|token| status_with(&server, &tenant, token) == 200));
    server.next_second();
    log_in(&server, &tenant.email, PASSWORD).ok();
    let statuses: Vec<u16> = tokens.iter().map(|token| status_with(&server, &tenant, token)).collect();
    assert_eq!(statuses[0], 401);
    assert!(statuses[1..].iter().all(|status| *status == 200), "{statuses:?}");
}

#[test]
fn a_logout_ends_that_authtoken_and_no_other() {
    // Another process may remember it for a second.
    let server = TestServer::start().of_one_process();
    let tenant = server.tenant();
    assert_eq!(status_with(&server, &tenant, &tenant.authtoken), 200);
    let other = server.wait(server.store().catalog.create_authtoken(&tenant.owner)).unwrap();
    let log_out = || server.client.send("DELETE", "/v3/user-session", &[("authtoken", &tenant.authtoken)], None);
    log_out().ok();
    assert_eq!(status_with(&server, &tenant, &tenant.authtoken), 401);
    assert_eq!(status_with(&server, &tenant, &other), 200);
    let again = log_out();
    assert_eq!((again.status, again.json()["errors"].clone()), (401, json!({"authtoken": ["is not valid."]})));
}

#[test]
fn what_another_process_takes_back_is_refused_everywhere_within_a_second_and_what_it_grants_is_not() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let asked = || status_with(&server, &tenant, &tenant.authtoken);
    let member = |role: &str| {
        let (organization, email) = (tenant.uid.as_str(), tenant.email.as_str());
        server.run(&["member", "change", "--org", organization, "--email", email, "--role", role]).succeeded();
    };
    let answering = server.processes().into_iter().filter(|(role, _)| role.answers_requests()).count();
    let all = |status: u16| (0..answering).all(|_| asked() == status);
    assert!(all(200));
    member("member");
    wait_for("the role to be lost", || all(403).then_some(()));
    member("admin");
    assert!(all(200));
}

#[test]
fn what_is_no_login_is_refused() {
    let server = TestServer::start_with(|config| config.rate_limit.anonymous_requests_per_second = 20);
    let tenant = server.tenant();
    let mut shown = String::new();
    for (body, status, code) in [
        ("", 400, 100),
        ("no JSON", 400, 100),
        ("[]", 400, 100),
        ("{}", 422, 119),
        (r#"{"user":{"email":"ada@example.com"}}"#, 422, 119),
        (r#"{"user":{"password":"correct horse battery"}}"#, 422, 119),
        (r#"{"user":{"email":"nobody@example.com","password":"correct horse battery"}}"#, 401, 105),
        (r#"{"user":{"email":"no address","password":"correct horse battery"}}"#, 401, 105),
    ] {
        server.next_second();
        let answer = server.client.send("POST", "/v3/user-session", &[], Some(body.as_bytes()));
        assert_eq!(answer.status, status, "{body}: {}", answer.shown());
        assert_eq!(answer.json()["error_code"], code, "{body}");
        shown += &format!("{body}\n{}\n", answer.shown());
    }
    server.next_second();
    let wrong = log_in(&server, &tenant.email, "wrong password");
    server.next_second();
    let unknown = log_in(&server, "nobody@example.com", "wrong password");
    assert_eq!(wrong.shown(), unknown.shown(), "which of the two is wrong is not said");
    server.next_second();
    let large = vec![b' '; 17 << 10];
    let large = server.client.send("POST", "/v3/user-session", &[], Some(&large));
    assert!([400, 413].contains(&large.status), "{}", large.shown());
    insta::assert_snapshot!(shown);
}

#[test]
fn five_wrong_passwords_in_a_minute_close_the_account_for_that_address() {
    let server = TestServer::start_with(|config| config.rate_limit.anonymous_requests_per_second = 20);
    let server = server.of_one_process();
    let (tenant, other) = (server.tenant(), server.tenant());
    for _ in 0..5 {
        server.next_second();
        assert_eq!(log_in(&server, &tenant.email, "wrong password").status, 401);
    }
    server.next_second();
    let refused = log_in(&server, &tenant.email, PASSWORD);
    assert_eq!((refused.status, refused.json()["error_code"].as_u64()), (429, Some(129)));
    assert_eq!(refused.header("retry-after"), Some("60"));
    insta::assert_snapshot!(refused.shown());
    log_in(&server, &other.email, PASSWORD).ok();
    // The right password does not count.
    for _ in 0..6 {
        log_in(&server, &other.email, PASSWORD).ok();
    }
}
