//! Vectors as an array of numpy: a file that grows row by row.
//!
//! The header says how many rows there are, which is known at the end: it is written with room for the number first, and
//! again when all rows are there. The file stands beside its place until then.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::commands::part_file::PartFile;

/// Bytes before the numbers: a multiple of 64, as the format wants, with room for any number of rows.
const HEADER: usize = 128;

/// A file of vectors in 32-bit floats, `[rows, width]`.
pub(crate) struct NpyFile {
    file: PartFile,
    place: PathBuf,
    rows: usize,
    /// Known from the first vector on.
    width: Option<usize>,
}

impl NpyFile {
    /// A file for this place, which is there once it is [finished](Self::finish).
    pub(crate) fn new(place: &Path) -> anyhow::Result<NpyFile> {
        let unwritable = || format!("{} cannot be written", place.display());
        let mut file = PartFile::create(place)?;
        file.write_all(&header(0, 0)).with_context(unwritable)?;
        Ok(NpyFile { file, place: place.to_owned(), rows: 0, width: None })
    }

    /// Appends a vector.
    pub(crate) fn push(&mut self, vector: &[f32]) -> anyhow::Result<()> {
        match self.width {
            None => {
                self.width = Some(vector.len());
                // Those without a vector that came before.
                for _ in 0..self.rows {
                    self.write(&vec![f32::NAN; vector.len()])?;
                }
            }
            Some(width) => ensure!(vector.len() == width, "a vector of {} numbers among ones of {width}", vector.len()),
        }
        self.rows += 1;
        self.write(vector)
    }

    /// Appends a row for a text that has no vector: numbers that are none, so that the others keep their rows.
    pub(crate) fn push_missing(&mut self) -> anyhow::Result<()> {
        self.rows += 1;
        match self.width {
            Some(width) => self.write(&vec![f32::NAN; width]),
            None => Ok(()),
        }
    }

    fn write(&mut self, vector: &[f32]) -> anyhow::Result<()> {
        let result = vector.iter().try_for_each(|number| self.file.write_all(&number.to_le_bytes()));
        result.with_context(|| format!("{} cannot be written", self.place.display()))
    }

    /// Writes the number of rows and puts the file into its place.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        let unwritable = || format!("{} cannot be written", self.place.display());
        self.file.seek(SeekFrom::Start(0)).with_context(unwritable)?;
        self.file.write_all(&header(self.rows, self.width.unwrap_or(0))).with_context(unwritable)?;
        self.file.finish()
    }
}

/// The first bytes of a file: version 1.0 of the format, padded with spaces.
fn header(rows: usize, width: usize) -> Vec<u8> {
    let shape = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    let length = HEADER - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{shape:<0$}\n", length - 1).as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_vectors_keep_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("v.npy");
        let mut file = NpyFile::new(&place).unwrap();
        file.push_missing().unwrap();
        file.push(&[1.0, -2.5]).unwrap();
        file.push_missing().unwrap();
        assert!(file.push(&[1.0]).is_err());
        assert!(!place.exists(), "it is not complete");
        file.finish().unwrap();
        let bytes = std::fs::read(&place).unwrap();
        let (header, rows) = bytes.split_at(HEADER);
        assert!(header.starts_with(b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4'") && header.ends_with(b" \n"));
        assert!(String::from_utf8_lossy(header).contains("'shape': (3, 2), }"));
        let numbers: Vec<f32> = rows.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        assert!(numbers[..2].iter().chain(&numbers[4..]).all(|number| number.is_nan()));
        assert_eq!((&numbers[2..4], numbers.len()), (&[1.0, -2.5][..], 6));
        assert_eq!(header.len(), header_of_most_rows());
    }

    fn header_of_most_rows() -> usize {
        header(usize::MAX, usize::MAX).len()
    }
}
