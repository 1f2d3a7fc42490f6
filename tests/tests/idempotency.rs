//! `Idempotency-Key`: a batch that comes again under its key is counted once.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use crate::events::Event;
use crate::http::{Answer, wait_for};
use crate::server::TestServer;
use crate::tenant::Tenant;

const DAY: &str = "2024-03-01";

fn line() -> String {
    Event::at("2024-03-01T10:00:00Z").line(&[]) + "\n"
}

fn post(server: &TestServer, tenant: &Tenant, key: &str, body: &str) -> Answer {
    tenant.post(&server.client, &[("idempotency-key", key)], body.as_bytes())
}

fn refused(answer: &Answer, status: u16, code: u16) -> String {
    assert_eq!(
        (answer.status, answer.json()["error_code"].as_u64()),
        (status, Some(code.into())),
        "{}",
        answer.shown()
    );
    answer.text().to_owned()
}

#[test]
fn the_same_bytes_get_the_first_receipt_again() {
    let mut server = TestServer::start();
    let (tenant, other) = (server.tenant(), server.tenant());
    let body = format!("{}{}no JSON\n", line(), line());
    let first = post(&server, &tenant, "key 1", &body).ok().body;
    assert_eq!(post(&server, &tenant, "key 1", &body).ok().body, first);
    server.flush(&tenant);
    assert_eq!(post(&server, &tenant, "key 1", &body).ok().body, first);
    server.restart();
    assert_eq!(post(&server, &tenant, "key 1", &body).ok().body, first);
    // However they are compressed.
    let headers = [("idempotency-key", "key 1"), ("content-encoding", "zstd")];
    let zstd = zstd::encode_all(body.as_bytes(), 1).unwrap();
    assert_eq!(tenant.post(&server.client, &headers, &zstd).ok().body, first);
    assert_eq!(tenant.counted(&server.client, DAY, DAY), 2);
    // A key is the organization's own, and another key is another batch.
    assert_eq!(post(&server, &other, "key 1", &line()).ok().json()["accepted"], 1);
    assert_eq!(post(&server, &tenant, "key 2", &body).ok().json()["accepted"], 2);
    assert_eq!(tenant.counted(&server.client, DAY, DAY), 4);
}

#[test]
fn other_bytes_under_a_used_key_are_refused() {
    let server = TestServer::start();
    let tenant = server.tenant();
    post(&server, &tenant, "key", &line()).ok();
    let answer = post(&server, &tenant, "key", &line().repeat(2));
    insta::assert_snapshot!(refused(&answer, 422, 119));
    assert_eq!(tenant.counted(&server.client, DAY, DAY), 1);
}

#[test]
fn a_key_is_forgotten_after_seven_days() {
    let server = TestServer::start();
    let tenant = server.tenant();
    post(&server, &tenant, "key", &line()).ok();
    server.set_clock("2024-06-22T11:59:59Z");
    server.wait(server.store().sweep()).unwrap();
    refused(&post(&server, &tenant, "key", &line().repeat(2)), 422, 119);
    server.set_clock("2024-06-22T12:00:01Z");
    server.wait(server.store().sweep()).unwrap();
    assert_eq!(post(&server, &tenant, "key", &line().repeat(2)).ok().json()["accepted"], 2);
}

#[test]
fn a_refused_batch_leaves_its_key_free() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let gzip = [("idempotency-key", "key"), ("content-encoding", "gzip")];
    assert_eq!(tenant.post(&server.client, &gzip, b"no gzip").status, 400);
    assert_eq!(post(&server, &tenant, "key", &line()).ok().json()["accepted"], 1);
}

#[test]
fn a_key_has_1_to_255_visible_characters() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let mut shown = String::new();
    for key in ["", &"k".repeat(256)] {
        shown += &refused(&post(&server, &tenant, key, &line()), 422, 119);
        shown.push('\n');
    }
    let twice = [("idempotency-key", "one"), ("idempotency-key", "two")];
    shown += &refused(&tenant.post(&server.client, &twice, line().as_bytes()), 422, 119);
    post(&server, &tenant, &"k".repeat(255), &line()).ok();
    assert_eq!(tenant.counted(&server.client, DAY, DAY), 1);
    insta::assert_snapshot!(shown);
}

/// A batch whose body has begun and not ended.
struct Unfinished(TcpStream);

impl Unfinished {
    fn begin(server: &TestServer, tenant: &Tenant, key: &str) -> Self {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        let head = format!(
            "POST /ingest/v1/requests HTTP/1.1\r\nhost: tally\r\nauthorization: Bearer {}\r\nidempotency-key: {key}\r\n\
             content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
            tenant.key
        );
        let body = line();
        write!(stream, "{head}{:x}\r\n{body}\r\n", body.len()).unwrap();
        Self(stream)
    }

    /// Begins one in the only place that there is; with the answer of who came after it.
    fn begin_alone(server: &TestServer, tenant: &Tenant, key: &str) -> (Self, Answer) {
        let mut first = Self::begin(server, tenant, key);
        let after = wait_for("the first batch to be under way", || {
            // A question may have had the place just then, and the first been refused. The next question waits a little.
            if first.is_answered() {
                first = Self::begin(server, tenant, key);
                return None;
            }
            let answer = tenant.post(&server.client, &[], b"");
            (answer.status != 200).then_some(answer)
        });
        (first, after)
    }

    fn is_answered(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let answered = self.0.peek(&mut [0]).is_ok();
        self.0.set_nonblocking(false).unwrap();
        answered
    }

    /// Ends the body and takes the answer.
    fn end(mut self) -> String {
        self.0.write_all(b"0\r\n\r\n").unwrap();
        let mut reader = BufReader::new(self.0);
        let mut status = String::new();
        reader.read_line(&mut status).unwrap();
        assert_eq!(status, "HTTP/1.1 200 OK\r\n");
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        rest.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

#[test]
fn while_the_first_is_under_way_a_second_one_is_told_so() {
    let server = TestServer::start_with(|config| config.ingest.max_concurrent = 1).of_one_process();
    let tenant = server.tenant();
    // It holds its key before it holds the one place that there is: once that is taken, so is the key.
    let (first, full) = Unfinished::begin_alone(&server, &tenant, "key");
    refused(&full, 503, 196);
    assert_eq!(full.header("retry-after"), Some("1"));
    let second = post(&server, &tenant, "key", &line());
    insta::assert_snapshot!(refused(&second, 409, 110));
    let receipt = first.end();
    let again = wait_for("the key to be free", || {
        let answer = post(&server, &tenant, "key", &line());
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(again.text(), receipt);
    assert_eq!(tenant.counted(&server.client, DAY, DAY), 1);
}

#[test]
fn a_client_that_goes_away_in_the_middle_leaves_nothing_and_its_key_free() {
    let server = TestServer::start_with(|config| config.ingest.max_concurrent = 1).of_one_process();
    let tenant = server.tenant();
    let (first, _) = Unfinished::begin_alone(&server, &tenant, "key");
    drop(first);
    wait_for("its place to be free", || (tenant.post(&server.client, &[], b"").status == 200).then_some(()));
    assert_eq!(tenant.counted(&server.client, DAY, DAY), 0);
    assert_eq!(post(&server, &tenant, "key", &line()).ok().json()["accepted"], 1);
}

#[test]
fn a_key_that_comes_many_times_at_once_is_counted_once() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let answers: Vec<Answer> = thread::scope(|scope| {
        let senders: Vec<_> = (0..8).map(|_| scope.spawn(|| post(&server, &tenant, "key", &line()))).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let (kept, told): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(kept.windows(2).all(|two| two[0].text() == two[1].text()), "{answers:?}");
    assert!(!kept.is_empty());
    // Within one process they are told that the first is under way.
    for answer in told {
        refused(answer, 409, 110);
    }
    assert_eq!(tenant.counted(&server.client, DAY, DAY), 1);
}
