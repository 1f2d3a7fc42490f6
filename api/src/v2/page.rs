//! A page as its clients get it, rendered straight from its columns and kept in a bounded cache.
//!
//! A finished result never changes, so a page that was rendered once is right as long as the result exists. Whether it
//! does the caller knows: a page is kept under its result's uid, and asked for with the row of a finished job.

use std::sync::Arc;

use actix_web::web::Bytes;
use moka::sync::Cache;
use serde::Serialize;
use tally_jobs::parameters::Parameters;
use tally_jobs::reports::{self, About, Marker};
use tally_jobs::rows::{write_json_rows, write_json_text};
use tally_storage::catalog::{Job, JobResult};
use tally_storage::folder::DataFolder;
use tally_storage::results::read_page;

use super::meta::meta;
use crate::error::ApiError;

/// The engine that answered, where a report's result names it.
const ENGINE: &str = "datafusion";

/// Rendered pages, up to a bound in bytes.
#[derive(Debug, Clone)]
pub(crate) struct PageCache {
    pages: Cache<(Arc<str>, u64), Bytes>,
}

impl PageCache {
    pub(crate) fn new(size_bytes: u64) -> Self {
        let weigh = |_: &(Arc<str>, u64), page: &Bytes| u32::try_from(page.len()).unwrap_or(u32::MAX);
        Self { pages: Cache::builder().max_capacity(size_bytes).weigher(weigh).build() }
    }

    /// The page of that result, where it was rendered before.
    pub(crate) fn known(&self, result: &JobResult, page: u64) -> Option<Bytes> {
        self.pages.get(&key(result, page))
    }

    /// The page of a job's result, which has a page of that number.
    pub(crate) async fn get(
        &self,
        folder: &DataFolder,
        job: &Job,
        result: &JobResult,
        page: u64,
    ) -> Result<Bytes, ApiError> {
        if let Some(known) = self.known(result, page) {
            return Ok(known);
        }
        let key = key(result, page);
        let (folder, job, result) = (folder.clone(), job.clone(), result.clone());
        let rendered = tokio::task::spawn_blocking(move || render(&folder, &job, &result, page)).await??;
        self.pages.insert(key, rendered.clone());
        Ok(rendered)
    }
}

fn key(result: &JobResult, page: u64) -> (Arc<str>, u64) {
    (Arc::from(result.uid.as_str()), page)
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> ApiError {
    ApiError::Internal(Box::new(error))
}

fn render(folder: &DataFolder, job: &Job, result: &JobResult, page: u64) -> Result<Bytes, ApiError> {
    let report = reports::find(&job.report);
    let about = report.ok_or_else(|| ApiError::Internal(format!("no report `{}`", job.report).into()))?.about();
    let parameters: Parameters = serde_json::from_str(&job.parameters).map_err(internal)?;
    let rows = read_page(folder, &result.path, page)?;
    let rows = rows.ok_or_else(|| ApiError::Internal(format!("`{}` has no page {page}", result.path).into()))?;
    // A row of a report is rarely longer.
    let mut out = Vec::with_capacity(512 + rows.num_rows() * 160);
    out.push(b'{');
    if counts_included(about, &parameters) {
        field(&mut out, "total", &result.total)?;
        field(&mut out, "totalDocs", &result.document_count)?;
    }
    out.extend_from_slice(b"\"data\":[");
    write_json_rows(&rows, &mut out)?;
    if page + 1 == result.page_count {
        write_marker(&mut out, about, result, rows.num_rows() > 0);
    }
    out.extend_from_slice(b"],");
    if let Some(name) = about.source_field {
        field(&mut out, name, &ENGINE)?;
    }
    field(&mut out, "meta", &meta(&job.organization, about, &parameters))?;
    out.extend_from_slice(b"\"uid\":");
    write_json_text(&result.uid, &mut out);
    out.push(b'}');
    // It may be kept for long: without what was set aside for longer rows.
    Ok(Bytes::from(out.into_boxed_slice()))
}

fn counts_included(about: &About, parameters: &Parameters) -> bool {
    about.paginated && parameters.include_count.unwrap_or(true)
}

/// Writes `"name":value,`.
fn field(out: &mut Vec<u8>, name: &str, value: &impl Serialize) -> Result<(), ApiError> {
    write_json_text(name, out);
    out.push(b':');
    serde_json::to_writer(&mut *out, value).map_err(internal)?;
    out.push(b',');
    Ok(())
}

fn write_marker(out: &mut Vec<u8>, about: &About, result: &JobResult, after_rows: bool) {
    let Some(date) = result.marker else { return };
    if after_rows {
        out.push(b',');
    }
    let count = match about.marker {
        Marker::None => return,
        Marker::Date => "",
        Marker::DateAndZero => ",\"count\":0",
    };
    out.extend_from_slice(format!("{{\"date\":\"{date}\"{count}}}").as_bytes());
}
