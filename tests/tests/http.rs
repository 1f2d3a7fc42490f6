//! A client that takes every answer as it comes, and an answer that a test can read to the byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request};

/// Far over what anything in these tests takes, on a slow and busy machine too.
const DEADLINE: Duration = Duration::from_mins(1);

/// Whoever asks all the time keeps the server from what it is asked for.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Asks until the answer is there.
///
/// # Panics
/// When it is not there before the deadline; `what` says what was waited for.
pub(crate) fn wait_for<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_for_within(DEADLINE, what, ask)
}

/// The same with a deadline of its own.
pub(crate) fn wait_for_within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(pause);
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// A client of one server, or of several that answer alike.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: Agent,
    bases: Arc<[String]>,
    /// Whose turn it is, where there are several.
    turn: Arc<AtomicUsize>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(base: String) -> Self {
        Self::of(vec![base])
    }

    /// Of servers that are asked in turn.
    pub(crate) fn of(bases: Vec<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .timeout_global(Some(DEADLINE));
        Self { agent: config.build().new_agent(), bases: bases.into(), turn: Arc::default() }
    }

    /// The URL of its server, or of the one whose turn it is.
    pub(crate) fn base(&self) -> &str {
        &self.bases[self.turn.fetch_add(1, Ordering::Relaxed) % self.bases.len()]
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, None)
    }

    /// Sends a request and takes whatever comes back.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The same, where the server may be gone.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap());
        request = request.uri(format!("{}{path}", self.base()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = match body {
            Some(body) => self.agent.run(request.body(body).unwrap())?,
            None => self.agent.run(request.body(()).unwrap())?,
        };
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let body = response.body_mut().with_config().limit(1 << 30).read_to_vec()?;
        Ok(Answer { status: response.status().as_u16(), headers, body })
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "`{name}` is given twice");
        value
    }

    /// A header that is a number.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let value = self.header(name).unwrap_or_else(|| panic!("no `{name}` in {self:?}"));
        value.parse().unwrap_or_else(|_| panic!("`{name}` is `{value}`"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.shown()))
    }

    /// The answer of a request that must not be refused.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.shown());
        self
    }

    /// Status, headers and body, without the date, the request's id, and whether the connection lives on, which depends
    /// on how fast the body came.
    pub(crate) fn shown(&self) -> String {
        let mut headers: Vec<String> = self
            .headers
            .iter()
            .filter_map(|(name, value)| match name.as_str() {
                "date" | "connection" => None,
                "x-request-id" => Some("x-request-id: <id>".to_owned()),
                name => Some(format!("{name}: {value}")),
            })
            .collect();
        headers.sort();
        let body = String::from_utf8_lossy(&self.body);
        let body = self.header("x-request-id").map_or_else(|| body.to_string(), |id| body.replace(id, "<id>"));
        format!("{}\n{}\n\n{body}\n", self.status, headers.join("\n"))
    }
}

/// A query string, with everything percent-encoded that is no letter or digit.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let bytes = text.bytes();
    bytes.map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
