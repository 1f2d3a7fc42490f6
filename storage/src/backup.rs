//! Backup of a running installation, and its way back.
//!
//! A backup is a folder like the data folder: a catalog, and every file that this catalog names. The catalog is copied
//! first, as one state of it. Its files never change, so that they only have to be kept from being deleted meanwhile: each
//! gets a second name in the staging folder at once, and is copied from there. A backup gets its own name last, and a
//! restored folder its catalog: half of either is not mistaken for the whole.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tokio::runtime::Handle;

use crate::blocking;
use crate::catalog::{Catalog, CatalogAddress, NamedFile};
use crate::clock::Clock;
use crate::error::StorageError;
use crate::folder::DataFolder;
use crate::store::Store;

/// How often it is begun anew where an organization was deleted in between.
const ATTEMPTS: u32 = 5;

/// The catalog's file, in a backup as in a data folder.
const CATALOG: &str = "catalog.db";

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Copied {
    /// Files, the catalog not counted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes that there are in all.
    pub of_bytes: u64,
}

/// A folder that is deleted again.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The folder that a backup is made in, until it gets the backup's name.
struct Partial {
    folder: PathBuf,
    /// Held, by the operating system's lock on the folder, so that two backups are not made in it.
    _lock: File,
    is_whole: bool,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_whole {
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

impl Partial {
    /// Takes the folder beside the target; what a backup that was killed left in it goes.
    fn beside(target: &Path) -> Result<Self, StorageError> {
        let folder = target.with_added_extension("partial");
        create_folder(&folder)?;
        let fail = |e| StorageError::file("could not open folder", &folder, e);
        let lock = File::open(&folder).map_err(fail)?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(StorageError::BackupUnderWay(folder.display().to_string())),
            locked => locked.map_err(|e| fail(e.into()))?,
        }
        for entry in fs::read_dir(&folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let is_folder = entry.file_type().map_err(fail)?.is_dir();
            let removed = if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
            removed.map_err(|e| StorageError::file("could not delete", &entry.path(), e))?;
        }
        Ok(Self { folder, _lock: lock, is_whole: false })
    }

    fn becomes(mut self, target: &Path) -> Result<(), StorageError> {
        sync_tree(&self.folder)?;
        fs::rename(&self.folder, target).map_err(|e| StorageError::file("could not move into place", target, e))?;
        self.is_whole = true;
        target.parent().map_or(Ok(()), sync_folder)
    }
}

impl Store {
    /// Copies everything that was committed before the call into a new folder. Others may go on meanwhile.
    ///
    /// # Errors
    /// [`StorageError::BackupTarget`] where there is something already, [`StorageError::BackupUnderWay`],
    /// [`StorageError::NotSqlite`], or when files cannot be read or written. There is no backup then.
    pub async fn backup(
        &self,
        target: &Path,
        mut progress: impl FnMut(&Copied) + Send + 'static,
    ) -> Result<Copied, StorageError> {
        let target = std::path::absolute(target).map_err(|e| StorageError::file("could not resolve", target, e))?;
        refuse_existing(&target)?;
        let links = Temporary(self.folder.staged_path());
        let files = self.linked(&links.0).await?;
        let demo = self.folder.path_of("demo.json");
        blocking(move || {
            let partial = Partial::beside(&target)?;
            let copied = copy_all(&links.0, &partial.folder, &files, &mut progress)?;
            if demo.exists() {
                copy_synced(&demo, &partial.folder.join("demo.json"))?;
            }
            copy_synced(&links.0.join(CATALOG), &partial.folder.join(CATALOG))?;
            partial.becomes(&target)?;
            Ok(copied)
        })
        .await
    }

    /// The catalog as of now and a second name for each file that it names, in that folder.
    async fn linked(&self, links: &Path) -> Result<Vec<NamedFile>, StorageError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            drop(fs::remove_dir_all(links));
            create_folder(links)?;
            let path = links.join(CATALOG);
            self.catalog.copy_to(&path).await?;
            let copy = Catalog::open(&CatalogAddress::Sqlite(path), self.clock.clone()).await?;
            let linked = self.link_files(&copy, links).await;
            copy.close().await;
            match linked {
                Err(StorageError::File { source, .. })
                    if source.kind() == io::ErrorKind::NotFound && attempts < ATTEMPTS => {}
                linked => return linked,
            }
        }
    }

    async fn link_files(&self, copy: &Catalog, links: &Path) -> Result<Vec<NamedFile>, StorageError> {
        copy.forget_what_is_elsewhere().await?;
        let mut files = Vec::new();
        for file in copy.files().await? {
            let link = links.join(&file.path);
            link.parent().map_or(Ok(()), create_folder)?;
            let source = self.folder.path_of(&file.path);
            match fs::hard_link(&source, &link) {
                // A result's time may have come since.
                Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_result => {
                    copy.forget_result(&file.path).await?;
                    continue;
                }
                linked => linked.map_err(|e| StorageError::file("could not link", &source, e))?,
            }
            files.push(file);
        }
        Ok(files)
    }
}

/// Makes a data folder and its catalog of a backup.
///
/// # Errors
/// [`StorageError::BackupTarget`] where there is a catalog or what `SQLite` keeps beside one, [`StorageError::NotSqlite`],
/// [`StorageError::Corrupt`] where a file of the backup is missing or has another size, or when files cannot be read or
/// written. There is no catalog then, and it can be tried again.
pub async fn restore(
    backup: &Path,
    data_dir: &Path,
    catalog: &CatalogAddress,
    clock: Clock,
    mut progress: impl FnMut(&Copied) + Send + 'static,
) -> Result<Copied, StorageError> {
    let CatalogAddress::Sqlite(catalog) = catalog else { return Err(StorageError::NotSqlite) };
    let (backup, catalog) = (backup.to_owned(), catalog.clone());
    // The log of an earlier catalog would be read into this one.
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut beside = catalog.clone().into_os_string();
        beside.push(suffix);
        refuse_existing(beside.as_ref())?;
    }
    let folder = DataFolder::open(data_dir)?;
    let runtime = Handle::current();
    blocking(move || {
        // Opened where it may be written to: the backup stays as it is.
        let copy = folder.staged_path();
        copy_synced(&backup.join(CATALOG), &copy)?;
        let files = runtime.block_on(async {
            let catalog = Catalog::open(&CatalogAddress::Sqlite(copy.clone()), clock).await?;
            let files = catalog.files().await;
            catalog.close().await;
            files
        })?;
        for file in &files {
            check_size(&backup, file)?;
        }
        let copied = copy_all(&backup, folder.root(), &files, &mut progress)?;
        if backup.join("demo.json").exists() {
            copy_synced(&backup.join("demo.json"), &folder.path_of("demo.json"))?;
        }
        for named in ["events", "results"] {
            sync_tree(&folder.path_of(named))?;
        }
        put_in_place(&copy, &catalog)?;
        Ok(copied)
    })
    .await
}

/// Gives a finished catalog its name, which may be on another disk than where it was made.
fn put_in_place(made: &Path, catalog: &Path) -> Result<(), StorageError> {
    let partial = catalog.with_added_extension("partial");
    let parent = catalog.parent();
    parent.map_or(Ok(()), create_folder)?;
    copy_synced(made, &partial)?;
    fs::rename(&partial, catalog).map_err(|e| StorageError::file("could not move into place", catalog, e))?;
    parent.map_or(Ok(()), sync_folder)
}

fn refuse_existing(path: &Path) -> Result<(), StorageError> {
    if path.exists() { Err(StorageError::BackupTarget(path.display().to_string())) } else { Ok(()) }
}

fn check_size(backup: &Path, file: &NamedFile) -> Result<(), StorageError> {
    let path = backup.join(&file.path);
    let metadata = fs::metadata(&path).map_err(|e| StorageError::file("could not read", &path, e))?;
    if metadata.len() == file.size_bytes {
        return Ok(());
    }
    let (has, should) = (metadata.len(), file.size_bytes);
    Err(StorageError::Corrupt(format!("`{}` has {has} bytes, and the catalog says {should}", path.display())))
}

fn copy_all(
    from: &Path,
    to: &Path,
    files: &[NamedFile],
    progress: &mut dyn FnMut(&Copied),
) -> Result<Copied, StorageError> {
    let mut copied = Copied { of_bytes: files.iter().map(|file| file.size_bytes).sum(), ..Copied::default() };
    for file in files {
        let target = to.join(&file.path);
        target.parent().map_or(Ok(()), create_folder)?;
        copied.bytes += copy_synced(&from.join(&file.path), &target)?;
        copied.files += 1;
        progress(&copied);
    }
    Ok(copied)
}

fn copy_synced(from: &Path, to: &Path) -> Result<u64, StorageError> {
    let copy = || {
        let bytes = fs::copy(from, to)?;
        File::open(to)?.sync_all()?;
        Ok(bytes)
    };
    copy().map_err(|e| StorageError::file("could not copy", from, e))
}

fn create_folder(folder: &Path) -> Result<(), StorageError> {
    fs::create_dir_all(folder).map_err(|e| StorageError::file("could not create folder", folder, e))
}

fn sync_folder(folder: &Path) -> Result<(), StorageError> {
    let sync = || File::open(folder)?.sync_all();
    sync().map_err(|e| StorageError::file("could not sync folder", folder, e))
}

/// Makes the names in a folder and those below it durable.
fn sync_tree(folder: &Path) -> Result<(), StorageError> {
    let fail = |e| StorageError::file("could not read folder", folder, e);
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if entry.file_type().map_err(fail)?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_folder(folder)
}
