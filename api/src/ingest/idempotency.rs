//! `Idempotency-Key`: the client's name for a batch, so that a repeat is counted once.
//!
//! The catalog decides: the key's receipt is written in the batch's own transaction. What is kept here only spares a
//! client the wait: while the first request with a key is under way in this process, a second one is told so.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::HttpRequest;
use tally_storage::ids::OrganizationUid;

use crate::error::ApiError;

const NAME: &str = "Idempotency-Key";
const LONGEST: usize = 255;

/// The keys whose first request is under way.
pub(crate) type KeysUnderWay = Arc<Mutex<HashSet<(OrganizationUid, String)>>>;

/// A key whose request is under way, until this is dropped.
#[derive(Debug)]
pub(super) struct HeldKey {
    keys: KeysUnderWay,
    held: (OrganizationUid, String),
}

impl HeldKey {
    /// Takes the key for a request.
    pub(super) fn take(keys: &KeysUnderWay, organization: &OrganizationUid, key: &str) -> Result<Self, ApiError> {
        let held = (organization.clone(), key.to_owned());
        if !keys.lock().unwrap_or_else(PoisonError::into_inner).insert(held.clone()) {
            return Err(ApiError::Conflict(format!(
                "the first request with idempotency key `{key}` is still under way"
            )));
        }
        Ok(Self { keys: Arc::clone(keys), held })
    }

    /// The client's key.
    pub(super) fn key(&self) -> &str {
        &self.held.1
    }
}

impl Drop for HeldKey {
    fn drop(&mut self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.held);
    }
}

/// The request's key, if it has one.
pub(super) fn key_of(request: &HttpRequest) -> Result<Option<&str>, ApiError> {
    let mut values = request.headers().get_all(NAME);
    let Some(value) = values.next() else { return Ok(None) };
    let fault = |what: &str| ApiError::invalid(NAME, what);
    if values.next().is_some() {
        return Err(fault("is given more than once."));
    }
    match value.to_str() {
        Ok(key) if (1..=LONGEST).contains(&key.len()) => Ok(Some(key)),
        Ok(key) => Err(fault(&format!("has {} characters; expected 1 to {LONGEST}.", key.len()))),
        Err(_) => Err(fault("is not valid: expected 1 to 255 visible ASCII characters.")),
    }
}
