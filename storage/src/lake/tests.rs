//! Segments merged and summarized: what is counted, what is known, what is left behind.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::{cast, concat_batches};

use super::aggregate::{Aggregate, Bucket, DayRange, Dimension, Filter, Measure, Order};
use super::counted::schema_of;
use crate::catalog::OwnRetention;
use crate::events::Commit;
use crate::events::fixture::{Fixture, request_on};
use crate::events::requests::RequestEvent;
use crate::lake::{Extent, Reason};

/// The names of the files of summaries, the oldest first.
fn files_of_summaries(fixture: &Fixture) -> Vec<String> {
    let mut names = fixture.store.folder.files_of(&fixture.organization).unwrap();
    names.retain(|name| name.ends_with(".summaries"));
    names.sort();
    names
}

fn question(fixture: &Fixture) -> Aggregate {
    let day = |day: &str| day.parse().unwrap();
    Aggregate {
        organization: fixture.organization.clone(),
        days: DayRange { from: day("1970-01-01"), to: day("1970-03-01") },
        bucket: Some(Bucket::Week),
        filters: vec![Filter::Present(Dimension::Url)],
        group: vec![Dimension::Service, Dimension::Url],
        measures: vec![Measure::Count],
        order: Order::CountDescending,
    }
}

/// An answer as one batch.
async fn answer(fixture: &Fixture, question: &Aggregate) -> RecordBatch {
    answer_and_whose(fixture, question).await.0
}

/// The same, and whether it is the engine's.
async fn answer_and_whose(fixture: &Fixture, question: &Aggregate) -> (RecordBatch, bool) {
    let mut answer = fixture.store.lake.answer(question).await.unwrap();
    let schema = schema_of(question);
    let mut batches = Vec::new();
    while let Some(batch) = answer.next().await.unwrap() {
        let columns = schema.fields().iter().map(|field| {
            let column = batch.column_by_name(field.name()).unwrap();
            cast(column, field.data_type()).unwrap()
        });
        batches.push(RecordBatch::try_new(schema.clone(), columns.collect()).unwrap());
    }
    assert!(answer.progress().fraction() > 0.99);
    (concat_batches(&schema, &batches).unwrap(), answer.is_of_engine())
}

/// Events of 40 days, every one of them with some URLs of its own.
async fn with_urls(fixture: &Fixture, urls_of_a_day: i64) {
    for day in 0..40 {
        let urls: Vec<String> = (0..urls_of_a_day).map(|number| format!("/{}/{}", number % 7, number * day)).collect();
        let events: Vec<_> = urls.iter().map(|url| RequestEvent { url, ..request_on(day) }).collect();
        fixture.commit_requests(&events, Commit::default()).await.unwrap();
        fixture.flush().await;
    }
}

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
    // Each has a file of its own until they are put together.
    lake.compact(None, Extent::Summaries, |done| done.summarized_segments == 2).await.unwrap();
    let verified = lake.verify(None, |_| {}).await.unwrap();
    assert_eq!((verified.segments, verified.events, verified.differences), (2, 3, vec![]));
    // The summaries of one day in the place of the other's.
    let summaries = files_of_summaries(&fixture);
    let path = |name: &str| fixture.store.folder.path_of(name);
    std::fs::copy(path(&summaries[0]), path(&summaries[1])).unwrap();
    let verified = lake.verify(None, |_| {}).await.unwrap();
    assert!(!verified.differences.is_empty());
    assert!(verified.differences.iter().all(|difference| difference.segment.contains("day=1970-01-02")));
    std::fs::remove_file(path(&summaries[0])).unwrap();
    let verified = lake.verify(None, |_| {}).await.unwrap();
    assert!(verified.differences.iter().any(|difference| difference.segment.contains("day=1970-01-01")));
}

#[tokio::test]
async fn a_file_of_summaries_that_is_damaged_is_read_around_and_made_anew() {
    let fixture = Fixture::new().await;
    with_urls(&fixture, 30).await;
    let of_events = answer(&fixture, &question(&fixture)).await;
    fixture.store.lake.compact(None, Extent::Everything, |_| false).await.unwrap();
    for name in files_of_summaries(&fixture) {
        let file = File::options().write(true).open(fixture.store.folder.path_of(&name)).unwrap();
        let length = file.metadata().unwrap().len();
        file.write_all_at(&vec![0; usize::try_from(length / 2).unwrap()], length / 4).unwrap();
    }
    // Nothing of the files is in memory.
    let fixture = fixture.reopened().await;
    assert_eq!(answer(&fixture, &question(&fixture)).await, of_events);
    let lake = &fixture.store.lake;
    assert!(!lake.verify(None, |_| {}).await.unwrap().differences.is_empty());
    assert_eq!(lake.compact(None, Extent::Summaries, |_| false).await.unwrap().summarized_segments, 40);
    assert_eq!(answer(&fixture, &question(&fixture)).await, of_events);
    let verified = lake.verify(None, |_| {}).await.unwrap();
    assert!(verified.summaries > 0 && verified.differences.is_empty(), "{verified:?}");
}

#[tokio::test]
async fn summaries_of_many_days_are_put_together_and_say_the_same() {
    let fixture = Fixture::new().await;
    with_urls(&fixture, 30).await;
    let lake = &fixture.store.lake;
    let of_events = answer(&fixture, &question(&fixture)).await;
    let compacted = lake.compact(None, Extent::Everything, |_| false).await.unwrap();
    assert_eq!((compacted.summarized_segments, compacted.gathered_files), (40, 40));
    assert_eq!(answer(&fixture, &question(&fixture)).await, of_events);
    let verified = lake.verify(None, |_| {}).await.unwrap();
    assert_eq!((verified.segments, verified.differences), (40, vec![]));
    // A late event takes a segment out of the file.
    fixture.commit_requests(&[RequestEvent { url: "/late", ..request_on(3) }], Commit::default()).await.unwrap();
    fixture.flush().await;
    let with_late = answer(&fixture, &question(&fixture)).await;
    assert_eq!(with_late.num_rows(), of_events.num_rows() + 1);
    lake.compact(None, Extent::Everything, |_| false).await.unwrap();
    assert_eq!(answer(&fixture, &question(&fixture)).await, with_late);
    lake.gather(&fixture.organization, Reason::Gone, |_| false).await.unwrap();
    assert_eq!(answer(&fixture, &question(&fixture)).await, with_late);
    assert_eq!(lake.verify(None, |_| {}).await.unwrap().differences, vec![]);
    // The files of before go later, and the others stay.
    fixture.store.clock.set(fixture.store.clock.now() + chrono::TimeDelta::minutes(16));
    fixture.store.sweep().await.unwrap();
    let files = files_of_summaries(&fixture).len() as u64;
    assert_eq!(files, fixture.store.catalog.summary_files(&fixture.organization).await.unwrap().len() as u64);
    assert!((1..=2).contains(&files), "{files}");
}

#[tokio::test]
async fn two_who_put_the_same_files_together_leave_the_right_answer() {
    let fixture = Fixture::new().await;
    with_urls(&fixture, 3).await;
    let of_events = answer(&fixture, &question(&fixture)).await;
    let lake = &fixture.store.lake;
    lake.compact(None, Extent::Summaries, |done| done.summarized_segments == 40).await.unwrap();
    let gather = || lake.gather(&fixture.organization, Reason::Everything, |_| false);
    let (one, other) = tokio::join!(gather(), gather());
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(answer(&fixture, &question(&fixture)).await, of_events);
    assert_eq!(lake.verify(None, |_| {}).await.unwrap().differences, vec![]);
}

#[tokio::test]
async fn what_does_not_fit_into_memory_is_answered_by_the_engine_in_the_same_words() {
    let (roomy, narrow) = (Fixture::new().await, Fixture::with_memory(2 << 20).await);
    for fixture in [&roomy, &narrow] {
        with_urls(fixture, 1800).await;
        fixture.store.lake.compact(None, Extent::Everything, |done| done.summarized_segments == 20).await.unwrap();
    }
    for bucket in [None, Some(Bucket::Day), Some(Bucket::Month)] {
        let asked = |fixture| Aggregate { bucket, ..question(fixture) };
        let (counted, of_engine) = answer_and_whose(&roomy, &asked(&roomy)).await;
        assert!(!of_engine && counted.num_rows() > 10_000);
        let (answered, of_engine) = answer_and_whose(&narrow, &asked(&narrow)).await;
        assert!(of_engine, "it was counted in memory");
        assert_eq!(answered, counted);
    }
}
