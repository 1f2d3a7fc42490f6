//! README's lines work when pasted: the block about one's own logs, as it is printed, in a copy of the folder's layout.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use crate::program::binary;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The shell block of README that holds this text.
fn block_with(text: &str) -> String {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.into_iter().find(|block| block.contains(text)).unwrap().to_owned()
}

#[test]
fn the_lines_about_ones_own_logs_work_when_pasted() {
    let block = block_with("tally ingest");
    // The build is what made the binary under test; everything else runs as it is printed.
    let lines: Vec<&str> =
        block.lines().filter(|line| *line != "cargo build" && !line.starts_with("export PATH")).collect();
    assert_eq!(lines.len() + 2, block.lines().count(), "README no longer builds first");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("tests/fixtures")).unwrap();
    let log = "tests/fixtures/apache_access_2015.log";
    fs::copy(Path::new(ROOT).join(log), folder.path().join(log)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let path = format!("{}:{}", binary().parent().unwrap().display(), env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(lines.join("\n")).current_dir(folder.path()).env_clear().env("PATH", path);
    shell.env("TALLY_SERVER__BIND", format!("127.0.0.1:{port}")).env("TALLY_URL", format!("http://127.0.0.1:{port}"));
    let output = shell.output().unwrap();
    let (said, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("9,999 accepted, 1 rejected"), "{said}\n{log}");
    for status in ["200", "404"] {
        assert!(said.lines().any(|line| line.split_whitespace().nth(2) == Some(status)), "{said}\n{log}");
    }
    let devices = fs::read_to_string(folder.path().join("devices.csv")).unwrap();
    assert!(devices.starts_with("count,type,device,date\n"), "{devices}");
    assert!(devices.lines().count() > 558, "a line for each of 558 devices and day that it was seen on");
}
