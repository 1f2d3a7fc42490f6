//! The real `tally` binary: its commands, and a server that is a process of its own and can be killed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::time::Duration;
use std::{env, thread};

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{Client, wait_for};
use crate::tenant::Tenant;

/// SIGKILL.
const KILLED: i32 = 9;

const START_DEADLINE: Duration = Duration::from_mins(1);

/// The binary beside this test: `cargo build` makes it.
pub(crate) fn binary() -> PathBuf {
    let test = env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("tally");
    assert!(
        path.is_file(),
        "`{}` is missing: run `cargo build --workspace` first, as `make test` does",
        path.display()
    );
    path
}

fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(binary());
    // Neither the repository's config.toml nor the caller's variables.
    command.current_dir(data_dir.parent().unwrap()).env_clear().env("TALLY_DATA_DIR", data_dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Sends a signal to a process that a test started.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(sent.unwrap().success(), "SIG{name} to {child:?}");
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.status, Some(0), "{self:?}");
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs a command on that data folder to its end.
pub(crate) fn run_in(data_dir: &Path, arguments: &[&str], stdin: &[u8]) -> Ran {
    run_with(data_dir, &[], arguments, stdin)
}

/// The same with variables.
pub(crate) fn run_with(data_dir: &Path, settings: &[(&str, &str)], arguments: &[&str], stdin: &[u8]) -> Ran {
    let mut child = command(data_dir).envs(settings.iter().copied()).args(arguments).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs a command and kills it after that time, where it has not ended by then.
pub(crate) fn run_for(data_dir: &Path, arguments: &[&str], life: Duration) {
    let mut child = command(data_dir).args(arguments).spawn().unwrap();
    thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What kills a process at a certain step; compiled for this run of the tests.
fn killer() -> &'static Path {
    static BUILT: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("kill_at_step.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/crash/kill_at_step.c");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
        assert!(built.unwrap().success());
        (folder, library)
    });
    &BUILT.1
}

/// Runs a command and kills it, as kill -9 does, right before the `nth` thing that it does to the disk. False where it
/// had succeeded by then.
pub(crate) fn run_until(data_dir: &Path, arguments: &[&str], nth: usize) -> bool {
    let mut doomed = command(data_dir);
    doomed.env("LD_PRELOAD", killer()).env("KILL_AT_STEP", nth.to_string());
    let ran = doomed.args(arguments).stdin(Stdio::null()).output().unwrap();
    if ran.status.signal() == Some(KILLED) {
        return true;
    }
    assert!(ran.status.success(), "{ran:?}");
    false
}

/// Makes an organization as an operator does.
pub(crate) fn tenant_in(data_dir: &Path) -> Tenant {
    let answer = |arguments: &[&str], stdin: &str| run_in(data_dir, arguments, stdin.as_bytes()).succeeded().json();
    let text = |answer: &Value, name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    let uid = text(&answer(&["org", "create", "--name", "Example", "--json"], ""), "uid");
    let email = format!("{uid}@example.com");
    let user = ["user", "create", "--org", &uid, "--email", &email, "--role", "owner", "--password-stdin", "--json"];
    answer(&user, "correct horse battery\n");
    let authtoken = answer(&["token", "create", "--org", &uid, "--email", &email, "--json"], "");
    let key = answer(&["key", "create", "--org", &uid, "--json"], "");
    Tenant {
        uid: uid.parse().unwrap(),
        owner: tally_storage::ids::UserUid::mint(),
        email,
        authtoken: text(&authtoken, "authtoken"),
        key: text(&key, "key"),
        stacks: Vec::new(),
    }
}

/// `tally serve` or another role as a process of its own; killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) client: Client,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Served {
    pub(crate) fn start(data_dir: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start_as("serve", data_dir, settings)
    }

    /// Starts `tally` in that role.
    pub(crate) fn start_as(role: &str, data_dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = command(data_dir);
        command.arg(role).stdin(Stdio::null()).stdout(Stdio::null()).env("TALLY_SERVER__BIND", "127.0.0.1:0");
        // Waiting for a report takes more than ten requests a second.
        command.env("TALLY_RATE_LIMIT__REQUESTS_PER_SECOND", "100000");
        command.envs(settings.iter().copied());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::<Mutex<String>>::default();
        let (said, listening) = mpsc::channel();
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let address = line.split_once("address=").filter(|_| line.contains("listening"));
                if let Some((_, address)) = address {
                    drop(said.send(address.split_whitespace().next().unwrap_or_default().to_owned()));
                }
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let address = listening.recv_timeout(START_DEADLINE);
        let address = address.unwrap_or_else(|_| panic!("it does not listen: {}", log.lock().unwrap()));
        Self { client: Client::new(format!("http://{address}")), child, log }
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGSTOP: it is there, and does nothing.
    pub(crate) fn pause(&self) {
        signal(&self.child, "STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        signal(&self.child, "CONT");
    }

    /// SIGTERM; says how the process exited.
    pub(crate) fn terminate(mut self) -> (ExitStatus, String) {
        signal(&self.child, "TERM");
        let status = wait_for("the server to end", || self.child.try_wait().unwrap());
        let log = self.log.lock().unwrap().clone();
        (status, log)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to kill.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
