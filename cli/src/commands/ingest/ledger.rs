//! The ledger of `--server`: a JSON file that says how far each file has been sent, and what was sent without an answer.
//!
//! A portion is announced before it is sent and acknowledged after the server's answer. A run that is killed between
//! the two leaves the announcement: the next one sends the same portion again, under the same key, and the server
//! counts it once.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tally_ingest::meter::sha256_hex;
use tally_storage::events::ledger::SourcePosition;

use crate::whole_file::write_private;

/// Digits of the hash that tells ledgers of different servers and keys apart.
const NAME_DIGITS: usize = 16;

/// What the ledger says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entries {
    /// What the server has counted.
    pub(super) positions: Vec<SourcePosition>,
    /// What it may have counted.
    pub(super) unanswered: Vec<Portion>,
}

/// The bounds of a portion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Portion {
    /// The position that it moves on from; none where it is a file's first.
    pub(super) from: Option<SourcePosition>,
    /// Its end.
    pub(super) to: SourcePosition,
}

/// A ledger on the disk. Several runs may share it: each change is made under a lock.
#[derive(Debug)]
pub(super) struct LedgerFile {
    path: PathBuf,
    lock: File,
}

/// One ledger for each server and key, so that none is taken for another's.
#[expect(clippy::disallowed_methods, reason = "where a user's programs keep their state is no setting of Tally's")]
pub(super) fn default_path(server: &str, key: &str) -> anyhow::Result<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = folder("XDG_STATE_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/state")));
    let state = state.context("neither XDG_STATE_HOME nor HOME is set; say where the ledger is with --ledger")?;
    let name = sha256_hex(format!("{}\n{key}", server.trim_end_matches('/')).as_bytes());
    Ok(state.join("tally").join(format!("ingest-{}.json", &name[..NAME_DIGITS])))
}

impl LedgerFile {
    /// Opens the ledger; one that is not there is empty.
    pub(super) fn open(path: PathBuf) -> anyhow::Result<Self> {
        let opened = || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            File::create(path.with_extension("lock"))
        };
        let lock = opened().with_context(|| format!("the ledger `{}` cannot be opened", path.display()))?;
        Ok(Self { path, lock })
    }

    pub(super) fn entries(&self) -> anyhow::Result<Entries> {
        let read = match File::open(&self.path) {
            Ok(file) => serde_json::from_reader(BufReader::new(file)).map_err(anyhow::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Entries::default()),
            Err(error) => Err(error.into()),
        };
        read.with_context(|| format!("the ledger `{}` cannot be read", self.path.display()))
    }

    /// Notes that the portion is about to be sent.
    pub(super) fn announce(&self, portion: &Portion) -> anyhow::Result<()> {
        self.change(|entries| {
            if !entries.unanswered.contains(portion) {
                entries.unanswered.push(portion.clone());
            }
        })
    }

    /// Notes that the server has counted the portion.
    pub(super) fn acknowledge(&self, portion: &Portion) -> anyhow::Result<()> {
        self.change(|entries| {
            entries.unanswered.retain(|unanswered| unanswered != portion);
            entries.positions.retain(|position| Some(position) != portion.from.as_ref() && *position != portion.to);
            entries.positions.push(portion.to.clone());
        })
    }

    fn change(&self, change: impl FnOnce(&mut Entries)) -> anyhow::Result<()> {
        self.lock.lock().with_context(|| format!("the ledger `{}` cannot be locked", self.path.display()))?;
        let changed = self.entries().and_then(|mut entries| {
            change(&mut entries);
            write(&self.path, &entries)
                .with_context(|| format!("the ledger `{}` cannot be written", self.path.display()))
        });
        self.lock.unlock().and(Ok(())).map_err(anyhow::Error::from).and(changed)
    }
}

fn write(path: &Path, entries: &Entries) -> io::Result<()> {
    write_private(path, &serde_json::to_vec(entries)?)?;
    // The new name itself is on the disk only when its folder is.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn position(offset: u64) -> SourcePosition {
        SourcePosition {
            head_len: 1,
            head_sha256: "head".to_owned(),
            offset,
            lines: offset,
            tail_len: 1,
            tail_sha256: "tail".to_owned(),
        }
    }

    #[test]
    fn a_portion_is_unanswered_until_it_is_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let open = || LedgerFile::open(folder.path().join("state/ledger.json")).unwrap();
        assert_eq!(open().entries().unwrap(), Entries::default());
        let first = Portion { from: None, to: position(1) };
        open().announce(&first).unwrap();
        open().announce(&first).unwrap();
        assert_eq!(open().entries().unwrap(), Entries { positions: vec![], unanswered: vec![first.clone()] });
        open().acknowledge(&first).unwrap();
        assert_eq!(open().entries().unwrap(), Entries { positions: vec![position(1)], unanswered: vec![] });
        let second = Portion { from: Some(position(1)), to: position(2) };
        open().acknowledge(&second).unwrap();
        open().acknowledge(&second).unwrap();
        assert_eq!(open().entries().unwrap().positions, [position(2)]);
    }

    #[test]
    fn a_damaged_ledger_is_no_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"{").unwrap();
        let ledger = LedgerFile::open(path).unwrap();
        assert!(ledger.entries().is_err());
        assert!(ledger.announce(&Portion { from: None, to: position(1) }).is_err());
    }

    #[test]
    fn servers_and_keys_have_ledgers_of_their_own() {
        let name = |server, key| default_path(server, key).unwrap().file_name().unwrap().to_owned();
        assert_eq!(name("https://a.example", "k"), name("https://a.example/", "k"));
        assert_ne!(name("https://a.example", "k"), name("https://b.example", "k"));
        assert_ne!(name("https://a.example", "k"), name("https://a.example", "l"));
    }
}
