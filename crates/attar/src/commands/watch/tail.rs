//! A file of lines that grows.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::commands::bounded::LONGEST;

/// Reads what was appended since it was read last.
pub(super) struct Tail {
    path: PathBuf,
    /// Bytes read.
    place: u64,
    /// The beginning of a line that is still being written.
    begun: Vec<u8>,
}

impl Tail {
    /// From the beginning of the file, which need not be there yet.
    pub(super) fn of(path: &Path) -> Tail {
        Tail { path: path.to_path_buf(), place: 0, begun: Vec::new() }
    }

    /// Gives each whole line to `take`; returns how many there were.
    pub(super) fn read(&mut self, mut take: impl FnMut(&str)) -> anyhow::Result<usize> {
        let failed = || format!("{} cannot be read", self.path.display());
        let mut file = match File::open(&self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(0),
            opened => opened.with_context(failed)?,
        };
        file.seek(SeekFrom::Start(self.place)).with_context(failed)?;
        let mut lines = 0;
        loop {
            let mut part = Vec::new();
            let count = (&mut file).take(1 << 16).read_to_end(&mut part).with_context(failed)?;
            if count == 0 {
                return Ok(lines);
            }
            self.place += count as u64;
            for byte in part {
                match byte {
                    b'\n' => {
                        take(&String::from_utf8_lossy(&self.begun));
                        self.begun.clear();
                        lines += 1;
                    }
                    // A line without an end is none of ours.
                    _ if self.begun.len() < LONGEST => self.begun.push(byte),
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_come_when_they_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut tail = Tail::of(&path);
        let mut seen = Vec::new();
        assert_eq!(tail.read(|line| seen.push(line.to_string())).unwrap(), 0);
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(tail.read(|line| seen.push(line.to_string())).unwrap(), 1);
        file.write_all(b"o\n\xff\n").unwrap();
        assert_eq!(tail.read(|line| seen.push(line.to_string())).unwrap(), 2);
        assert_eq!(seen, ["one", "two", "\u{fffd}"]);
    }
}
