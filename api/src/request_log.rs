//! Around every request: its id, its line in the log, its metrics, and what an internal failure says.
//!
//! Every answer carries `X-Request-Id`: the client's own where it sent one that is short and plain, else a new one.
//! Errors are logged here and nowhere else, with their sources; headers and query strings are not logged, since they
//! carry secrets.

use std::error::Error as StdError;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::error::ApiError;
use crate::rate_limit::RateState;
use crate::state::AppState;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");

const LONGEST_ID: usize = 128;

/// The middleware.
pub(crate) async fn log_request(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = Instant::now();
    let id = request_id(&request);
    let method = request.method().clone();
    let path = request.path().to_owned();
    let state = request.app_data::<Data<AppState>>().cloned();
    let span = tracing::info_span!("request", request_id = id);
    let response = next.call(request).instrument(span.clone()).await?;
    let pattern = response.request().match_pattern().unwrap_or_else(|| "unknown".to_owned());
    let mut response = with_request_id(response.map_into_boxed_body(), &id);
    let rate = response.request().extensions().get::<RateState>().copied();
    if let Some(rate) = rate {
        response.headers_mut().insert(RATE_LIMIT, HeaderValue::from(rate.limit));
        response.headers_mut().insert(RATE_REMAINING, HeaderValue::from(rate.remaining));
    }
    let status = response.status().as_u16();
    let took = began.elapsed();
    if let Some(state) = state {
        state.metrics.request_answered(method.as_str(), &pattern, status, took);
    }
    let _entered = span.enter();
    log(&response, method.as_str(), &path, took.as_millis());
    Ok(response)
}

fn request_id(request: &ServiceRequest) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        !id.is_empty()
            && id.len() <= LONGEST_ID
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    given.filter(plain).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Puts the id into the answer's headers and, where the log says more than the client is told, into its body.
fn with_request_id(response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let envelope = match api_error(&response) {
        Some(error @ ApiError::Internal(_)) => serde_json::to_vec(&error.envelope(Some(id))).ok(),
        _ => None,
    };
    let mut response = match envelope {
        Some(body) => response.map_body(|_, _| BoxBody::new(body)),
        None => response,
    };
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn api_error<B>(response: &ServiceResponse<B>) -> Option<&ApiError> {
    response.response().error().and_then(|error| error.as_error::<ApiError>())
}

fn log(response: &ServiceResponse<BoxBody>, method: &str, path: &str, took_ms: u128) {
    let status = response.status().as_u16();
    match api_error(response) {
        Some(error @ (ApiError::Internal(source) | ApiError::Unreachable(source))) => {
            tracing::error!(method, path, status, took_ms, why = chain(source.as_ref()), "{error}");
        }
        Some(error) => tracing::info!(method, path, status, took_ms, why = %error, "refused"),
        None => tracing::info!(method, path, status, took_ms, "answered"),
    }
}

/// An error and its sources, in one line.
fn chain(error: &dyn StdError) -> String {
    let sources = std::iter::successors(error.source(), |source| (*source).source());
    sources.fold(error.to_string(), |chain, source| format!("{chain}: {source}"))
}
