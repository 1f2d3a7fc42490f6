//! The configuration: read once, checked as a whole, and passed down.
//!
//! | file | |
//! |---|---|
//! | `settings.rs` | every setting and its default |
//! | `catalog_url.rs`, `queue_url.rs`, `url.rs` | the settings that are URLs, with a password that is not shown |
//! | `sources.rs` | defaults ← file ← environment ← command line |
//! | `variables.rs` | the environment, and the files that it names |
//! | `refusal.rs` | what is said of a value that is refused |
//! | `validate.rs` | values that make no sense, alone or together |
//! | `role.rs` | settings that contradict what a process is to do |
//! | `parts.rs` | what each part of the server is told of it |
//! | `reference.rs` | docs/configuration.md names every setting, its default and its range |

mod catalog_url;
mod parts;
mod queue_url;
#[cfg(test)]
mod reference;
mod refusal;
mod role;
mod settings;
mod sources;
mod url;
mod validate;
mod variables;

pub use self::catalog_url::CatalogUrl;
pub use self::queue_url::QueueUrl;
pub use self::role::Role;
pub use self::settings::{
    CatalogSettings, Config, IngestSettings, JobSettings, LogFormat, LogSettings, QueueSettings, RateLimitSettings,
    ReportSettings, ResultSettings, ServerSettings,
};
pub use self::sources::{ConfigError, Sources};
pub use self::url::UrlFault;
pub use self::validate::Fault;
