//! How far each file has been read. See [`crate::events::ledger`].

use sqlx::{Row, SqliteConnection};

use super::Catalog;
use super::event_log::as_i64;
use crate::error::StorageError;
use crate::events::ledger::SourcePosition;
use crate::ids::OrganizationUid;

/// Replaces one position by a further one, or writes the first of a file.
///
/// # Errors
/// [`StorageError::SourceMoved`] where another run was faster.
pub(crate) async fn advance_source(
    db: &mut SqliteConnection,
    organization: &OrganizationUid,
    from: Option<&SourcePosition>,
    to: &SourcePosition,
    updated_at: i64,
) -> Result<(), StorageError> {
    if let Some(from) = from {
        let deleted = sqlx::query(
            "delete from source_positions
             where organization = $1 and head_sha256 = $2 and read_offset = $3 and tail_sha256 = $4",
        )
        .bind(organization)
        .bind(&from.head_sha256)
        .bind(as_i64(from.offset))
        .bind(&from.tail_sha256);
        if deleted.execute(&mut *db).await?.rows_affected() != 1 {
            return Err(StorageError::SourceMoved);
        }
    }
    let inserted = sqlx::query(
        "insert into source_positions (organization, head_sha256, head_len, read_offset, read_lines, tail_sha256,
         tail_len, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
    )
    .bind(organization)
    .bind(&to.head_sha256)
    .bind(as_i64(to.head_len))
    .bind(as_i64(to.offset))
    .bind(as_i64(to.lines))
    .bind(&to.tail_sha256)
    .bind(as_i64(to.tail_len))
    .bind(updated_at)
    .execute(&mut *db)
    .await?;
    if inserted.rows_affected() == 1 { Ok(()) } else { Err(StorageError::SourceMoved) }
}

impl Catalog {
    /// Every file position of the organization.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn source_positions(&self, organization: &OrganizationUid) -> Result<Vec<SourcePosition>, StorageError> {
        let rows = sqlx::query(
            "select head_sha256, head_len, read_offset, read_lines, tail_sha256, tail_len
             from source_positions where organization = $1 order by read_offset desc",
        )
        .bind(organization)
        .fetch_all(&self.reader)
        .await?;
        let count = |row: &sqlx::sqlite::SqliteRow, name: &str| -> Result<u64, StorageError> {
            Ok(u64::try_from(row.try_get::<i64, _>(name)?).unwrap_or(0))
        };
        rows.iter()
            .map(|row| {
                Ok(SourcePosition {
                    head_len: count(row, "head_len")?,
                    head_sha256: row.try_get("head_sha256")?,
                    offset: count(row, "read_offset")?,
                    lines: count(row, "read_lines")?,
                    tail_len: count(row, "tail_len")?,
                    tail_sha256: row.try_get("tail_sha256")?,
                })
            })
            .collect()
    }
}
