//! kill -9 right before each thing that a command does to the disk, and so right after the one before it: nothing is lost,
//! nothing is counted twice, and the same command, run again, ends as if nothing had been.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::TimeDelta;
use tally::config::Config;
use tally_storage::clock::Clock;
use tally_storage::lake::Extent;
use tally_storage::store::Store;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::events::{Event, lines};
use crate::program::{run_in, run_until, tenant_in};

const DEVICE: &str = "somebody";

/// Events in a log file: a third of them of the device, on each of two days.
const EVENTS: u64 = 12;

/// Log files that were read before: the events of the last wait in the log.
const FILES: u64 = 3;

const NOW: TimeDelta = TimeDelta::zero();

/// Longer than any file is kept for those who may still be reading it.
const LATER: TimeDelta = TimeDelta::hours(1);

fn log_file(folder: &Path, number: u64) -> PathBuf {
    let event = |at: u64| Event {
        user_agent: at.is_multiple_of(3).then(|| DEVICE.to_owned()),
        // Every second one.
        id: at.is_multiple_of(2).then(|| format!("{number}/{at}")),
        ..Event::at(&format!("2024-03-0{}T10:00:00Z", 1 + at / 3 % 2))
    };
    let path = folder.join(format!("{number}.ndjson"));
    fs::write(&path, lines(&(0..EVENTS).map(event).collect::<Vec<_>>(), &[])).unwrap();
    path
}

/// An installation that nothing runs on, and its copies.
struct Place {
    folder: TempDir,
    organization: String,
    runtime: Runtime,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("before");
        let organization = tenant_in(&data_dir).uid.to_string();
        let place = Self { folder, organization, runtime: Runtime::new().unwrap() };
        for number in 0..FILES {
            let file = log_file(place.folder.path(), number);
            let read = ["ingest", "--org", &place.organization, file.to_str().unwrap()];
            run_in(&data_dir, &read, b"").succeeded();
            if number + 1 < FILES {
                place.in_store(&data_dir, NOW, async |store| {
                    store.events.flush(&place.organization.parse().unwrap()).await.unwrap();
                    if number == 0 {
                        store.lake.compact(None, Extent::Everything, |_| false).await.unwrap();
                    }
                });
            }
        }
        place
    }

    /// A copy to be spoilt.
    fn copy(&self) -> PathBuf {
        let copy = self.folder.path().join("copy");
        if copy.exists() {
            fs::remove_dir_all(&copy).unwrap();
        }
        copy_all(&self.folder.path().join("before"), &copy);
        copy
    }

    fn in_store<T>(&self, data_dir: &Path, ahead: TimeDelta, work: impl AsyncFnOnce(&Store) -> T) -> T {
        self.runtime.block_on(async {
            let clock = Clock::fixed(Clock::system().now() + ahead);
            let config = Config { data_dir: data_dir.to_owned(), ..Config::default() };
            let store = Store::open(&config.store(), clock).await.unwrap();
            let done = work(&store).await;
            store.close().await;
            done
        })
    }

    /// How many events there are.
    fn counted(&self, data_dir: &Path) -> u64 {
        self.in_store(data_dir, NOW, async |store| {
            let status = store.catalog.lake_status(None).await.unwrap();
            status.iter().map(|status| status.events + status.log_events).sum()
        })
    }

    /// Every summary says what its events say; after a sweep there is no file that the catalog does not name, and nothing
    /// in staging.
    fn is_sound(&self, data_dir: &Path) {
        let age = Duration::from_hours(2);
        self.in_store(data_dir, LATER, async |store| {
            assert_eq!(store.lake.verify(None, |_| {}).await.unwrap().differences, []);
            let published = || store.folder.published_before(Duration::ZERO).unwrap();
            for name in published() {
                let file = File::options().write(true).open(data_dir.join(name)).unwrap();
                file.set_modified(SystemTime::now() - age).unwrap();
            }
            store.sweep().await.unwrap();
            let backup = tempfile::tempdir().unwrap();
            let named = store.backup(&backup.path().join("named"), |_| {}).await.unwrap();
            assert_eq!(named.files, published().len() as u64);
            let staging = fs::read_dir(data_dir.join("staging")).unwrap().count();
            assert_eq!(staging, 2, "this process's folder and its lock");
        });
    }

    /// Kills the command at every step, and says how often.
    fn kill_everywhere(&self, arguments: &[&str], may_be_left: impl Fn(u64) -> bool, in_the_end: u64) -> usize {
        let mut kills = 0;
        for nth in 1.. {
            let data_dir = self.copy();
            if !run_until(&data_dir, arguments, nth) {
                break;
            }
            kills += 1;
            let left = self.counted(&data_dir);
            assert!(may_be_left(left), "{left} events after a kill at step {nth}");
            run_in(&data_dir, arguments, b"").succeeded();
            assert_eq!(self.counted(&data_dir), in_the_end, "after a kill at step {nth}");
            self.is_sound(&data_dir);
        }
        kills
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

const BEFORE: u64 = FILES * EVENTS;

#[test]
fn a_killed_ingest_has_counted_its_file_or_not() {
    let place = Place::new();
    let file = log_file(place.folder.path(), FILES);
    let read = ["ingest", "--org", &place.organization, file.to_str().unwrap()];
    let either = |left| left == BEFORE || left == BEFORE + EVENTS;
    let kills = place.kill_everywhere(&read, either, BEFORE + EVENTS);
    assert!(kills >= 18, "{kills}");
}

#[test]
fn a_killed_compaction_has_changed_nothing() {
    let place = Place::new();
    for arguments in [["lake", "compact"], ["lake", "summarize"]] {
        let kills = place.kill_everywhere(&arguments, |left| left == BEFORE, BEFORE);
        assert!(kills >= 15, "{kills}");
    }
}

#[test]
fn a_killed_flush_has_changed_nothing() {
    let place = Place::new();
    // What is to be erased is looked for in columns, so that the log is flushed first.
    let flush = ["erase", "--org", &place.organization, "--device", "nobody", "--yes"];
    let kills = place.kill_everywhere(&flush, |left| left == BEFORE, BEFORE);
    assert!(kills >= 30, "{kills}");
}

#[test]
fn a_killed_erasure_has_erased_nothing_else() {
    let place = Place::new();
    let erase = ["erase", "--org", &place.organization, "--device", DEVICE, "--yes"];
    let rest = BEFORE / 3 * 2;
    let kills = place.kill_everywhere(&erase, |left| (rest..=BEFORE).contains(&left), rest);
    assert!(kills >= 90, "{kills}");
}

#[test]
fn a_killed_backup_is_whole_or_not_there() {
    let place = Place::new();
    let [backup, restored] = ["backup", "restored"].map(|name| place.folder.path().join(name));
    let command = ["backup", backup.to_str().unwrap()];
    let (mut kills, mut whole) = (0, 0);
    for nth in 1.. {
        let data_dir = place.copy();
        if !run_until(&data_dir, &command, nth) {
            break;
        }
        kills += 1;
        assert_eq!(place.counted(&data_dir), BEFORE);
        if backup.exists() {
            whole += 1;
        } else {
            run_in(&data_dir, &command, b"").succeeded();
        }
        run_in(&restored, &["restore", backup.to_str().unwrap()], b"").succeeded();
        assert_eq!(place.counted(&restored), BEFORE, "after a kill at step {nth}");
        place.is_sound(&data_dir);
        fs::remove_dir_all(&backup).unwrap();
        fs::remove_dir_all(&restored).unwrap();
    }
    assert!(kills >= 50, "{kills}");
    assert!(whole > 0, "none was killed after the backup had its name");
}
