//! Reading the library's files.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Found, Pooling, PoolingMode, Projection, Prompts, describe, unsupported};
use crate::error::Error;
use crate::files::ModelFiles;
use crate::sentence_transformers::CLASSIFIER;
use crate::shards::is_below;

/// One entry of `modules.json`.
struct Module<'a> {
    /// The name of its class without the package, which has moved between versions.
    class: &'a str,
    /// The same as the file has it.
    full_class: &'a str,
    folder: PathBuf,
    is_classifier: bool,
}

fn wrong(dir: &Path, expected: &'static str, got: &Value) -> Error {
    Error::JsonKey { path: dir.join("modules.json"), key: "type".into(), expected, got: describe(got) }
}

fn each<'a>(dir: &Path, modules: &'a Value) -> Result<Vec<Module<'a>>, Error> {
    let path = dir.join("modules.json");
    let module = |module: &'a Value| {
        let class = &module["type"];
        let Some(full_class) = class.as_str() else { return Err(wrong(dir, "the class of each module", class)) };
        let folder = module["path"].as_str().unwrap_or_default();
        if !folder.is_empty() && !is_below(folder) {
            let what = format!("the module path `{folder}` outside the directory");
            return Err(unsupported(&path, what, "use a path below the directory"));
        }
        Ok(Module {
            class: full_class.rsplit('.').next().unwrap_or(full_class),
            full_class,
            folder: if folder.is_empty() { dir.into() } else { dir.join(folder) },
            is_classifier: folder == CLASSIFIER,
        })
    };
    modules.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(module).collect()
}

/// The folder of the Transformer.
pub(super) fn transformer(dir: &Path, modules: &Value) -> Result<PathBuf, Error> {
    let first = each(dir, modules)?.into_iter().find(|module| module.class == "Transformer");
    first.map(|module| module.folder).ok_or_else(|| wrong(dir, "an array that begins with a Transformer", modules))
}

/// What the modules are, as far as they are a Transformer, one pooling, dense layers and normalizations.
pub(super) fn modules(files: &ModelFiles<'_>, dir: &Path, modules: &Value) -> Result<Found, Error> {
    let path = dir.join("modules.json");
    let (mut transformer, mut mode) = (None, None);
    let (mut projections, mut classifier) = (Vec::new(), false);
    let mut prompts = Prompts::default();
    // Of the last vector so far.
    let mut normalize = false;
    for Module { class, full_class, folder, is_classifier } in each(dir, modules)? {
        match class {
            "Transformer" if transformer.is_none() && mode.is_none() => transformer = Some(folder),
            "Pooling" if transformer.is_some() && mode.is_none() => {
                let (found, pools_prompt) = pooling_mode(files, &folder.join("config.json"))?;
                (mode, prompts.pooled) = (Some(found), pools_prompt);
            }
            "Normalize" if mode.is_some() => normalize = true,
            "Dense" if mode.is_some() && is_classifier && projections.is_empty() => classifier = true,
            "Dense" if mode.is_some() && !classifier => {
                projections.push(Projection::read(files, &folder, std::mem::take(&mut normalize))?);
            }
            "Transformer" | "Pooling" | "Normalize" | "Dense" => {
                let way_out = "use a Transformer, then one Pooling, then perhaps Dense and Normalize";
                return Err(unsupported(&path, format!("the order of modules, at `{full_class}`,"), way_out));
            }
            _ => {
                let way_out = "use a model of Transformer, Pooling, Dense and Normalize alone";
                return Err(unsupported(&path, format!("the module `{full_class}`"), way_out));
            }
        }
    }
    let Some(transformer) = transformer else {
        return Err(wrong(dir, "an array that begins with a Transformer", modules));
    };
    let pooling = mode.map(|mode| Pooling { mode, normalize });
    Ok(Found { transformer, pooling, projections, classifier, prompts, max_tokens: None })
}

/// The pooling mode, one flag for each mode or, in newer versions, its name; and whether a prompt is pooled too.
fn pooling_mode(files: &ModelFiles<'_>, path: &Path) -> Result<(PoolingMode, bool), Error> {
    let wrong = |expected, got: String| Error::JsonKey { path: path.into(), key: "pooling_mode".into(), expected, got };
    let expected = "a mode, as a name or as a flag";
    let Some(config) = files.read_optional_json(path)? else { return Err(wrong(expected, "no such file".into())) };
    let Some(keys) = config.as_object() else { return Err(wrong(expected, describe(&config))) };
    let pools_prompt = keys.get("include_prompt").is_none_or(|include| *include != false);
    let named = match keys.get("pooling_mode") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let flags = keys.iter().filter(|(_, flag)| **flag == true).filter_map(|(key, _)| key.strip_prefix("pooling_mode_"));
    let modes: Vec<&str> = named.into_iter().chain(flags).collect();
    if modes.is_empty() {
        return Err(wrong(expected, "none".into()));
    }
    let mode = if let [name] = modes[..] { PoolingMode::from_name(name) } else { None };
    mode.map(|mode| (mode, pools_prompt)).ok_or_else(|| {
        let way_out = "use one of cls, mean, max, mean_sqrt_len_tokens and lasttoken";
        unsupported(path, format!("the pooling {}", modes.join(" with ")), way_out)
    })
}

pub(super) fn max_tokens(files: &ModelFiles<'_>, path: &Path) -> Result<Option<usize>, Error> {
    let Some(config) = files.read_optional_json(path)? else { return Ok(None) };
    if config["do_lower_case"] == true {
        let way_out = "let the tokenizer lower the case, and set do_lower_case to false";
        return Err(unsupported(path, "lowering the case before the tokenizer", way_out));
    }
    match &config["max_seq_length"] {
        Value::Null => Ok(None),
        value => match value.as_u64().and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0) {
            Some(count) => Ok(Some(count)),
            None => Err(Error::JsonKey {
                path: path.into(),
                key: "max_seq_length".into(),
                expected: "a whole number from 1",
                got: describe(value),
            }),
        },
    }
}
