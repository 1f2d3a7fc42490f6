//! Idempotency keys and the receipts that they were answered with.

use std::time::Duration;

use sqlx::{AnyConnection, Row};

use super::Catalog;
use crate::error::StorageError;
use crate::events::receipt::Receipt;
use crate::ids::OrganizationUid;

/// How long a key is remembered.
const KEPT_FOR: Duration = Duration::from_hours(7 * 24);

/// What a client says so that a repeated batch is counted once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key, 1 to 255 characters.
    pub key: String,
    /// SHA-256 of the body, in lower-case hex.
    pub body_sha256: String,
}

/// The receipt that this key was answered with.
///
/// # Errors
/// [`StorageError::IdempotencyMismatch`] where the key was used with another body.
pub(crate) async fn earlier_receipt(
    db: &mut AnyConnection,
    organization: &OrganizationUid,
    idempotency: &Idempotency,
) -> Result<Option<Receipt>, StorageError> {
    let row = sqlx::query("select body_sha256, receipt from idempotency_keys where organization = $1 and key = $2")
        .bind(organization.as_str())
        .bind(&idempotency.key)
        .fetch_optional(db)
        .await?;
    let Some(row) = row else { return Ok(None) };
    if row.try_get::<&str, _>("body_sha256")? != idempotency.body_sha256 {
        return Err(StorageError::IdempotencyMismatch);
    }
    Ok(Some(serde_json::from_str(row.try_get("receipt")?)?))
}

pub(crate) async fn insert_receipt(
    db: &mut AnyConnection,
    organization: &OrganizationUid,
    idempotency: &Idempotency,
    receipt: &Receipt,
    created_at: i64,
) -> Result<(), StorageError> {
    sqlx::query(
        "insert into idempotency_keys (organization, key, body_sha256, receipt, created_at)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(organization.as_str())
    .bind(&idempotency.key)
    .bind(&idempotency.body_sha256)
    .bind(serde_json::to_string(receipt)?)
    .bind(created_at)
    .execute(db)
    .await?;
    Ok(())
}

impl Catalog {
    /// Forgets keys that are older than seven days.
    pub(crate) async fn forget_old_receipts(&self) -> Result<u64, StorageError> {
        let before = self.clock.now_ms() - i64::try_from(KEPT_FOR.as_millis()).unwrap_or(i64::MAX);
        let sql = "delete from idempotency_keys where created_at < $1";
        Ok(sqlx::query(sql).bind(before).execute(&self.writer).await?.rows_affected())
    }

    /// Whether an idempotency key of the organization was answered before.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn knows_idempotency_key(&self, organization: &OrganizationUid, key: &str) -> Result<bool, StorageError> {
        let sql = "select count(*) from idempotency_keys where organization = $1 and key = $2";
        let count: i64 = sqlx::query_scalar(sql).bind(organization.as_str()).bind(key).fetch_one(&self.reader).await?;
        Ok(count > 0)
    }
}
