//! The zip container: `<name>/data.pkl` is the pickle, `<name>/data/<key>` the bytes of each storage.
//!
//! The entries are stored, not compressed, so a storage is a range of the file. Checksums are not verified,
//! as PyTorch itself does not (it can also be told not to write them).

use std::collections::BTreeMap;
use std::io::Cursor;

use zip::CompressionMethod;
use zip::read::{ArchiveOffset, Config, ZipArchive};

use super::error::TorchError;
use super::{pickle, state_dict};
use crate::stored::FileIndex;

pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

pub(super) fn index(bytes: &[u8]) -> Result<FileIndex, TorchError> {
    let entries = entries(bytes)?;
    if entries.keys().any(|name| name.ends_with("/constants.pkl")) {
        return Err(TorchError::TorchScript);
    }
    let pickles: Vec<_> =
        entries.iter().filter_map(|(name, entry)| Some((name.strip_suffix("/data.pkl")?, entry))).collect();
    let [(folder, program)] = pickles.as_slice() else {
        return Err(TorchError::NoPickle { count: pickles.len() });
    };
    if entries.get(&format!("{folder}/byteorder")).is_some_and(|order| order.bytes == b"big") {
        return Err(TorchError::BigEndian);
    }
    let pickled = pickle::run(program.bytes)?;
    let mut starts = BTreeMap::new();
    for (key, storage) in state_dict::storages(&pickled)? {
        let Some(entry) = entries.get(&format!("{folder}/data/{key}")) else {
            return Err(TorchError::NoStorage { key: key.into() });
        };
        let (expected, got) = (state_dict::expected_length(storage), entry.bytes.len() as u64);
        if expected != got {
            return Err(TorchError::StorageLength { key: key.into(), expected, got });
        }
        starts.insert(key, entry.start);
    }
    state_dict::index(&pickled, &starts)
}

/// An entry of the archive as a range of the file.
struct ArchiveEntry<'a> {
    start: usize,
    bytes: &'a [u8],
}

fn entries(bytes: &[u8]) -> Result<BTreeMap<String, ArchiveEntry<'_>>, TorchError> {
    let damaged = |source| TorchError::Zip { source };
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, Cursor::new(bytes)).map_err(damaged)?;
    let mut entries = BTreeMap::new();
    for number in 0..archive.len() {
        let file = archive.by_index_raw(number).map_err(damaged)?;
        let entry = String::from_utf8_lossy(file.name_raw()).into_owned();
        if file.compression() != CompressionMethod::Stored || file.encrypted() || file.size() != file.compressed_size()
        {
            return Err(TorchError::Compressed { entry });
        }
        let start = file.data_start().and_then(|start| usize::try_from(start).ok());
        let length = usize::try_from(file.size()).ok();
        let range = start.zip(length).and_then(|(start, length)| Some((start, start.checked_add(length)?)));
        let inside = range.and_then(|(start, end)| Some(ArchiveEntry { start, bytes: bytes.get(start..end)? }));
        match inside {
            Some(inside) => _ = entries.insert(entry, inside),
            None => return Err(TorchError::EntryOutside { entry }),
        }
    }
    Ok(entries)
}
