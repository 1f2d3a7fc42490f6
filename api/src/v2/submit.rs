//! `GET /analytics/v2/<report>`: checks the request, stores a job, announces it, and answers with its id.

use actix_web::web::{Data, Json, Path};
use actix_web::{FromRequest as _, HttpRequest, Responder};
use serde_json::json;
use tally_jobs::parameters::{Parameters, parse};
use tally_jobs::reports::{self, Report};
use tally_storage::catalog::NewJob;
use tally_storage::ids::{JobId, OrganizationUid};

use crate::access::{ReportAccess, count_address};
use crate::error::ApiError;
use crate::state::AppState;

/// Accepts a job: once this answers, the job will end, whatever happens to any process.
pub(crate) async fn submit_report(
    request: HttpRequest,
    name: Path<String>,
    state: Data<AppState>,
) -> Result<impl Responder, ApiError> {
    let Some(report) = reports::find(&name) else {
        count_address(&request)?;
        return Err(unknown_report(&name));
    };
    let access = ReportAccess::extract(&request).await?;
    let parameters = parse(report.about().parameters, &access.pairs);
    let (organization, parameters) = access.with(parameters)?;
    check_stack(&state, &organization, &parameters).await?;
    let id = accept(&state, organization, report, &parameters).await?;
    state.metrics.job_submitted(report.about().name);
    Ok(Json(json!({"jobId": id, "paginated": report.about().paginated})))
}

async fn check_stack(
    state: &AppState,
    organization: &OrganizationUid,
    parameters: &Parameters,
) -> Result<(), ApiError> {
    let Some(api_key) = &parameters.api_key else { return Ok(()) };
    let known = state.store.catalog.stack_belongs_to(api_key, organization).await?;
    if known { Ok(()) } else { Err(ApiError::ForeignApiKey) }
}

async fn accept(
    state: &AppState,
    organization: OrganizationUid,
    report: &dyn Report,
    parameters: &Parameters,
) -> Result<JobId, ApiError> {
    let parameters = serde_json::to_string(parameters).map_err(|error| ApiError::Internal(Box::new(error)))?;
    let job = NewJob { id: JobId::mint(), organization, report: report.about().name.to_owned(), parameters };
    state.store.catalog.insert_job(&job).await?;
    // The row is what counts: the client has its id also where the queue is away, and the upkeep pushes it later.
    state.queue.push(job.id.clone());
    Ok(job.id)
}

fn unknown_report(name: &str) -> ApiError {
    match reports::nearest(name) {
        Some(candidate) => ApiError::UnknownReport { name: name.to_owned(), candidate },
        None => ApiError::UnknownPath,
    }
}
