//! `POST /ingest/v1/requests`: bodies of every kind, and their receipts.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::events::{Event, lines};
use crate::generated::sample;
use crate::server::TestServer;

const JSON: (&str, &str) = ("content-type", "application/json");

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// The receipt without the batch's own id.
fn counts(mut receipt: Value) -> Value {
    let batch = receipt.as_object_mut().unwrap().remove("batch").unwrap();
    assert!(batch.as_str().unwrap().starts_with("batch_"), "{batch}");
    receipt
}

#[test]
fn the_same_events_come_in_as_lines_or_array_plain_or_compressed() {
    let server = TestServer::start();
    let events = sample(300, "2024-03-01".parse().unwrap(), 20);
    let range = [("from", "2024-03-01"), ("to", "2024-03-20")];
    let mut reports = Vec::new();
    for kind in ["application/x-ndjson", "application/x-ndjson; charset=utf-8", "application/json"] {
        for encoding in ["identity", "gzip", "zstd"] {
            let tenant = server.tenant();
            let plain = match kind {
                "application/json" => {
                    let elements: Vec<String> = events.iter().map(|event| event.line(&tenant.stacks)).collect();
                    format!(" [\n{}\n] ", elements.join(" ,\n"))
                }
                _ => lines(&events, &tenant.stacks),
            };
            let body = match encoding {
                "gzip" => gzip(plain.as_bytes()),
                "zstd" => zstd(plain.as_bytes()),
                _ => plain.into_bytes(),
            };
            let headers = [("content-type", kind), ("content-encoding", encoding)];
            let receipt = tenant.post(&server.client, &headers, &body).ok().json();
            assert_eq!(receipt["accepted"], 300, "{kind} {encoding} {receipt}");
            reports.push(tenant.report(&server.client, "devices", &range).texts(&tenant));
        }
    }
    assert!(reports.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_receipt_counts_what_became_of_every_line() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let body = [
        r#"{"ts":"2024-03-01T10:00:00Z","url":"/","status":200,"id":"a"}"#,
        r#"{"ts":"2024-03-01T11:00:00Z","url":"/","status":200,"id":"a"}"#,
        "",
        r#"{"ts":"2024-03-01T10:00:00Z","url":"/","status":99}"#,
        r#"{"ts":"2024-03-01T10:00:00Z","url":"/","status":200,"colour":"red","size":{"w":1}}"#,
        "no JSON",
        r#"{"ts":"1999-12-31T23:59:59Z","url":"/","status":200}"#,
        r#"{"ts":1709287200,"url":"/","status":200}"#,
        r#"{"ts":"2024-06-16T12:00:00.001Z","url":"/","status":200}"#,
        r#"{"ts":"2024-06-16T12:00:00Z","url":"/","status":200}"#,
        r#"{"url":"/","status":200}"#,
        r#"{"ts":"2024-03-01T10:00:00Z","status":200}"#,
        r#"{"ts":"2024-03-01T10:00:00Z","url":"/","status":200,"service":"cdm"}"#,
        r#"{"ts":"2024-03-01T10:00:00Z","url":"/","status":200,"api_key":"blt0000000000000000"}"#,
        r#"{"ts":"2024-03-01T10:00:00Z","url":"/","status":200,"bytes":-1}"#,
        r#"{"ts":"2024-03-01T10:00:00Z","url":"/","status":200,"sdk":"js"}"#,
        r#"{"ts":"2024-03-01T10:00:00Z","url":"/","status":200,"duration_ms":-0.5}"#,
    ]
    .join("\n");
    let receipt = counts(tenant.take_in(&server.client, &body));
    let totals = ["accepted", "duplicates", "rejected", "unknown_fields"].map(|name| receipt[name].as_u64().unwrap());
    assert_eq!(totals, [3, 1, 12, 2], "{receipt}");
    assert_eq!(receipt.as_object().unwrap().len(), 5);
    insta::assert_json_snapshot!(receipt["errors"]);
    assert_eq!(tenant.counted(&server.client, "2024-03-01", "2024-03-01"), 2);
}

#[test]
fn a_receipt_names_the_first_100_rejected_lines_and_counts_them_all() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let receipt = tenant.take_in(&server.client, &"{}\n".repeat(250));
    assert_eq!((receipt["accepted"].as_u64(), receipt["rejected"].as_u64()), (Some(0), Some(250)));
    let errors = receipt["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 100);
    assert!(errors.iter().zip(1..).all(|(error, line)| error["line"] == line && error["field"] == "ts"));
}

#[test]
fn an_empty_body_is_an_empty_batch() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let nothing = json!({"accepted": 0, "duplicates": 0, "rejected": 0, "unknown_fields": 0, "errors": []});
    assert_eq!(counts(tenant.take_in(&server.client, "")), nothing);
    assert_eq!(counts(tenant.take_in(&server.client, "\n \n\r\n")), nothing);
    assert_eq!(counts(tenant.post(&server.client, &[JSON], b"[]").ok().json()), nothing);
}

#[test]
fn strict_keeps_all_or_nothing() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let good = Event::at("2024-03-01T10:00:00Z").line(&[]);
    let send = |query: &str, body: &str| {
        tenant.post_to(&server.client, &format!("/ingest/v1/requests{query}"), &[], body.as_bytes())
    };
    let mixed = format!("{good}\n{{}}\n{good}\nno JSON\n");
    let refused = send("?strict=true", &mixed);
    assert_eq!((refused.status, refused.json()["error_code"].as_u64()), (422, Some(119)));
    insta::assert_snapshot!(refused.text());
    assert_eq!(tenant.counted(&server.client, "2024-03-01", "2024-03-01"), 0);
    assert_eq!(send("?strict=true", &format!("{good}\n{good}\n")).ok().json()["accepted"], 2);
    assert_eq!(send("?strict=false", &mixed).ok().json()["accepted"], 2);
    for query in ["?strict=1", "?strict", "?strict=true&strict=true", "?strikt=true"] {
        assert_eq!(send(query, &mixed).status, 422, "{query}");
    }
    assert_eq!(tenant.counted(&server.client, "2024-03-01", "2024-03-01"), 4);
}

#[test]
fn a_body_of_another_type_or_encoding_is_not_taken() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let good = Event::at("2024-03-01T10:00:00Z").line(&[]);
    let mut shown = String::new();
    for headers in [
        [("content-type", "text/plain"), ("content-encoding", "identity")],
        [("content-type", ""), ("content-encoding", "identity")],
        [("content-type", "application/x-ndjson"), ("content-encoding", "br")],
        [("content-type", "application/x-ndjson"), ("content-encoding", "gzip, gzip")],
    ] {
        let answer = tenant.post(&server.client, &headers, good.as_bytes());
        assert_eq!((answer.status, answer.json()["error_code"].as_u64()), (415, Some(115)), "{headers:?}");
        shown += answer.text();
        shown.push('\n');
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn a_body_that_cannot_be_read_leaves_nothing() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let text = lines(&sample(2000, "2024-03-01".parse().unwrap(), 1), &tenant.stacks);
    let element = Event::at("2024-03-01T10:00:00Z").line(&[]);
    let (gzipped, zstded) = (gzip(text.as_bytes()), zstd(text.as_bytes()));
    let cut = |bytes: &[u8]| bytes[..bytes.len() - 9].to_vec();
    let gzip_header = ("content-encoding", "gzip");
    let zstd_header = ("content-encoding", "zstd");
    let identity = ("content-encoding", "identity");
    let ndjson = ("content-type", "application/x-ndjson");
    for (name, headers, body) in [
        ("plain as gzip", [ndjson, gzip_header], text.clone().into_bytes()),
        ("plain as zstd", [ndjson, zstd_header], text.clone().into_bytes()),
        ("cut gzip", [ndjson, gzip_header], cut(&gzipped)),
        ("cut zstd", [ndjson, zstd_header], cut(&zstded)),
        ("gzip and more", [ndjson, gzip_header], [&gzipped[..], b"more"].concat()),
        ("nothing as gzip", [ndjson, gzip_header], Vec::new()),
        ("cut array", [JSON, identity], format!("[{element},{element}").into_bytes()),
        ("no array", [JSON, identity], element.clone().into_bytes()),
        ("nothing as array", [JSON, identity], Vec::new()),
        ("array and more", [JSON, identity], format!("[{element}] {element}").into_bytes()),
        ("array with a hole", [JSON, identity], format!("[{element},,{element}]").into_bytes()),
    ] {
        let answer = tenant.post(&server.client, &headers, &body);
        assert_eq!(
            (answer.status, answer.json()["error_code"].as_u64()),
            (400, Some(100)),
            "{name} {}",
            answer.shown()
        );
    }
    assert_eq!(tenant.counted(&server.client, "2024-03-01", "2024-03-01"), 0);
    assert_eq!(server.flush(&tenant), 0);
}

#[test]
fn an_ingest_key_opens_its_organization_and_nothing_else() {
    let server = TestServer::start_with(|config| config.rate_limit.anonymous_requests_per_second = 20);
    let (tenant, other) = (server.tenant(), server.tenant());
    let line = Event::at("2024-03-01T10:00:00Z").line(&[]);
    let mut shown = String::new();
    for authorization in ["", "Bearer", "Bearer nonsense", &format!("Basic {}", tenant.key), &tenant.key] {
        server.next_second();
        let headers = [("authorization", authorization), ("content-type", "application/x-ndjson")];
        let answer = server.client.send("POST", "/ingest/v1/requests", &headers, Some(line.as_bytes()));
        assert_eq!((answer.status, answer.json()["error_code"].as_u64()), (401, Some(105)), "{authorization}");
        shown = answer.shown();
    }
    insta::assert_snapshot!(shown);
    tenant.take_in(&server.client, &line);
    // A stack of somebody else is an unknown one.
    let foreign = Event { stack: Some(0), ..Event::default() }.line(&other.stacks);
    assert_eq!(tenant.take_in(&server.client, &foreign)["rejected"], 1);
    assert_eq!(tenant.counted(&server.client, "2024-03-01", "2024-03-01"), 1);
    assert_eq!(other.counted(&server.client, "2024-03-01", "2024-03-01"), 0);
    assert!(server.wait(server.store().catalog.revoke_ingest_key(&tenant.key)).unwrap());
    assert_eq!(tenant.post(&server.client, &[], line.as_bytes()).status, 401);
}

#[test]
fn times_come_as_text_or_milliseconds_and_sdks_from_three_places() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let management = "sdk contentstack-management-javascript/1.13.0; platform node.js/v18.17.1;";
    let body = [
        json!({"ts": "2024-03-01T23:59:59.999Z", "url": "/", "status": 200, "user_agent": management}),
        json!({"ts": "2024-03-02T01:00:00+01:00", "url": "/", "status": 200, "x_user_agent": "cda-android/3.12.1 Android/14"}),
        json!({"ts": 1_709_251_200_000_u64, "url": "/", "status": 200, "sdk": "cda-collection/v9.31.0", "x_user_agent": management}),
        json!({"ts": "2024-03-01T12:00:00Z", "url": "/", "status": 200, "user_agent": "Mozilla/5.0 (X11)"}),
    ];
    let body: String = body.iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(tenant.take_in(&server.client, &body)["accepted"], 4);
    let asked = [("from", "2024-03-01"), ("to", "2024-03-02"), ("services", "[\"cdn\"]"), ("duration", "day")];
    let rows = tenant.report(&server.client, "sdk", &[&asked[..], &[("includeCount", "true")]].concat()).rows();
    let row = |sdk: &str, date: &str| json!({"count": 1, "type": "cdn", "sdk": sdk, "date": date});
    assert_eq!(
        rows,
        [
            row("cda-collection/v9.31.0", "2024-03-01"),
            row("contentstack-management-javascript/1.13.0", "2024-03-01"),
            row("cda-android/3.12.1", "2024-03-02"),
        ]
    );
}
