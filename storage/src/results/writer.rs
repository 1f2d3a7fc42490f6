//! Cuts rows into pages and writes them aside, then gives the file its name.

use std::fs::File;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use uuid::Uuid;

use crate::error::StorageError;
use crate::folder::{DataFolder, folder_of};
use crate::ids::OrganizationUid;

/// A result file under its name; it exists once the catalog names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenResult {
    /// Below the data folder.
    pub path: String,
    /// Rows over all pages.
    pub row_count: u64,
    /// Pages, at least 1.
    pub page_count: u64,
    /// The file's size.
    pub size_bytes: u64,
}

/// Writes a result page by page; holds at most one page in memory. Its methods write files: call them where that keeps
/// nobody waiting.
pub struct PageWriter {
    folder: DataFolder,
    organization: OrganizationUid,
    path: PathBuf,
    schema: SchemaRef,
    file: Option<FileWriter<File>>,
    rows_per_page: Option<usize>,
    skip: u64,
    page: Vec<RecordBatch>,
    rows_in_page: usize,
    row_count: u64,
    page_count: u64,
}

impl std::fmt::Debug for PageWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PageWriter")
            .field("path", &self.path)
            .field("pages", &self.page_count)
            .finish_non_exhaustive()
    }
}

impl PageWriter {
    /// A result of those columns. The first `skip` rows are left out; `None` rows a page makes one page of all.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(
        folder: &DataFolder,
        organization: &OrganizationUid,
        schema: &SchemaRef,
        rows_per_page: Option<usize>,
        skip: u64,
    ) -> Result<Self, StorageError> {
        let path = folder.staged_path();
        let file = File::create(&path).map_err(|e| StorageError::file("could not create", &path, e))?;
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
        let file = FileWriter::try_new_with_options(file, schema, options)?;
        Ok(Self {
            folder: folder.clone(),
            organization: organization.clone(),
            path,
            schema: schema.clone(),
            file: Some(file),
            rows_per_page,
            skip,
            page: Vec::new(),
            rows_in_page: 0,
            row_count: 0,
            page_count: 0,
        })
    }

    /// Adds rows of the result's columns.
    ///
    /// # Errors
    /// When a page cannot be written; the result is lost then, as a whole.
    pub fn push(&mut self, rows: &RecordBatch) -> Result<(), StorageError> {
        let total = rows.num_rows();
        let mut start = usize::try_from(self.skip).unwrap_or(usize::MAX).min(total);
        self.skip -= start as u64;
        while start < total {
            let room = self.rows_per_page.map_or(usize::MAX, |limit| limit - self.rows_in_page);
            let length = room.min(total - start);
            self.page.push(rows.slice(start, length));
            self.rows_in_page += length;
            start += length;
            if self.rows_per_page == Some(self.rows_in_page) {
                self.end_page()?;
            }
        }
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), StorageError> {
        let page = concat_batches(&self.schema, &self.page)?;
        if let Some(file) = &mut self.file {
            file.write(&page)?;
        }
        self.row_count += page.num_rows() as u64;
        self.page_count += 1;
        self.page.clear();
        self.rows_in_page = 0;
        Ok(())
    }

    /// Writes the last page, syncs the file and gives it its name.
    ///
    /// # Errors
    /// When the file cannot be written or moved.
    pub fn finish(mut self) -> Result<WrittenResult, StorageError> {
        if self.rows_in_page > 0 || self.page_count == 0 {
            self.end_page()?;
        }
        let fail = |e| StorageError::file("could not write", &self.path, e);
        let Some(mut writer) = self.file.take() else {
            return Err(StorageError::Corrupt("a result was finished twice".to_owned()));
        };
        writer.finish()?;
        let file = writer.into_inner()?;
        file.sync_all().map_err(fail)?;
        let size_bytes = file.metadata().map_err(fail)?.len();
        let name = format!("results/{}/{}.arrow", folder_of(&self.organization), Uuid::now_v7());
        self.folder.publish(&self.path, &name)?;
        Ok(WrittenResult { path: name, row_count: self.row_count, page_count: self.page_count, size_bytes })
    }
}

impl Drop for PageWriter {
    /// A result that is given up leaves nothing; a finished one is no longer under this path.
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}
