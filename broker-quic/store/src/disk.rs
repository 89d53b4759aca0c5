//! The few calls that the store makes on a folder of files, so that tests can make any of them fail.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A folder. Names are plain file names; errors are those of the system.
pub trait Disk: fmt::Debug + Send {
    /// The names in it.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Everything in a file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Opens a file to write, which is made if it is missing.
    fn open(&self, name: &str) -> io::Result<Box<dyn Extent>>;
    /// Puts one file in the place of another.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Returns when all names are durable.
    fn sync_names(&self) -> io::Result<()>;
}

/// An open file.
pub trait Extent: fmt::Debug + Send {
    /// Writes some of `bytes`, at least one; returns how many.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Cuts it off.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Returns when all that was written is durable.
    fn sync(&self) -> io::Result<()>;
}

/// Writes all of `bytes`.
pub(crate) fn write_all(extent: &dyn Extent, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match extent.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns when all names in a folder are durable. Only Unix can be asked for that; other systems journal them.
///
/// # Errors
/// Those of the system.
pub fn sync_names(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Opens a file to write, or makes it for its owner alone.
#[must_use]
pub fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    options.mode(0o600);
    options
}

/// A folder of the system. What is made in it is its owner's alone.
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

impl Disk for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.0)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.0.join(name))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Extent>> {
        let file = private().truncate(false).open(self.0.join(name))?;
        Ok(Box::new(SystemFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn sync_names(&self) -> io::Result<()> {
        sync_names(&self.0)
    }
}

#[derive(Debug)]
struct SystemFile(fs::File);

impl Extent for SystemFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut file = &self.0;
        file.seek(SeekFrom::Start(offset))?;
        file.write(bytes)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
