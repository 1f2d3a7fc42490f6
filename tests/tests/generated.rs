//! Made-up events with everything in them that a report could trip over.

use chrono::{Days, NaiveDate};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::events::Event;

pub(crate) const SERVICES: [&str; 8] = ["cma", "ui", "cdn", "graphql", "images", "assets", "automations", "launch"];

/// Texts whose order differs between bytes, UTF-16 and any locale, and that need escapes in JSON.
const URLS: [&str; 12] = [
    "https://www.example.com/",
    "https://www.example.com/a",
    "https://www.example.com/A",
    "https://www.example.com/a/",
    "https://www.example.com/a?q=\"quoted\"&b=\\",
    "https://www.example.com/é",
    "https://www.example.com/e\u{301}",
    "https://www.example.com/\u{ff5e}",
    "https://www.example.com/\u{1f600}",
    "https://www.example.com/%C3%A9",
    "/favicon.ico",
    "*",
];

const USER_AGENTS: [&str; 12] = [
    "curl/8.5.0",
    "Curl/8.5.0",
    "-",
    " ",
    "Mozilla/5.0 (X11; \"Linux\") \\ back",
    "tab\tline\nreturn\rbell\u{7}delete\u{7f}",
    "naïve – ✓ 日本語",
    "\u{ffff} above",
    "\u{10000} above",
    "sdk management-javascript/1.13.0; platform node.js/v18.17.1; os Linux",
    "null",
    "nul \u{0} byte",
];

const SDKS: [&str; 5] = ["js/1.2", "js/1.10", "java/2.0", "Java/2.0", "\"naïve\"/v\u{1f600}"];

const CACHE_WORDS: [&str; 9] = ["HIT", "hit", "RefreshHit", "TCP_MEM_HIT", "MISS", "DYNAMIC", "expired", "-", "Error"];

const STATUSES: [u16; 9] = [100, 200, 204, 301, 304, 404, 429, 500, 599];

/// A moment of one of the days: first or last millisecond, or any.
fn moment(from: NaiveDate, days: u64) -> impl Strategy<Value = i64> {
    let time = prop_oneof![Just(0), Just(86_399_999), 0..86_400_000_i64];
    (0..days, time).prop_map(move |(day, time)| {
        let day = from.checked_add_days(Days::new(day)).unwrap();
        day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis() + time
    })
}

fn bytes() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(1 << 32), Just((1 << 32) - 1), Just(5_000_000_000_000), 0..100_000_u64]
}

/// Project and environment of a Launch request.
fn launch() -> impl Strategy<Value = (Option<&'static str>, Option<&'static str>)> {
    let project = option::of(select(vec!["p1", "p2"]));
    let environment = option::of(select(vec!["e1", "e2"]));
    (project, environment)
}

/// An event of one of the days, without an id.
pub(crate) fn event(from: NaiveDate, days: u64) -> impl Strategy<Value = Event> {
    let texts = (
        select(&URLS[..]),
        option::weighted(0.8, select(&USER_AGENTS[..])),
        option::weighted(0.4, select(&SDKS[..])),
        option::weighted(0.7, select(&CACHE_WORDS[..])),
    );
    let numbers = (moment(from, days), select(&STATUSES[..]), bytes());
    let owners = (select(&SERVICES[..]), option::of(0..crate::tenant::STACKS), launch());
    (texts, numbers, owners).prop_map(
        |((url, user_agent, sdk, cache), (ts_ms, status, bytes), (service, stack, (project, environment)))| Event {
            ts_ms,
            url: url.to_owned(),
            status,
            service,
            stack,
            bytes,
            cache,
            user_agent: user_agent.map(str::to_owned),
            sdk: sdk.map(str::to_owned),
            project,
            environment,
            id: None,
        },
    )
}

/// So many events of these days, the same at every call.
pub(crate) fn sample(count: usize, from: NaiveDate, days: u64) -> Vec<Event> {
    let strategy = prop::collection::vec(event(from, days), count);
    strategy.new_tree(&mut TestRunner::deterministic()).unwrap().current()
}
