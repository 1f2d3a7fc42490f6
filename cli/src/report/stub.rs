//! A server for tests that gives canned answers, one for each connection.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// One answer.
pub(super) struct Canned(String);

impl Canned {
    pub(super) fn ok(body: &str) -> Self {
        Self::new("200 OK", "", body)
    }

    /// A page of a result.
    pub(super) fn page(page_count: u64, body: &str) -> Self {
        Self::new("200 OK", &format!("X-Page-Count: {page_count}\r\n"), body)
    }

    pub(super) fn status(status: u16, body: &str) -> Self {
        Self::new(&format!("{status} Whatever"), "Retry-After: 1\r\n", body)
    }

    pub(super) fn redirect(to: &str) -> Self {
        Self::new("302 Found", &format!("Location: {to}\r\n"), "")
    }

    /// Ends the connection without a word.
    pub(super) fn hang_up() -> Self {
        Self(String::new())
    }

    fn new(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"))
    }
}

/// The server.
pub(super) struct Stub {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    pub(super) fn start(answers: Vec<Canned>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for (answer, connection) in answers.into_iter().zip(listener.incoming()) {
                let mut connection = connection.unwrap();
                seen.lock().unwrap().push(head_of(&connection));
                connection.write_all(answer.0.as_bytes()).unwrap();
            }
        });
        Self { url, requests }
    }

    /// The heads of the requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn head_of(connection: &TcpStream) -> String {
    let lines = BufReader::new(connection).lines().map(Result::unwrap);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}
