//! Who may do it, as extractors: a handler that takes one of these has been reached by somebody with the right.
//!
//! Each also counts the request against its rate limit, and leaves the count for the answer's headers. Requests that
//! prove no right to an organization are counted by address, so that nobody can use up, or see, another one's limit.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use tally_jobs::parameters::{Faults, Refusal};
use tally_storage::ids::OrganizationUid;

use crate::error::{ApiError, Secret, one_fault};
use crate::query;
use crate::rate_limit::RateState;
use crate::state::AppState;

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

/// A request under `/analytics/v2` by an owner or admin of the organization that it names, and its parameters.
#[derive(Debug)]
pub(crate) struct ReportAccess {
    organization: Result<OrganizationUid, Faults>,
    /// The query's pairs, `orgUid` among them.
    pub(crate) pairs: Vec<(String, String)>,
}

impl ReportAccess {
    /// The organization, and what was read from the other parameters; all of their faults together otherwise.
    pub(crate) fn with<T>(self, read: Result<T, Refusal>) -> Result<(OrganizationUid, T), ApiError> {
        match (self.organization, read) {
            (Ok(organization), Ok(read)) => Ok((organization, read)),
            (Ok(_), Err(refusal)) => Err(refusal.into()),
            (Err(faults), Ok(_)) => Err(ApiError::Invalid(faults)),
            (Err(mut faults), Err(Refusal::Invalid(others))) => {
                faults.extend(others);
                Err(ApiError::Invalid(faults))
            }
            (Err(mut faults), Err(too_long @ Refusal::RangeTooLong { .. })) => {
                faults.insert("to".to_owned(), vec![too_long.to_string()]);
                Err(ApiError::Invalid(faults))
            }
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(faults) => Self::Invalid(faults),
            Refusal::RangeTooLong { .. } => {
                let why = "the range from `from` to `to` must be within 90 days.".to_owned();
                Self::JobFailed { why, errors: one_fault("to", refusal.to_string()) }
            }
        }
    }
}

impl FromRequest for ReportAccess {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { report_access(&request).await })
    }
}

async fn report_access(request: &HttpRequest) -> Result<ReportAccess, ApiError> {
    let state = app_state(request)?;
    let pairs = query::pairs(request.query_string());
    let given = pairs.as_deref().unwrap_or_default().iter().find(|(name, _)| name == "orgUid");
    let organization = match given.map(|(_, value)| value.parse::<OrganizationUid>()) {
        Some(Ok(uid)) => Ok(uid),
        Some(Err(malformed)) => Err(one_fault("orgUid", format!("{malformed}."))),
        None => Err(one_fault("orgUid", "is required: `blt` and 16 lower-case hex digits.")),
    };
    let token = header(request, "authtoken").unwrap_or_default();
    let access = match state.store.catalog.authorize(token, organization.as_ref().ok()).await {
        Ok(access) => access,
        Err(error) => {
            count_address(request)?;
            return Err(error.into());
        }
    };
    let permitted = access.as_ref().is_some_and(|access| access.may_report());
    let rate = match (&organization, &access) {
        (Ok(uid), Some(access)) if permitted => state.rate.count_organization(uid, access.requests_per_second).await,
        _ => state.rate.count_address(client_address(request)),
    };
    remember(request, rate);
    rate.check()?;
    if access.is_none() {
        return Err(ApiError::Unauthenticated(Secret::Authtoken));
    }
    let pairs = pairs?;
    if organization.is_ok() && !permitted {
        return Err(ApiError::Forbidden);
    }
    Ok(ReportAccess { organization, pairs })
}

/// A request by somebody who holds an ingest key of that organization.
#[derive(Debug)]
pub(crate) struct IngestAccess(pub(crate) OrganizationUid);

impl FromRequest for IngestAccess {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let state = app_state(&request)?;
            let key = header(&request, "authorization").and_then(|value| {
                let (scheme, key) = value.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
            });
            let organization = match key {
                Some(key) => state.store.catalog.organization_of_ingest_key(key).await?,
                None => None,
            };
            let Some(organization) = organization else {
                count_address(&request)?;
                return Err(ApiError::Unauthenticated(Secret::IngestKey));
            };
            Ok(Self(organization))
        })
    }
}

/// Counts a request that proves no right against its address.
pub(crate) fn count_address(request: &HttpRequest) -> Result<(), ApiError> {
    let rate = app_state(request)?.rate.count_address(client_address(request));
    remember(request, rate);
    rate.check()
}

fn remember(request: &HttpRequest, rate: RateState) {
    request.extensions_mut().insert(rate);
}

/// What the handlers share; there in every request of the running server.
pub(crate) fn app_state(request: &HttpRequest) -> Result<Arc<AppState>, ApiError> {
    let state = request.app_data::<Data<AppState>>().map(|state| Arc::clone(state));
    state.ok_or_else(|| ApiError::Internal("the server's state is missing".into()))
}

/// A header's value, where it is text.
pub(crate) fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Where the request came from: the peer, or whom the operator's proxy says it came from.
pub(crate) fn client_address(request: &HttpRequest) -> IpAddr {
    let trusted = app_state(request).is_ok_and(|state| state.trust_forwarded_for);
    let forwarded = header(request, "x-forwarded-for").filter(|_| trusted);
    // The last entry is the proxy's own word; those before it are whatever the client sent.
    let forwarded = forwarded.and_then(|value| value.rsplit(',').next()?.trim().parse().ok());
    let peer = request.peer_addr().map(|address| address.ip());
    forwarded.or(peer).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}
