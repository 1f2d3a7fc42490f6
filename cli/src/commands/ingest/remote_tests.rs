use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread::JoinHandle;

use tally_ingest::event::Rules;
use tally_ingest::files::{FileError, FileIngest, FileOptions, Input, Report};
use tally_ingest::formats::Selection;
use tally_storage::clock::Clock;
use tally_storage::events::requests::Service;

use super::*;

const RECEIPT: &str = r#"{"batch":"batch_1","accepted":2,"duplicates":0,"rejected":0,"unknown_fields":0,"errors":[]}"#;

/// A server that gives one answer to each request, and none where the answer is empty.
struct Scripted {
    url: String,
    requests: JoinHandle<Vec<String>>,
}

impl Scripted {
    fn answering(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = thread::spawn(move || {
            answers.iter().map(|answer| exchange(&listener.accept().unwrap().0, answer)).collect()
        });
        Self { url, requests }
    }

    /// The headers of each request.
    fn requests(self) -> Vec<String> {
        self.requests.join().unwrap()
    }
}

fn exchange(mut stream: &TcpStream, answer: &str) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).unwrap();
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    reader.take(length).read_to_end(&mut Vec::new()).unwrap();
    stream.write_all(answer.as_bytes()).unwrap();
    head
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nretry-after: 0\r\nconnection: close\r\n\r\n{body}")
}

fn send(server: &str, folder: &Path) -> (Result<(), FileError>, Report) {
    let path = folder.join("access.log");
    let event = |path: &str| format!(r#"{{"ts":1431857103250,"url":"{path}","status":200,"api_key":"k"}}"#);
    fs::File::create(&path).unwrap().write_all(format!("{}\nbad\n{}\n", event("/a"), event("/b")).as_bytes()).unwrap();
    let patience = Patience { tries: 3, first_pause: Duration::ZERO, longest_pause: Duration::ZERO };
    let remote = Remote::new(server, "secret", patience, Arc::default()).unwrap();
    let mut sink = RemoteSink::new(remote, LedgerFile::open(folder.join("ledger.json")).unwrap()).unwrap();
    let clock = Clock::fixed("2015-05-21T12:00:00Z".parse().unwrap());
    let options = FileOptions {
        format: Selection::Auto,
        rules: Rules { stacks: None, clock, service: Service::Cdn, base_url: None },
        threads: 1,
        max_line_bytes: 4096,
        portion: PORTION,
    };
    let running = AtomicBool::new(false);
    let mut ingest = FileIngest::new(options, Arc::default(), &running);
    let sent = ingest.read(&Input::Path(path), &mut sink);
    (sent, ingest.report().clone())
}

fn header<'r>(request: &'r str, name: &str) -> &'r str {
    request.lines().find_map(|line| line.strip_prefix(name)).unwrap()
}

#[test]
fn a_portion_is_sent_under_one_key_until_it_is_answered_and_then_never_again() {
    let folder = tempfile::tempdir().unwrap();
    let busy = answer("503 Service Unavailable", "{}");
    let server = Scripted::answering(vec![busy, String::new(), answer("200 OK", RECEIPT)]);
    let (sent, report) = send(&server.url, folder.path());
    sent.unwrap();
    assert_eq!((report.accepted, report.rejected), (2, 1));
    let requests = server.requests();
    let keys: Vec<&str> = requests.iter().map(|request| header(request, "idempotency-key: ")).collect();
    assert_eq!(keys, [keys[0]; 3]);
    assert_eq!(header(&requests[0], "authorization: "), "bearer secret");
    assert_eq!(header(&requests[0], "content-encoding: "), "zstd");
    assert!(requests[0].starts_with("post /ingest/v1/requests "));

    let idle = Scripted::answering(vec![]);
    assert_eq!(send(&idle.url, folder.path()).1.accepted, 0);
}

#[test]
fn an_answer_that_never_comes_is_asked_for_by_the_next_run_under_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let silent = Scripted::answering(vec![String::new(); 3]);
    let (sent, report) = send(&silent.url, folder.path());
    assert!(matches!(sent, Err(FileError::Sink(error)) if error.to_string() == "gave up after 3 tries"));
    assert_eq!(report.accepted, 0);
    let server = Scripted::answering(vec![answer("200 OK", RECEIPT)]);
    assert_eq!(send(&server.url, folder.path()).1.accepted, 2);
    let key = |requests: &[String]| header(&requests[0], "idempotency-key: ").to_owned();
    assert_eq!(key(&silent.requests()), key(&server.requests()));
}

#[test]
fn a_refusal_is_final_and_says_what_the_server_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = Scripted::answering(vec![answer("401 Unauthorized", r#"{"error_message":"no such key"}"#)]);
    let (sent, _) = send(&server.url, folder.path());
    assert!(matches!(sent, Err(FileError::Sink(error)) if error.to_string().contains("no such key")));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn lines_that_the_server_rejects_are_named_as_lines_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let receipt = r#"{"batch":"batch_1","accepted":1,"duplicates":0,"rejected":1,"unknown_fields":0,
        "errors":[{"line":2,"field":"api_key","reason":"`k` is no stack of the organization"}]}"#;
    let server = Scripted::answering(vec![answer("200 OK", receipt)]);
    let (_, report) = send(&server.url, folder.path());
    assert_eq!((report.accepted, report.rejected), (1, 2));
    let lines: Vec<(u64, &str)> = report.errors.iter().map(|at| (at.error.line, at.error.field.as_str())).collect();
    assert_eq!(lines, [(2, "line"), (3, "api_key")]);
    server.requests();
}

#[test]
fn a_server_is_a_url() {
    assert!(Remote::new("tally.example.com", "k", Patience::default(), Arc::default()).is_err());
}
