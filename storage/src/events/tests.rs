//! Batches in: what is counted, what is counted once, and what a crash leaves.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::fixture::{Fixture, batch, position, read, requests};
use super::{Commit, FlushAt};
use crate::catalog::{Idempotency, LogBound, last_commit};
use crate::error::StorageError;

fn key(key: &str, body: &str) -> Commit {
    let idempotency = Idempotency { key: key.to_owned(), body_sha256: body.to_owned() };
    Commit { idempotency: Some(idempotency), ..Commit::default() }
}

#[tokio::test]
async fn an_id_is_counted_once_a_day_wherever_its_first_event_lies() {
    let fixture = Fixture::new().await;
    let events = [(1, Some("a")), (1, Some("a")), (2, Some("a")), (1, None), (1, None)];
    assert_eq!(fixture.commit(&events, Commit::default()).await.unwrap(), (4, 1));
    assert_eq!(fixture.commit(&events[..1], Commit::default()).await.unwrap(), (0, 1), "in the log");
    assert_eq!(fixture.flush().await, 2, "a segment for each day");
    assert_eq!(fixture.commit(&events[..3], Commit::default()).await.unwrap(), (0, 3), "in segments");
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.commit(&[(1, Some("a")), (3, Some("a"))], Commit::default()).await.unwrap(), (1, 1));
    assert_eq!(fixture.counted().await, 5);
}

#[tokio::test]
async fn batches_with_the_same_ids_at_the_same_time_are_counted_once() {
    let fixture = Arc::new(Fixture::new().await);
    let mut commits = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let fixture = Arc::clone(&fixture);
        commits.spawn(async move { fixture.commit(&[(1, Some("a")), (1, Some("b"))], Commit::default()).await });
    }
    let mut accepted = 0;
    while let Some(committed) = commits.join_next().await {
        accepted += committed.unwrap().unwrap().0;
    }
    assert_eq!((accepted, fixture.counted().await), (2, 2));
}

#[tokio::test]
async fn a_batch_sent_twice_under_one_key_is_counted_once_and_another_body_is_refused() {
    let fixture = Fixture::new().await;
    let events = [(1, None), (1, None)];
    assert_eq!(fixture.commit(&events, key("k", "body")).await.unwrap(), (2, 0));
    assert_eq!(fixture.commit(&events, key("k", "body")).await.unwrap(), (2, 0), "the first receipt again");
    let refused = fixture.commit(&events, key("k", "another body")).await;
    assert!(matches!(refused, Err(StorageError::IdempotencyMismatch)));
    assert_eq!(fixture.counted().await, 2);
}

#[tokio::test]
async fn a_large_batch_becomes_segments_and_its_repeats_are_found_there() {
    let fixture = Fixture::new().await;
    let ids: Vec<String> = (0..60_000).map(|n| format!("id {n}")).collect();
    let events: Vec<_> = ids.iter().map(|id| (1, Some(id.as_str()))).collect();
    assert_eq!(fixture.commit(&events, Commit::default()).await.unwrap(), (60_000, 0));
    assert_eq!(fixture.flush().await, 0, "nothing waits in the log");
    assert_eq!(fixture.commit(&events[..100], Commit::default()).await.unwrap(), (0, 100));
    let more = [&events[..], &[(1, Some("new"))]].concat();
    assert_eq!(fixture.commit(&more, Commit::default()).await.unwrap(), (1, 60_000));
    assert_eq!(fixture.counted().await, 60_001);
}

#[tokio::test]
async fn a_file_that_two_runs_read_at_once_is_counted_once() {
    let fixture = Fixture::new().await;
    fixture.commit(&[(1, None)], read(None, 10)).await.unwrap();
    assert!(matches!(fixture.commit(&[(1, None)], read(None, 10)).await, Err(StorageError::SourceMoved)));
    fixture.commit(&[(1, None)], read(Some(10), 20)).await.unwrap();
    assert!(matches!(fixture.commit(&[(1, None)], read(Some(10), 20)).await, Err(StorageError::SourceMoved)));
    assert_eq!(fixture.counted().await, 2);
    assert_eq!(fixture.store.catalog.source_positions(&fixture.organization).await.unwrap(), [position(20)]);
}

#[tokio::test]
async fn over_the_bound_nothing_is_taken_until_the_log_is_flushed() {
    let fixture = Fixture::with_backlog(100).await;
    fixture.commit(&[(1, None)], Commit::default()).await.unwrap();
    let refused = fixture.commit(&[(1, None)], Commit::default()).await;
    assert!(matches!(refused, Err(StorageError::Backlog { .. })));
    let due = FlushAt { bytes: u64::MAX, age: Duration::from_hours(1) };
    assert_eq!(fixture.store.events.flush_due(due).await.unwrap(), 1);
    fixture.commit(&[(1, None)], Commit::default()).await.unwrap();
    assert_eq!(fixture.counted().await, 2);
}

#[tokio::test]
async fn a_batch_that_is_given_up_leaves_no_file() {
    let fixture = Fixture::new().await;
    let mut stage = fixture.store.events.stage(&fixture.organization);
    let many: Vec<_> = (0..250_000).map(|_| (1, None)).collect();
    // The second chunk is on its way when the first is there.
    stage.push(batch(&requests(&many))).unwrap();
    stage.push(batch(&requests(&many))).unwrap();
    let staging = fixture.store.folder.staged_path().parent().unwrap().to_owned();
    let files =
        || std::fs::read_dir(&staging).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert!(files() >= 1);
    drop(stage);
    let gone = async {
        while files() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
}

#[tokio::test]
async fn a_batch_for_an_organization_that_went_away_is_refused() {
    let fixture = Fixture::new().await;
    fixture.store.catalog.delete_organization(&fixture.organization).await.unwrap();
    let refused = fixture.commit(&[(1, None)], Commit::default()).await;
    assert!(matches!(refused, Err(StorageError::NoSuchOrganization(_))));
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<(i64, Option<u8>)>),
    Flush,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let event = (1_i64..4, prop::option::of(0_u8..20));
    let step = prop_oneof![
        4 => prop::collection::vec(event, 0..12).prop_map(Step::Commit),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn whatever_the_order_each_event_without_id_and_each_id_of_a_day_is_counted_once(steps in steps()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (mut anonymous, mut named) = (0, std::collections::BTreeSet::new());
        let counted = runtime.block_on(async {
            let mut fixture = Fixture::new().await;
            for step in steps {
                match step {
                    Step::Commit(events) => {
                        let ids: Vec<_> = events.iter().map(|(day, id)| (*day, id.map(|id| id.to_string()))).collect();
                        let borrowed: Vec<_> = ids.iter().map(|(day, id)| (*day, id.as_deref())).collect();
                        fixture.commit(&borrowed, Commit::default()).await.unwrap();
                        anonymous += events.iter().filter(|(_, id)| id.is_none()).count();
                        named.extend(events.into_iter().filter(|(_, id)| id.is_some()));
                    }
                    Step::Flush => drop(fixture.flush().await),
                    Step::Reopen => fixture = fixture.reopened().await,
                }
            }
            fixture.counted().await
        });
        prop_assert_eq!(counted, i64::try_from(anonymous + named.len()).unwrap());
    }
}

#[tokio::test]
async fn a_flush_is_of_what_was_committed_before_it_began() {
    let fixture = Fixture::new().await;
    let catalog = &fixture.store.catalog;
    fixture.commit(&[(0, None)], Commit::default()).await.unwrap();
    let began_at = last_commit(&mut catalog.begin_read().await.unwrap(), &fixture.organization).await.unwrap();
    fixture.commit(&[(0, None)], Commit::default()).await.unwrap();
    let bound = |events| LogBound { bytes: 1 << 20, events };
    let rows = |until, events| catalog.oldest_log_rows(&fixture.organization, "requests", until, bound(events));
    assert_eq!(rows(began_at, 10).await.unwrap().len(), 1);
    assert_eq!(rows(i64::MAX, 10).await.unwrap().len(), 2);
    assert_eq!(rows(i64::MAX, 1).await.unwrap().len(), 1);
    assert_eq!((fixture.flush().await, fixture.counted().await), (1, 2));
}
