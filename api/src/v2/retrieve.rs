//! `GET /analytics/v2/job/{jobId}/data`: *Job active*, or the page.

use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, LINK, RETRY_AFTER};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::json;
use tally_jobs::parameters::{Faults, Refusal};
use tally_storage::catalog::{Job, JobResult, JobState};
use tally_storage::ids::{JobId, OrganizationUid};

use crate::access::{ReportAccess, header};
use crate::error::{ApiError, one_fault};
use crate::state::AppState;

/// Answers with the page that was asked for, or says where the job stands.
pub(crate) async fn retrieve_data(
    request: HttpRequest,
    access: ReportAccess,
    job_id: Path<String>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let page = page_number(&access.pairs);
    let (organization, page) = access.with(page)?;
    let unknown = || ApiError::Unknown(format!("job `{job_id}`"));
    let id: JobId = job_id.parse().map_err(|_| unknown())?;
    if let Some(answer) = from_memory(&request, &state, &organization, &id, page) {
        return Ok(answer);
    }
    let job = state.store.catalog.job(&organization, &id).await?.ok_or_else(unknown)?;
    match (job.state, &job.result) {
        (JobState::Queued | JobState::Running, _) => active(&state, &job).await,
        (JobState::Finished, Some(result)) => page_of(&request, &state, &organization, &job, result, page).await,
        (JobState::Finished, None) => {
            Err(ApiError::Internal(format!("job `{id}` is finished without a result").into()))
        }
        (JobState::Failed, _) => Err(ApiError::JobFailed {
            why: job.error.unwrap_or_else(|| "nobody noted why.".to_owned()),
            errors: Faults::new(),
        }),
        (JobState::Cancelled, _) => Err(ApiError::Gone(format!("job `{id}` was cancelled"))),
        (JobState::Expired, _) => {
            Err(ApiError::Gone(format!("the result of job `{id}` has expired; ask for the report again")))
        }
    }
}

fn page_number(pairs: &[(String, String)]) -> Result<u64, Refusal> {
    let mut faults = Faults::new();
    let mut page = None;
    for (name, value) in pairs {
        match name.as_str() {
            "orgUid" => {}
            "page" if page.is_some() => faults.extend(one_fault("page", "is given more than once.")),
            "page" => page = Some(value),
            other => faults.extend(one_fault(other, "is an unknown field; this endpoint takes `orgUid` and `page`.")),
        }
    }
    let digits = |value: &&String| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = page.map_or(Some(0), |value| Some(value).filter(digits).and_then(|value| value.parse().ok()));
    if let (None, Some(value)) = (number, page) {
        faults.extend(one_fault("page", format!("`{value}` is no page: expected a whole number from 0.")));
    }
    if faults.is_empty() { Ok(number.unwrap_or(0)) } else { Err(Refusal::Invalid(faults)) }
}

async fn active(state: &AppState, job: &Job) -> Result<HttpResponse, ApiError> {
    let usual_ms = state.store.catalog.usual_run_ms(&job.report).await?;
    let running_ms = job
        .started_at
        .filter(|_| job.state == JobState::Running)
        .map_or(0, |started| state.store.clock.now().signed_duration_since(started).num_milliseconds());
    let left_ms = u64::try_from(usual_ms.saturating_sub(running_ms)).unwrap_or(0);
    let status = if job.state == JobState::Queued { "queued" } else { "active" };
    let body = json!({"message": "Job active", "jobId": job.id, "status": status, "progress": job.progress});
    Ok(HttpResponse::Ok().insert_header((RETRY_AFTER, left_ms.div_ceil(1000).max(1))).json(body))
}

/// A page that was rendered before, of a job that was finished a moment ago: nobody else is asked. What has to be read
/// from the result's file waits for the job's row as it is now, since the file may be gone.
fn from_memory(
    request: &HttpRequest,
    state: &AppState,
    organization: &OrganizationUid,
    id: &JobId,
    page: u64,
) -> Option<HttpResponse> {
    let job = state.store.catalog.recently_finished(organization, id)?;
    let result = job.result.as_ref()?;
    let body = state.pages.known(result, page)?;
    let (mut response, unchanged) = head(request, organization, id, result, page);
    Some(if unchanged { response.finish() } else { response.body(body) })
}

async fn page_of(
    request: &HttpRequest,
    state: &AppState,
    organization: &OrganizationUid,
    job: &Job,
    result: &JobResult,
    page: u64,
) -> Result<HttpResponse, ApiError> {
    if page >= result.page_count {
        let last = result.page_count - 1;
        return Err(ApiError::invalid("page", format!("`{page}` lies past the end: the last page is {last}.")));
    }
    let (mut response, unchanged) = head(request, organization, &job.id, result, page);
    if unchanged {
        return Ok(response.finish());
    }
    Ok(response.body(state.pages.get(&state.store.folder, job, result, page).await?))
}

/// Status and headers of a page, and whether the client has the page already.
fn head(
    request: &HttpRequest,
    organization: &OrganizationUid,
    id: &JobId,
    result: &JobResult,
    page: u64,
) -> (HttpResponseBuilder, bool) {
    let etag = format!("\"{}-{page}\"", result.uid);
    let unchanged = header(request, IF_NONE_MATCH.as_str()).is_some_and(|given| matches_etag(given, &etag));
    let mut response = if unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((ETAG, etag))
        .insert_header((CACHE_CONTROL, "private, no-cache"))
        .insert_header(("X-Page-Count", result.page_count))
        .insert_header(("X-Row-Count", result.row_count))
        .insert_header((LINK, links(organization, id, page, result.page_count)));
    if !unchanged {
        response.content_type("application/json");
    }
    (response, unchanged)
}

/// The comparison of RFC 9110 for `If-None-Match`: weak, over a list.
fn matches_etag(given: &str, etag: &str) -> bool {
    given.trim() == "*" || given.split(',').any(|one| one.trim().trim_start_matches("W/") == etag)
}

fn links(organization: &OrganizationUid, id: &JobId, page: u64, page_count: u64) -> String {
    let link = |page: u64, rel: &str| {
        format!("</analytics/v2/job/{id}/data?orgUid={organization}&page={page}>; rel=\"{rel}\"")
    };
    let before = page.checked_sub(1).map(|page| link(page, "prev"));
    let after = (page + 1 < page_count).then(|| link(page + 1, "next"));
    let all = [Some(link(0, "first")), before, after, Some(link(page_count - 1, "last"))];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_whole_number_given_once() {
        let read = |pairs: &[(&str, &str)]| {
            page_number(
                &pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>(),
            )
        };
        assert_eq!(read(&[("orgUid", "x")]), Ok(0));
        assert_eq!(read(&[("page", "12")]), Ok(12));
        for wrong in ["", "-1", "+1", "1.0", "one", "99999999999999999999999"] {
            assert!(read(&[("page", wrong)]).is_err(), "{wrong}");
        }
        assert!(read(&[("page", "1"), ("page", "1")]).is_err());
        assert!(read(&[("limit", "1")]).is_err());
    }

    #[test]
    fn an_etag_is_found_in_a_list_and_in_its_weak_form() {
        for given in ["*", "\"a-0\"", "W/\"a-0\"", "\"b\", \"a-0\""] {
            assert!(matches_etag(given, "\"a-0\""), "{given}");
        }
        assert!(!matches_etag("\"a-1\", \"b\"", "\"a-0\""));
    }
}
