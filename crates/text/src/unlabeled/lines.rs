//! The lines of a file that need not fit into memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::UnlabeledError;
use crate::corpus::{LineError, Lines};
use crate::table::hexadecimal;
use crate::{compression, files};

/// Calls `visit` with each line, split as [`crate::table`] does it, and returns the SHA-256 of the file. A file that
/// `gzip` or `zstd` packed is unpacked, whatever its name.
pub(super) fn each(path: &Path, mut visit: impl FnMut(&str)) -> Result<String, UnlabeledError> {
    let io_error = |source| UnlabeledError::Io { path: path.to_owned(), source };
    let mut file = BufReader::new(Hashed { file: files::open(path).map_err(io_error)?, hash: Sha256::new() });
    file.fill_buf().and_then(files::refuse_lfs_pointer).map_err(io_error)?;
    each_line(&mut compression::unpacked(&mut file).map_err(io_error)?, path, &mut visit)?;
    // The hash is of the whole file, whatever the unpacking left.
    io::copy(&mut file, &mut io::sink()).map_err(io_error)?;
    Ok(hexadecimal(&file.into_inner().hash.finalize()))
}

fn each_line(text: &mut impl BufRead, path: &Path, visit: &mut impl FnMut(&str)) -> Result<(), UnlabeledError> {
    let path = || path.to_owned();
    let mut lines = Lines::new(text);
    while let Some(line) = lines.next().map_err(|error| match error {
        LineError::Io(source) => UnlabeledError::Io { path: path(), source },
        LineError::NotUtf8 { line } => UnlabeledError::NotUtf8 { path: path(), line },
    })? {
        visit(line);
    }
    Ok(())
}

/// A file, and the hash of what was read of it.
struct Hashed {
    file: File,
    hash: Sha256,
}

impl Read for Hashed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(out)?;
        self.hash.update(&out[..read]);
        Ok(read)
    }
}
