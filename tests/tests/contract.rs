//! The bodies of all reports to the byte, on events that give the numbers of the v2 API's own samples.

use crate::events::{Event, lines};
use crate::server::TestServer;
use crate::tenant::Tenant;

const MANAGEMENT: &str = "sdk contentstack-management-javascript/1.13.0; platform node.js/v18.17.1; os Linux/5.4;";

/// So many requests of one day.
fn requests(day: &str, count: usize, event: &Event) -> Vec<Event> {
    vec![Event { ts_ms: Event::at(&format!("{day}T12:00:00Z")).ts_ms, ..event.clone() }; count]
}

fn body(server: &TestServer, tenant: &Tenant, report: &str, more: &[(&str, &str)]) -> String {
    let range = [("from", "2024-01-31"), ("to", "2024-02-28")];
    let finished = tenant.report(&server.client, report, &[&range, more].concat());
    assert_eq!(finished.pages.len(), 1);
    finished.texts(tenant).remove(0)
}

#[test]
fn the_bodies_of_all_reports_look_like_this() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let sdk = Event {
        sdk: Some("cda-collection/v9.31.0".to_owned()),
        url: "https://cdn.contentstack.io/v3/content_types?include_count=false".to_owned(),
        cache: Some("MISS"),
        bytes: 1000,
        ..Event::default()
    };
    let cma = Event {
        service: "cma",
        user_agent: Some(MANAGEMENT.to_owned()),
        url: "https://api.contentstack.io/v3/stacks".to_owned(),
        status: 422,
        bytes: 5_000_000_000,
        ..Event::default()
    };
    let events = [
        requests("2024-02-09", 7, &sdk),
        requests("2024-02-12", 4, &sdk),
        requests("2024-02-08", 3, &Event { cache: Some("HIT"), ..sdk.clone() }),
        requests("2024-02-15", 2, &sdk),
        requests("2024-02-05", 2, &cma),
    ]
    .concat();
    assert_eq!(tenant.take_in(&server.client, &lines(&events, &[]))["accepted"], 18);
    let both = [("services", "[\"cdn\",\"cma\"]"), ("duration", "day")];
    let counted = [&both[..], &[("includeCount", "true")]].concat();
    let bodies = [
        body(&server, &tenant, "devices", &[("duration", "month")]),
        body(&server, &tenant, "hit-miss-ratio", &counted),
        body(&server, &tenant, "http-statuses", &both),
        body(&server, &tenant, "sdk", &counted),
        body(&server, &tenant, "subscription", &[]),
        body(&server, &tenant, "url", &[("includeTotalCount", "false"), ("services", "[\"cdn\"]")]),
        body(&server, &tenant, "url", &[("includeTotalCount", "true"), ("orderBy", "1"), ("skip", "1")]),
        body(&server, &tenant, "usage", &[("duration", "week"), ("includeCount", "true")]),
    ];
    insta::assert_snapshot!(bodies.join("\n\n"));
}
