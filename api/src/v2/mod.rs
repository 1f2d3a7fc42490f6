//! `/analytics/v2`: the report API, compatible with version 2 of the Contentstack Analytics API.
//!
//! `submit.rs` accepts requests for reports, `retrieve.rs` answers Retrieve Data, `page.rs` renders a page and keeps it,
//! `meta.rs` echoes the request. The reports themselves come from the registry: there is one route for them all.

mod meta;
mod page;
mod retrieve;
mod submit;

use actix_web::web::{self, ServiceConfig};

pub(crate) use self::page::PageCache;
use crate::access::count_address;
use crate::error::ApiError;
use crate::server::unknown_path;

pub(crate) fn routes(config: &mut ServiceConfig) {
    let only_get = || web::to(method_not_allowed);
    config.service(
        web::scope("/analytics/v2")
            .service(
                web::resource("/job/{job_id}/data")
                    .route(web::get().to(retrieve::retrieve_data))
                    .default_service(only_get()),
            )
            .service(web::resource("/{report}").route(web::get().to(submit::submit_report)).default_service(only_get()))
            .default_service(web::to(unknown_path)),
    );
}

async fn method_not_allowed(request: actix_web::HttpRequest) -> Result<&'static str, ApiError> {
    count_address(&request)?;
    Err(ApiError::MethodNotAllowed("GET"))
}
