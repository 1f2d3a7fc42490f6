//! The configuration: read once, checked as a whole, and passed down.
//!
//! | file | |
//! |---|---|
//! | `settings.rs` | every setting and its default |
//! | `sources.rs` | defaults ← file ← environment ← command line |
//! | `refusal.rs` | what is said of a value that is refused |
//! | `validate.rs` | values that make no sense, alone or together |
//! | `parts.rs` | what each part of the server is told of it |

mod parts;
mod refusal;
mod settings;
mod sources;
mod validate;

pub use self::settings::{
    Config, IngestSettings, JobSettings, LogFormat, LogSettings, RateLimitSettings, ReportSettings, ResultSettings,
    ServerSettings,
};
pub use self::sources::{ConfigError, Sources};
pub use self::validate::Fault;
