//! `/healthz`, `/readyz`, `/metrics`.

use serde_json::json;

use crate::events::Event;
use crate::server::TestServer;

#[test]
fn a_running_server_is_healthy_and_ready() {
    let server = TestServer::start();
    assert_eq!(server.client.get("/healthz", &[]).ok().json(), json!({"status": "ok"}));
    let ready = json!({"worker": "ready", "catalog": "ready", "lake": "ready"});
    assert_eq!(server.client.get("/readyz", &[]).ok().json(), ready);
}

#[test]
fn the_metrics_tell_of_requests_jobs_and_events() {
    let server = TestServer::start();
    let tenant = server.tenant();
    tenant.take_in_events(&server.client, &[Event::with_id("2024-03-01T00:00:00Z", "a"), Event::default()]);
    let repeat = Event::with_id("2024-03-01T00:00:00Z", "a").line(&[]);
    assert_eq!(tenant.take_in(&server.client, &format!("{repeat}\nno event\n"))["rejected"], 1);
    assert_eq!(tenant.post(&server.client, &[("content-encoding", "gzip")], b"no gzip").status, 400);
    tenant.report(&server.client, "devices", &[("from", "2024-03-01"), ("to", "2024-03-01")]);
    let metrics = server.client.get("/metrics", &[]).ok();
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    let text = metrics.text();
    for line in [
        "tally_ingest_events_total{outcome=\"accepted\"} 2",
        "tally_ingest_events_total{outcome=\"duplicate\"} 1",
        "tally_ingest_events_total{outcome=\"rejected\"} 1",
        "tally_ingest_batches_total{status=\"200\"} 2",
        "tally_ingest_batches_total{status=\"400\"} 1",
        "tally_jobs_submitted_total{report=\"devices\"} 1",
        "tally_jobs{state=\"finished\"} 1",
        "tally_jobs{state=\"queued\"} 0",
        "tally_jobs_left_total{outcome=\"finished\",report=\"devices\"} 1",
        "tally_http_requests_total{method=\"POST\",path=\"/ingest/v1/requests\",status=\"200\"} 2",
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
    let backlog = text.lines().find_map(|line| line.strip_prefix("tally_ingest_backlog_bytes ")).unwrap();
    assert!(backlog.parse::<u64>().unwrap() > 0);
    for secret in [&tenant.authtoken, &tenant.key, tenant.uid.as_str()] {
        assert!(!text.contains(secret));
    }
    // Paths that nobody serves do not become one line each.
    server.client.get("/made/up/by/a/client", &[]);
    assert!(!server.client.get("/metrics", &[]).ok().text().contains("made/up"));
}
