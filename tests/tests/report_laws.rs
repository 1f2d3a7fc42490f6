//! Laws: how events came in changes no byte of any report.

use proptest::prelude::*;
use tally_storage::lake::Extent;

use crate::events::Event;
use crate::generated::event;
use crate::server::TestServer;
use crate::tenant::{ALL_SERVICES, Tenant};

const FROM: &str = "2024-02-26";
const TO: &str = "2024-03-03";
const DAYS: u64 = 7;

/// What happens to an organization's events on their way in.
#[derive(Debug, Clone)]
struct Way {
    /// The order in which they are sent.
    order: Vec<usize>,
    /// How many are in a batch, again and again.
    batches: Vec<usize>,
    /// What happens after each batch, again and again.
    then: Vec<Then>,
}

#[derive(Debug, Clone, Copy)]
enum Then {
    Nothing,
    Flush,
    Compact,
    Summarize,
    /// All events so far of the first event's device go.
    Erase,
    Restart,
    /// The batch comes a second time.
    Again,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(FROM.parse().unwrap(), DAYS), 1..120).prop_map(|events| {
        // With an id each, so that a batch may come again.
        let named = events.into_iter().enumerate().map(|(at, event)| Event { id: Some(format!("id {at}")), ..event });
        named.collect()
    })
}

fn ways(count: usize) -> impl Strategy<Value = Way> {
    let then = prop_oneof![
        4 => Just(Then::Nothing),
        4 => Just(Then::Flush),
        3 => Just(Then::Compact),
        2 => Just(Then::Summarize),
        2 => Just(Then::Erase),
        1 => Just(Then::Restart),
        2 => Just(Then::Again),
    ];
    (
        Just((0..count).collect::<Vec<_>>()).prop_shuffle(),
        prop::collection::vec(1..40_usize, 1..5),
        prop::collection::vec(then, 1..6),
    )
        .prop_map(|(order, batches, then)| Way { order, batches, then })
}

impl Way {
    /// Which events are in a batch, and what happens after it.
    fn steps(&self) -> impl Iterator<Item = (&[usize], Then)> {
        let mut order = self.order.as_slice();
        let steps = self.batches.iter().cycle().zip(self.then.iter().cycle());
        steps.map_while(move |(size, then)| {
            let (now, later) = order.split_at((*size).min(order.len()));
            order = later;
            (!now.is_empty()).then_some((now, *then))
        })
    }

    /// The events that are not erased on the way.
    fn survivors(&self, events: &[Event]) -> Vec<Event> {
        let mut survivors: Vec<Event> = Vec::new();
        for (batch, then) in self.steps() {
            survivors.extend(batch.iter().map(|at| events[*at].clone()));
            if matches!(then, Then::Erase) {
                survivors.retain(|event| event.device() != events[0].device());
            }
        }
        survivors
    }
}

fn take_in(server: &mut TestServer, tenant: &Tenant, events: &[Event], way: &Way) {
    for (batch, then) in way.steps() {
        let batch: Vec<Event> = batch.iter().map(|at| events[*at].clone()).collect();
        tenant.take_in_events(&server.client, &batch);
        match then {
            Then::Nothing => {}
            Then::Flush => assert!(server.flush(tenant) > 0),
            Then::Compact => {
                server.flush(tenant);
                server.compact(Extent::Everything);
            }
            Then::Summarize => {
                server.flush(tenant);
                server.compact(Extent::Summaries);
            }
            Then::Erase => {
                server.erase(tenant, events[0].device());
            }
            Then::Restart => server.restart(),
            Then::Again => {
                let receipt = tenant.take_in(&server.client, &crate::events::lines(&batch, &tenant.stacks));
                assert_eq!(receipt["duplicates"], batch.len(), "{receipt}");
            }
        }
    }
}

fn all_reports(server: &TestServer, tenant: &Tenant) -> Vec<Vec<String>> {
    let range = [("from", FROM), ("to", TO), ("services", ALL_SERVICES)];
    let with = |report: &str, more: &[(&str, &str)]| {
        tenant.report(&server.client, report, &[&range, more].concat()).texts(tenant)
    };
    vec![
        with("devices", &[("limit", "40")]),
        with("hit-miss-ratio", &[("duration", "day")]),
        with("http-statuses", &[("duration", "week"), ("apiKey", &tenant.stacks[0])]),
        with("sdk", &[("duration", "month"), ("includeCount", "true"), ("orderBy", "1")]),
        with("url", &[("includeTotalCount", "true"), ("skip", "2"), ("limit", "9")]),
        with("usage", &[]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 40, failure_persistence: None, ..Default::default() })]
    #[test]
    fn order_batches_flushes_compactions_erasures_repeats_and_restarts_change_no_byte_of_any_report(
        (events, way) in events().prop_flat_map(|events| { let ways = ways(events.len()); (Just(events), ways) }),
    ) {
        let mut server = TestServer::start();
        let (plain, other) = (server.tenant(), server.tenant());
        let survivors = way.survivors(&events);
        plain.take_in_events(&server.client, &survivors);
        let expected = all_reports(&server, &plain);
        take_in(&mut server, &other, &events, &way);
        prop_assert_eq!(&all_reports(&server, &other), &expected);
        server.flush(&plain);
        server.restart();
        prop_assert_eq!(&all_reports(&server, &plain), &expected);
        server.compact(Extent::Everything);
        prop_assert_eq!(&all_reports(&server, &plain), &expected);
        prop_assert_eq!(&all_reports(&server, &other), &expected);
        prop_assert_eq!(&server.verify().differences, &[]);
    }
}
