//! Reading and writing whole files.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

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
