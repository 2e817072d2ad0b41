//! The files of the sentence-transformers library: how hidden states become one vector.
//!
//! `modules.json` lists a Transformer, a pooling, and perhaps dense layers and a normalization; each has its folder.
//! What attar cannot repeat exactly (other poolings) is refused, because ignoring it would change every vector. A classifier over the mean is written as a dense layer in a folder of its own name, so that the library
//! gives logits; attar reads it from the model's weights.

mod projection;
mod prompts;
mod read;
mod write;

use std::path::{Path, PathBuf};

pub use projection::{Projection, ProjectionActivation};
pub use prompts::Prompts;
pub(crate) use write::{CLASSIFIER, CLASSIFIER_WEIGHTS, NORMALIZE, files, folder};

use crate::error::Error;
use crate::files::{ModelFiles, describe};

/// How the hidden states of the last layer become one vector for the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pooling {
    /// Which hidden states are used.
    pub mode: PoolingMode,
    /// Whether the vector, after its [`Projection`]s if there are any, is divided by its Euclidean norm.
    pub normalize: bool,
}

/// Which hidden states become the vector of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolingMode {
    /// That of the first token.
    Cls,
    /// The mean over all real tokens, special ones included.
    Mean,
    /// The largest number of each column over all real tokens, special ones included.
    Max,
    /// The sum over all real tokens, special ones included, divided by the root of their number.
    MeanSqrtLength,
    /// That of the last real token.
    LastToken,
}

impl PoolingMode {
    pub(crate) const ALL: [PoolingMode; 5] =
        [PoolingMode::Cls, PoolingMode::Mean, PoolingMode::Max, PoolingMode::MeanSqrtLength, PoolingMode::LastToken];

    /// What follows `pooling_mode_` in the name of the library's flag.
    fn flag(self) -> &'static str {
        match self {
            PoolingMode::Cls => "cls_token",
            PoolingMode::Mean => "mean_tokens",
            PoolingMode::Max => "max_tokens",
            PoolingMode::MeanSqrtLength => "mean_sqrt_len_tokens",
            PoolingMode::LastToken => "lasttoken",
        }
    }

    /// The mode of a flag, or of a name as newer versions of the library have it.
    fn from_name(name: &str) -> Option<Self> {
        let is = |mode: &PoolingMode| mode.flag() == name || mode.flag().strip_suffix("_token") == Some(name);
        PoolingMode::ALL.into_iter().find(|mode| is(mode) || mode.flag().strip_suffix("_tokens") == Some(name))
    }
}

/// The library's settings in a directory.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    /// Where `config.json` and the weights are.
    pub(crate) transformer: PathBuf,
    pub(crate) pooling: Option<Pooling>,
    /// Dense layers over the pooled vector.
    pub(crate) projections: Vec<Projection>,
    /// Whether attar wrote a classifier as a dense layer, which stands among the model's weights too.
    pub(crate) classifier: bool,
    /// What can be put before a text.
    pub(crate) prompts: Prompts,
    /// Most tokens of a text, special ones included.
    pub(crate) max_tokens: Option<usize>,
}

/// Reads the library's files, as far as they exist: those of the directory, or of the one whose Transformer it is.
pub(crate) fn read(files: &ModelFiles<'_>) -> Result<Found, Error> {
    let dir = files.root();
    // What lies around a single file is no part of it.
    let outer = if files.is_folder() { outer_directory(files)? } else { None };
    let outer = outer.unwrap_or_else(|| dir.to_path_buf());
    let mut found = match files.read_optional_json(&outer.join("modules.json"))? {
        Some(modules) => read::modules(files, &outer, &modules)?,
        None => Found {
            transformer: dir.to_path_buf(),
            pooling: None,
            projections: Vec::new(),
            classifier: false,
            prompts: Prompts::default(),
            max_tokens: None,
        },
    };
    let prompts = Prompts::read(files, &outer.join("config_sentence_transformers.json"))?;
    found.prompts = Prompts { pooled: found.prompts.pooled, ..prompts };
    for name in TRANSFORMER_CONFIGS {
        if found.max_tokens.is_none() {
            found.max_tokens = read::max_tokens(files, &found.transformer.join(name))?;
        }
    }
    Ok(found)
}

/// The folder with configuration, weights and tokenizer of a model directory: the one in it that sentence-transformers'
/// `modules.json` names, or itself.
///
/// # Errors
/// [`Error::SentenceTransformers`] or [`Error::JsonKey`] if `modules.json` names none, or as reading files can fail.
pub fn encoder_directory(dir: &Path) -> Result<PathBuf, Error> {
    transformer_of(&ModelFiles::folder(dir))
}

/// As [`encoder_directory`], of a folder or a single file.
pub(crate) fn transformer_of(files: &ModelFiles<'_>) -> Result<PathBuf, Error> {
    match files.read_optional_json(&files.root().join("modules.json"))? {
        Some(modules) => read::transformer(files.root(), &modules),
        None => Ok(files.root().to_path_buf()),
    }
}

/// The directory whose `modules.json` names this one as the folder of its Transformer. Pooling and what follows stand
/// there, and belong to the model whichever of the two is named.
fn outer_directory(files: &ModelFiles<'_>) -> Result<Option<PathBuf>, Error> {
    let dir = files.root();
    if dir.join("modules.json").exists() {
        return Ok(None);
    }
    let Ok(full) = dir.canonicalize() else { return Ok(None) };
    let Some(outer) = full.parent() else { return Ok(None) };
    let Some(modules) = files.read_optional_json(&outer.join("modules.json"))? else { return Ok(None) };
    let is_inner = read::transformer(outer, &modules).is_ok_and(|inner| inner == full);
    Ok(is_inner.then(|| outer.to_path_buf()))
}

/// The names that the library has had for the settings of its Transformer, as far as attar reads the families.
const TRANSFORMER_CONFIGS: [&str; 4] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_mpnet_config.json",
];

fn unsupported(path: &Path, what: impl Into<String>, way_out: &'static str) -> Error {
    Error::SentenceTransformers { path: path.into(), what: what.into(), way_out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use std::fs;

    fn read(dir: &Path) -> Result<Found, Error> {
        super::read(&ModelFiles::folder(dir))
    }

    fn bare(dir: &Path) -> Found {
        let transformer = dir.to_path_buf();
        let (projections, prompts) = (Vec::new(), Prompts::default());
        Found { transformer, pooling: None, projections, classifier: false, prompts, max_tokens: None }
    }

    fn directory(files: &[(impl AsRef<Path>, Value)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name.as_ref());
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
        for mode in PoolingMode::ALL {
            for normalize in [false, true] {
                for max_tokens in [None, Some(128)] {
                    let pooling = Some(Pooling { mode, normalize });
                    for classifier in [None, Some(3)] {
                        let dir = directory(&files(24, pooling, &[], classifier, max_tokens, &Prompts::default()));
                        let classifier = classifier.is_some();
                        let expected = Found { pooling, classifier, max_tokens, ..bare(dir.path()) };
                        assert_eq!(read(dir.path()).unwrap(), expected);
                    }
                }
            }
        }
        let dir = directory(&files(24, None, &[], None, Some(7), &Prompts::default()));
        let expected = Found { max_tokens: Some(7), ..bare(dir.path()) };
        assert_eq!(read(dir.path()).unwrap(), expected);
        assert_eq!(files(24, None, &[], None, None, &Prompts::default()), []);
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
        // The inner folder is the same model.
        let inner = read(&dir.path().join("0_Transformer")).unwrap();
        assert_eq!((inner.pooling, inner.max_tokens), (found.pooling, found.max_tokens));
        assert_eq!(encoder_directory(dir.path()).unwrap(), found.transformer);
        assert_eq!(encoder_directory(&found.transformer).unwrap(), found.transformer);
        // Another folder beside it is not.
        fs::create_dir(dir.path().join("other")).unwrap();
        assert_eq!(read(&dir.path().join("other")).unwrap().pooling, None);
    }

    #[test]
    fn prompts_are_read_and_written() {
        let named =
            [("query", "query: "), ("document", "")].map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let pooling = Some(Pooling { mode: PoolingMode::Mean, normalize: true });
        for default in [None, Some("query".to_owned())] {
            for pooled in [true, false] {
                let prompts = Prompts { named: BTreeMap::clone(&named), default: default.clone(), pooled };
                let dir = directory(&files(24, pooling, &[], None, None, &prompts));
                let found = read(dir.path()).unwrap();
                assert_eq!(found.prompts.default_text(), default.as_ref().map(|_| "query: "));
                assert_eq!(found.prompts, prompts);
            }
        }
        // A directory without poolings has them too.
        let dir = directory(&[("config_sentence_transformers.json", json!({"prompts": named}))]);
        assert_eq!(read(dir.path()).unwrap().prompts, Prompts { named, ..Prompts::default() });
    }

    #[test]
    fn what_cannot_be_repeated_is_refused() {
        let mean = || ("1_Pooling/config.json", json!({"pooling_mode_mean_tokens": true}));
        let good = || ("modules.json", modules(&["Transformer", "Pooling"]));
        for (text, contents) in [
            (
                "the module `sentence_transformers.models.LSTM`",
                vec![("modules.json", modules(&["Transformer", "LSTM"]))],
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
            (
                "the pooling weightedmean",
                vec![good(), ("1_Pooling/config.json", json!({"pooling_mode": "weightedmean"}))],
            ),
            ("order of modules", vec![("modules.json", modules(&["Transformer", "Dense"]))]),
            (
                "a name in `prompts`, or null",
                vec![("config_sentence_transformers.json", json!({"default_prompt_name": "query"}))],
            ),
            ("prompts.query", vec![("config_sentence_transformers.json", json!({"prompts": {"query": ["query: "]}}))]),
            ("an object of texts", vec![("config_sentence_transformers.json", json!({"prompts": "query: "}))]),
            ("lowering the case", vec![good(), mean(), ("sentence_bert_config.json", json!({"do_lower_case": true}))]),
            ("max_seq_length", vec![("sentence_bert_config.json", json!({"max_seq_length": -1}))]),
        ] {
            let dir = directory(&contents);
            let error = read(dir.path()).expect_err(text).to_string();
            assert!(error.contains(text), "expected `{text}` in `{error}`");
        }
    }
}
