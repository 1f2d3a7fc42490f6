//! `/healthz`, `/readyz`, `/metrics`: for those who run Tally.

use actix_web::http::header::ContentType;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use serde_json::json;
use tally_jobs::run::Worker;

use crate::error::ApiError;
use crate::state::AppState;

pub(crate) fn routes(config: &mut ServiceConfig) {
    let only_get = || web::to(|| async { Err::<&str, _>(ApiError::MethodNotAllowed("GET")) });
    config
        .service(web::resource("/healthz").route(web::get().to(get_health)).default_service(only_get()))
        .service(web::resource("/readyz").route(web::get().to(get_readiness)).default_service(only_get()))
        .service(web::resource("/metrics").route(web::get().to(get_metrics)).default_service(only_get()));
}

/// The process answers.
async fn get_health() -> impl Responder {
    web::Json(json!({"status": "ok"}))
}

/// Whether worker (where the process has one), catalog and lake are ready: 200, else 503 and which is not.
async fn get_readiness(state: Data<AppState>) -> impl Responder {
    let worker = state.readiness.worker.as_ref().map(Worker::is_alive);
    let catalog = state.store.catalog.ping().await.is_ok();
    let lake = state.store.folder_is_writable().await;
    let word = |ready| if ready { "ready" } else { "not ready" };
    let mut body = json!({"catalog": word(catalog), "lake": word(lake)});
    if let Some(alive) = worker {
        body["worker"] = word(alive).into();
    }
    if worker.unwrap_or(true) && catalog && lake {
        HttpResponse::Ok().json(body)
    } else {
        HttpResponse::ServiceUnavailable().json(body)
    }
}

async fn get_metrics(state: Data<AppState>) -> Result<impl Responder, ApiError> {
    let jobs = state.store.catalog.count_jobs().await?;
    let text = state.metrics.render(&jobs, state.store.events.backlog_bytes());
    let text = text.map_err(|error| ApiError::Internal(Box::new(error)))?;
    Ok(HttpResponse::Ok().insert_header(ContentType::plaintext()).body(text))
}
