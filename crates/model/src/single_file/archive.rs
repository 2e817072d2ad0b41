//! The archive: entries by name, as ranges of the bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::ops::Range;

use zip::CompressionMethod;
use zip::read::{ArchiveOffset, Config, ZipArchive};
use zip::write::{SimpleFileOptions, ZipWriter};

use super::error::SingleFileError;

/// The bytes of an archive and where its entries lie.
#[derive(Debug, Clone)]
pub(crate) struct Archive<'a> {
    bytes: Cow<'a, [u8]>,
    entries: BTreeMap<String, Range<usize>>,
}

impl<'a> Archive<'a> {
    /// Finds the entries and checks their checksums. Nothing is copied.
    pub(crate) fn read(bytes: Cow<'a, [u8]>) -> Result<Self, SingleFileError> {
        if !bytes.starts_with(&super::SIGNATURE) {
            return Err(SingleFileError::NotAnArchive);
        }
        let damaged = |source| SingleFileError::Damaged { source };
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let mut archive = ZipArchive::with_config(config, Cursor::new(&bytes[..])).map_err(damaged)?;
        if archive.has_duplicate_names() {
            return Err(SingleFileError::DuplicateEntry);
        }
        let mut entries = BTreeMap::new();
        let mut held = 0_usize;
        for number in 0..archive.len() {
            let file = archive.by_index_raw(number).map_err(damaged)?;
            let entry = String::from_utf8_lossy(file.name_raw()).into_owned();
            let is_stored = file.compression() == CompressionMethod::Stored && !file.encrypted();
            if !is_stored || file.size() != file.compressed_size() {
                return Err(SingleFileError::NotStored { entry });
            }
            let start = file.data_start().and_then(|start| usize::try_from(start).ok());
            let length = usize::try_from(file.size()).ok();
            let range = start.zip(length).and_then(|(start, length)| Some(start..start.checked_add(length)?));
            let Some((range, content)) = range.and_then(|range| Some((range.clone(), bytes.get(range)?))) else {
                return Err(SingleFileError::OutOfBounds { entry });
            };
            // Entries that share bytes would cost their sum many times over.
            held = held.saturating_add(content.len());
            if held > bytes.len() {
                return Err(SingleFileError::Overlap { entry });
            }
            let (expected, got) = (file.crc32(), crc32fast::hash(content));
            if expected != got {
                return Err(SingleFileError::Checksum { entry, expected, got });
            }
            if entries.insert(entry, range).is_some() {
                return Err(SingleFileError::DuplicateEntry);
            }
        }
        Ok(Archive { bytes, entries })
    }

    /// The bytes of an entry.
    pub(crate) fn entry(&self, name: &str) -> Option<&[u8]> {
        self.bytes.get(self.entries.get(name)?.clone())
    }
}

/// An archive of these files in their order, stored; a name that ends in `/` is a folder. Times are left out, so that
/// the same files give the same bytes.
pub(super) fn write(files: Vec<(String, Vec<u8>)>) -> Result<Vec<u8>, SingleFileError> {
    let unwritable = |source| SingleFileError::Unwritable { source };
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644);
    let length = files.iter().map(|(name, bytes)| bytes.len() + 2 * name.len() + 128).sum();
    let mut archive = ZipWriter::new(Cursor::new(Vec::with_capacity(length)));
    for (name, bytes) in files {
        if name.ends_with('/') {
            archive.add_directory(name, options.unix_permissions(0o755)).map_err(unwritable)?;
            continue;
        }
        archive.start_file(name, options.large_file(bytes.len() as u64 >= u64::from(u32::MAX))).map_err(unwritable)?;
        archive.write_all(&bytes).map_err(|source| unwritable(source.into()))?;
    }
    Ok(archive.finish().map_err(unwritable)?.into_inner())
}
