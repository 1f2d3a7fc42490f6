//! Too large and too much: nothing is kept, and the client is told what to do.

use std::fs;
use std::io::Write as _;

use crate::events::Event;
use crate::http::{Answer, wait_for};
use crate::server::TestServer;
use crate::tenant::Tenant;

fn line() -> String {
    Event::at("2024-03-01T10:00:00Z").line(&[]) + "\n"
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn refused_as_too_large(server: &TestServer, tenant: &Tenant, headers: &[(&str, &str)], body: &[u8]) -> String {
    let answer = tenant.post(&server.client, headers, body);
    assert_eq!((answer.status, answer.json()["error_code"].as_u64()), (413, Some(113)), "{}", answer.shown());
    assert_eq!(tenant.counted(&server.client, "2024-03-01", "2024-03-01"), 0);
    assert_eq!(server.flush(tenant), 0);
    answer.shown()
}

#[test]
fn a_body_over_the_limit_on_the_wire_leaves_nothing() {
    let server = TestServer::start_with(|config| config.ingest.max_wire_bytes = 100_000);
    let tenant = server.tenant();
    let body = line().repeat(2000);
    assert!(body.len() > 100_000);
    insta::assert_snapshot!(refused_as_too_large(&server, &tenant, &[], body.as_bytes()));
    // Also where the length is not said beforehand.
    let bearer = format!("Bearer {}", tenant.key);
    let request = ureq::http::Request::post(format!("http://{}/ingest/v1/requests", server.address()))
        .header("authorization", bearer)
        .header("content-type", "application/x-ndjson")
        .body(ureq::SendBody::from_owned_reader(std::io::Cursor::new(body.clone())))
        .unwrap();
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    assert_eq!(agent.run(request).unwrap().status(), 413);
    assert_eq!(tenant.counted(&server.client, "2024-03-01", "2024-03-01"), 0);
    // Compressed it is far below the limit.
    let receipt = tenant.post(&server.client, &[("content-encoding", "gzip")], &gzip(body.as_bytes())).ok().json();
    assert_eq!(receipt["accepted"], 2000);
}

#[test]
fn a_body_that_unfolds_over_the_limit_leaves_nothing() {
    let server = TestServer::start_with(|config| {
        config.ingest.max_wire_bytes = 150_000;
        config.ingest.max_decompressed_bytes = 200_000;
    });
    let tenant = server.tenant();
    let bomb = gzip(line().repeat(20_000).as_bytes());
    assert!(bomb.len() < 100_000);
    insta::assert_snapshot!(refused_as_too_large(&server, &tenant, &[("content-encoding", "gzip")], &bomb));
    let zstd = zstd::encode_all(line().repeat(20_000).as_bytes(), 3).unwrap();
    refused_as_too_large(&server, &tenant, &[("content-encoding", "zstd")], &zstd);
}

#[test]
fn a_line_over_the_limit_refuses_the_body() {
    let server = TestServer::start_with(|config| config.ingest.max_line_bytes = 500);
    let tenant = server.tenant();
    let long = Event { user_agent: Some("x".repeat(500)), ..Event::at("2024-03-01T10:00:00Z") }.line(&[]);
    let body = format!("{}{long}\n{}", line(), line());
    insta::assert_snapshot!(refused_as_too_large(&server, &tenant, &[], body.as_bytes()));
    let array = format!("[{},{long}]", line());
    refused_as_too_large(&server, &tenant, &[("content-type", "application/json")], array.as_bytes());
    // A line of exactly the limit is taken.
    let room = 500 - Event { user_agent: Some(String::new()), ..Event::default() }.line(&[]).len();
    let fits = Event { user_agent: Some("x".repeat(room)), ..Event::default() }.line(&[]);
    assert_eq!((fits.len(), tenant.take_in(&server.client, &fits)["accepted"].as_u64()), (500, Some(1)));
}

#[test]
fn texts_over_their_limits_are_rejected_lines() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let with = |url: usize, agent: usize, id: usize| {
        let event = Event {
            url: "u".repeat(url),
            user_agent: Some("a".repeat(agent)),
            id: Some("é".repeat(id)),
            ..Event::default()
        };
        let receipt = tenant.take_in(&server.client, &event.line(&[]));
        let field = receipt["errors"][0]["field"].as_str().map(str::to_owned);
        (receipt["accepted"].as_u64().unwrap(), field)
    };
    assert_eq!(with(8192, 4096, 128), (1, None));
    assert_eq!(with(8193, 1, 1), (0, Some("url".to_owned())));
    assert_eq!(with(1, 4097, 1), (0, Some("user_agent".to_owned())));
    assert_eq!(with(1, 1, 129), (0, Some("id".to_owned())));
}

fn overloaded(answer: &Answer) -> String {
    assert_eq!((answer.status, answer.json()["error_code"].as_u64()), (503, Some(196)), "{}", answer.shown());
    assert!(answer.count("retry-after") >= 1);
    answer.shown()
}

#[test]
fn over_the_bound_of_the_backlog_nothing_is_kept_until_it_is_flushed() {
    let server = TestServer::start_with(|config| {
        config.ingest.max_backlog_bytes = 1;
        config.ingest.flush_bytes = 1;
        config.ingest.flush_after_seconds = 1;
    })
    .of_one_process();
    let tenant = server.tenant();
    // Where columns should go is no folder: nothing can be flushed.
    let (events, away) = (server.config.data_dir.join("events"), server.config.data_dir.join("away"));
    fs::rename(&events, &away).unwrap();
    fs::write(&events, b"").unwrap();
    assert_eq!(tenant.take_in(&server.client, &line())["accepted"], 1);
    let shown = overloaded(&tenant.post(&server.client, &[], line().as_bytes()));
    overloaded(&server.tenant().post(&server.client, &[], line().repeat(1000).as_bytes()));
    assert_eq!(tenant.counted(&server.client, "2024-03-01", "2024-03-01"), 1);
    fs::remove_file(&events).unwrap();
    fs::rename(&away, &events).unwrap();
    wait_for("the backlog to be flushed", || (tenant.post(&server.client, &[], b"").status == 200).then_some(()));
    assert_eq!(tenant.take_in(&server.client, &line())["accepted"], 1);
    assert_eq!(tenant.counted(&server.client, "2024-03-01", "2024-03-01"), 2);
    let backlog_bytes =
        shown.split_once("too much at once: ").or_else(|| shown.split_once("Too much at once: ")).unwrap();
    let backlog_bytes = backlog_bytes.1.split(' ').next().unwrap();
    insta::assert_snapshot!(shown.replace(backlog_bytes, "<bytes>"));
}

#[test]
fn a_backlog_that_went_with_its_organization_keeps_nobody_out() {
    let server = TestServer::start_with(|config| {
        config.ingest.max_backlog_bytes = 1;
        config.ingest.flush_bytes = 1;
        config.ingest.flush_after_seconds = 1;
    })
    .of_one_process();
    let (tenant, other) = (server.tenant(), server.tenant());
    let (events, away) = (server.config.data_dir.join("events"), server.config.data_dir.join("away"));
    fs::rename(&events, &away).unwrap();
    fs::write(&events, b"").unwrap();
    assert_eq!(tenant.take_in(&server.client, &line())["accepted"], 1);
    overloaded(&other.post(&server.client, &[], line().as_bytes()));
    assert!(server.wait(server.store().catalog.delete_organization(&tenant.uid)).unwrap());
    fs::remove_file(&events).unwrap();
    fs::rename(&away, &events).unwrap();
    wait_for("the backlog to be gone", || (other.post(&server.client, &[], b"").status == 200).then_some(()));
}
