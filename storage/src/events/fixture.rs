//! What tests of storage begin with: a store with an organization, and requests to put into it.

use std::sync::Arc;

use tally_tests::Scratch;

use super::Commit;
use super::ledger::SourcePosition;
use super::requests::{RequestColumns, RequestEvent, Service};
use super::segment::DAY_MS;
use crate::catalog::{CatalogAddress, Retention};
use crate::clock::Clock;
use crate::error::StorageError;
use crate::ids::OrganizationUid;
use crate::lake::LakeLimits;
use crate::lake::aggregate::{Aggregate, DayRange, Dimension, Measure, Order};
use crate::store::{Store, StoreOptions};

const MEMORY_BYTES: usize = 32 << 20;

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) organization: OrganizationUid,
    folder: Arc<Scratch>,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with_backlog(1 << 30).await
    }

    pub(super) async fn with_backlog(max_backlog_bytes: u64) -> Self {
        Self::with(max_backlog_bytes, MEMORY_BYTES).await
    }

    /// Whose queries may use so much memory.
    pub(crate) async fn with_memory(memory_bytes: usize) -> Self {
        Self::with(1 << 30, memory_bytes).await
    }

    async fn with(max_backlog_bytes: u64, memory_bytes: usize) -> Self {
        let folder = Arc::new(Scratch::new());
        let store = open(&folder, max_backlog_bytes, memory_bytes).await;
        let organization = store.catalog.create_organization("Example").await.unwrap();
        Self { store, organization, folder }
    }

    pub(crate) async fn reopened(self) -> Self {
        self.store.close().await;
        let store = open(&self.folder, 1 << 30, MEMORY_BYTES).await;
        Self { store, ..self }
    }

    /// Commits events of these days and ids; says how many were accepted and how many known.
    pub(crate) async fn commit(
        &self,
        events: &[(i64, Option<&str>)],
        details: Commit,
    ) -> Result<(u64, u64), StorageError> {
        self.commit_requests(&requests(events), details).await
    }

    /// The same of whole events.
    pub(crate) async fn commit_requests(
        &self,
        events: &[RequestEvent<'_>],
        details: Commit,
    ) -> Result<(u64, u64), StorageError> {
        let mut stage = self.store.events.stage(&self.organization);
        stage.push(batch(events)).unwrap();
        let receipt = self.store.events.commit(stage, details).await?;
        Ok((receipt.accepted, receipt.duplicates))
    }

    pub(crate) async fn flush(&self) -> usize {
        self.store.events.flush(&self.organization).await.unwrap()
    }

    /// The number of events that a report sees.
    pub(crate) async fn counted(&self) -> i64 {
        self.counted_in_year("1970").await
    }

    pub(crate) async fn counted_in_year(&self, year: &str) -> i64 {
        let day = |day: &str| format!("{year}-{day}").parse().unwrap();
        let aggregate = Aggregate {
            organization: self.organization.clone(),
            days: DayRange { from: day("01-01"), to: day("12-31") },
            bucket: None,
            filters: Vec::new(),
            group: vec![Dimension::Service],
            measures: vec![Measure::Count],
            order: Order::CountDescending,
        };
        let mut answer = self.store.lake.answer(&aggregate).await.unwrap();
        let mut counted = 0;
        while let Some(rows) = answer.next().await.unwrap() {
            let counts = rows.column_by_name("count").unwrap();
            let counts = counts.as_any().downcast_ref::<arrow::array::Int64Array>().unwrap();
            counted += counts.values().iter().sum::<i64>();
        }
        counted
    }
}

async fn open(scratch: &Scratch, max_backlog_bytes: u64, memory_bytes: usize) -> Store {
    let options = StoreOptions {
        data_dir: scratch.path().to_owned(),
        catalog: scratch
            .catalog_url()
            .map_or_else(|| CatalogAddress::in_folder(scratch.path()), CatalogAddress::postgres),
        max_backlog_bytes,
        lake: LakeLimits { memory_bytes, spill_bytes: 32 << 20, threads: 2 },
        retention: Retention::default(),
    };
    Store::open(&options, Clock::fixed("2024-03-01T12:00:00Z".parse().unwrap())).await.unwrap()
}

pub(super) fn batch(events: &[RequestEvent<'_>]) -> arrow::array::RecordBatch {
    let mut columns = RequestColumns::new();
    for event in events {
        columns.push(event);
    }
    columns.finish().unwrap()
}

pub(super) fn requests<'a>(events: &[(i64, Option<&'a str>)]) -> Vec<RequestEvent<'a>> {
    events.iter().map(|(day, id)| RequestEvent { id: *id, ..request_on(*day) }).collect()
}

/// A request like any other.
pub(crate) fn request_on(day: i64) -> RequestEvent<'static> {
    RequestEvent {
        ts_ms: day * DAY_MS + 1,
        url: "/",
        service: Service::Cdn,
        status: 200,
        method: "GET",
        bytes: 1,
        api_key: None,
        cache: None,
        user_agent: "-",
        sdk: None,
        duration_ms: None,
        project_uid: None,
        environment_uid: None,
        domain: None,
        id: None,
    }
}

pub(super) fn position(offset: u64) -> SourcePosition {
    SourcePosition {
        head_len: 10,
        head_sha256: "head".to_owned(),
        offset,
        lines: 1,
        tail_len: 10,
        tail_sha256: format!("tail at {offset}"),
    }
}

/// A part of a file.
pub(super) fn read(from: Option<u64>, to: u64) -> Commit {
    Commit { source: Some(position(to)), replaces: from.map(position), ..Commit::default() }
}
