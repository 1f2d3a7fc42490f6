//! Passwords, authtokens and ingest keys: never in the log, in an error, or as they are in the data folder.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::events::Event;
use crate::program::{Served, tenant_in};
use crate::tenant::{PASSWORD, Tenant};

/// Every file below the folder.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(fs::read(path).unwrap()) }
        }
    }
    files
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn secrets_are_neither_logged_nor_answered_nor_kept_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let tenant = tenant_in(&data_dir);
    let server = Served::start(&data_dir, &[("TALLY_LOG__LEVEL", "debug")]);
    let client = &server.client;
    let wrong = "wrong-password-17";
    let log_in = |password: &str| {
        let body = json!({"user": {"email": tenant.email, "password": password}}).to_string();
        client.send("POST", "/v3/user-session", &[], Some(body.as_bytes()))
    };
    let authtoken = log_in(PASSWORD).ok().json()["user"]["authtoken"].as_str().unwrap().to_owned();
    let refused = [
        log_in(wrong),
        client.send("POST", "/v3/user-session", &[], Some(format!("{{\"user\":\"{PASSWORD}\"").as_bytes())),
        Tenant { authtoken: tenant.key.clone(), ..tenant.clone() }.submit(client, "devices", &[]),
        Tenant { key: authtoken.clone(), ..tenant.clone() }.post(client, &[], b"{}"),
        tenant.submit(client, "devices", &[("from", "x")]),
        tenant.post(client, &[("content-type", "text/plain")], b"{}"),
    ];
    tenant.take_in_events(client, &[Event::default()]);
    tenant.report(client, "devices", &[("from", "2024-03-01"), ("to", "2024-03-01")]);
    let metrics = client.get("/metrics", &[]).ok();
    let kept = files(&data_dir);
    let (_, log) = server.terminate();
    assert!(log.contains("/v3/user-session"), "{log}");
    for secret in [PASSWORD, wrong, &authtoken, &tenant.authtoken, &tenant.key] {
        assert!(!log.contains(secret), "`{secret}` stands in the log");
        assert!(!holds(&metrics.body, secret), "`{secret}` stands in the metrics");
        for answer in &refused {
            assert!(answer.status >= 400 && !answer.shown().contains(secret), "{}", answer.shown());
        }
        assert!(kept.iter().all(|file| !holds(file, secret)), "`{secret}` stands in the data folder");
    }
}
