//! `PUT` and `DELETE /ingest/v1/launch/{projects|environments|domains}/{uid}`: what Subscription Usage counts.

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Json, Path};
use actix_web::{HttpResponse, Responder};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tally_jobs::parameters::Faults;
use tally_storage::catalog::{LaunchKind, LaunchResource};

use crate::access::IngestAccess;
use crate::error::{ApiError, one_fault};
use crate::state::AppState;

const LONGEST_TEXT: usize = 256;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `name`, `project`, `created_at`, `deleted_at`")]
struct ResourceBody {
    name: Option<String>,
    /// The project's uid.
    project: Option<String>,
    created_at: Option<DateTime<Utc>>,
    deleted_at: Option<DateTime<Utc>>,
}

/// Adds or changes a resource. An empty body says only that it exists.
pub(crate) async fn put_resource(
    access: IngestAccess,
    path: Path<(String, String)>,
    body: Result<Bytes, actix_web::Error>,
    state: Data<AppState>,
) -> Result<impl Responder, ApiError> {
    let (kind, uid) = resource_of(path.into_inner())?;
    let body = read(&body.map_err(|error| ApiError::Unreadable(error.to_string()))?)?;
    let resource = LaunchResource {
        kind,
        uid,
        name: body.name,
        project_uid: body.project,
        created_at: body.created_at,
        deleted_at: body.deleted_at,
    };
    let new = state.store.catalog.put_launch_resource(&access.0, &resource).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let said = ResourceBody {
        name: resource.name,
        project: resource.project_uid,
        created_at: resource.created_at,
        deleted_at: resource.deleted_at,
    };
    Ok((Json(serde_json::json!({"uid": resource.uid, "kind": kind.as_str(), "resource": said})), status))
}

/// Says that a resource does not exist any more.
pub(crate) async fn delete_resource(
    access: IngestAccess,
    path: Path<(String, String)>,
    state: Data<AppState>,
) -> Result<impl Responder, ApiError> {
    let (kind, uid) = resource_of(path.into_inner())?;
    if state.store.catalog.delete_launch_resource(&access.0, kind, &uid).await? {
        return Ok(HttpResponse::NoContent());
    }
    Err(ApiError::Unknown(format!("Launch {} `{uid}`", kind.as_str())))
}

fn resource_of((kind, uid): (String, String)) -> Result<(LaunchKind, String), ApiError> {
    let kind = match kind.as_str() {
        "projects" => LaunchKind::Project,
        "environments" => LaunchKind::Environment,
        "domains" => LaunchKind::Domain,
        _ => return Err(ApiError::UnknownPath),
    };
    if uid.len() > LONGEST_TEXT {
        return Err(ApiError::invalid("uid", format!("has {} bytes; expected at most {LONGEST_TEXT}.", uid.len())));
    }
    Ok((kind, uid))
}

fn read(body: &[u8]) -> Result<ResourceBody, ApiError> {
    let body: ResourceBody = match body {
        [] => ResourceBody { name: None, project: None, created_at: None, deleted_at: None },
        body => serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => ApiError::invalid("body", format!("{error}.")),
            _ => ApiError::Unreadable(format!("the body is no JSON: {error}")),
        })?,
    };
    let mut faults = Faults::new();
    for (name, text) in [("name", &body.name), ("project", &body.project)] {
        if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > LONGEST_TEXT) {
            faults.extend(one_fault(name, format!("is not valid: expected 1 to {LONGEST_TEXT} bytes.")));
        }
    }
    if let (Some(created), Some(deleted)) = (body.created_at, body.deleted_at)
        && deleted < created
    {
        faults.extend(one_fault("deleted_at", format!("`{deleted}` lies before `created_at`, `{created}`.")));
    }
    if faults.is_empty() { Ok(body) } else { Err(ApiError::Invalid(faults)) }
}
