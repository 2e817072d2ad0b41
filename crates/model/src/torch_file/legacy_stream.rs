//! The container of PyTorch before 1.6: one stream of five pickles and the raw storages.
//!
//! The pickles are a magic number, the version 1001, the machine's byte order, the dictionary, and the keys of
//! the storages; then follows, for each key in that order, a 64-bit count of elements and the elements.

use std::collections::BTreeMap;

use super::error::TorchError;
use super::pickle::{Object, Pickled, StackValue};
use super::{pickle, state_dict};
use crate::stored::FileIndex;

/// The pickled magic number 0x1950a86a20f9469cfc6c, after the protocol byte.
const MAGIC: [u8; 13] = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];

pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    // The protocol is any: 2 by default.
    bytes.first() == Some(&0x80) && bytes.get(2..).is_some_and(|rest| rest.starts_with(&MAGIC))
}

pub(super) fn index(bytes: &[u8]) -> Result<FileIndex, TorchError> {
    let mut at = 2 + MAGIC.len();
    let mut next = || {
        let rest = bytes.get(at..).unwrap_or_default();
        let pickled = pickle::run(rest)?;
        at += pickled.length;
        Ok::<_, TorchError>(pickled)
    };
    match next()?.root {
        StackValue::Int(1001) => {}
        StackValue::Int(got) => return Err(TorchError::Version { got }),
        _ => return Err(TorchError::NotTorch),
    }
    if is_big_endian(&next()?) {
        return Err(TorchError::BigEndian);
    }
    let dictionary = next()?;
    let keys = next()?;
    let starts = storage_starts(bytes, at, &dictionary, &keys)?;
    state_dict::index(&dictionary, &starts)
}

fn is_big_endian(machine: &Pickled) -> bool {
    let StackValue::Object(root) = machine.root else { return false };
    match machine.objects.get(root) {
        Some(Object::Dict(items)) => items.contains(&(StackValue::Text("little_endian"), StackValue::Bool(false))),
        _ => false,
    }
}

/// First byte of each storage, all of which lie inside the file.
fn storage_starts<'a>(
    bytes: &[u8],
    mut at: usize,
    dictionary: &Pickled<'a>,
    keys: &Pickled<'a>,
) -> Result<BTreeMap<&'a str, usize>, TorchError> {
    let keys = match keys.root {
        StackValue::Object(root) => keys.objects.get(root),
        _ => None,
    };
    let Some(Object::List(keys)) = keys else {
        return Err(TorchError::Pickle { expected: "the keys of the storages", at });
    };
    let storages = state_dict::storages(dictionary)?;
    let mut starts = BTreeMap::new();
    for key in keys {
        let StackValue::Text(key) = *key else {
            return Err(TorchError::Pickle { expected: "the key of a storage", at });
        };
        let Some(storage) = storages.get(key) else {
            return Err(TorchError::NoStorage { key: key.into() });
        };
        let rest = bytes.get(at..).unwrap_or_default();
        let Some((count, rest)) = rest.split_first_chunk::<8>() else {
            return Err(TorchError::Truncated { at: bytes.len(), what: "the length of a storage" });
        };
        let expected = state_dict::expected_length(storage);
        let count = u64::from_le_bytes(*count);
        if count != storage.count as u64 {
            let got = count.saturating_mul((storage.element.bits() / 8) as u64);
            return Err(TorchError::StorageLength { key: key.into(), expected, got });
        }
        let Some(length) = usize::try_from(expected).ok().filter(|&length| length <= rest.len()) else {
            return Err(TorchError::Truncated { at: bytes.len(), what: "a storage" });
        };
        starts.insert(key, at + 8);
        at += 8 + length;
    }
    match storages.keys().find(|key| !starts.contains_key(*key)) {
        Some(&key) => Err(TorchError::NoStorage { key: key.into() }),
        None => Ok(starts),
    }
}
