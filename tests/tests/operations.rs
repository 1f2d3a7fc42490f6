//! `/healthz`, `/readyz`, `/metrics`.

use serde_json::json;

use crate::events::Event;
use crate::http::wait_for;
use crate::server::TestServer;

#[test]
fn every_process_is_healthy_and_ready_for_what_it_does() {
    for (role, client) in TestServer::start().processes() {
        assert_eq!(client.get("/healthz", &[]).ok().json(), json!({"status": "ok"}));
        let mut ready = json!({"catalog": "ready", "lake": "ready"});
        if role.computes_reports() {
            ready["worker"] = "ready".into();
        }
        assert_eq!(client.get("/readyz", &[]).ok().json(), ready);
    }
}

/// The texts of all processes' metrics.
fn metrics(server: &TestServer) -> Vec<String> {
    let texts = server.processes().into_iter().map(|(_, client)| {
        let answer = client.get("/metrics", &[]).ok();
        assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
        answer.text().to_owned()
    });
    texts.collect()
}

/// What the processes say of a metric, each line's name and labels being that.
fn values<'a>(texts: &'a [String], metric: &'a str) -> impl Iterator<Item = u64> + 'a {
    let lines = texts.iter().flat_map(|text| text.lines()).filter_map(move |line| line.strip_prefix(metric));
    lines.filter_map(|value| value.strip_prefix(' ')).map(|value| value.parse().unwrap())
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
    for (metric, count) in [
        ("tally_ingest_events_total{outcome=\"accepted\"}", 2),
        ("tally_ingest_events_total{outcome=\"duplicate\"}", 1),
        ("tally_ingest_events_total{outcome=\"rejected\"}", 1),
        ("tally_ingest_batches_total{status=\"200\"}", 2),
        ("tally_ingest_batches_total{status=\"400\"}", 1),
        ("tally_jobs_submitted_total{report=\"devices\"}", 1),
        ("tally_jobs_left_total{outcome=\"finished\",report=\"devices\"}", 1),
        ("tally_http_requests_total{method=\"POST\",path=\"/ingest/v1/requests\",status=\"200\"}", 2),
    ] {
        // A job has ended before its worker has counted it.
        wait_for(metric, || (values(&metrics(&server), metric).sum::<u64>() == count).then_some(()));
    }
    let texts = metrics(&server);
    for (metric, count) in [("tally_jobs{state=\"finished\"}", 1), ("tally_jobs{state=\"queued\"}", 0)] {
        assert!(values(&texts, metric).all(|value| value == count), "{texts:?}");
    }
    assert!(values(&texts, "tally_ingest_backlog_bytes").sum::<u64>() > 0);
    for secret in [&tenant.authtoken, &tenant.key, tenant.uid.as_str()] {
        assert!(texts.iter().all(|text| !text.contains(secret)));
    }
    // Paths that nobody serves do not become one line each.
    server.client.get("/made/up/by/a/client", &[]);
    assert!(metrics(&server).iter().all(|text| !text.contains("made/up")));
}
