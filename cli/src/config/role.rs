//! What a process does of the work, and which settings contradict it.

use super::{Config, Fault, QueueUrl};

/// What a process does of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `tally serve`: all of it.
    Serve,
    /// `tally api`: answers requests.
    Api,
    /// `tally worker`: computes reports.
    Worker,
    /// `tally scheduler`: looks after jobs, events and files.
    Scheduler,
    /// `tally migrate`: brings the catalog's tables up to date, and ends.
    Migrate,
}

impl Role {
    /// The command that starts it.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Serve => "tally serve",
            Self::Api => "tally api",
            Self::Worker => "tally worker",
            Self::Scheduler => "tally scheduler",
            Self::Migrate => "tally migrate",
        }
    }

    /// Whether it answers the whole API; other processes answer what those who run Tally ask.
    #[must_use]
    pub fn answers_requests(self) -> bool {
        matches!(self, Self::Serve | Self::Api)
    }

    /// Whether it computes reports.
    #[must_use]
    pub fn computes_reports(self) -> bool {
        matches!(self, Self::Serve | Self::Worker)
    }

    /// Whether it looks after jobs, events and files.
    #[must_use]
    pub fn looks_after_tasks(self) -> bool {
        matches!(self, Self::Serve | Self::Scheduler)
    }

    /// Whether a process of this role can work with these settings.
    ///
    /// A `SQLite` catalog is no contradiction: processes on one host share its file, and hosts cannot be seen from here.
    ///
    /// # Errors
    /// When jobs that it announces, or is to hear of, would not leave its own process.
    pub fn check(self, config: &Config) -> Result<(), Fault> {
        let url = &config.queue.url;
        let does_a_part = matches!(self, Self::Api | Self::Worker | Self::Scheduler);
        if !does_a_part || *url != QueueUrl::InProcess {
            return Ok(());
        }
        let command = self.command();
        Err(Fault {
            settings: vec!["queue.url"],
            sentence: format!(
                "`{command}` needs a shared queue and `queue.url` is `{url}`: set `queue.url` to a `redis://` URL, or run `tally serve`"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Role; 5] = [Role::Serve, Role::Api, Role::Worker, Role::Scheduler, Role::Migrate];

    #[test]
    fn a_part_of_the_work_needs_a_queue_that_the_other_parts_share() {
        let refused = ALL.map(|role| role.check(&Config::default()).err().map(|fault| fault.sentence));
        let refused: Vec<String> = refused.into_iter().flatten().collect();
        insta::assert_snapshot!(refused.join("\n"), @r"
        `tally api` needs a shared queue and `queue.url` is `memory:`: set `queue.url` to a `redis://` URL, or run `tally serve`
        `tally worker` needs a shared queue and `queue.url` is `memory:`: set `queue.url` to a `redis://` URL, or run `tally serve`
        `tally scheduler` needs a shared queue and `queue.url` is `memory:`: set `queue.url` to a `redis://` URL, or run `tally serve`
        ");
    }

    #[test]
    fn with_a_shared_queue_every_role_can_be_played_with_either_catalog() {
        let mut config = Config::default();
        config.queue.url = "redis://cache".parse().unwrap();
        for catalog in ["sqlite:catalog.db", "postgres://db/tally"] {
            config.catalog.url = catalog.parse().unwrap();
            assert!(ALL.iter().all(|role| role.check(&config).is_ok()), "{catalog}");
        }
    }
}
