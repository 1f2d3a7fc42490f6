//! `/ingest/v1`: events in, and the Launch inventory.

mod idempotency;
mod launch;
mod requests;

use actix_web::HttpRequest;
use actix_web::web::{self, ServiceConfig};
use tally_ingest::body::BodyLimits;

pub(crate) use self::idempotency::KeysUnderWay;
use crate::access::count_address;
use crate::error::ApiError;

/// A body of the Launch inventory is small.
const MAX_LAUNCH_BYTES: usize = 64 << 10;

/// What is said about ingest in the configuration.
#[derive(Debug, Clone, Copy)]
pub struct IngestOptions {
    /// How large a body may be.
    pub limits: BodyLimits,
    /// Batches read at once.
    pub max_concurrent: usize,
}

pub(crate) fn routes(config: &mut ServiceConfig) {
    let only = |methods| {
        web::to(move |request: HttpRequest| async move {
            count_address(&request)?;
            Err::<&str, _>(ApiError::MethodNotAllowed(methods))
        })
    };
    config.service(
        web::resource("/ingest/v1/requests")
            .route(web::post().to(requests::ingest_requests))
            .default_service(only("POST")),
    );
    config.service(
        web::resource("/ingest/v1/launch/{kind}/{uid}")
            .app_data(web::PayloadConfig::new(MAX_LAUNCH_BYTES))
            .route(web::put().to(launch::put_resource))
            .route(web::delete().to(launch::delete_resource))
            .default_service(only("PUT, DELETE")),
    );
}
