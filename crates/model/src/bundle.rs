//! A model directory that carries all it needs: the result of a distillation, or its teacher.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::atomic::{WriteMode, write_dir};
use crate::checkpoint::{self, Loaded};
use crate::config::EncoderConfig;
use crate::error::Error;
use crate::family_names::family_name;
use crate::fingerprint::fingerprint;
use crate::sentence_transformers::{self, NORMALIZE, Pooling};
use crate::weights::Weights;
use crate::{files, hf_config, safetensors_file};

/// The tokenizer files a bundle takes along, as bytes.
pub const TOKENIZER_FILES: [&str; 7] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
];

/// A model with everything that belongs to it.
///
/// On disk it is a Hugging Face model directory that `transformers` loads as it is (and sentence-transformers, when
/// pooling is set), with two files more that both leave alone: `README.md`, the card, and `attar.json`.
///
/// ```no_run
/// use attar_model::{Bundle, atomic::WriteMode};
///
/// let mut bundle = Bundle::read("teacher".as_ref())?;
/// println!("{}", bundle.fingerprint());
/// bundle.max_tokens = Some(128);
/// bundle.write("copy".as_ref(), WriteMode::New)?;
/// # Ok::<(), attar_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// What the model is.
    pub config: EncoderConfig,
    /// Its numbers: exactly the tensors of the configuration, under canonical names.
    pub weights: Weights,
    /// Files of the tokenizer, by name; see [`TOKENIZER_FILES`].
    pub tokenizer_files: Vec<(String, Vec<u8>)>,
    /// How hidden states become one vector, if the model is made for that.
    pub pooling: Option<Pooling>,
    /// Most tokens of a text, special ones included, if fewer than the position table allows. Read from
    /// sentence-transformers' `max_seq_length` or else the tokenizer's `model_max_length`, written as the former.
    pub max_tokens: Option<usize>,
    /// Where the model comes from (`attar.json`): recipe, data, seeds, scores, bill.
    pub provenance: Option<Value>,
    /// The model card (`README.md`); see [`card`](crate::card).
    pub card: Option<String>,
}

impl Bundle {
    /// A bundle of a model alone.
    pub fn new(config: EncoderConfig, weights: Weights) -> Self {
        let tokenizer_files = Vec::new();
        Bundle { config, weights, tokenizer_files, pooling: None, max_tokens: None, provenance: None, card: None }
    }

    /// Reads a model directory: `transformers`', sentence-transformers', or one that [`write`](Self::write) made.
    ///
    /// # Errors
    /// As [`checkpoint::load`], and [`Error::Incomplete`] if tensors of pooler or head are missing,
    /// [`Error::SentenceTransformers`] if the directory makes vectors in a way attar cannot repeat.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        let found = sentence_transformers::read(dir)?;
        let config = checkpoint::read_config(&found.transformer)?;
        let Loaded { config, weights, missing, .. } = checkpoint::load_unhashed(&found.transformer, config)?;
        if !missing.is_empty() {
            return Err(Error::Incomplete { dir: dir.into(), missing });
        }
        let max_tokens = match found.max_tokens {
            Some(count) => Some(count),
            None => tokenizer_max_tokens(&found.transformer.join("tokenizer_config.json"))?,
        };
        let mut tokenizer_files = Vec::new();
        for name in TOKENIZER_FILES {
            if let Some(bytes) = files::read_optional(&found.transformer.join(name))? {
                tokenizer_files.push((name.to_string(), bytes));
            }
        }
        Ok(Bundle {
            max_tokens: max_tokens.filter(|&count| count < config.usable_positions()),
            config,
            weights,
            tokenizer_files,
            pooling: found.pooling,
            provenance: files::read_optional_json(&dir.join("attar.json"))?,
            card: files::read_optional_text(&dir.join("README.md"))?,
        })
    }

    /// Writes the directory, complete or not at all; see [`write_dir`].
    ///
    /// Tensors are written as f32 under the names that the class in `architectures` has for them. Only a directory
    /// with a `config.json` is replaced.
    ///
    /// # Errors
    /// [`Error::Config`] and [`Error::Weights`] if the parts contradict each other, [`Error::FileName`] if a
    /// tokenizer file has an unusable name, [`Error::NotAModel`], otherwise as [`write_dir`].
    pub fn write(&self, dir: &Path, mode: WriteMode) -> Result<(), Error> {
        let config = hf_config::emit(&self.config)
            .map_err(|source| Error::Config { path: dir.join("config.json"), source: source.into() })?;
        self.weights
            .check(&self.config)
            .map_err(|source| Error::Weights { path: dir.join("model.safetensors"), source: source.into() })?;
        self.check_tokenizer_names()?;
        if mode == WriteMode::Replace {
            refuse_foreign(dir)?;
        }

        write_dir(dir, mode, |dir| {
            write_json(&dir.join("config.json"), &config)?;
            let named = self.weights.iter().map(|(name, tensor)| (family_name(&self.config, name), tensor));
            write_plain(&dir.join("model.safetensors"), &safetensors_file::to_bytes(named))?;
            for (name, bytes) in &self.tokenizer_files {
                write_plain(&dir.join(name), bytes)?;
            }
            for (path, content) in sentence_transformers::files(self.config.hidden, self.pooling, self.max_tokens) {
                write_json(&dir.join(path), &content)?;
            }
            if self.pooling.is_some_and(|pooling| pooling.normalise) {
                make_dir(&dir.join(NORMALIZE))?;
            }
            if let Some(provenance) = &self.provenance {
                write_json(&dir.join("attar.json"), provenance)?;
            }
            match &self.card {
                Some(card) => write_plain(&dir.join("README.md"), card.as_bytes()),
                None => Ok(()),
            }
        })
    }

    /// SHA-256 of configuration and weights, independent of files; see [`fingerprint()`].
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.config, &self.weights)
    }

    /// A tokenizer file by name.
    pub fn tokenizer_file(&self, name: &str) -> Option<&[u8]> {
        self.tokenizer_files.iter().find(|(its, _)| its == name).map(|(_, bytes)| bytes.as_slice())
    }

    /// Each name plain, none of another part's, none twice.
    fn check_tokenizer_names(&self) -> Result<(), Error> {
        const TAKEN: [&str; 10] = [
            "config.json",
            "model.safetensors",
            "modules.json",
            "1_Pooling",
            NORMALIZE,
            "sentence_bert_config.json",
            "config_sentence_transformers.json",
            "attar.json",
            "README.md",
            "model.safetensors.index.json",
        ];
        let mut names: Vec<&str> = self.tokenizer_files.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let is_plain = |name: &str| crate::shards::is_below(name) && !name.contains(['/', '\\']);
        let bad = names.iter().find(|name| !is_plain(name) || TAKEN.contains(name));
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| &pair[0]);
        match bad.or(twice) {
            Some(name) => Err(Error::FileName { name: name.to_string() }),
            None => Ok(()),
        }
    }
}

/// Replacing removes: what is not a model is not ours to remove.
fn refuse_foreign(dir: &Path) -> Result<(), Error> {
    let holds_something = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if holds_something && !dir.join("config.json").exists() {
        return Err(Error::NotAModel { path: dir.into() });
    }
    Ok(())
}

/// `model_max_length` of a tokenizer's configuration; the huge number that stands for "no limit" is none.
fn tokenizer_max_tokens(path: &Path) -> Result<Option<usize>, Error> {
    let config = files::read_optional_json(path)?.unwrap_or(Value::Null);
    Ok(config["model_max_length"].as_u64().and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0))
}

/// Inside a directory that is not in place yet, a plain write will do.
fn write_plain(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    fs::write(path, bytes).map_err(|source| Error::Write { path: path.into(), source })
}

fn make_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::Write { path: path.into(), source })
}

fn write_json(path: &Path, value: &Value) -> Result<(), Error> {
    // The alternate form of a JSON value is indented by two blanks.
    write_plain(path, format!("{value:#}\n").as_bytes())
}
