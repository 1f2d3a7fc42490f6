//! Redis and `PostgreSQL` of one test alone, which may stop, pause and restart them.

use std::fmt;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::http::wait_for;
use crate::program::signal;

/// What starts and stops a `PostgreSQL` server as a user that it accepts.
const POSTGRES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/servers/postgres.sh");

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A Redis server that keeps nothing over a restart.
pub(crate) struct OwnRedis {
    port: u16,
    child: Option<Child>,
    folder: TempDir,
}

impl fmt::Debug for OwnRedis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OwnRedis").field("port", &self.port).finish_non_exhaustive()
    }
}

impl OwnRedis {
    pub(crate) fn start() -> Self {
        let mut redis = Self { port: free_port(), child: None, folder: tempfile::tempdir().unwrap() };
        redis.start_again();
        redis
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub(crate) fn start_again(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
        command.arg(self.port.to_string()).arg("--dir").arg(self.folder.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        self.child = Some(child.expect("`redis-server` is installed, as `make test` sees to"));
        wait_for("Redis to listen", || TcpStream::connect(("127.0.0.1", self.port)).ok());
    }

    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().expect("Redis runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn pause(&self) {
        signal(self.child.as_ref().expect("Redis runs"), "STOP");
    }

    pub(crate) fn resume(&self) {
        signal(self.child.as_ref().expect("Redis runs"), "CONT");
    }

    pub(crate) fn flush(&self) {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A `PostgreSQL` server with an empty database.
#[derive(Debug)]
pub(crate) struct OwnPostgres {
    port: u16,
    folder: TempDir,
}

impl OwnPostgres {
    pub(crate) fn start() -> Self {
        let postgres = Self { port: free_port(), folder: tempfile::tempdir().unwrap() };
        postgres.run("start");
        postgres
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// As an operator restarts it: whoever is connected is cut off.
    pub(crate) fn restart(&self) {
        self.run("restart");
    }

    fn run(&self, action: &str) {
        let folder: &Path = self.folder.path();
        let done = Command::new(POSTGRES).arg(action).arg(folder).arg(self.port.to_string()).output().unwrap();
        assert!(done.status.success(), "{action}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        // Its folder goes with it, and a test that fails already is not helped by a second panic.
        let folder = self.folder.path();
        drop(Command::new(POSTGRES).arg("stop").arg(folder).arg(self.port.to_string()).output());
    }
}
