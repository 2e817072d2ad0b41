//! Checkpoints split over several files: `*.index.json`.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde_json::Value;

use crate::error::Error;
use crate::files::{ModelFiles, describe};
use crate::sorting::sort_by;

/// Which tensors each shard holds, by file name; both sorted.
pub(crate) type Shards = BTreeMap<String, Vec<String>>;

/// Reads an index: `{"weight_map": {"tensor": "file", …}}`. A shard is a file beside the index or below it.
pub(crate) fn read_index(files: &ModelFiles<'_>, path: &Path) -> Result<Shards, Error> {
    let wrong = |key: &str, expected, got| Error::JsonKey { path: path.into(), key: key.into(), expected, got };
    let index = files.read_optional_json(path)?.unwrap_or(Value::Null);
    let map = match index.get("weight_map") {
        Some(Value::Object(map)) if !map.is_empty() => map,
        Some(other) => return Err(wrong("weight_map", "an object with a file for each tensor", describe(other))),
        None => return Err(wrong("weight_map", "an object with a file for each tensor", "nothing".into())),
    };
    let mut shards = Shards::new();
    for (tensor, shard) in map {
        let Value::String(shard) = shard else {
            return Err(wrong(&format!("weight_map.{tensor}"), "a file name", describe(shard)));
        };
        if !is_below(shard) {
            return Err(Error::ShardPath { path: path.into(), tensor: tensor.clone(), shard: shard.clone() });
        }
        shards.entry(shard.clone()).or_default().push(tensor.clone());
    }
    shards.values_mut().for_each(|tensors| sort_by(tensors, Ord::cmp));
    Ok(shards)
}

/// Whether a relative path stays below the directory it starts from. Backslashes are separators on Windows only,
/// but are rejected everywhere.
pub(crate) fn is_below(path: &str) -> bool {
    let path = path.replace('\\', "/");
    !path.is_empty()
        && !path.contains(':')
        && !path.contains('\0')
        && Path::new(&path).components().all(|component| matches!(component, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_directory_are_told() {
        for inside in ["model-00001-of-00002.safetensors", "part/a.bin", "..a"] {
            assert!(is_below(inside), "{inside}");
        }
        for outside in
            ["", "..", "../a", "a/../../b", "/etc/passwd", "./../a", "..\\a", "C:\\a", "\\\\host\\a", "a\0b", "a/.."]
        {
            assert!(!is_below(outside), "{outside}");
        }
    }
}
