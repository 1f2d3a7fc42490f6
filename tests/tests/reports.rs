//! Every report against the same report computed a second way.

use serde_json::Value;
use tally_storage::lake::Extent;

use crate::events::Event;
use crate::generated::{SERVICES, sample};
use crate::http::Answer;
use crate::reference::{Ask, Expected};
use crate::server::TestServer;
use crate::tenant::{ALL_SERVICES, Tenant};

const REPORTS: [&str; 6] = ["devices", "hit-miss-ratio", "http-statuses", "sdk", "url", "usage"];

/// Days from 2023-12-10 to 2024-03-23: over the end of a year and a leap day.
const FIRST_DAY: &str = "2023-12-10";
const DAYS: u64 = 105;

/// A page without its `uid`.
fn without_uid(page: &Answer) -> Value {
    let mut body = page.json();
    assert!(body.as_object_mut().unwrap().remove("uid").unwrap().is_string());
    body
}

/// Asks for all, and compares every page of every answer with what it must be.
fn compare(server: &TestServer, tenant: &Tenant, events: &[Event], asks: &[Ask]) {
    let submitted: Vec<String> = asks
        .iter()
        .map(|ask| {
            let pairs = ask.pairs(tenant);
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let accepted = tenant.submit(&server.client, ask.report, &pairs).ok().json();
            assert_eq!(accepted["paginated"], ask.is_paginated(), "{ask:?}");
            accepted["jobId"].as_str().unwrap().to_owned()
        })
        .collect();
    for (ask, job_id) in asks.iter().zip(submitted) {
        let Expected { pages, row_count } = ask.answer(events, tenant);
        let first = tenant.ended(&server.client, &job_id).ok();
        let uid = first.json()["uid"].clone();
        assert_eq!(first.count("x-page-count"), pages.len() as u64, "{ask:?}");
        for (number, expected) in pages.iter().enumerate() {
            let page = tenant.retrieve(&server.client, &job_id, &format!("&page={number}")).ok();
            assert_eq!(page.count("x-row-count"), row_count as u64, "{ask:?}");
            assert_eq!(page.json()["uid"], uid, "{ask:?}");
            assert_eq!(without_uid(&page), *expected, "page {number} of {ask:?}");
        }
    }
}

/// A server with generated events, of which a third has summaries, a third is in columns and a third in the log, and
/// another organization's.
fn with_events(count: usize) -> (TestServer, Tenant, Vec<Event>) {
    let server = TestServer::start();
    let (tenant, other) = (server.tenant(), server.tenant());
    let events = sample(count, FIRST_DAY.parse().unwrap(), DAYS);
    let (summarized, others) = events.split_at(count / 3);
    let (in_columns, in_log) = others.split_at(count / 3);
    tenant.take_in_events(&server.client, summarized);
    assert!(server.flush(&tenant) > 0);
    assert!(server.compact(Extent::Everything).summarized_segments > 0);
    tenant.take_in_events(&server.client, in_columns);
    assert!(server.flush(&tenant) > 0);
    tenant.take_in_events(&server.client, in_log);
    other.take_in_events(&server.client, &events[..count / 10]);
    (server, tenant, events)
}

#[test]
fn every_report_agrees_with_the_reference_on_every_kind_of_range() {
    let (server, tenant, events) = with_events(2000);
    let mut asks = Vec::new();
    for report in REPORTS {
        for (from, to) in [
            ("2023-12-15", "2023-12-15"),
            ("2023-12-31", "2024-01-01"),
            ("2023-12-15", "2024-03-13"),
            ("2023-12-15", "2024-03-14"),
            ("2024-02-29", "2024-02-29"),
            ("2024-02-28", "2024-03-01"),
            // No event at all, none at the end, and days that are yet to come.
            ("2022-05-01", "2022-05-31"),
            ("2024-03-20", "2024-04-10"),
            ("2024-03-20", "2024-06-18"),
        ] {
            asks.push(Ask::new(report, from, to));
        }
        for (duration, from, to) in [
            ("week", "2023-12-27", "2024-01-03"),
            ("week", "2024-01-01", "2024-01-07"),
            ("week", "2024-02-29", "2024-03-31"),
            ("month", "2023-12-31", "2024-02-01"),
            ("month", "2024-02-29", "2024-02-29"),
            ("month", "2024-02-15", "2024-04-01"),
        ] {
            asks.push(Ask { duration: Some(duration), ..Ask::new(report, from, to) });
        }
    }
    compare(&server, &tenant, &events, &asks);
}

#[test]
fn every_report_agrees_with_the_reference_under_every_filter() {
    let (server, tenant, events) = with_events(1000);
    let mut asks = Vec::new();
    for report in REPORTS {
        let ask = Ask::new(report, "2024-02-20", "2024-03-10");
        asks.extend(SERVICES.map(|service| Ask { services: Some(vec![service]), ..ask.clone() }));
        asks.push(Ask { services: Some(SERVICES.to_vec()), ..ask.clone() });
        asks.push(Ask { services: Some(vec!["images", "cma", "cdn"]), include: Some(false), ..ask.clone() });
        asks.extend([0, 1].map(|stack| Ask { stack: Some(stack), include: Some(true), ..ask.clone() }));
        match report {
            "http-statuses" => {
                asks.extend([100, 404, 418, 599].map(|status| Ask { status: Some(status), ..ask.clone() }));
            }
            "hit-miss-ratio" => asks.extend(["HIT", "MISS"].map(|cache| Ask { cache: Some(cache), ..ask.clone() })),
            "usage" => {
                let launch = Ask { services: Some(vec!["launch"]), project: Some("p1"), ..ask.clone() };
                asks.push(Ask { environment: Some("e2"), ..launch.clone() });
                asks.push(Ask { project: Some("nothing"), ..launch.clone() });
                asks.push(launch);
            }
            _ => {}
        }
    }
    compare(&server, &tenant, &events, &asks);
}

#[test]
fn pages_agree_with_the_reference_for_every_order_and_size() {
    let (server, tenant, events) = with_events(1500);
    let mut asks = Vec::new();
    for report in ["devices", "sdk", "url"] {
        for order_by in [-1, 1] {
            let services = Some(SERVICES.to_vec());
            let whole = Ask { order_by: Some(order_by), services, ..Ask::new(report, "2023-12-15", "2024-03-14") };
            for (skip, limit) in [(0, 900), (0, 7), (13, 64), (899, 1)] {
                // A large result is not read in pages of a few rows.
                let (from, to) = if limit < 64 { ("2024-02-26", "2024-03-03") } else { ("2023-12-15", "2024-03-14") };
                let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
                asks.push(Ask { skip: Some(skip), limit: Some(limit), from, to, ..whole.clone() });
            }
            // Everything is skipped: only the marker may be left.
            asks.push(Ask { skip: Some(1_000_000), ..whole.clone() });
            asks.push(Ask { include: Some(false), ..whole.clone() });
            let (from, to) = ("2024-03-22".parse().unwrap(), "2024-03-25".parse().unwrap());
            asks.push(Ask { skip: Some(1), limit: Some(1), services: Some(vec!["cdn"]), from, to, ..whole });
        }
    }
    compare(&server, &tenant, &events, &asks);
}

#[test]
fn all_reports_count_every_event_with_a_cache_state_once() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let mut events = sample(500, FIRST_DAY.parse().unwrap(), 60);
    for event in &mut events {
        event.cache = Some("HIT");
    }
    tenant.take_in_events(&server.client, &events);
    let sum = |report: &str, fields: &[&str], more: &[(&str, &str)]| {
        let range = [("from", FIRST_DAY), ("to", "2024-02-10"), ("services", ALL_SERVICES)];
        let rows = tenant.report(&server.client, report, &[&range, more].concat()).rows();
        let counts = rows.iter().flat_map(|row| fields.iter().map(move |field| &row[*field]));
        counts.map(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()).unwrap_or(0)).sum::<u64>()
    };
    assert_eq!(sum("devices", &["count"], &[]), 500);
    assert_eq!(sum("http-statuses", &["count"], &[("duration", "week")]), 500);
    assert_eq!(sum("hit-miss-ratio", &["count"], &[("duration", "month")]), 500);
    assert_eq!(sum("url", &["count"], &[("includeTotalCount", "false")]), 500);
    assert_eq!(sum("usage", &["total_api_count", "total_cdn_count"], &[]), 500);
}
