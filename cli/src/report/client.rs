//! Requests to the API, and which of them are sent again.
//!
//! A report is often asked for by nobody in particular, at night. So what passes by itself is waited for, a bounded
//! number of times: a server that restarts, a rate limit. A request for a report that is sent twice costs a job that
//! nobody reads, nothing else.

use std::fmt;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::http::header::{HeaderMap, RETRY_AFTER};

use super::answer::{Active, Page, Retrieved, Submitted, refusal};

/// Where a server listens that was started without settings.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// A page has at most 900 rows; a body beyond this is none of ours.
const MAX_BODY_BYTES: u64 = 256 << 20;

const TIMEOUT: Duration = Duration::from_mins(1);

/// Failures in a row after which a request is given up, and the pause after the first of them, which doubles.
const MAX_FAILURES: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Answers *over the rate limit* in a row after which a request is given up.
const MAX_LIMITED: u32 = 60;

/// A client with an authtoken.
pub struct Client {
    agent: Agent,
    server: String,
    authtoken: String,
    pause: fn(Duration),
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("server", &self.server).finish_non_exhaustive()
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Client {
    /// A client of that server.
    ///
    /// # Errors
    /// When the server is no URL.
    pub fn new(server: &str, authtoken: String) -> anyhow::Result<Self> {
        let web = server.starts_with("http://") || server.starts_with("https://");
        ensure!(web, "`{server}` is no server: expected a URL such as `{DEFAULT_SERVER}`");
        // A redirect would carry the authtoken to whoever it names.
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).timeout_global(Some(TIMEOUT));
        let server = server.trim_end_matches('/').to_owned();
        Ok(Self { agent: config.build().into(), server, authtoken, pause: thread::sleep })
    }

    /// The same client without patience, for tests.
    #[cfg(test)]
    pub(super) fn hasty(self) -> Self {
        Self { pause: |_| {}, ..self }
    }

    /// Waits.
    pub(super) fn pause(&self, time: Duration) {
        (self.pause)(time);
    }

    /// Asks for a report; answers with the job's id.
    pub(super) fn submit(&self, report: &str, pairs: &[(&str, String)]) -> anyhow::Result<String> {
        let answer = self.get(&format!("/analytics/v2/{report}"), pairs)?;
        Ok(answer.json::<Submitted>()?.job_id)
    }

    /// Asks for a page of a job's result.
    pub(super) fn retrieve(&self, organization: &str, job: &str, page: u64) -> anyhow::Result<Retrieved> {
        let pairs = [("orgUid", organization.to_owned()), ("page", page.to_string())];
        let answer = self.get(&format!("/analytics/v2/job/{job}/data"), &pairs)?;
        let Some(page_count) = answer.header("x-page-count") else {
            let progress = answer.json::<Active>()?.progress;
            return Ok(Retrieved::Active { progress, retry_after: answer.retry_after() });
        };
        Ok(Retrieved::Page(Page { of: page_count, ..answer.json()? }))
    }

    /// The answer to a request that was understood; what passes by itself is waited for.
    fn get(&self, path: &str, pairs: &[(&str, String)]) -> anyhow::Result<Answer> {
        let (mut failures, mut limited) = (0, 0);
        loop {
            let (error, pause) = match self.get_once(path, pairs) {
                Ok(answer) if answer.status == StatusCode::OK => return Ok(answer),
                Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS && limited < MAX_LIMITED => {
                    limited += 1;
                    self.pause(answer.retry_after());
                    continue;
                }
                Ok(answer) if passes(answer.status) => (anyhow!(answer.refusal()), answer.retry_after()),
                Ok(answer) => bail!(answer.refusal()),
                Err(error) if is_lasting(&error) => return Err(error).context(self.server.clone()),
                Err(error) => (anyhow!(error).context(format!("`{}` cannot be reached", self.server)), Duration::ZERO),
            };
            failures += 1;
            if failures == MAX_FAILURES {
                return Err(error);
            }
            self.pause(pause.max(FIRST_PAUSE * 2_u32.pow(failures - 1)));
        }
    }

    fn get_once(&self, path: &str, pairs: &[(&str, String)]) -> Result<Answer, ureq::Error> {
        let request = self.agent.get(format!("{}{path}", self.server)).header("authtoken", &self.authtoken);
        let answer = request.query_pairs(pairs.iter().map(|(name, value)| (*name, value.as_str()))).call()?;
        let (head, body) = answer.into_parts();
        let body = body.into_with_config().limit(MAX_BODY_BYTES).read_to_vec()?;
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

/// Whether the same request may be answered otherwise a moment later.
fn passes(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// Whether trying again is in vain.
fn is_lasting(error: &ureq::Error) -> bool {
    !matches!(
        error,
        ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::HostNotFound
            | ureq::Error::Protocol(_)
    )
}

impl Answer {
    fn header(&self, name: &str) -> Option<u64> {
        self.headers.get(name)?.to_str().ok()?.trim().parse().ok()
    }

    fn retry_after(&self) -> Duration {
        Duration::from_secs(self.header(RETRY_AFTER.as_str()).unwrap_or(1).clamp(1, 60))
    }

    fn refusal(&self) -> String {
        refusal(self.status, &self.body)
    }

    fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body).context("the server's answer is not one of Tally's API v2")
    }
}

#[cfg(test)]
mod tests {
    use super::super::stub::{Canned, Stub};
    use super::*;

    fn submit(answers: Vec<Canned>) -> (anyhow::Result<String>, Vec<String>) {
        let stub = Stub::start(answers);
        let client = Client::new(&stub.url, "secret".to_owned()).unwrap().hasty();
        let submitted = client.submit("devices", &[("services", "[\"cdn\"]".to_owned()), ("limit", "5".to_owned())]);
        (submitted, stub.requests())
    }

    #[test]
    fn a_request_carries_its_parameters_and_the_authtoken() {
        let (submitted, requests) = submit(vec![Canned::ok(r#"{"jobId":"job_1","paginated":true}"#)]);
        assert_eq!(submitted.unwrap(), "job_1");
        assert!(
            requests[0].starts_with("GET /analytics/v2/devices?services=%5B%22cdn%22%5D&limit=5 HTTP/1.1"),
            "{requests:?}"
        );
        assert!(requests[0].contains("authtoken: secret"), "{requests:?}");
    }

    #[test]
    fn what_passes_by_itself_is_waited_for() {
        let answers = vec![
            Canned::status(429, ""),
            Canned::status(502, ""),
            Canned::hang_up(),
            Canned::status(503, ""),
            Canned::ok(r#"{"jobId":"job_1","paginated":true}"#),
        ];
        let (submitted, requests) = submit(answers);
        assert_eq!(submitted.unwrap(), "job_1");
        assert_eq!(requests.len(), 5);
    }

    #[test]
    fn patience_ends() {
        let (submitted, requests) = submit((0..20).map(|_| Canned::status(502, "")).collect());
        assert_eq!(submitted.unwrap_err().to_string(), "the server answers 502 Bad Gateway");
        assert_eq!(requests.len(), 7);
        let (submitted, requests) = submit((0..100).map(|_| Canned::status(429, "")).collect());
        assert!(submitted.unwrap_err().to_string().contains("429"));
        assert_eq!(requests.len(), 61);
    }

    #[test]
    fn a_refusal_is_told_at_once() {
        let (submitted, requests) =
            submit(vec![Canned::status(401, r#"{"error_message":"No.","error_code":105,"errors":{}}"#)]);
        assert_eq!(submitted.unwrap_err().to_string(), "No. (HTTP 401)");
        assert_eq!(requests.len(), 1);
    }

    #[test]
    fn a_redirect_is_not_followed_with_the_authtoken() {
        let (submitted, requests) = submit(vec![Canned::redirect("/elsewhere")]);
        assert!(submitted.is_err());
        assert_eq!(requests.len(), 1);
    }

    #[test]
    fn a_server_is_a_url() {
        let error = Client::new("localhost:8080", String::new()).unwrap_err().to_string();
        assert_eq!(error, "`localhost:8080` is no server: expected a URL such as `http://127.0.0.1:8080`");
    }
}
