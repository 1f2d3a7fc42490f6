//! Cuts rows into pages and writes them aside, then gives the file its name.
//!
//! The two are apart because the first takes a core and the second waits for the disk: whoever computes reports on few
//! cores goes on with the next one meanwhile.

use std::fs::File;
use std::io::BufWriter;
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

/// The fastest: a page is compressed once and decompressed once or twice.
const ZSTD_LEVEL: i32 = 1;

/// Most results are smaller, and written at once.
const BUFFER_BYTES: usize = 64 << 10;

/// A result that is written as a whole and has no name yet. One that is given up leaves nothing.
#[derive(Debug)]
pub struct UnnamedResult {
    folder: DataFolder,
    organization: OrganizationUid,
    staged: StagedFile,
    file: File,
    row_count: u64,
    page_count: u64,
    size_bytes: u64,
}

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
    staged: StagedFile,
    schema: SchemaRef,
    file: FileWriter<BufWriter<File>>,
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
            .field("staged", &self.staged)
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
        let staged = StagedFile(path);
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::ZSTD))?
            .try_with_compression_level(Some(ZSTD_LEVEL))?;
        let file = FileWriter::try_new_with_options(BufWriter::with_capacity(BUFFER_BYTES, file), schema, options)?;
        Ok(Self {
            folder: folder.clone(),
            organization: organization.clone(),
            staged,
            schema: schema.clone(),
            file,
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
        match &self.page[..] {
            [page] => self.file.write(page)?,
            several => self.file.write(&concat_batches(&self.schema, several)?)?,
        }
        self.row_count += self.rows_in_page as u64;
        self.page_count += 1;
        self.page.clear();
        self.rows_in_page = 0;
        Ok(())
    }

    /// Writes the last page.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<UnnamedResult, StorageError> {
        if self.rows_in_page > 0 || self.page_count == 0 {
            self.end_page()?;
        }
        self.file.finish()?;
        let fail = |e| StorageError::file("could not write", &self.staged.0, e);
        let file = self.file.into_inner()?.into_inner().map_err(|error| fail(error.into_error()))?;
        let size_bytes = file.metadata().map_err(fail)?.len();
        Ok(UnnamedResult {
            folder: self.folder,
            organization: self.organization,
            staged: self.staged,
            file,
            row_count: self.row_count,
            page_count: self.page_count,
            size_bytes,
        })
    }
}

impl UnnamedResult {
    /// Gives the file its name; it is durable afterwards. Waits for the disk.
    ///
    /// # Errors
    /// When the file cannot be moved or synced.
    pub fn publish(self) -> Result<WrittenResult, StorageError> {
        let name = format!("results/{}/{}.arrow", folder_of(&self.organization), Uuid::now_v7());
        self.folder.publish_open(&self.file, &self.staged.0, &name)?;
        Ok(WrittenResult {
            path: name,
            row_count: self.row_count,
            page_count: self.page_count,
            size_bytes: self.size_bytes,
        })
    }
}

/// A file in the staging folder, until it has moved or is given up.
#[derive(Debug)]
struct StagedFile(PathBuf);

impl Drop for StagedFile {
    fn drop(&mut self) {
        // A published file is no longer under this path.
        drop(std::fs::remove_file(&self.0));
    }
}
