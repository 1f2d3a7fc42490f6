//! Segments merged and summarized: what is counted, what is known, what is left behind.

use std::time::Duration;

use crate::catalog::OwnRetention;
use crate::events::Commit;
use crate::events::tests::Fixture;
use crate::lake::Extent;

#[tokio::test]
async fn ids_are_known_through_compactions_also_to_batches_under_way() {
    let fixture = Fixture::new().await;
    for id in ["a", "b"] {
        fixture.commit(&[(0, Some(id)), (1, None)], Commit::default()).await.unwrap();
        fixture.flush().await;
    }
    let compacted = fixture.store.lake.compact(None, Extent::Everything, |_| false).await.unwrap();
    assert_eq!((compacted.merged_segments, compacted.written_segments), (4, 2));
    assert_eq!(fixture.commit(&[(0, Some("a")), (0, Some("c"))], Commit::default()).await.unwrap(), (1, 1));
    assert_eq!(fixture.counted().await, 5);
    let status = fixture.store.catalog.lake_status(None).await.unwrap();
    assert_eq!((status[0].days, status[0].segments, status[0].events), (2, 2, 4));
    assert_eq!((status[0].waiting_segments, status[0].log_rows, status[0].log_events), (0, 1, 1));
    assert!(status[0].summary_bytes > 0);
}

#[tokio::test]
async fn of_two_compactions_of_one_day_one_counts_and_the_files_of_before_go_later() {
    let fixture = Fixture::new().await;
    for _ in 0..3 {
        fixture.commit(&[(0, None)], Commit::default()).await.unwrap();
        fixture.flush().await;
    }
    let lake = &fixture.store.lake;
    let (one, other) = tokio::join!(
        lake.compact(None, Extent::Everything, |_| false),
        lake.compact(None, Extent::Everything, |_| false)
    );
    assert_eq!(one.unwrap().merged_segments + other.unwrap().merged_segments, 3);
    assert_eq!(fixture.counted().await, 3);
    let files = || fixture.store.folder.published_before(Duration::ZERO).unwrap().len();
    let (merged, unnamed) = (2, files() - 3 - 2);
    fixture.store.sweep().await.unwrap();
    assert_eq!(files(), 3 + merged + unnamed, "a report may still be reading them");
    fixture.store.clock.set(fixture.store.clock.now() + chrono::TimeDelta::minutes(16));
    assert_eq!(fixture.store.sweep().await.unwrap(), 3);
    assert_eq!(files(), merged + unnamed);
    assert_eq!(fixture.counted().await, 3);
}

#[tokio::test]
async fn what_is_older_than_an_organization_keeps_it_is_deleted() {
    let fixture = Fixture::new().await;
    // Of the fourth to the first day before; the clock's day is the 19783rd.
    fixture.commit(&[(19_779, None), (19_780, None), (19_781, None)], Commit::default()).await.unwrap();
    fixture.flush().await;
    fixture.store.lake.compact(None, Extent::Everything, |_| false).await.unwrap();
    fixture.commit(&[(19_779, None)], Commit::default()).await.unwrap();
    fixture.commit(&[(19_779, None), (19_782, None)], Commit::default()).await.unwrap();
    let days = |events_days| OwnRetention { events_days, ..OwnRetention::default() };
    for (events_days, left) in [(None, 6), (Some(0), 6), (Some(4), 6), (Some(3), 4)] {
        fixture.store.catalog.set_retention(&fixture.organization, days(events_days)).await.unwrap();
        fixture.store.sweep().await.unwrap();
        // A log row goes when all of its days are over.
        assert_eq!(fixture.counted_in_year("2024").await, left, "{events_days:?}");
    }
    fixture.flush().await;
    fixture.store.sweep().await.unwrap();
    assert_eq!(fixture.counted_in_year("2024").await, 3);
    fixture.store.clock.set(fixture.store.clock.now() + chrono::TimeDelta::minutes(16));
    fixture.store.sweep().await.unwrap();
    let named = fixture.store.folder.files_of(&fixture.organization).unwrap();
    assert!(!named.iter().any(|name| name.contains("day=2024-02-26")), "{named:?}");
}

#[tokio::test]
async fn verify_names_what_differs() {
    let fixture = Fixture::new().await;
    fixture.commit(&[(0, None), (0, Some("a"))], Commit::default()).await.unwrap();
    fixture.commit(&[(1, None)], Commit::default()).await.unwrap();
    fixture.flush().await;
    let lake = &fixture.store.lake;
    lake.compact(None, Extent::Summaries, |_| false).await.unwrap();
    let verified = lake.verify(None, |_| {}).await.unwrap();
    assert_eq!((verified.segments, verified.events, verified.differences), (2, 3, vec![]));
    // The summaries of one day in the place of the other's.
    let names = fixture.store.folder.published_before(Duration::ZERO).unwrap();
    let mut summaries: Vec<_> = names.iter().filter(|name| name.contains(".arrow")).collect();
    summaries.sort();
    let path = |name: &str| fixture.store.folder.path_of(name);
    std::fs::copy(path(summaries[0]), path(summaries[1])).unwrap();
    let verified = lake.verify(None, |_| {}).await.unwrap();
    assert!(!verified.differences.is_empty());
    assert!(verified.differences.iter().all(|difference| difference.segment.contains("day=1970-01-02")));
    std::fs::remove_file(path(summaries[0])).unwrap();
    let verified = lake.verify(None, |_| {}).await.unwrap();
    assert!(verified.differences.iter().any(|difference| difference.segment.contains("day=1970-01-01")));
}
