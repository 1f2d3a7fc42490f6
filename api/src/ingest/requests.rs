//! `POST /ingest/v1/requests`: a body of events, streamed into a batch, committed, and answered with its receipt.

use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Data, Json, Payload};
use actix_web::{HttpRequest, Responder};
use futures::StreamExt as _;
use tally_ingest::body::{BodyError, BodyKind, BodyOptions, BodySummary, read_body};
use tally_ingest::decode::Encoding;
use tally_ingest::event::Rules;
use tally_ingest::meter::Limit;
use tally_ingest::stream::{BodySender, body_stream};
use tally_jobs::parameters::Faults;
use tally_storage::catalog::Idempotency;
use tally_storage::events::receipt::Receipt;
use tally_storage::events::{Commit, Stage};
use tally_storage::ids::OrganizationUid;
use tokio::time::timeout;

use super::idempotency::{HeldKey, key_of};
use crate::access::{IngestAccess, header};
use crate::error::ApiError;
use crate::query;
use crate::state::AppState;

/// A client that is told no while it still sends may miss the answer: so much more is read, and dropped.
const DRAINED_BYTES: usize = 16 << 20;

/// A client that is told no and sends nothing for so long is waiting for the answer.
const DRAINED_SILENCE: Duration = Duration::from_secs(1);

/// How long a client may send nothing in the middle of a body.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// Takes events in. The answer is sent after the commit: what it calls accepted is on the disk and counted.
pub(crate) async fn ingest_requests(
    request: HttpRequest,
    access: IngestAccess,
    mut payload: Payload,
    state: Data<AppState>,
) -> Result<impl Responder, ApiError> {
    let taken = take(&request, access.0, &mut payload, &state).await;
    if taken.is_err() {
        drain(&mut payload).await;
    }
    let status = taken.as_ref().map_or_else(|error| error.codes().0.as_u16(), |_| 200);
    state.metrics.batch_answered(status, taken.as_ref().ok());
    taken.map(Json)
}

async fn take(
    request: &HttpRequest,
    organization: OrganizationUid,
    payload: &mut Payload,
    state: &AppState,
) -> Result<Receipt, ApiError> {
    let held = match key_of(request)? {
        Some(key) => Some(HeldKey::take(&state.keys_under_way, &organization, key)?),
        None => None,
    };
    let options = options(request, state, held.is_some())?;
    let Ok(_place) = state.ingest_places.clone().try_acquire_owned() else {
        let why = format!("{} batches are being read", state.ingest.max_concurrent);
        return Err(ApiError::Overloaded { why, retry_after_s: 1 });
    };
    state.store.events.admit().await?;
    let stacks = state.store.catalog.stack_api_keys(&organization).await?;
    let rules = Rules::new(stacks, state.store.clock.clone());
    let batch = state.store.events.stage(&organization);
    let (batch, summary) = read(payload, options, rules, batch).await?;
    let idempotency = held
        .as_ref()
        .zip(summary.body_sha256)
        .map(|(held, body_sha256)| Idempotency { key: held.key().to_owned(), body_sha256 });
    let commit = Commit {
        rejected: summary.rejected,
        unknown_fields: summary.unknown_fields,
        errors: summary.errors,
        idempotency,
        ..Commit::default()
    };
    Ok(state.store.events.commit(batch, commit).await?)
}

/// Parses the body on a blocking thread while it comes in.
async fn read(
    payload: &mut Payload,
    options: BodyOptions,
    rules: Rules,
    mut stage: Stage,
) -> Result<(Stage, BodySummary), ApiError> {
    let (sender, reader) = body_stream();
    let parsing = tokio::task::spawn_blocking(move || {
        let summary = read_body(reader, &options, &rules, |events| stage.push(events))?;
        Ok::<_, BodyError>((stage, summary))
    });
    forward(payload, sender).await;
    Ok(parsing.await??)
}

/// Hands the body over, chunk by chunk. A body that breaks off, or a parser that has given up, ends it early: the
/// parser knows in either case, and says what is wrong.
async fn forward(payload: &mut Payload, mut sender: BodySender) {
    loop {
        // A client that stops sending without going away must not hold its place for ever.
        let Ok(chunk) = timeout(LONGEST_SILENCE, payload.next()).await else { return };
        match chunk {
            Some(Ok(chunk)) => {
                if sender.send(chunk).await.is_err() {
                    return;
                }
            }
            Some(Err(_)) => return,
            None => break,
        }
    }
    if sender.finish().await.is_err() {
        tracing::trace!("the parser gave up before the body's end, and says why itself");
    }
}

async fn drain(payload: &mut Payload) {
    let mut drained = 0;
    while let Ok(Some(Ok(chunk))) = timeout(DRAINED_SILENCE, payload.next()).await {
        drained += chunk.len();
        if drained > DRAINED_BYTES {
            return;
        }
    }
}

fn options(request: &HttpRequest, state: &AppState, hash: bool) -> Result<BodyOptions, ApiError> {
    let limits = state.ingest.limits;
    let announced = header(request, CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.wire_bytes) {
        return Err(ApiError::TooLarge(Limit::Wire(limits.wire_bytes).to_string()));
    }
    Ok(BodyOptions {
        kind: kind(request)?,
        encoding: encoding(request)?,
        limits,
        strict: strict(request)?,
        hash,
        threads: 1,
    })
}

fn kind(request: &HttpRequest) -> Result<BodyKind, ApiError> {
    let given = header(request, CONTENT_TYPE.as_str()).unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(BodyKind::Ndjson),
        "application/json" => Ok(BodyKind::JsonArray),
        _ => Err(ApiError::UnsupportedBody(format!(
            "content type `{given}` is not taken: expected `application/x-ndjson` or `application/json`"
        ))),
    }
}

fn encoding(request: &HttpRequest) -> Result<Encoding, ApiError> {
    let given = header(request, CONTENT_ENCODING.as_str()).unwrap_or("identity");
    given.parse().map_err(|error| ApiError::UnsupportedBody(format!("{error}")))
}

fn strict(request: &HttpRequest) -> Result<bool, ApiError> {
    let mut strict = None;
    let mut faults = Faults::new();
    let mut fault = |name: &str, what: String| faults.entry(name.to_owned()).or_default().push(what);
    for (name, value) in query::pairs(request.query_string())? {
        match (name.as_str(), value.as_str()) {
            ("strict", _) if strict.is_some() => fault("strict", "is given more than once.".to_owned()),
            ("strict", "true") => strict = Some(true),
            ("strict", "false") => strict = Some(false),
            ("strict", other) => fault("strict", format!("`{other}` is not valid: expected `true` or `false`.")),
            (other, _) => fault(other, "is an unknown field; this endpoint takes `strict`.".to_owned()),
        }
    }
    if faults.is_empty() { Ok(strict.unwrap_or(false)) } else { Err(ApiError::Invalid(faults)) }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Unreadable { .. } | BodyError::NoArray(_) => Self::Unreadable(error.to_string()),
            BodyError::TooLarge(limit) => Self::TooLarge(limit.to_string()),
            BodyError::Rejected { errors, .. } => {
                let mut faults = Faults::new();
                for error in errors {
                    faults
                        .entry(format!("line {}", error.line))
                        .or_default()
                        .push(format!("{}: {}", error.field, error.reason));
                }
                Self::Invalid(faults)
            }
            BodyError::Storage(error) => error.into(),
        }
    }
}
