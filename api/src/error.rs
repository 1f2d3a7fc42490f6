//! The one table of errors: what went wrong, its HTTP status, its code, its sentence.
//!
//! Every error leaves as `{"error_message": …, "error_code": …, "errors": {field: [what is wrong]}}`, also for unknown
//! paths and unreadable bodies. What the client is told and what the log says are two things: an internal failure keeps
//! its source for the log, and the client gets a sentence and the request's id (see `request_log.rs`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use tally_jobs::parameters::Faults;
use tally_storage::error::StorageError;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The request cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// No authtoken or ingest key, or one that is unknown or was ended.
    #[error("the request carries no valid {0}")]
    Unauthenticated(Secret),
    /// Email or password is wrong; which one is not said.
    #[error("the email address or the password is wrong")]
    WrongLogin,
    /// Not an owner or admin of the organization, or there is none of that name: the two cannot be told apart.
    #[error("only owners and admins of the organization may ask for its reports")]
    Forbidden,
    /// Nothing is at that path.
    #[error("nothing is at this path")]
    UnknownPath,
    /// No report of that name, but one that was probably meant.
    #[error("report `{name}` does not exist; did you mean `{candidate}`?")]
    UnknownReport {
        /// What was asked for.
        name: String,
        /// What was probably meant.
        candidate: &'static str,
    },
    /// There is no such thing, or it belongs to somebody else: the two cannot be told apart.
    #[error("{0} does not exist")]
    Unknown(String),
    /// The path takes other methods.
    #[error("this path takes {0} only")]
    MethodNotAllowed(&'static str),
    /// The same is under way.
    #[error("{0}")]
    Conflict(String),
    /// It was there.
    #[error("{0}")]
    Gone(String),
    /// The API key is no stack of the organization.
    #[error("the API key is no stack of the organization")]
    ForeignApiKey,
    /// Larger than a limit allows; nothing was kept.
    #[error("{0}; nothing was kept")]
    TooLarge(String),
    /// A body of a type or encoding that is not taken.
    #[error("{0}")]
    UnsupportedBody(String),
    /// Parameters are missing, malformed, unknown, or contradict each other.
    #[error("the request is not valid: `errors` names every fault")]
    Invalid(Faults),
    /// Too many requests.
    #[error("too many requests: {limit} are allowed in {window}")]
    RateLimited {
        /// How many are allowed.
        limit: u32,
        /// In which time.
        window: &'static str,
        /// Seconds until more are.
        retry_after_s: u64,
    },
    /// The job has no result and never will, or would not have been able to get one.
    #[error("Job Failed: {why}")]
    JobFailed {
        /// Why not.
        why: String,
        /// By field, where a parameter is at fault.
        errors: Faults,
    },
    /// Too much at once; nothing was kept.
    #[error("too much at once: {why}; nothing was kept")]
    Overloaded {
        /// What is full.
        why: String,
        /// Seconds until it is worth trying again.
        retry_after_s: u64,
    },
    /// Queue, catalog or event store cannot be reached.
    #[error("a part of the service cannot be reached; nothing was queued or kept")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Our own fault.
    #[error("the server failed; its operator finds why under the request's id")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a request proves its right with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secret {
    /// A user's `authtoken` header.
    Authtoken,
    /// An organization's ingest key, as a bearer token.
    IngestKey,
}

impl std::fmt::Display for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Authtoken => "authtoken",
            Self::IngestKey => "ingest key",
        })
    }
}

/// The body of every error.
#[derive(Debug, Serialize)]
pub(crate) struct Envelope<'a> {
    error_message: String,
    error_code: u16,
    errors: Cow<'a, Faults>,
}

impl ApiError {
    /// A fault of one field.
    pub(crate) fn invalid(field: &str, what: impl Into<String>) -> Self {
        Self::Invalid(one_fault(field, what))
    }

    /// HTTP status and error code.
    pub(crate) const fn codes(&self) -> (StatusCode, u16) {
        match self {
            Self::Unreadable(_) => (StatusCode::BAD_REQUEST, 100),
            Self::Unauthenticated(_) | Self::WrongLogin => (StatusCode::UNAUTHORIZED, 105),
            Self::Forbidden => (StatusCode::FORBIDDEN, 106),
            Self::UnknownPath | Self::UnknownReport { .. } | Self::Unknown(_) => (StatusCode::NOT_FOUND, 107),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, 108),
            Self::ForeignApiKey => (StatusCode::PRECONDITION_FAILED, 109),
            Self::Conflict(_) => (StatusCode::CONFLICT, 110),
            Self::Gone(_) => (StatusCode::GONE, 111),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, 113),
            Self::UnsupportedBody(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, 115),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, 119),
            Self::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, 129),
            Self::JobFailed { .. } => (StatusCode::INTERNAL_SERVER_ERROR, 141),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, 194),
            Self::Unreachable(_) => (StatusCode::BAD_GATEWAY, 195),
            Self::Overloaded { .. } => (StatusCode::SERVICE_UNAVAILABLE, 196),
        }
    }

    fn faults(&self) -> Cow<'_, Faults> {
        let own = match self {
            Self::Invalid(faults) | Self::JobFailed { errors: faults, .. } => return Cow::Borrowed(faults),
            Self::Unauthenticated(Secret::Authtoken) => one_fault("authtoken", "is not valid."),
            Self::Unauthenticated(Secret::IngestKey) => {
                one_fault("authorization", "is not valid: expected `Bearer <ingest key>`.")
            }
            Self::WrongLogin => one_fault("user", "the email address or the password is wrong."),
            Self::ForeignApiKey => one_fault("api_key", "is not valid."),
            _ => Faults::new(),
        };
        Cow::Owned(own)
    }

    /// The body; a request id is given where the log says more than the client is told.
    pub(crate) fn envelope(&self, request_id: Option<&str>) -> Envelope<'_> {
        let mut errors = self.faults();
        if let (Self::Internal(_), Some(id)) = (self, request_id) {
            errors.to_mut().insert("request_id".to_owned(), vec![id.to_owned()]);
        }
        Envelope { error_message: sentence(&self.to_string()), error_code: self.codes().1, errors }
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::MethodNotAllowed(methods) => Some((ALLOW, HeaderValue::from_static(methods))),
            Self::RateLimited { retry_after_s, .. } | Self::Overloaded { retry_after_s, .. } => {
                Some((RETRY_AFTER, HeaderValue::from(*retry_after_s)))
            }
            _ => None,
        }
    }
}

/// Faults with one entry.
pub(crate) fn one_fault(field: &str, what: impl Into<String>) -> Faults {
    BTreeMap::from([(field.to_owned(), vec![what.into()])])
}

/// Our messages begin in lower case and end without a stop, so that they can be joined; the client gets a sentence.
fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    let start: String = characters.next().into_iter().flat_map(char::to_uppercase).collect();
    let stop = if message.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{start}{}{stop}", characters.as_str())
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.codes().0
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(header) = self.header() {
            response.insert_header(header);
        }
        response.json(self.envelope(None))
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Backlog { .. } => Self::Overloaded { why: error.to_string(), retry_after_s: 5 },
            StorageError::IdempotencyMismatch => Self::invalid(
                "Idempotency-Key",
                "was used before with another body; a new body needs a key of its own.",
            ),
            // The organization was deleted after its key or token was looked at: what it proved is gone.
            StorageError::NoSuchOrganization(_) => Self::Unauthenticated(Secret::IngestKey),
            error if error.is_temporary() => Self::Unreachable(Box::new(error)),
            error => Self::Internal(Box::new(error)),
        }
    }
}

impl From<tokio::task::JoinError> for ApiError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Internal(Box::new(error))
    }
}
