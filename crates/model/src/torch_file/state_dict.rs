//! From the dictionary a pickle built to tensors in the file.

use std::collections::BTreeMap;

use super::error::TorchError;
use super::pickle::{Object, Pickled, StackValue, StorageRef, View};
use crate::stored::{FileIndex, Storage, StoredTensor, ViewError};

/// All storages a program refers to, by key. The program must have built a dictionary.
pub(super) fn storages<'p, 'a>(pickled: &'p Pickled<'a>) -> Result<BTreeMap<&'a str, &'p StorageRef<'a>>, TorchError> {
    dictionary(pickled)?;
    let mut storages: BTreeMap<&str, &StorageRef> = BTreeMap::new();
    for object in &pickled.objects {
        let Object::Storage(storage) = object else { continue };
        let known = storages.entry(storage.key).or_insert(storage);
        if (known.element, known.count) != (storage.element, storage.count) {
            return Err(TorchError::Ambiguous { key: storage.key.into() });
        }
    }
    Ok(storages)
}

/// Bytes of a storage by the program; numbers that cannot be counted are as good as infinite.
pub(super) fn expected_length(storage: &StorageRef) -> u64 {
    (storage.count as u64).saturating_mul((storage.element.bits() / 8) as u64)
}

/// The tensors of the dictionary. `starts` gives the first byte in the file of each storage, all of which lies
/// inside the file.
pub(super) fn index(pickled: &Pickled, starts: &BTreeMap<&str, usize>) -> Result<FileIndex, TorchError> {
    // As in Python, the last of several equal keys counts.
    let mut tensors = BTreeMap::new();
    let mut others = Vec::new();
    let root = dictionary(pickled)?;
    let items = match nested(pickled, root)? {
        Some((name, items)) => {
            others.extend(root.iter().filter_map(|(key, _)| text(key)).filter(|key| *key != name).map(str::to_owned));
            items
        }
        None => root,
    };
    for (key, value) in items {
        let StackValue::Text(name) = *key else {
            others.push(format!("{key:?}"));
            continue;
        };
        match object(pickled, value) {
            Some(Object::Tensor(view)) => _ = tensors.insert(name.to_string(), tensor(name, view, pickled, starts)?),
            _ => others.push(name.to_string()),
        }
    }
    Ok(FileIndex { tensors: tensors.into_iter().collect(), others })
}

type Items<'a> = [(StackValue<'a>, StackValue<'a>)];

/// The dictionary of tensors inside of a training checkpoint, with its name, where there are no tensors outside.
fn nested<'p, 'a>(
    pickled: &'p Pickled<'a>,
    root: &'p Items<'a>,
) -> Result<Option<(&'a str, &'p Items<'a>)>, TorchError> {
    let holds_tensors =
        |items: &Items<'_>| items.iter().any(|(_, value)| matches!(object(pickled, value), Some(Object::Tensor(_))));
    if holds_tensors(root) {
        return Ok(None);
    }
    let inner = |(key, value): &'p (StackValue<'a>, StackValue<'a>)| match object(pickled, value) {
        Some(Object::Dict(items)) if holds_tensors(items) => Some((text(key)?, items.as_slice())),
        _ => None,
    };
    let found: Vec<_> = root.iter().filter_map(inner).collect();
    let usual = |name: &&str| found.iter().find(|(key, _)| key == name).copied();
    match (found.as_slice(), MODEL_KEYS.iter().find_map(usual)) {
        ([], _) => Ok(None),
        ([only], _) => Ok(Some(*only)),
        (_, Some(model)) => Ok(Some(model)),
        (several, None) => Err(TorchError::Nested { keys: several.iter().map(|(key, _)| (*key).into()).collect() }),
    }
}

/// Under which names training programs keep a model beside other things.
const MODEL_KEYS: [&str; 5] = ["state_dict", "model_state_dict", "model", "module", "net"];

fn text<'a>(value: &StackValue<'a>) -> Option<&'a str> {
    match value {
        StackValue::Text(text) => Some(text),
        _ => None,
    }
}

fn object<'p, 'a>(pickled: &'p Pickled<'a>, value: &StackValue<'a>) -> Option<&'p Object<'a>> {
    match value {
        StackValue::Object(object) => pickled.objects.get(*object),
        _ => None,
    }
}

fn dictionary<'p, 'a>(pickled: &'p Pickled<'a>) -> Result<&'p Items<'a>, TorchError> {
    match object(pickled, &pickled.root) {
        Some(Object::Dict(items)) => Ok(items),
        _ => Err(TorchError::NotADictionary),
    }
}

fn tensor(
    name: &str,
    view: &View,
    pickled: &Pickled,
    starts: &BTreeMap<&str, usize>,
) -> Result<StoredTensor, TorchError> {
    let Some(Object::Storage(storage)) = pickled.objects.get(view.storage) else {
        return Err(TorchError::NotADictionary);
    };
    let Some(start) = starts.get(storage.key) else {
        return Err(TorchError::NoStorage { key: storage.key.into() });
    };
    let (first, count) = storage.part;
    // The part lies inside the storage, and all of that inside the file.
    let start = start + first * (storage.element.bits() / 8);
    let whole = Storage { element: storage.element, start, count };
    StoredTensor::view(whole, view.offset, view.shape.clone(), view.strides.clone()).map_err(|error| TorchError::View {
        tensor: name.into(),
        offset: view.offset,
        shape: view.shape.as_slice().into(),
        strides: view.strides.as_slice().into(),
        problem: match error {
            ViewError::Rank => "has shape and strides of different lengths in",
            ViewError::Repeats => "has more elements than",
            ViewError::Outside => "reaches beyond",
        },
        elements: count,
    })
}
