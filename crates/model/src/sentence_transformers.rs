//! The files of the sentence-transformers library: how hidden states become one vector.
//!
//! `modules.json` lists a Transformer, a pooling and perhaps a normalization; each has its folder. What attar
//! cannot repeat exactly (other poolings, dense layers, prompts) is refused, because ignoring it would change every
//! vector. A classifier over the mean is written as a dense layer in a folder of its own name, so that the library
//! gives logits; attar reads it from the model's weights.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::Error;
use crate::files::{describe, read_optional_json};
use crate::shards::is_below;

/// How the hidden states of the last layer become one vector for the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pooling {
    /// Which hidden states are used.
    pub mode: PoolingMode,
    /// Whether the vector is divided by its Euclidean norm.
    pub normalize: bool,
}

/// Which hidden states become the vector of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolingMode {
    /// That of the first token.
    Cls,
    /// The mean over all real tokens, special ones included.
    Mean,
}

/// The library's settings in a directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where `config.json` and the weights are.
    pub(crate) transformer: PathBuf,
    pub(crate) pooling: Option<Pooling>,
    /// Whether attar wrote a classifier as a dense layer, which stands among the model's weights too.
    pub(crate) classifier: bool,
    /// Most tokens of a text, special ones included.
    pub(crate) max_tokens: Option<usize>,
}

/// Reads the library's files, as far as they exist.
pub(crate) fn read(dir: &Path) -> Result<Found, Error> {
    let modules = read_optional_json(&dir.join("modules.json"))?;
    let (transformer, pooling, classifier) = match modules {
        None => (dir.to_path_buf(), None, false),
        Some(modules) => read_modules(dir, &modules)?,
    };
    refuse_prompt(&dir.join("config_sentence_transformers.json"))?;
    let max_tokens = read_max_tokens(&transformer.join("sentence_bert_config.json"))?;
    Ok(Found { transformer, pooling, classifier, max_tokens })
}

/// The library's files for a model: path below the directory, and content. `classifier` is the number of outputs of a
/// classifier over the mean.
pub(crate) fn files(
    hidden: usize,
    pooling: Option<Pooling>,
    classifier: Option<usize>,
    max_tokens: Option<usize>,
) -> Vec<(&'static str, Value)> {
    let mut files = Vec::new();
    if pooling.is_some() || max_tokens.is_some() {
        let content = json!({"max_seq_length": max_tokens, "do_lower_case": false});
        files.push(("sentence_bert_config.json", content));
    }
    let Some(pooling) = pooling else { return files };
    let module = |idx: usize, path: &str, class: &str| {
        json!({"idx": idx, "name": idx.to_string(), "path": path,
               "type": format!("sentence_transformers.models.{class}")})
    };
    let mut modules = vec![module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling")];
    if pooling.normalize {
        modules.push(module(2, NORMALIZE, "Normalize"));
    }
    if let Some(outputs) = classifier {
        modules.push(module(modules.len(), CLASSIFIER, "Dense"));
        files.push((
            "2_Classifier/config.json",
            json!({"in_features": hidden, "out_features": outputs, "bias": true,
                   "activation_function": "torch.nn.modules.linear.Identity"}),
        ));
    }
    files.push(("modules.json", Value::Array(modules)));
    files.push((
        "1_Pooling/config.json",
        json!({
            "word_embedding_dimension": hidden,
            "pooling_mode_cls_token": pooling.mode == PoolingMode::Cls,
            "pooling_mode_mean_tokens": pooling.mode == PoolingMode::Mean,
            "pooling_mode_max_tokens": false,
            "pooling_mode_mean_sqrt_len_tokens": false,
        }),
    ));
    files.push((
        "config_sentence_transformers.json",
        json!({"prompts": {}, "default_prompt_name": null, "similarity_fn_name": "cosine"}),
    ));
    files
}

/// Folder of a classifier over the mean.
pub(crate) const CLASSIFIER: &str = "2_Classifier";
/// Weights of that classifier, under the library's names.
pub(crate) const CLASSIFIER_WEIGHTS: &str = "2_Classifier/model.safetensors";
/// Folder of the normalization, which has no files in it.
pub(crate) const NORMALIZE: &str = "2_Normalize";

fn unsupported(path: &Path, what: impl Into<String>, way_out: &'static str) -> Error {
    Error::SentenceTransformers { path: path.into(), what: what.into(), way_out }
}

fn read_modules(dir: &Path, modules: &Value) -> Result<(PathBuf, Option<Pooling>, bool), Error> {
    let path = dir.join("modules.json");
    let mut transformer = None;
    let mut mode = None;
    let mut normalize = false;
    let mut classifier = false;
    let wrong =
        |expected, got: &Value| Error::JsonKey { path: path.clone(), key: "type".into(), expected, got: describe(got) };
    for module in modules.as_array().map(Vec::as_slice).unwrap_or_default() {
        let class = &module["type"];
        let Some(name) = class.as_str() else { return Err(wrong("the class of each module", class)) };
        let folder = module["path"].as_str().unwrap_or_default();
        if !folder.is_empty() && !is_below(folder) {
            let what = format!("the module path `{folder}` outside the directory");
            return Err(unsupported(&path, what, "use a path below the directory"));
        }
        // The package of the classes has moved between versions; their names have not.
        match name.rsplit('.').next().unwrap_or(name) {
            "Transformer" if transformer.is_none() && mode.is_none() => {
                transformer = Some(if folder.is_empty() { dir.into() } else { dir.join(folder) });
            }
            "Pooling" if transformer.is_some() && mode.is_none() => {
                mode = Some(read_pooling(&dir.join(folder).join("config.json"))?);
            }
            "Normalize" if mode.is_some() => normalize = true,
            "Dense" if mode.is_some() && folder == CLASSIFIER => classifier = true,
            "Transformer" | "Pooling" | "Normalize" => {
                let way_out = "use a Transformer, then one Pooling, then perhaps a Normalize";
                return Err(unsupported(&path, format!("the order of modules, at `{name}`,"), way_out));
            }
            _ => {
                let way_out = "use a model of Transformer, Pooling and Normalize alone";
                return Err(unsupported(&path, format!("the module `{name}`"), way_out));
            }
        }
    }
    match transformer {
        Some(transformer) => Ok((transformer, mode.map(|mode| Pooling { mode, normalize }), classifier)),
        None => Err(wrong("an array that begins with a Transformer", modules)),
    }
}

/// The pooling mode: one flag for each mode, or, in newer versions, its name.
fn read_pooling(path: &Path) -> Result<PoolingMode, Error> {
    let wrong = |expected, got: String| Error::JsonKey { path: path.into(), key: "pooling_mode".into(), expected, got };
    let expected = "mean or cls, as a name or as a flag";
    let Some(config) = read_optional_json(path)? else { return Err(wrong(expected, "no such file".into())) };
    let Some(keys) = config.as_object() else { return Err(wrong(expected, describe(&config))) };
    if keys.get("include_prompt").is_some_and(|include| *include == false) {
        return Err(unsupported(path, "a prompt that is left out of the mean", "use a model without prompts"));
    }
    let named = match keys.get("pooling_mode") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let flags = keys.iter().filter(|(_, flag)| **flag == true).filter_map(|(key, _)| key.strip_prefix("pooling_mode_"));
    let modes: Vec<&str> = named.into_iter().chain(flags).collect();
    match modes.as_slice() {
        ["cls" | "cls_token"] => Ok(PoolingMode::Cls),
        ["mean" | "mean_tokens"] => Ok(PoolingMode::Mean),
        [] => Err(wrong(expected, "none".into())),
        other => Err(unsupported(path, format!("the pooling {}", other.join(" with ")), "use mean or cls")),
    }
}

fn read_max_tokens(path: &Path) -> Result<Option<usize>, Error> {
    let Some(config) = read_optional_json(path)? else { return Ok(None) };
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

fn refuse_prompt(path: &Path) -> Result<(), Error> {
    match read_optional_json(path)? {
        Some(config) if !config["default_prompt_name"].is_null() => {
            let what = format!("the default prompt {}", describe(&config["default_prompt_name"]));
            Err(unsupported(path, what, "set default_prompt_name to null and put the prompt into the text"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn directory(files: &[(&str, Value)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content.to_string()).unwrap();
        }
        dir
    }

    fn modules(classes: &[&str]) -> Value {
        let module = |(idx, class): (usize, &&str)| json!({"idx": idx, "path": if idx == 1 { "1_Pooling" } else { "" }, "type": format!("sentence_transformers.models.{class}")});
        classes.iter().enumerate().map(module).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        for mode in [PoolingMode::Cls, PoolingMode::Mean] {
            for normalize in [false, true] {
                for max_tokens in [None, Some(128)] {
                    let pooling = Some(Pooling { mode, normalize });
                    for classifier in [None, Some(3)] {
                        let dir = directory(&files(24, pooling, classifier, max_tokens));
                        let classifier = classifier.is_some();
                        let expected = Found { transformer: dir.path().into(), pooling, classifier, max_tokens };
                        assert_eq!(read(dir.path()).unwrap(), expected);
                    }
                }
            }
        }
        let dir = directory(&files(24, None, None, Some(7)));
        let expected = Found { transformer: dir.path().into(), pooling: None, classifier: false, max_tokens: Some(7) };
        assert_eq!(read(dir.path()).unwrap(), expected);
        assert_eq!(files(24, None, None, None), []);
    }

    #[test]
    fn newer_names_and_an_inner_folder() {
        let dir = directory(&[
            (
                "modules.json",
                json!([{"path": "0_Transformer", "type": "a.b.Transformer"}, {"path": "1_Pooling", "type": "a.Pooling"}]),
            ),
            (
                "1_Pooling/config.json",
                json!({"embedding_dimension": 24, "pooling_mode": "cls", "include_prompt": true}),
            ),
            ("0_Transformer/sentence_bert_config.json", json!({"max_seq_length": 9})),
        ]);
        let found = read(dir.path()).unwrap();
        assert_eq!(found.transformer, dir.path().join("0_Transformer"));
        assert_eq!(found.pooling, Some(Pooling { mode: PoolingMode::Cls, normalize: false }));
        assert_eq!(found.max_tokens, Some(9));
    }

    #[test]
    fn what_cannot_be_repeated_is_refused() {
        let mean = || ("1_Pooling/config.json", json!({"pooling_mode_mean_tokens": true}));
        let good = || ("modules.json", modules(&["Transformer", "Pooling"]));
        for (text, contents) in [
            (
                "the module `sentence_transformers.models.Dense`",
                vec![("modules.json", modules(&["Transformer", "Dense"]))],
            ),
            ("order of modules", vec![("modules.json", modules(&["Pooling"]))]),
            ("order of modules", vec![("modules.json", modules(&["Transformer", "Transformer"]))]),
            ("begins with a Transformer", vec![("modules.json", json!({}))]),
            ("class of each module", vec![("modules.json", json!([1]))]),
            ("outside the directory", vec![("modules.json", json!([{"path": "../x", "type": "Transformer"}]))]),
            ("no such file", vec![good()]),
            ("got none", vec![good(), ("1_Pooling/config.json", json!({}))]),
            (
                "the pooling mean_tokens with max_tokens",
                vec![
                    good(),
                    (
                        "1_Pooling/config.json",
                        json!({"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true}),
                    ),
                ],
            ),
            ("the pooling lasttoken", vec![good(), ("1_Pooling/config.json", json!({"pooling_mode": "lasttoken"}))]),
            (
                "a prompt that is left out",
                vec![good(), ("1_Pooling/config.json", json!({"pooling_mode": "mean", "include_prompt": false}))],
            ),
            ("default prompt", vec![("config_sentence_transformers.json", json!({"default_prompt_name": "query"}))]),
            ("lowering the case", vec![good(), mean(), ("sentence_bert_config.json", json!({"do_lower_case": true}))]),
            ("max_seq_length", vec![("sentence_bert_config.json", json!({"max_seq_length": -1}))]),
        ] {
            let dir = directory(&contents);
            let error = read(dir.path()).expect_err(text).to_string();
            assert!(error.contains(text), "expected `{text}` in `{error}`");
        }
    }
}
