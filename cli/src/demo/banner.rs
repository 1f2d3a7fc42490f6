//! What `tally serve --demo` prints: who there is, and lines that work when they are pasted into a shell.

use std::fmt::{self, Display};

use chrono::{DateTime, Days, SecondsFormat, Utc};

use super::DemoAccess;

/// The lines ask about so many days, today included.
const DAYS: u64 = 30;

/// The text.
#[derive(Debug)]
pub struct Banner<'a> {
    /// What opens the demo.
    pub access: &'a DemoAccess,
    /// How this program was called.
    pub program: &'a str,
    /// The current time.
    pub now: DateTime<Utc>,
}

impl Display for Banner<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DemoAccess { organization, authtoken, ingest_key, email, password, base_url, .. } = self.access;
        let to = self.now.date_naive();
        let from = to.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(to);
        let ts = self.now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let program = self.program;
        write!(
            out,
            "\
Tally is ready, with 90 days of made-up events: {base_url}

  organization  {organization}
  authtoken     {authtoken}
  ingest key    {ingest_key}
  login         {email}, password {password}

Ask for a report. The answer is a job:

  job=$(curl -s -H 'authtoken: {authtoken}' '{base_url}/analytics/v2/devices?orgUid={organization}&from={from}&to={to}&limit=5' | sed 's/.*\"jobId\":\"\\([^\"]*\\)\".*/\\1/'); echo $job

Read its result, which is there in a moment:

  until curl -s -H 'authtoken: {authtoken}' \"{base_url}/analytics/v2/job/$job/data?orgUid={organization}&page=0\" | grep '\"data\"'; do sleep 0.2; done

The same in one line, as a table:

  TALLY_AUTHTOKEN={authtoken} {program} report devices --server {base_url} --org {organization} --from {from} --to {to}

Send an event of your own:

  curl -s -H 'Authorization: Bearer {ingest_key}' -H 'Content-Type: application/x-ndjson' --data '{{\"ts\":\"{ts}\",\"url\":\"https://www.example.com/\",\"status\":200}}' {base_url}/ingest/v1/requests
"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_name_everything_that_they_need() {
        let access = DemoAccess {
            organization: "blt0123456789abcdef".parse().unwrap(),
            authtoken: "TOKEN".to_owned(),
            ingest_key: "KEY".to_owned(),
            email: "demo@example.com".to_owned(),
            password: "PASSWORD".to_owned(),
            base_url: "http://127.0.0.1:8080".to_owned(),
            stack_api_key: "bltfedcba9876543210".to_owned(),
        };
        let now = "2026-05-31T12:34:56.789Z".parse().unwrap();
        insta::assert_snapshot!(Banner { access: &access, program: "tally", now }.to_string());
    }
}
