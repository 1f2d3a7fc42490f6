//! Faults of our own: what a client is told when a part of the service is gone, and that it is told nothing more.

use std::fs;

use crate::server::TestServer;
use crate::tenant::Tenant;

const RANGE: [(&str, &str); 2] = [("from", "2024-01-01"), ("to", "2024-01-31")];

fn finished(server: &TestServer) -> (Tenant, String) {
    let tenant = server.tenant();
    let job_id = tenant.report(&server.client, "devices", &RANGE).job_id;
    (tenant, job_id)
}

#[test]
fn a_catalog_that_cannot_be_reached_is_502_and_nothing_is_queued() {
    let server = TestServer::start_with(|config| config.rate_limit.requests_per_second = 10).of_one_process();
    let tenant = server.tenant();
    server.wait(server.store().catalog.close());
    let refused = tenant.submit(&server.client, "devices", &RANGE);
    assert_eq!((refused.status, refused.json()["error_code"].as_u64()), (502, Some(195)));
    insta::assert_snapshot!(refused.shown());
    let events = tenant.post(&server.client, &[], b"{\"ts\":1700000000000,\"url\":\"/\",\"status\":200}");
    assert_eq!((events.status, events.text()), (502, refused.text()));
    let login = format!("{{\"user\":{{\"email\":\"{}\",\"password\":\"x\"}}}}", tenant.email);
    let login = server.client.send("POST", "/v3/user-session", &[], Some(login.as_bytes()));
    assert_eq!((login.status, login.text()), (502, refused.text()));
    let ready = server.client.get("/readyz", &[]);
    assert_eq!((ready.status, ready.json()["catalog"].as_str()), (503, Some("not ready")));
    assert_eq!(server.client.get("/healthz", &[]).status, 200);
}

#[test]
fn a_damaged_result_is_500_with_the_requests_id_and_nothing_internal() {
    let server = TestServer::start_with(|config| config.results.page_cache_bytes = 0);
    let (tenant, job_id) = finished(&server);
    let results = server.config.data_dir.join(format!("results/organization={}", tenant.uid));
    for file in fs::read_dir(results).unwrap() {
        fs::write(file.unwrap().path(), b"no columns").unwrap();
    }
    server.next_second();
    let refused = tenant.retrieve_with(&server.client, &job_id, "", &[("x-request-id", "ticket-17")]);
    assert_eq!((refused.status, refused.json()["error_code"].as_u64()), (500, Some(194)));
    assert_eq!(refused.json()["errors"]["request_id"][0], "ticket-17");
    for internal in ["arrow", "columns", "results/", "storage"] {
        assert!(!refused.text().to_lowercase().contains(internal), "{}", refused.text());
    }
    insta::assert_snapshot!(refused.shown());
}

#[test]
fn a_report_whose_columns_are_damaged_fails_and_says_so_to_its_client_alone() {
    let server = TestServer::start();
    let tenant = server.tenant();
    tenant.take_in(&server.client, "{\"ts\":\"2024-01-05T00:00:00Z\",\"url\":\"/\",\"status\":200}");
    assert_eq!(server.flush(&tenant), 1);
    let mut folders = vec![server.config.data_dir.join("events")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { fs::write(path, b"no columns").unwrap() }
        }
    }
    let accepted = tenant.submit(&server.client, "devices", &RANGE).ok().json();
    let failed = tenant.ended(&server.client, accepted["jobId"].as_str().unwrap());
    assert_eq!((failed.status, failed.json()["error_code"].as_u64()), (500, Some(141)));
    assert!(failed.json()["error_message"].as_str().unwrap().starts_with("Job Failed: "), "{}", failed.text());
    insta::assert_snapshot!(failed.text());
}
