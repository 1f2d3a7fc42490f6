use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::FileReader;
use tally_tests::Scratch;

use super::*;
use crate::catalog::{Idempotency, JobResult, LogBound, NewJob};
use crate::events::Commit;
use crate::events::fixture::{Fixture, request_on};
use crate::events::receipt::LineError;
use crate::events::requests::RequestEvent;
use crate::events::segment;
use crate::ids::JobId;
use crate::lake::{self, Extent};
use crate::results::PageWriter;

const SECRET: &str = "device-of-somebody-who-wants-to-be-forgotten";

/// Everything that can be read in a file, compressed columns too.
fn readable(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    let batches: Vec<RecordBatch> = match path.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => segment::read(path).unwrap(),
        Some("summaries") => {
            bytes.extend(lake::words_of(path).bytes());
            Vec::new()
        }
        Some("arrow") => {
            FileReader::try_new(File::open(path).unwrap(), None).unwrap().collect::<Result<_, _>>().unwrap()
        }
        _ => Vec::new(),
    };
    for batch in batches {
        bytes.extend(format!("{:?}", batch.columns()).bytes());
    }
    bytes
}

/// How many files of the folder hold the needle.
fn holding(folder: &Path, needle: &[u8]) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let holds = |path: &Path| readable(path).windows(needle.len()).any(|window| window == needle);
    entries.map(|path| if path.is_dir() { holding(&path, needle) } else { usize::from(holds(&path)) }).sum()
}

fn of_secret(day: i64) -> RequestEvent<'static> {
    RequestEvent { user_agent: SECRET, ..request_on(day) }
}

fn everything_of(fixture: &Fixture) -> Selection {
    Selection {
        organization: fixture.organization.clone(),
        from: None,
        to: None,
        devices: Vec::new(),
        url_prefixes: Vec::new(),
    }
}

async fn job(fixture: &Fixture, worker: &str) -> JobId {
    let job = NewJob {
        id: JobId::mint(),
        organization: fixture.organization.clone(),
        report: "devices".to_owned(),
        parameters: "{}".to_owned(),
    };
    fixture.store.catalog.insert_job(&job).await.unwrap();
    fixture.store.catalog.claim_job(worker, 60_000).await.unwrap().unwrap();
    job.id
}

/// A result that names the device.
fn result(fixture: &Fixture) -> JobResult {
    let schema = Arc::new(Schema::new(vec![Field::new("device", DataType::Utf8, false)]));
    let row = RecordBatch::try_new(schema.clone(), vec![Arc::new(StringArray::from(vec![SECRET]))]).unwrap();
    let folder = &fixture.store.folder;
    let mut pages = PageWriter::create(folder, &fixture.organization, &schema, None, 0).unwrap();
    pages.push(&row).unwrap();
    let written = pages.finish().unwrap().publish().unwrap();
    JobResult {
        uid: written.path.clone(),
        path: written.path,
        row_count: 1,
        page_count: 1,
        total: 1,
        document_count: 1,
        marker: None,
        size_bytes: written.size_bytes,
    }
}

/// The secret in every place that there is: segments, summaries, retired files, the log, a receipt, a result, and a
/// file that a crash left.
async fn with_the_secret_everywhere() -> Fixture {
    let fixture = Fixture::new().await;
    let reason = format!("`{SECRET}` is no time");
    let details = Commit {
        rejected: 1,
        errors: vec![LineError { line: 3, field: "ts".to_owned(), reason }],
        idempotency: Some(Idempotency { key: "k".to_owned(), body_sha256: "0".to_owned() }),
        ..Commit::default()
    };
    fixture.commit_requests(&[of_secret(1), request_on(1), of_secret(2)], details).await.unwrap();
    fixture.flush().await;
    fixture.commit_requests(&[of_secret(1), request_on(1)], Commit::default()).await.unwrap();
    fixture.flush().await;
    fixture.store.lake.compact(None, Extent::Everything, |_| false).await.unwrap();
    let names = fixture.store.folder.files_of(&fixture.organization).unwrap();
    let segment = names.iter().find(|name| name.ends_with(".parquet")).unwrap();
    let path = fixture.store.folder.path_of(segment);
    fs::copy(&path, path.with_file_name("left.parquet")).unwrap();
    let finished = job(&fixture, "worker").await;
    assert!(fixture.store.catalog.finish_job(&finished, "worker", &result(&fixture)).await.unwrap());
    fixture.commit_requests(&[of_secret(1), of_secret(3), request_on(3)], Commit::default()).await.unwrap();
    fixture
}

#[tokio::test]
async fn what_is_erased_is_in_no_file_any_more() {
    let fixture = with_the_secret_everywhere().await;
    let running = job(&fixture, "slow").await;
    let root = fixture.store.folder.root().to_owned();
    let one = LogBound { bytes: 1, events: 1 };
    let log = fixture.store.catalog.oldest_log_rows(&fixture.organization, "requests", i64::MAX, one).await.unwrap();
    let payload = &log[0].payload[log[0].payload.len() / 2..][..48];
    let in_sqlite = usize::from(Scratch::new().catalog_url().is_none());
    assert!(holding(&root, SECRET.as_bytes()) >= 5 + in_sqlite);
    assert_eq!(holding(&root, payload), in_sqlite);

    let selection = Selection { devices: vec![SECRET.to_owned()], ..everything_of(&fixture) };
    let receipt = fixture.store.erase(selection.clone(), |_| {}).await.unwrap();

    assert_eq!((holding(&root, SECRET.as_bytes()), holding(&root, payload)), (0, 0));
    assert_eq!((receipt.erased.events, receipt.erased.removed_segments), (5, 2));
    let (results, jobs, receipts) = (receipt.traces.results, receipt.traces.jobs_begun_again, receipt.traces.receipts);
    assert_eq!((results, jobs, receipts), (1, 1, 1));
    assert_eq!(fixture.counted().await, 3);
    let verified = fixture.store.lake.verify(None, |_| {}).await.unwrap();
    assert_eq!((verified.events, verified.differences), (3, vec![]));
    let slow = fixture.store.catalog.finish_job(&running, "slow", &result(&fixture)).await.unwrap();
    assert!(!slow, "what was computed before must not become a result");
    // The next time there is nothing to do.
    let again = fixture.store.erase(selection, |_| {}).await.unwrap();
    assert_eq!((again.erased.events, again.traces.results, again.traces.receipts), (0, 0, 0));
}

#[tokio::test]
async fn only_what_meets_all_that_is_said_is_erased() {
    let day = |day: u32| chrono::NaiveDate::from_ymd_opt(1970, 1, day);
    let cases = [
        (everything_of as fn(&Fixture) -> Selection, 0),
        (|fixture| Selection { url_prefixes: vec!["/b".to_owned()], ..everything_of(fixture) }, 4),
        (|fixture| Selection { url_prefixes: vec!["/a/".to_owned(), "/b/2".to_owned()], ..everything_of(fixture) }, 4),
        (|fixture| Selection { devices: vec!["x".to_owned()], ..everything_of(fixture) }, 6),
    ];
    for (selection, left) in cases {
        let fixture = Fixture::new().await;
        let at = |day, url| RequestEvent { url, ..request_on(day) };
        let events = [at(1, "/a/1"), at(1, "/b/1"), at(2, "/a"), at(3, "/b/2"), at(3, "/"), at(4, "/ab")];
        fixture.commit_requests(&events, Commit::default()).await.unwrap();
        fixture.store.erase(selection(&fixture), |_| {}).await.unwrap();
        assert_eq!(fixture.counted().await, left);
    }
    let fixture = Fixture::new().await;
    fixture.commit(&[(0, None), (1, None), (2, None), (3, None)], Commit::default()).await.unwrap();
    let selection = Selection { from: day(2), to: day(3), ..everything_of(&fixture) };
    let receipt = fixture.store.erase(selection, |_| {}).await.unwrap();
    assert_eq!((receipt.erased.removed_segments, fixture.counted().await), (2, 2));
}

#[tokio::test]
async fn an_erasure_and_a_compaction_at_once_leave_nothing_of_it() {
    let fixture = Fixture::new().await;
    for _ in 0..12 {
        fixture.commit_requests(&[of_secret(1), request_on(1)], Commit::default()).await.unwrap();
        fixture.flush().await;
    }
    let selection = Selection { devices: vec![SECRET.to_owned()], ..everything_of(&fixture) };
    let (erased, compacted) = tokio::join!(
        fixture.store.erase(selection, |_| {}),
        fixture.store.lake.compact(None, Extent::Everything, |_| false)
    );
    // Whose files were deleted under its hands finds others the next time.
    drop(compacted);
    assert_eq!(erased.unwrap().erased.events, 12);
    assert_eq!(fixture.counted().await, 12);
    assert_eq!(holding(fixture.store.folder.root(), SECRET.as_bytes()), 0);
    fixture.store.lake.compact(None, Extent::Everything, |_| false).await.unwrap();
    assert_eq!((fixture.counted().await, fixture.store.lake.verify(None, |_| {}).await.unwrap().segments), (12, 1));
}

#[tokio::test]
async fn the_small_segments_that_an_erasure_leaves_are_merged_by_hand() {
    let fixture = Fixture::new().await;
    for _ in 0..3 {
        fixture.commit_requests(&[of_secret(1), request_on(1)], Commit::default()).await.unwrap();
        fixture.flush().await;
    }
    let selection = Selection { devices: vec![SECRET.to_owned()], ..everything_of(&fixture) };
    fixture.store.erase(selection, |_| {}).await.unwrap();
    let compacted = fixture.store.lake.compact(None, Extent::Everything, |_| false).await.unwrap();
    assert_eq!((compacted.merged_segments, compacted.written_segments), (3, 1));
}
