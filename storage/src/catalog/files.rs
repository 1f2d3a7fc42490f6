//! The files that the catalog names, and a copy of the catalog itself.

use std::path::Path;

use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

use super::{Catalog, row};
use crate::error::StorageError;

/// A file that belongs to what the catalog says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedFile {
    /// Below the data folder.
    pub(crate) path: String,
    pub(crate) size_bytes: u64,
    /// Of a job; else of events.
    pub(crate) is_result: bool,
}

impl FromRow<'_, AnyRow> for NamedFile {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            path: row.try_get("path")?,
            size_bytes: row::count(row, "size_bytes")?,
            is_result: row.try_get::<i64, _>("is_result")? != 0,
        })
    }
}

impl Catalog {
    /// Every file that it takes to answer what this catalog can be asked.
    pub(crate) async fn files(&self) -> Result<Vec<NamedFile>, StorageError> {
        let sql = "select path, size_bytes, cast(0 as bigint) as is_result from segments
            union all select path, size_bytes, 0 from summary_files
            union all select result_path, result_bytes, 1 from jobs where result_path is not null
            order by path";
        Ok(sqlx::query_as(sql).fetch_all(&self.reader).await?)
    }

    /// Writes one state of the catalog into a new file, while others read and write.
    ///
    /// # Errors
    /// [`StorageError::NotSqlite`], or when it cannot be written.
    pub(crate) async fn copy_to(&self, path: &Path) -> Result<(), StorageError> {
        if !self.is_sqlite() {
            return Err(StorageError::NotSqlite);
        }
        let path = path.to_str().ok_or_else(|| StorageError::Corrupt(format!("`{}` is no text", path.display())))?;
        sqlx::query("vacuum into $1").bind(path).execute(&self.reader).await?;
        Ok(())
    }

    /// What a copy knows of the place that it was copied from, and does not hold for itself.
    pub(crate) async fn forget_what_is_elsewhere(&self) -> Result<(), StorageError> {
        for sql in ["delete from retired_files", "delete from task_leases"] {
            sqlx::query(sql).execute(&self.writer).await?;
        }
        Ok(())
    }

    /// Says that the result in that file is no more.
    pub(crate) async fn forget_result(&self, path: &str) -> Result<(), StorageError> {
        let sql = "update jobs set state = 'expired', result_path = null where result_path = $1";
        sqlx::query(sql).bind(path).execute(&self.writer).await?;
        self.recent.forget();
        Ok(())
    }
}
