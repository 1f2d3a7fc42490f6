//! Why a job has no result.

use std::time::Duration;

use tally_storage::error::StorageError;

/// A failure of a job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Catalog, lake or disk failed.
    #[error("the report could not be computed")]
    Storage(#[from] StorageError),
    /// The rows did not fit the report's columns.
    #[error("the rows do not fit the report's columns")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The job's row names a report that this version does not have.
    #[error("report `{0}` does not exist in this version")]
    UnknownReport(String),
    /// The job's row holds parameters that this version cannot read.
    #[error("the job's parameters cannot be read")]
    Parameters(#[from] serde_json::Error),
    /// It took longer than it may.
    #[error("the report took longer than {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The computation panicked.
    #[error("the computation panicked")]
    Panicked,
}

impl JobError {
    /// Whether another attempt may work.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_temporary(),
            Self::Arrow(_) | Self::UnknownReport(_) | Self::Parameters(_) | Self::TimedOut(_) | Self::Panicked => false,
        }
    }

    /// What the client is told: nothing internal.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::TimedOut(limit) => format!(
                "the report took longer than the {} s that a job may take; ask for fewer days or services.",
                limit.as_secs()
            ),
            Self::UnknownReport(name) => format!("this version of Tally has no report `{name}`."),
            Self::Storage(_) | Self::Arrow(_) | Self::Parameters(_) | Self::Panicked => {
                "the report could not be computed. The operator's log says why, under the job's id.".to_owned()
            }
        }
    }
}
