//! Files of JSON lines: one object a line, appended whole, where a crash tears the last line at most.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::Serialize;

/// A line that is not a JSON object, as a crash leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornLine {
    /// Its number, from 1.
    pub line: usize,
    /// Its length in bytes.
    pub bytes: usize,
}

/// A file of JSON lines open for appending.
#[derive(Debug)]
pub(crate) struct JsonLines {
    file: File,
    /// Whether the file ends inside a line.
    torn: bool,
}

impl JsonLines {
    /// Opens a file, creating it if it does not exist. Where it ends inside a line, the next one starts afresh.
    pub(crate) fn append_to(path: &Path) -> io::Result<Self> {
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        // Lines of two writers could not be told apart. A file system without locks is accepted as it is.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(io::Error::new(ErrorKind::WouldBlock, "another meter is writing to it"));
        }
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(Self { file, torn: last != [b'\n'] })
    }

    /// Creates a file, replacing what was there.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, torn: false })
    }

    /// Appends a line with its end in one call.
    pub(crate) fn write(&mut self, content: &impl Serialize) -> io::Result<()> {
        let mut text = if self.torn { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut text, content)?;
        text.push(b'\n');
        // Until the whole line is out, the file may end inside it.
        self.torn = true;
        self.file.write_all(&text)?;
        self.torn = false;
        Ok(())
    }

    /// Waits until everything is on the disk.
    pub(crate) fn sync(self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// A file that refuses every write.
    #[cfg(test)]
    pub(crate) fn refusing(path: &Path) -> Self {
        Self { file: File::open(path).unwrap(), torn: false }
    }
}
