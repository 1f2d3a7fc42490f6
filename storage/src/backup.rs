//! Backup of a running installation, and its way back.
//!
//! A backup is a folder like the data folder: a catalog, and every file that this catalog names. The catalog is copied
//! first, as one state of it. Its files never change, so that they only have to be kept from being deleted meanwhile: each
//! gets a second name in the staging folder at once, and is copied from there. A backup gets its own name last, and a
//! restored folder its catalog: half of either is not mistaken for the whole.

use std::fs::{self, File};
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

/// A folder that is deleted again unless it was moved away.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

impl Store {
    /// Copies everything that was committed before the call into a new folder. Others may go on meanwhile.
    ///
    /// # Errors
    /// [`StorageError::BackupTarget`] where there is something already, [`StorageError::NotSqlite`], or when files cannot
    /// be read or written. There is no backup then.
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
            let partial = Temporary(target.with_added_extension("partial"));
            drop(fs::remove_dir_all(&partial.0));
            create_folder(&partial.0)?;
            let copied = copy_all(&links.0, &partial.0, &files, &mut progress)?;
            if demo.exists() {
                copy_synced(&demo, &partial.0.join("demo.json"))?;
            }
            copy_synced(&links.0.join(CATALOG), &partial.0.join(CATALOG))?;
            sync_tree(&partial.0)?;
            fs::rename(&partial.0, &target).map_err(|e| StorageError::file("could not move into place", &target, e))?;
            target.parent().map_or(Ok(()), sync_folder)?;
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

/// Makes a data folder of a backup.
///
/// # Errors
/// [`StorageError::BackupTarget`] where the folder has a catalog, [`StorageError::Corrupt`] where a file of the backup is
/// missing or has another size, or when files cannot be read or written. The folder has no catalog then, and it can be
/// tried again.
pub async fn restore(
    backup: &Path,
    data_dir: &Path,
    clock: Clock,
    mut progress: impl FnMut(&Copied) + Send + 'static,
) -> Result<Copied, StorageError> {
    let (backup, catalog_path) = (backup.to_owned(), data_dir.join(CATALOG));
    refuse_existing(&catalog_path)?;
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
        folder.publish(&copy, CATALOG)?;
        Ok(copied)
    })
    .await
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
