//! How far each file has been read. See [`crate::events::ledger`].

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, FromRow, Row};

use super::event_log::as_i64;
use super::{Catalog, row};
use crate::error::StorageError;
use crate::events::ledger::SourcePosition;
use crate::ids::OrganizationUid;

/// Replaces one position by a further one, or writes the first of a file.
///
/// # Errors
/// [`StorageError::SourceMoved`] where another run was faster.
pub(crate) async fn advance_source(
    db: &mut AnyConnection,
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
        .bind(organization.as_str())
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
    .bind(organization.as_str())
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

impl FromRow<'_, AnyRow> for SourcePosition {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            head_len: row::count(row, "head_len")?,
            head_sha256: row.try_get("head_sha256")?,
            offset: row::count(row, "read_offset")?,
            lines: row::count(row, "read_lines")?,
            tail_len: row::count(row, "tail_len")?,
            tail_sha256: row.try_get("tail_sha256")?,
        })
    }
}

impl Catalog {
    /// Every file position of the organization.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn source_positions(&self, organization: &OrganizationUid) -> Result<Vec<SourcePosition>, StorageError> {
        let sql = "select head_sha256, head_len, read_offset, read_lines, tail_sha256, tail_len
                   from source_positions where organization = $1 order by read_offset desc";
        Ok(sqlx::query_as(sql).bind(organization.as_str()).fetch_all(&self.reader).await?)
    }
}
