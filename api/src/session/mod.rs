//! `/v3/user-session`: log in for an authtoken, log out to end it.

use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{HttpRequest, Responder};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tally_jobs::parameters::Faults;
use tally_storage::catalog::{Membership, User};

use crate::access::{client_address, count_address, header};
use crate::error::{ApiError, Secret};
use crate::state::AppState;

/// A login's body is small.
const MAX_BODY_BYTES: usize = 16 << 10;

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(
        web::resource("/v3/user-session")
            .app_data(web::PayloadConfig::new(MAX_BODY_BYTES))
            .route(web::post().to(create_session))
            .route(web::delete().to(delete_session))
            .default_service(web::to(method_not_allowed)),
    );
}

async fn method_not_allowed(request: HttpRequest) -> Result<&'static str, ApiError> {
    count_address(&request)?;
    Err(ApiError::MethodNotAllowed("POST, DELETE"))
}

#[derive(Debug, Deserialize)]
struct Login {
    user: Option<Credentials>,
}

#[derive(Debug, Deserialize)]
struct Credentials {
    email: Option<String>,
    password: Option<String>,
}

#[derive(Debug, Serialize)]
struct SessionUser {
    uid: String,
    email: String,
    authtoken: String,
    organizations: Vec<SessionOrganization>,
}

#[derive(Debug, Serialize)]
struct SessionOrganization {
    uid: String,
    name: String,
    role: &'static str,
}

/// Logs in: a new authtoken for an email address and a password.
async fn create_session(
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
    state: Data<AppState>,
) -> Result<impl Responder, ApiError> {
    count_address(&request)?;
    let (email, password) = credentials(&body.map_err(|error| ApiError::Unreadable(error.to_string()))?)?;
    let address = client_address(&request);
    state.logins.check(&email, address)?;
    // A password's hash takes much memory on purpose: a flood of logins waits here instead of using it all.
    let place = state.login_places.acquire().await.map_err(|error| ApiError::Internal(Box::new(error)))?;
    let user = state.store.catalog.verify_password(&email, &password).await?;
    drop(place);
    let Some(user) = user else {
        state.logins.count_wrong(&email, address);
        return Err(ApiError::WrongLogin);
    };
    let authtoken = state.store.catalog.create_authtoken(&user.uid).await?;
    let organizations = state.store.catalog.organizations_of(&user.uid).await?;
    Ok(web::Json(json!({"notice": "Login Successful.", "user": session_user(&user, authtoken, organizations)})))
}

/// Logs out: ends the authtoken of the request.
async fn delete_session(request: HttpRequest, state: Data<AppState>) -> Result<impl Responder, ApiError> {
    let token = header(&request, "authtoken").unwrap_or_default();
    if state.store.catalog.revoke_authtoken(token).await? {
        return Ok(web::Json(json!({"notice": "You've logged out successfully."})));
    }
    count_address(&request)?;
    Err(ApiError::Unauthenticated(Secret::Authtoken))
}

fn credentials(body: &[u8]) -> Result<(String, String), ApiError> {
    // The parser's own words may quote what it stumbles over, which may be the password.
    let login: Login = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        ApiError::Unreadable(format!(
            "the body is no login at line {line} column {column}: expected {{\"user\":{{\"email\":…,\"password\":…}}}}"
        ))
    })?;
    let given = login.user.unwrap_or(Credentials { email: None, password: None });
    match (given.email, given.password) {
        (Some(email), Some(password)) => Ok((email, password)),
        (email, password) => {
            let missing = [("user.email", email.is_none()), ("user.password", password.is_none())];
            let faults = missing.into_iter().filter(|(_, missing)| *missing);
            let faults: Faults = faults.map(|(name, _)| (name.to_owned(), vec!["is required.".to_owned()])).collect();
            Err(ApiError::Invalid(faults))
        }
    }
}

fn session_user(user: &User, authtoken: String, organizations: Vec<Membership>) -> SessionUser {
    let organizations = organizations.into_iter().map(|membership| SessionOrganization {
        uid: membership.organization.to_string(),
        name: membership.name,
        role: membership.role.as_str(),
    });
    SessionUser {
        uid: user.uid.to_string(),
        email: user.email.to_string(),
        authtoken,
        organizations: organizations.collect(),
    }
}
