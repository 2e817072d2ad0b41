//! Marks of files whose hash has not been compared yet.
//!
//! `hf-hub` links a file into the snapshot as soon as it has arrived. If the program ends before the hash is compared, nothing
//! else would ever look at the file again, so `blobs/ETAG.unchecked` is there from before the transfer until after the check.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

const EXTENSION: &str = "unchecked";

/// Whether an ETag is the SHA-256 of its file, as it is for large (LFS) files; for small files it is a Git object
/// hash.
pub(super) fn is_sha256(tag: &str) -> bool {
    tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Marks a file that is about to arrive. Only a file whose tag is a SHA-256 can be checked later.
pub(super) fn mark(stored: &Path) -> io::Result<()> {
    if tag(stored).is_some() {
        File::create(stored.with_extension(EXTENSION))?;
    }
    Ok(())
}

/// Removes the mark of a file that was checked.
pub(super) fn unmark(stored: &Path) {
    // A mark that stays costs no more than another check.
    let _ = fs::remove_file(stored.with_extension(EXTENSION));
}

/// Checks the marked files of a folder `blobs`, and removes those that differ from their hash. Returns the removed ones.
///
/// # Errors
/// If a marked file cannot be read, or a damaged one cannot be removed.
pub(super) fn check_marked(blobs: &Path) -> io::Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    let Ok(entries) = fs::read_dir(blobs) else { return Ok(removed) };
    for entry in entries {
        let mark = entry?.path();
        let stored = mark.with_extension("");
        let is_mark = mark.extension().is_some_and(|extension| extension == EXTENSION);
        // The mark of a file that has not arrived yet stays.
        let Some(tag) = tag(&stored).filter(|_| is_mark && stored.exists()) else { continue };
        if sha256(&stored)? != tag {
            fs::remove_file(&stored)?;
            removed.push(stored.clone());
        }
        unmark(&stored);
    }
    Ok(removed)
}

/// The SHA-256 that a stored file has to have, which is its name, in lower case.
fn tag(stored: &Path) -> Option<String> {
    stored.file_name()?.to_str().filter(|name| is_sha256(name)).map(str::to_ascii_lowercase)
}

/// The SHA-256 of a file, in hexadecimal.
pub(super) fn sha256(path: &Path) -> io::Result<String> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => hash.update(&block[..read]),
        }
    }
}
