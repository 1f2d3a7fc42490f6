//! What makes a folder, a name in it and a file's age outlive a loss of power.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::StorageError;

#[expect(clippy::disallowed_methods, reason = "file times are the machine's, whatever the clock of the tests says")]
fn age_origin() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

pub(crate) fn sync_folder(folder: &Path) -> Result<(), StorageError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|e| StorageError::file("could not sync folder", folder, e))
}

/// Makes the file as young as its name will be. The sweep goes by age: a long upload must not look old the moment that it
/// is published.
pub(crate) fn touch(staged: &Path) -> Result<(), StorageError> {
    File::options()
        .write(true)
        .open(staged)
        .and_then(|file| file.set_modified(std::time::SystemTime::UNIX_EPOCH + age_origin()))
        .map_err(|e| StorageError::file("could not touch", staged, e))
}

/// Makes a folder and those above it that are not there; those that have a new entry by it are to be synced.
pub(crate) fn create_folder(folder: &Path, changed: &mut BTreeSet<PathBuf>) -> Result<(), StorageError> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_folder(parent, changed)?;
        changed.insert(parent.to_owned());
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(StorageError::file("could not create folder", folder, error))
        }
        _ => Ok(()),
    }
}
