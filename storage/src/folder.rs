//! The data folder: files are written aside, synced, and only then moved to the name that the catalog will say.
//!
//! ```text
//! data/catalog.db            the catalog
//!      events/…              segments, by kind, organization and UTC day
//!      results/…             one file for each finished job, by organization
//!      staging/<uuid>/       files being written by one process, what its queries spill, and <uuid>.lock, held while
//!                            that process lives
//! ```
//! A file that the catalog does not name does not exist: a crash between the move and the commit leaves rubbish, which
//! the sweep deletes once it is older than any commit can take. A staging folder whose lock can be had belonged to a
//! process that is gone.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::durable::{create_folder, sync_folder, touch};
use crate::error::StorageError;
use crate::fan_out::fan_out;
use crate::ids::OrganizationUid;

/// How many folders are synced at once.
const SYNCED_AT_ONCE: usize = 8;

/// The folder inside the staging folder that queries spill to.
const SPILL: &str = "spill";

/// The data folder of one process; clones share its staging folder.
#[derive(Debug, Clone)]
pub struct DataFolder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    staging: PathBuf,
    lock_path: PathBuf,
    /// Held, by the operating system's lock on it, as long as the process lives.
    _lock: File,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The next process's sweep does it where this fails.
        drop(remove_staging(&self.staging, &self.lock_path));
    }
}

impl DataFolder {
    /// Opens the folder, made if it is not there, and takes a staging folder in it.
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub fn open(root: &Path) -> Result<Self, StorageError> {
        // A relative name would change its meaning with the working directory, and the engine wants an absolute one.
        let root = std::path::absolute(root).map_err(|e| StorageError::file("could not resolve", root, e))?;
        for folder in ["events", "results", "staging"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(|e| StorageError::file("could not create folder", &path, e))?;
        }
        loop {
            let staging = root.join("staging").join(Uuid::now_v7().to_string());
            let lock_path = staging.with_extension("lock");
            let lock = File::create(&lock_path).map_err(|e| StorageError::file("could not create", &lock_path, e))?;
            // Between the two calls another process's sweep may take the lock, or delete the file: then a new name.
            if lock.try_lock().is_ok() && lock_path.exists() {
                let spill = staging.join(SPILL);
                fs::create_dir_all(&spill).map_err(|e| StorageError::file("could not create folder", &spill, e))?;
                return Ok(Self(Arc::new(Inner { root, staging, lock_path, _lock: lock })));
            }
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Where queries spill to.
    #[must_use]
    pub fn spill_path(&self) -> PathBuf {
        self.0.staging.join(SPILL)
    }

    /// The full path of a file that the catalog names.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.0.root.join(name)
    }

    /// A path, free and this process's own, to write a new file at.
    #[must_use]
    pub fn staged_path(&self) -> PathBuf {
        self.0.staging.join(Uuid::now_v7().to_string())
    }

    /// Writes and deletes a byte.
    ///
    /// # Errors
    /// When the disk is full or read-only.
    pub fn probe(&self) -> Result<(), StorageError> {
        let path = self.staged_path();
        let write = || {
            File::create(&path)?.write_all(b"1")?;
            fs::remove_file(&path)
        };
        write().map_err(|e| StorageError::file("could not write", &path, e))
    }

    /// Moves a file that was written and synced aside to its name below the root; both are durable afterwards.
    ///
    /// # Errors
    /// When a folder cannot be made or the file cannot be moved.
    pub fn publish(&self, staged: &Path, name: &str) -> Result<(), StorageError> {
        self.publish_all(&[(staged, name)])
    }

    /// [`publish`](Self::publish) for many files. First all get their names, then the folders are synced side by side:
    /// the disk does that in little more than the time of one.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); some of the files have their names then.
    pub fn publish_all(&self, files: &[(&Path, &str)]) -> Result<(), StorageError> {
        let mut changed = BTreeSet::new();
        for (staged, name) in files {
            let target = self.path_of(name);
            let folder = target.parent().unwrap_or(&self.0.root);
            create_folder(folder, &mut changed)?;
            touch(staged)?;
            fs::rename(staged, &target).map_err(|e| StorageError::file("could not move into place", &target, e))?;
            changed.insert(folder.to_owned());
        }
        fan_out(changed.into_iter().collect(), SYNCED_AT_ONCE, |folder| sync_folder(&folder)).map(drop)
    }

    /// The same for a file that was written just now, is still open and has not been synced. The move comes before the
    /// sync, so that both are one write of the file system's journal: until the catalog says the name it means nothing.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), or when the file cannot be synced.
    pub(crate) fn publish_open(&self, file: &File, staged: &Path, name: &str) -> Result<(), StorageError> {
        let target = self.path_of(name);
        let folder = target.parent().unwrap_or(&self.0.root);
        let mut changed = BTreeSet::from([folder.to_owned()]);
        create_folder(folder, &mut changed)?;
        fs::rename(staged, &target).map_err(|e| StorageError::file("could not move into place", &target, e))?;
        file.sync_all().map_err(|e| StorageError::file("could not sync", &target, e))?;
        changed.iter().try_for_each(|folder| sync_folder(folder))
    }

    /// Deletes a file that the catalog no longer names; one that is gone already is fine.
    ///
    /// # Errors
    /// When the file is there and cannot be deleted.
    pub fn remove(&self, name: &str) -> Result<(), StorageError> {
        let path = self.path_of(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StorageError::file("could not delete", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// Deletes files that the catalog no longer names.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    pub fn remove_all(&self, names: &[String]) -> Result<(), StorageError> {
        names.iter().try_for_each(|name| self.remove(name))
    }

    /// The names of all files below `events` and `results` last changed longer ago than `age`.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn published_before(&self, age: Duration) -> Result<Vec<String>, StorageError> {
        let is_old = |file: &Metadata| {
            file.modified().ok().and_then(|time| time.elapsed().ok()).is_some_and(|elapsed| elapsed > age)
        };
        let mut names = Vec::new();
        for folder in ["events", "results"] {
            self.collect_files(&self.0.root.join(folder), &is_old, &mut names)?;
        }
        Ok(names)
    }

    /// The names of all files of an organization's events and results.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn files_of(&self, organization: &OrganizationUid) -> Result<Vec<String>, StorageError> {
        let events = self.0.root.join("events");
        let fail = |e| StorageError::file("could not read folder", &events, e);
        let mut above = vec![self.0.root.join("results")];
        for kind in fs::read_dir(&events).map_err(fail)? {
            above.push(kind.map_err(fail)?.path());
        }
        let mut names = Vec::new();
        for folder in above.iter().map(|above| above.join(folder_of(organization))).filter(|folder| folder.is_dir()) {
            self.collect_files(&folder, &|_| true, &mut names)?;
        }
        Ok(names)
    }

    fn collect_files(
        &self,
        folder: &Path,
        wanted: &dyn Fn(&Metadata) -> bool,
        names: &mut Vec<String>,
    ) -> Result<(), StorageError> {
        let fail = |e| StorageError::file("could not read folder", folder, e);
        for entry in fs::read_dir(folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.is_dir() {
                self.collect_files(&path, wanted, names)?;
                continue;
            }
            if let (true, Ok(name)) = (wanted(&metadata), path.strip_prefix(&self.0.root)) {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        Ok(())
    }

    /// Deletes the staging folders of processes that are gone.
    ///
    /// # Errors
    /// When the staging folder cannot be read.
    pub fn sweep_staging(&self) -> Result<usize, StorageError> {
        let parent = self.0.root.join("staging");
        let fail = |e| StorageError::file("could not read folder", &parent, e);
        let mut swept = 0;
        for entry in fs::read_dir(&parent).map_err(fail)? {
            let lock_path = entry.map_err(fail)?.path();
            if lock_path.extension().is_none_or(|extension| extension != "lock") || lock_path == self.0.lock_path {
                continue;
            }
            let Ok(lock) = File::open(&lock_path) else { continue };
            if lock.try_lock().is_err() {
                continue;
            }
            match remove_staging(&lock_path.with_extension(""), &lock_path) {
                Ok(()) => swept += 1,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "staging of a dead process was not deleted"
                    );
                }
            }
        }
        Ok(swept)
    }
}

/// Deletes a staging folder, and its lock when it is gone: without a lock no sweep would look at it.
fn remove_staging(staging: &Path, lock_path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::remove_file(lock_path)
}

/// The folder of an organization's files, in that of each kind of events and in that of results.
pub(crate) fn folder_of(organization: &OrganizationUid) -> String {
    format!("organization={organization}")
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
