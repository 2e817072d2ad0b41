//! Records by row, appended to a file.
//!
//! A record is the row's number, its length in bytes, a checksum of all of it, and the bytes. A record that was not written
//! whole, or was damaged since, does not match its checksum and is as good as absent.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crc32fast::Hasher;

/// Bytes of a file before its first record: what it is, and the key of what is in it.
const HEADER: u64 = 40;
const MAGIC: &[u8; 8] = b"attrtrc1";
/// Bytes of a record before its own.
const RECORD_HEADER: u64 = 12;

/// A file of records, held by one process.
#[derive(Debug)]
pub(super) struct RecordFile {
    file: File,
    /// Where the bytes of each row begin, and their number.
    index: HashMap<u32, (u64, u32)>,
    /// Where the next record goes.
    end: u64,
}

impl RecordFile {
    /// Opens or creates the file of this key; the records of another key are dropped.
    pub(super) fn open(path: &Path, key: [u8; 32]) -> io::Result<RecordFile> {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut header = [0; HEADER as usize];
        let is_ours = file.read_exact(&mut header).is_ok() && header[..8] == *MAGIC && header[8..] == key;
        if !is_ours {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(MAGIC)?;
            file.write_all(&key)?;
        }
        let mut records = RecordFile { file, index: HashMap::new(), end: HEADER };
        if is_ours {
            records.scan()?;
        }
        Ok(records)
    }

    /// Finds the records of a file, and cuts off what is not a whole one.
    fn scan(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let mut header = [0; RECORD_HEADER as usize];
        while self.end + RECORD_HEADER <= length {
            self.file.seek(SeekFrom::Start(self.end))?;
            self.file.read_exact(&mut header)?;
            let [row, bytes, _] = fields(&header);
            let next = self.end + RECORD_HEADER + u64::from(bytes);
            if next > length {
                break;
            }
            self.index.insert(row, (self.end + RECORD_HEADER, bytes));
            self.end = next;
        }
        self.file.set_len(self.end)
    }

    /// Bytes that a record of so many of its own takes.
    pub(super) fn cost(bytes: usize) -> u64 {
        RECORD_HEADER + bytes as u64
    }

    /// The bytes of a row, where they are here and undamaged.
    pub(super) fn get(&mut self, row: u32) -> Option<Vec<u8>> {
        let &(start, bytes) = self.index.get(&row)?;
        let record = self.read(start, bytes).ok().filter(|record| {
            let [stored_row, _, sum] = fields(record);
            stored_row == row && sum == checksum(row, &record[RECORD_HEADER as usize..])
        });
        let Some(mut record) = record else {
            self.index.remove(&row);
            return None;
        };
        record.drain(..RECORD_HEADER as usize);
        Some(record)
    }

    fn read(&mut self, start: u64, bytes: u32) -> io::Result<Vec<u8>> {
        let mut record = vec![0; RECORD_HEADER as usize + bytes as usize];
        self.file.seek(SeekFrom::Start(start - RECORD_HEADER))?;
        self.file.read_exact(&mut record)?;
        Ok(record)
    }

    /// Forgets all records and gives their room back, as far as the system lets it.
    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.end = HEADER;
        let _ = self.file.set_len(HEADER);
    }

    /// True if there is a record of a row.
    pub(super) fn holds(&self, row: u32) -> bool {
        self.index.contains_key(&row)
    }

    /// Appends the bytes of a row.
    pub(super) fn put(&mut self, row: u32, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut record = Vec::with_capacity(RECORD_HEADER as usize + bytes.len());
        for field in [row, length, checksum(row, bytes)] {
            record.extend(field.to_le_bytes());
        }
        record.extend(bytes);
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&record)?;
        self.index.insert(row, (self.end + RECORD_HEADER, length));
        self.end += record.len() as u64;
        Ok(())
    }
}

/// Row, length and checksum at the beginning of a record.
fn fields(record: &[u8]) -> [u32; 3] {
    std::array::from_fn(|field| {
        let bytes = &record[4 * field..4 * field + 4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    })
}

fn checksum(row: u32, bytes: &[u8]) -> u32 {
    let mut hash = Hasher::new();
    hash.update(&row.to_le_bytes());
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
    hash.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn opened(folder: &tempfile::TempDir) -> RecordFile {
        RecordFile::open(&folder.path().join("records"), KEY).unwrap()
    }

    #[test]
    fn records_come_back_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = opened(&folder);
        file.put(3, b"three").unwrap();
        file.put(900, b"").unwrap();
        for mut file in [file, opened(&folder)] {
            assert_eq!((file.get(3).unwrap(), file.get(900).unwrap()), (b"three".to_vec(), Vec::new()));
            assert!(file.get(4).is_none() && file.holds(3) && !file.holds(4));
        }
        let length = std::fs::metadata(folder.path().join("records")).unwrap().len();
        assert_eq!(length, HEADER + RecordFile::cost(5) + RecordFile::cost(0));
    }

    #[test]
    fn a_torn_record_is_cut_off_and_a_damaged_one_is_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("records");
        let mut file = opened(&folder);
        (0..3).for_each(|row| file.put(row, &[row as u8; 10]).unwrap());
        drop(file);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 4);
        // A bit of the second record's own bytes.
        bytes[HEADER as usize + 22 + 15] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let mut file = opened(&folder);
        assert_eq!(file.get(0).unwrap(), [0; 10]);
        assert!(file.get(1).is_none() && !file.holds(1) && file.get(2).is_none());
        // What is appended now stands where the torn one began.
        file.put(2, b"again").unwrap();
        assert_eq!(opened(&folder).get(2).unwrap(), b"again");
    }

    #[test]
    fn a_cleared_file_takes_records_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = opened(&folder);
        file.put(1, b"one").unwrap();
        file.clear();
        assert!(!file.holds(1) && file.get(1).is_none());
        assert_eq!(std::fs::metadata(folder.path().join("records")).unwrap().len(), HEADER);
        file.put(2, b"two").unwrap();
        assert_eq!(opened(&folder).get(2).unwrap(), b"two");
    }

    #[test]
    fn records_of_another_key_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        opened(&folder).put(1, b"ours").unwrap();
        let path = folder.path().join("records");
        let other = RecordFile::open(&path, [8; 32]).unwrap();
        assert!(!other.holds(1));
        drop(other);
        assert!(!opened(&folder).holds(1));
        std::fs::write(&path, "something else entirely, and long enough for a header").unwrap();
        opened(&folder);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), HEADER);
    }
}
