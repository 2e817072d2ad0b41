//! Model directories that users name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use attar_model::checkpoint::WEIGHTS_FILES;
use attar_model::quantized::QUANTIZED_FILE;
use attar_model::{Bundle, ModelFiles, TOKENIZER_FILES, single_file};

use crate::Error;

/// The folder of a run that holds the trained model.
pub const STUDENT: &str = "student";
/// The folder of a run that holds the run of its teacher, where that was made first.
pub const TEACHER: &str = "teacher";
/// The folder of a vocabulary in that of the run whose student it was trained for.
pub const PIECES: &str = "pieces";
/// The folder of a run that holds the trained model in small integers.
pub const SMALL: &str = "small";
/// What stands before the name of a model of the Hugging Face hub, where a directory is expected.
pub const HUB_PREFIX: &str = "hf:";
/// Key in what a model directory says of its making: whether it has learned from pairs of texts.
pub(crate) const PAIRS_KEY: &str = "pairs";

/// Whether a path is the name of a model of the hub.
pub fn is_hub_name(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.starts_with(HUB_PREFIX))
}

/// The model directory that a path means: itself, or the student of a run.
pub fn locate(path: &Path) -> PathBuf {
    let student = path.join(STUDENT);
    if path.join("config.json").exists() {
        return path.into();
    }
    // A model of sentence-transformers may have its encoder in a folder of it, which stands for the whole.
    let inner = attar_model::encoder_directory(path).ok().filter(|inner| inner.join("config.json").exists());
    inner.unwrap_or(if student.join("config.json").exists() { student } else { path.into() })
}

/// As [`locate`], for a path where there has to be something.
///
/// # Errors
/// If there is nothing, with the ways to get a model; or a file.
pub fn existing(path: &Path) -> Result<PathBuf, Error> {
    let refused = |problem: &str, way_out: String| {
        Err(Error::RunFile { path: path.to_path_buf(), problem: problem.into(), way_out })
    };
    if is_hub_name(path) {
        return refused(
            "this is a model of the hub, and a directory is read here",
            "fetch it with `attar pull` and name the directory that it prints".into(),
        );
    }
    if path.is_file() {
        let way_out = match single_file::is_archive(path) {
            true => "unpack it (it is a zip archive) and name the folder".into(),
            false => "name the folder that holds it".into(),
        };
        return refused("this is a file, and a model is a folder", way_out);
    }
    if path.exists() {
        return Ok(locate(path));
    }
    // `owner/model` is what models are called on the hub.
    let shown = path.display().to_string();
    let is_hub_name = path.is_relative() && !shown.starts_with('.') && path.components().count() == 2;
    let hub_name = if is_hub_name { &shown } else { "OWNER/MODEL" };
    refused(
        "there is no such folder",
        format!(
            "name a model of the hub as `{HUB_PREFIX}{hub_name}`, or the folder of one that `attar finetune` or `attar \
             distill` made"
        ),
    )
}

/// As [`existing`], for a model that only has to answer: it may be in a single file.
///
/// # Errors
/// As [`existing`].
pub fn answering(path: &Path) -> Result<PathBuf, Error> {
    if single_file::is_archive(path) { Ok(path.into()) } else { existing(path) }
}

/// What a model is called: its folder, or that of its run; its own name in the hub's cache; a single file without what follows
/// its dot.
pub fn name(path: &Path) -> String {
    let own = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    match own(path) {
        Some(file) if single_file::is_archive(path) => {
            path.file_stem().map_or(file, |stem| stem.to_string_lossy().into_owned())
        }
        // A run's student is better known by its run; a run may be called so itself.
        Some(student) if student == STUDENT && path.join("config.json").exists() => {
            path.parent().and_then(own).unwrap_or(student)
        }
        Some(commit) => cached_name(path).unwrap_or(commit),
        None => path.display().to_string(),
    }
}

/// `NAME` of `…/models--OWNER--NAME/snapshots/COMMIT`.
fn cached_name(path: &Path) -> Option<String> {
    let snapshots = path.parent().filter(|parent| parent.ends_with("snapshots"))?;
    let model = snapshots.parent()?.file_name()?.to_str()?.strip_prefix("models--")?;
    Some(model.split_once("--").map_or(model, |(_, name)| name).to_owned())
}

/// Bytes of the files that a model directory is used with: weights (in small integers where there are some and
/// `quantized` asks for them), configuration and tokenizer.
///
/// # Errors
/// If a file cannot be looked at.
pub fn shipped_bytes(dir: &Path, quantized: bool) -> Result<u64, Error> {
    let length = |path: PathBuf| match std::fs::metadata(&path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(Error::Io { path, source }),
    };
    if dir.is_file() {
        return length(dir.into());
    }
    let mut bytes = length(dir.join("config.json"))?;
    for name in TOKENIZER_FILES {
        bytes += length(dir.join(name))?;
    }
    let floats = WEIGHTS_FILES.map(|name| dir.join(name)).into_iter().find(|path| path.exists());
    let small = dir.join(QUANTIZED_FILE);
    bytes += match floats {
        Some(path) if !(quantized && small.exists()) => weights_bytes(&path, length)?,
        _ => length(small)?,
    };
    Ok(bytes)
}

/// A file of weights, or an index with the shards that it names.
fn weights_bytes(path: &Path, length: impl Fn(PathBuf) -> Result<u64, Error>) -> Result<u64, Error> {
    let own = length(path.to_path_buf())?;
    if path.extension().is_none_or(|extension| extension != "json") {
        return Ok(own);
    }
    let text = std::fs::read(path).map_err(|source| Error::Io { path: path.into(), source })?;
    let index: serde_json::Value = serde_json::from_slice(&text).map_err(|e| Error::RunFile {
        path: path.into(),
        problem: format!("no index of shards: {e}"),
        way_out: "download it again".into(),
    })?;
    let map = index["weight_map"].as_object();
    let shards: BTreeSet<&str> =
        map.into_iter().flat_map(|map| map.values()).filter_map(|name| name.as_str()).collect();
    shards.into_iter().try_fold(own, |sum, name| Ok(sum + length(path.with_file_name(name))?))
}

/// Whether the model in a directory has learned from pairs of texts; `None` where its files do not say.
///
/// # Errors
/// If `attar.json` cannot be read or is not JSON.
pub fn has_learned_pairs(dir: &Path) -> Result<Option<bool>, Error> {
    Ok(ModelFiles::open(dir)?.provenance()?.and_then(|made| made[PAIRS_KEY].as_bool()))
}

/// Reads the model that a path means.
///
/// # Errors
/// If there is none or it is damaged.
pub fn read(path: &Path) -> Result<Bundle, Error> {
    Ok(Bundle::read(&existing(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_weighs_what_its_files_do() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: usize| std::fs::write(folder.path().join(name), vec![b'x'; bytes]).unwrap();
        write("config.json", 10);
        write("vocab.txt", 200);
        write("README.md", 7);
        write("model.safetensors", 4000);
        assert_eq!(shipped_bytes(folder.path(), true).unwrap(), 4210);
        write(QUANTIZED_FILE, 1000);
        assert_eq!(shipped_bytes(folder.path(), true).unwrap(), 1210);
        assert_eq!(shipped_bytes(folder.path(), false).unwrap(), 4210);
        std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
        assert_eq!(shipped_bytes(folder.path(), false).unwrap(), 1210);
    }

    #[test]
    fn a_folder_that_is_missing_is_called_missing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(folder.path()).unwrap(), folder.path());
        let complaint = |path: &Path| existing(path).unwrap_err().to_string();
        let missing = complaint(&folder.path().join("model"));
        assert!(missing.contains("no such folder") && missing.contains("`hf:OWNER/MODEL`"), "{missing}");
        let named = complaint(Path::new("nobody/nothing"));
        assert!(named.contains("`hf:nobody/nothing`"), "{named}");
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(complaint(&folder.path().join("file")).contains("a model is a folder"));
    }

    #[test]
    fn shards_are_counted_once_each() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let index = r#"{"weight_map": {"a": "one.bin", "b": "one.bin", "c": "two.bin"}}"#;
        write("model.safetensors.index.json", index);
        write("one.bin", "12345");
        write("two.bin", "123");
        assert_eq!(shipped_bytes(folder.path(), false).unwrap(), index.len() as u64 + 8);
    }

    #[test]
    fn students_are_called_like_their_runs() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        // A run called small, and one that is itself called student.
        for model in ["runs/small/student", "runs/student/student", "models/bert"] {
            std::fs::create_dir_all(at(model)).unwrap();
            std::fs::write(at(model).join("config.json"), "{}").unwrap();
        }
        for (path, expected) in [
            ("runs/small/student", "small"),
            ("runs/small", "small"),
            ("runs/student", "student"),
            ("runs/student/student", "student"),
            ("models/bert", "bert"),
            ("hub/models--owner--tiny-bert/snapshots/0123abc", "tiny-bert"),
            ("hub/models--bert/snapshots/0123abc", "bert"),
            ("mine/snapshots/0123abc", "0123abc"),
        ] {
            assert_eq!(name(&at(path)), expected, "{path}");
        }
    }
}
