//! The Launch inventory, and the Subscription Usage report that counts it.

use serde_json::json;

use crate::http::Answer;
use crate::server::TestServer;
use crate::tenant::Tenant;

fn send(server: &TestServer, tenant: &Tenant, method: &str, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {}", tenant.key);
    let body = (method != "DELETE").then_some(body.as_bytes());
    server.client.send(method, &format!("/ingest/v1/launch/{path}"), &[("authorization", &bearer)], body)
}

/// Projects, environments and domains at the end of that day.
fn totals(server: &TestServer, tenant: &Tenant, to: &str) -> [u64; 3] {
    let finished = tenant.report(&server.client, "subscription", &[("from", "2024-03-30"), ("to", to)]);
    let [page] = &finished.pages[..] else { panic!("{finished:?}") };
    let mut body = page.json();
    assert!(body.as_object_mut().unwrap().remove("uid").is_some());
    let row = body["data"][0].clone();
    let meta = json!({"orgUid": tenant.uid, "from": "2024-03-30", "to": to});
    assert_eq!(body, json!({"data": [row], "meta": meta}));
    assert_eq!(row.as_object().unwrap().len(), 3);
    ["total_launch_project", "total_launch_env", "total_launch_domain"].map(|name| row[name].as_u64().unwrap())
}

#[test]
fn what_exists_at_the_end_of_the_last_day_is_counted() {
    let server = TestServer::start();
    let (tenant, other) = (server.tenant(), server.tenant());
    let put = |path: &str, body: &str| send(&server, &tenant, "PUT", path, body).status;
    assert_eq!(put("projects/p1", r#"{"name":"Shop","created_at":"2024-03-31T23:59:59.999Z"}"#), 201);
    assert_eq!(put("projects/p2", r#"{"created_at":"2024-04-01T00:00:00Z"}"#), 201);
    let gone = r#"{"project":"p1","created_at":"2024-01-01T00:00:00Z","deleted_at":"2024-04-01T23:59:59.999Z"}"#;
    assert_eq!(put("environments/e1", gone), 201);
    let kept = r#"{"project":"p1","created_at":"2024-01-01T00:00:00Z","deleted_at":"2024-04-02T00:00:00Z"}"#;
    assert_eq!(put("environments/e2", kept), 201);
    // An empty body says that it exists, from now on.
    assert_eq!(put("domains/www.example.com", ""), 201);
    send(&server, &other, "PUT", "projects/p1", r#"{"created_at":"2024-01-01T00:00:00Z"}"#);
    assert_eq!(totals(&server, &tenant, "2024-03-30"), [0, 2, 0]);
    assert_eq!(totals(&server, &tenant, "2024-03-31"), [1, 2, 0]);
    assert_eq!(totals(&server, &tenant, "2024-04-01"), [2, 1, 0]);
    assert_eq!(totals(&server, &tenant, "2024-04-02"), [2, 0, 0]);
    assert_eq!(totals(&server, &tenant, "2024-06-15"), [2, 0, 1]);
    // Deleted now: it still counts for the days before.
    assert_eq!(send(&server, &tenant, "DELETE", "projects/p2", "").status, 204);
    assert_eq!(totals(&server, &tenant, "2024-06-14"), [2, 0, 0]);
    assert_eq!(totals(&server, &tenant, "2024-06-15"), [1, 0, 1]);
    // Changed: it is said to exist again.
    assert_eq!(put("projects/p2", r#"{"name":"Blog"}"#), 200);
    assert_eq!(totals(&server, &tenant, "2024-06-15"), [2, 0, 1]);
    assert_eq!(totals(&server, &other, "2024-06-15"), [1, 0, 0]);
}

#[test]
fn what_the_inventory_cannot_take_is_refused() {
    let server = TestServer::start_with(|config| config.rate_limit.anonymous_requests_per_second = 20);
    let tenant = server.tenant();
    let mut shown = String::new();
    let reversed = r#"{"created_at":"2024-01-02T00:00:00Z","deleted_at":"2024-01-01T00:00:00Z"}"#;
    for (method, path, body, status, code) in [
        ("PUT", "projects/p1", "{", 400, 100),
        ("PUT", "projects/p1", "[]", 422, 119),
        ("PUT", "projects/p1", r#"{"created_at":"yesterday"}"#, 422, 119),
        ("PUT", "projects/p1", r#"{"colour":"red"}"#, 422, 119),
        ("PUT", "projects/p1", r#"{"name":""}"#, 422, 119),
        ("PUT", "projects/p1", reversed, 422, 119),
        ("PUT", "planets/p1", "", 404, 107),
        ("DELETE", "domains/nowhere.example.com", "", 404, 107),
    ] {
        let answer = send(&server, &tenant, method, path, body);
        assert_eq!(answer.status, status, "{body}: {}", answer.shown());
        assert_eq!(answer.json()["error_code"], code, "{body}");
        shown += &format!("{method} {path} {body}\n{}\n", answer.shown());
    }
    let without_key = Tenant { key: "nonsense".to_owned(), ..tenant.clone() };
    let answer = send(&server, &without_key, "PUT", "projects/p1", "");
    assert_eq!(answer.status, 401);
    shown += &answer.shown();
    let long = format!("projects/{}", "p".repeat(257));
    assert_eq!(send(&server, &tenant, "PUT", &long, "").status, 422);
    assert_eq!(totals(&server, &tenant, "2024-06-15"), [0, 0, 0]);
    insta::assert_snapshot!(shown);
}
