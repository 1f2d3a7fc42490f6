//! A file that is there as a whole or not at all: it is written under another name first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes a file of that name. What is no file, a device or a pipe, is written to and not replaced.
///
/// # Errors
/// What `write` says, or the disk; then the file is as it was.
pub(crate) fn write_whole<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return write(&mut File::options().write(true).open(path)?);
    }
    replace(path, File::options().write(true).create(true).truncate(true), write)
}

/// Writes a file of that name that nobody but its owner may read.
///
/// # Errors
/// What the disk says; then the file is as it was.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, File::options().write(true).create(true).truncate(true).mode(0o600), |out| out.write_all(bytes))
}

fn replace<E: From<io::Error>>(
    path: &Path,
    options: &OpenOptions,
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    let partial = path.with_added_extension("partial");
    let written = write_synced(options.open(&partial)?, write).and_then(|()| Ok(fs::rename(&partial, path)?));
    if written.is_err() {
        // The first error is the one worth telling.
        drop(fs::remove_file(&partial));
    }
    written
}

fn write_synced<E: From<io::Error>>(file: File, write: impl FnOnce(&mut dyn Write) -> Result<(), E>) -> Result<(), E> {
    let mut out = BufWriter::new(file);
    write(&mut out)?;
    out.flush()?;
    Ok(out.get_ref().sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_not_written_to_its_end_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.csv");
        let text = |text: &'static str| move |out: &mut dyn Write| out.write_all(text.as_bytes());
        write_whole(&path, text("old")).unwrap();
        let failed = write_whole(&path, |out| text("new")(out).and(Err(io::Error::other("no"))));
        assert_eq!(failed.unwrap_err().to_string(), "no");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        write_whole(&path, text("new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn nobody_else_reads_a_private_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        write_private(&path, b"{}").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
