//! What a job's own task does: compute the report in a place, leave the place, and give the result's file its name.

use std::convert::Infallible;

use tally_storage::catalog::{Job, JobResult};
use tally_storage::error::StorageError;
use tally_storage::store::Store;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use uuid::Uuid;

use crate::error::JobError;
use crate::parameters::Parameters;
use crate::reports::{Computed, ProgressCell, Report, Task};

/// Where a job is computed; left when it is dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _leaving: oneshot::Sender<Infallible>,
}

impl Place {
    /// A place that is taken with the permit; whoever has the receiver hears when it is left.
    pub(super) fn new(permit: OwnedSemaphorePermit, leaving: oneshot::Sender<Infallible>) -> Self {
        Self { _permit: permit, _leaving: leaving }
    }
}

/// How a computation ended.
pub(super) enum Ended {
    Computed(JobResult),
    Failed(JobError),
    LostLease,
    ShuttingDown,
}

pub(super) async fn compute(
    store: Store,
    reports: &'static [&'static dyn Report],
    job: Job,
    progress: ProgressCell,
    place: Place,
) -> Result<JobResult, JobError> {
    let report = reports.iter().find(|report| report.about().name == job.report);
    let report = report.ok_or_else(|| JobError::UnknownReport(job.report.clone()))?;
    let parameters: Parameters = serde_json::from_str(&job.parameters)?;
    let task = Task { store: &store, organization: &job.organization, parameters: &parameters, progress: &progress };
    let computed = report.compute(&task).await?;
    drop(place);
    publish(computed).await
}

/// Waits for the disk; nothing else does so meanwhile.
async fn publish(computed: Computed) -> Result<JobResult, JobError> {
    let Computed { pages, total, document_count, marker } = computed;
    let written = tokio::task::spawn_blocking(move || pages.publish()).await;
    let written = written.map_err(|error| StorageError::Background(error.to_string()))??;
    Ok(JobResult {
        uid: Uuid::new_v4().to_string(),
        path: written.path,
        row_count: written.row_count,
        page_count: written.page_count,
        total,
        document_count,
        marker,
        size_bytes: written.size_bytes,
    })
}
