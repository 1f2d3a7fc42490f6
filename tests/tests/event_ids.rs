//! An event's own id: the same id on the same UTC day of one organization is counted once, whenever it comes again.

use std::thread;

use crate::events::{Event, lines};
use crate::server::TestServer;
use crate::tenant::Tenant;

/// Accepted and duplicates of a batch.
fn take_in(server: &TestServer, tenant: &Tenant, events: &[Event]) -> (u64, u64) {
    let receipt = tenant.take_in(&server.client, &lines(events, &tenant.stacks));
    assert_eq!(receipt["rejected"], 0, "{receipt}");
    (receipt["accepted"].as_u64().unwrap(), receipt["duplicates"].as_u64().unwrap())
}

fn counted(server: &TestServer, tenant: &Tenant) -> u64 {
    tenant.counted(&server.client, "2024-03-01", "2024-03-03")
}

#[test]
fn an_id_is_counted_once_within_a_batch() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let a = Event::with_id("2024-03-01T10:00:00Z", "a");
    // The first one counts, whatever else differs.
    let late = Event { status: 500, ..Event::with_id("2024-03-01T23:59:59.999Z", "a") };
    let b = Event::with_id("2024-03-01T10:00:00Z", "b");
    assert_eq!(take_in(&server, &tenant, &[a.clone(), late, b, a]), (2, 2));
    let days = [("from", "2024-03-01"), ("to", "2024-03-01"), ("services", "[\"cdn\"]"), ("duration", "day")];
    let rows = tenant.report(&server.client, "http-statuses", &days).rows();
    assert_eq!((rows.len(), rows[0]["status"].as_str(), rows[0]["count"].as_u64()), (1, Some("200"), Some(2)));
}

#[test]
fn an_id_is_counted_once_over_batches_flushes_and_restarts() {
    let mut server = TestServer::start();
    let tenant = server.tenant();
    let batch: Vec<Event> = (0..50).map(|n| Event::with_id("2024-03-01T10:00:00Z", &format!("id {n}"))).collect();
    assert_eq!(take_in(&server, &tenant, &batch), (50, 0));
    assert_eq!(take_in(&server, &tenant, &batch), (0, 50));
    assert!(server.flush(&tenant) > 0);
    assert_eq!(take_in(&server, &tenant, &batch), (0, 50));
    server.restart();
    assert_eq!(take_in(&server, &tenant, &batch), (0, 50));
    // One in the columns, one in the log, one new.
    assert_eq!(take_in(&server, &tenant, &[Event::with_id("2024-03-01T11:00:00Z", "new")]), (1, 0));
    server.restart();
    let mixed = ["id 7", "new", "newer"].map(|id| Event::with_id("2024-03-01T12:00:00Z", id));
    assert_eq!(take_in(&server, &tenant, &mixed), (1, 2));
    assert_eq!(counted(&server, &tenant), 52);
}

#[test]
fn another_day_another_organization_and_no_id_count_again() {
    let server = TestServer::start();
    let (tenant, other) = (server.tenant(), server.tenant());
    let first = Event::with_id("2024-03-01T23:59:59.999Z", "a");
    let next_day = Event::with_id("2024-03-02T00:00:00Z", "a");
    assert_eq!(take_in(&server, &tenant, &[first.clone(), next_day.clone()]), (2, 0));
    assert_eq!(take_in(&server, &other, std::slice::from_ref(&first)), (1, 0));
    server.flush(&tenant);
    let (again, third_day) = (first, Event::with_id("2024-03-03T10:00:00Z", "a"));
    assert_eq!(take_in(&server, &tenant, &[again, next_day, third_day]), (1, 2));
    // Ids are compared to the byte, and an empty one is none.
    let close = ["A", "a ", "á", "a\u{301}", "", ""].map(|id| Event::with_id("2024-03-01T10:00:00Z", id));
    assert_eq!(take_in(&server, &tenant, &close), (6, 0));
    let nameless = Event::at("2024-03-01T10:00:00Z");
    assert_eq!(take_in(&server, &tenant, &[nameless.clone(), nameless]), (2, 0));
    assert_eq!(counted(&server, &tenant), 11);
    assert_eq!(counted(&server, &other), 1);
}

#[test]
fn an_id_that_comes_many_times_at_once_is_counted_once() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let body = |sender: usize| {
        // All ids are everybody's, in another order, and one is the sender's own.
        let mut ids: Vec<String> = (0..40).map(|n| format!("id {}", (n + 7 * sender) % 40)).collect();
        ids.push(format!("own {sender}"));
        let events: Vec<Event> = ids.iter().map(|id| Event::with_id("2024-03-01T10:00:00Z", id)).collect();
        lines(&events, &tenant.stacks)
    };
    let receipts: Vec<_> = thread::scope(|scope| {
        let send = |sender| {
            let (tenant, client, body) = (&tenant, server.client.clone(), body(sender));
            scope.spawn(move || tenant.take_in(&client, &body))
        };
        let senders: Vec<_> = (0..8).map(send).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let sum = |name: &str| receipts.iter().map(|receipt| receipt[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("accepted"), sum("duplicates")), (48, 8 * 41 - 48));
    assert_eq!(counted(&server, &tenant), 48);
    server.flush(&tenant);
    assert_eq!(counted(&server, &tenant), 48);
}

#[test]
fn a_batch_that_is_too_large_for_the_log_is_looked_through_too() {
    let server = TestServer::start();
    let tenant = server.tenant();
    // More than a log row takes: it becomes columns at once.
    let id = |n: usize| Event::with_id("2024-03-01T10:00:00Z", &format!("id {}", n % 60_000));
    let large: Vec<Event> = (0..60_500).map(id).collect();
    assert_eq!(take_in(&server, &tenant, &large), (60_000, 500));
    assert_eq!(take_in(&server, &tenant, &large[59_990..]), (0, 510));
    assert_eq!(take_in(&server, &tenant, &large[1..]), (0, 60_499));
    assert_eq!(counted(&server, &tenant), 60_000);
}
