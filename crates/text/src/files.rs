//! Reading and writing whole files.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// Longest file of a tokenizer, in bytes. The longest published ones have about 20 MB.
pub(crate) const MOST_TOKENIZER_BYTES: u64 = 256 << 20;
/// Longest table, packed or unpacked, in bytes: its rows are held in memory.
pub(crate) const MOST_TABLE_BYTES: u64 = 4 << 30;
/// Longest single text or line, in bytes. A model reads some thousands of them.
pub(crate) const MOST_TEXT_BYTES: usize = 64 << 20;

/// Reads a regular file of at most `most` bytes.
///
/// Pipes and devices are refused before anything is read of them: they may never end, and some files are read more
/// than once.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let bytes = file.metadata()?.len();
    if bytes > most {
        return Err(too_long(&format!("{bytes} bytes"), most));
    }
    // A file that grows meanwhile, or one of those that have no length, ends at the limit too.
    let bytes = read_at_most(file, most)?;
    refuse_lfs_pointer(&bytes)?;
    Ok(bytes)
}

/// Reads to the end, or to an error after `most` bytes.
pub(crate) fn read_at_most(reader: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_long("more", most)) } else { Ok(bytes) }
}

pub(crate) fn too_long(found: &str, most: u64) -> io::Error {
    let what = format!("{found}, and at most {most} are read of such a file; split it");
    io::Error::new(io::ErrorKind::FileTooLarge, what)
}

/// Refuses the text that Git LFS leaves in place of a file.
pub(crate) fn refuse_lfs_pointer(start: &[u8]) -> io::Result<()> {
    if start.starts_with(b"version https://git-lfs.github.com/") {
        let what = "a git-lfs pointer, not the file: fetch it with `git lfs pull`";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(())
}

/// Opens a regular file, or a link to one.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Looked at before it is opened: opening a pipe waits for its writer.
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "a folder, expected a file"));
    }
    if !metadata.is_file() {
        let why = "not a regular file: text is read more than once, so a pipe has to be written to a file first";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    File::open(path)
}

/// Writes a file so that a reader meets either the old content or the new, never a part: a
/// temporary sibling is written, flushed to the disk and renamed.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.part", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let written = (|| {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The error that matters is the one above; the part may not even exist.
        _ = fs::remove_file(&temporary);
    }
    written
}

/// The lines of a text without their line ends.
///
/// Lines end at `\n` only, one `\r` before it is dropped too, and a last line without an end
/// counts. U+0085, U+2028 and lone `\r` are characters of the text.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let lines = (!bytes.is_empty()).then(|| body.split(|&byte| byte == b'\n'));
    lines.into_iter().flatten().map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_atomically(&dir.path().join("no/such/folder"), b"").is_err());
        assert!(write_atomically(Path::new("/"), b"").is_err());
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        fs::create_dir_all(taken.join("inside")).unwrap();
        assert!(write_atomically(&taken, b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_read_past_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        fs::write(&path, b"four").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"four");
        assert_eq!(read(&path, 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_at_most(&b"four"[..], 4).unwrap(), b"four");
        assert_eq!(read_at_most(io::repeat(0), 1000).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read(dir.path(), 4).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn splits_at_line_feeds_only() {
        let split = |text: &'static str| -> Vec<&str> {
            lines(text.as_bytes()).map(|line| std::str::from_utf8(line).unwrap()).collect()
        };
        assert_eq!(split(""), Vec::<&str>::new());
        assert_eq!(split("\n"), [""]);
        assert_eq!(split("a"), ["a"]);
        assert_eq!(split("a\nb\n"), ["a", "b"]);
        assert_eq!(split("a\n\nb"), ["a", "", "b"]);
        assert_eq!(split("a\r\nb\r\r\n"), ["a", "b\r"]);
        assert_eq!(split("a\u{85}b\u{2028}c\rd\u{c}e\n"), ["a\u{85}b\u{2028}c\rd\u{c}e"]);
    }
}
