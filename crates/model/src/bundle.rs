//! A self-contained model directory: the result of a distillation, or its teacher.

mod files;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::atomic::{WriteMode, write_dir};
use crate::checkpoint::{self, Loaded};
use crate::config::{ClassifierInput, EncoderConfig, Head};
use crate::error::Error;
use crate::files::ModelFiles;
use crate::fingerprint::fingerprint;
use crate::quantized::{QUANTIZED_FILE, QuantizedError, QuantizedWeights};
use crate::sentence_transformers::{self, Pooling, Projection, Prompts};
use crate::weights::{Tensor, Weights};
use crate::weights_file::WeightsFile;

/// File of word embeddings for a narrower model, and the name of its tensor.
const NARROW_EMBEDDINGS: &str = "narrow_embeddings.safetensors";
const NARROW_TENSOR: &str = "word_embeddings.weight";

/// The tokenizer files that a bundle includes, as bytes.
pub const TOKENIZER_FILES: [&str; 7] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
];

/// Which weights of a directory are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadWeights {
    /// All that exist. If there are only quantized ones, [`Bundle::weights`] are those, dequantized.
    All,
    /// Those in f32, or else the quantized ones, dequantized. [`Bundle::quantized`] is `None`.
    F32,
    /// Quantized ones alone: [`Bundle::weights`] is empty, and nothing is converted to f32.
    Quantized,
    /// Quantized ones alone if there are any, otherwise those in f32.
    QuantizedOrF32,
}

/// Which weights are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteWeights {
    /// Those in f32, which `transformers` reads, and beside them the quantized ones if there are any.
    All,
    /// Quantized ones alone: the smallest directory, for attar only.
    Quantized,
}

/// A model with everything that belongs to it.
///
/// On disk it is a Hugging Face model directory that `transformers` loads as it is (and sentence-transformers, when
/// pooling is set), with additional files that both ignore: `README.md`, the card, `attar.json`, and
/// `model.int8.safetensors` if it has been [quantized](crate::quantized).
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
    /// Its numbers: exactly the tensors of the configuration, under canonical names. None at all where only the
    /// quantized ones were asked for; see [`read_with`](Self::read_with).
    pub weights: Weights,
    /// The same model in small integers, if it has been quantized.
    pub quantized: Option<QuantizedWeights>,
    /// Files of the tokenizer, by name; see [`TOKENIZER_FILES`].
    pub tokenizer_files: Vec<(String, Vec<u8>)>,
    /// How hidden states become one vector, if the model is made for that.
    pub pooling: Option<Pooling>,
    /// Dense layers over that vector, from the first on.
    pub projections: Vec<Projection>,
    /// What can be put before a text whose vector is asked for; written where pooling is set.
    pub prompts: Prompts,
    /// Most tokens of a text, special ones included, if fewer than the position table allows. Read from
    /// sentence-transformers' `max_seq_length` or else the tokenizer's `model_max_length`, written as the former.
    pub max_tokens: Option<usize>,
    /// Where the model comes from (`attar.json`): recipe, data, seeds, scores, bill.
    pub provenance: Option<Value>,
    /// The model card (`README.md`); see [`card`](crate::card).
    pub card: Option<String>,
    /// Word embeddings of a narrower model with the same pieces `[V, h]`, as training under two vocabularies leaves them. They are
    /// read by [`read_narrow_embeddings`](Self::read_narrow_embeddings) alone.
    pub narrow_embeddings: Option<Tensor>,
    /// Sentences for the user about what was read: tensors that are not used, and quantized weights that were left out
    /// because they were made from others than those beside them. None about what attar wrote.
    pub notes: Vec<String>,
}

impl Bundle {
    /// A bundle of a model alone.
    pub fn new(config: EncoderConfig, weights: Weights) -> Self {
        let tokenizer_files = Vec::new();
        Bundle {
            config,
            weights,
            quantized: None,
            tokenizer_files,
            pooling: None,
            projections: Vec::new(),
            prompts: Prompts::default(),
            max_tokens: None,
            provenance: None,
            card: None,
            narrow_embeddings: None,
            notes: Vec::new(),
        }
    }

    /// Reads a model directory: `transformers`', sentence-transformers', or one that [`write`](Self::write) made,
    /// with all the weights it has. See [`read_with`](Self::read_with).
    ///
    /// # Errors
    /// As [`read_with`](Self::read_with).
    pub fn read(dir: &Path) -> Result<Self, Error> {
        Self::read_with(dir, ReadWeights::All)
    }

    /// As [`read`](Self::read), with a choice of weights.
    ///
    /// Quantized weights are compared with those beside them, if there are any, by hash. Stale ones are refused, or left out
    /// with a note where all weights are asked for.
    ///
    /// # Errors
    /// As [`checkpoint::load`] and [`QuantizedWeights::read`], and [`Error::Incomplete`] if tensors of pooler or head
    /// are missing, [`Error::NoQuantized`] if only quantized weights will do and there are none,
    /// [`Error::Quantized`] if they were made from other weights than those beside them,
    /// [`Error::SentenceTransformers`] if its pooling is not supported.
    pub fn read_with(dir: &Path, choice: ReadWeights) -> Result<Self, Error> {
        Self::read_from(&ModelFiles::open(dir)?, choice)
    }

    /// As [`read_with`](Self::read_with), from files that may be in memory.
    ///
    /// # Errors
    /// As [`read_with`](Self::read_with).
    pub fn read_from(files: &ModelFiles<'_>, choice: ReadWeights) -> Result<Self, Error> {
        Self::read_as(files, choice, |config| config)
    }

    /// As [`read`](Self::read), without the head, whose tensors are left where they are: the start of a model for
    /// other labels.
    ///
    /// # Errors
    /// As [`read_with`](Self::read_with).
    pub fn read_headless(dir: &Path) -> Result<Self, Error> {
        Self::read_headless_from(&ModelFiles::open(dir)?)
    }

    /// As [`read_headless`](Self::read_headless), from files that may be in memory.
    ///
    /// # Errors
    /// As [`read_with`](Self::read_with).
    pub fn read_headless_from(files: &ModelFiles<'_>) -> Result<Self, Error> {
        Self::read_as(files, ReadWeights::F32, |config| config.with_head(Head::None))
    }

    /// The configuration of a directory that [`read`](Self::read) takes.
    ///
    /// # Errors
    /// As [`checkpoint::read_config`], and [`Error::SentenceTransformers`].
    pub fn read_config(dir: &Path) -> Result<EncoderConfig, Error> {
        let files = ModelFiles::open(dir)?;
        own_config(&files, &sentence_transformers::read(&files)?)
    }

    /// The pooling of a sentence encoder's directory, if it is one.
    ///
    /// # Errors
    /// [`Error::SentenceTransformers`] if its pooling is not supported.
    pub fn read_pooling(dir: &Path) -> Result<Option<Pooling>, Error> {
        Ok(sentence_transformers::read(&ModelFiles::open(dir)?)?.pooling)
    }

    /// The narrow word embeddings beside a model, if there are some.
    ///
    /// # Errors
    /// If the file is damaged or has a number that is not finite.
    pub fn read_narrow_embeddings(dir: &Path) -> Result<Option<Tensor>, Error> {
        let path = dir.join(NARROW_EMBEDDINGS);
        match path.exists() {
            true => WeightsFile::read(&path)?.finite_floats(NARROW_TENSOR).map(Some),
            false => Ok(None),
        }
    }

    fn read_as(
        files: &ModelFiles<'_>,
        choice: ReadWeights,
        head: impl FnOnce(EncoderConfig) -> EncoderConfig,
    ) -> Result<Self, Error> {
        let dir = files.root();
        let found = sentence_transformers::read(files)?;
        let config = own_config(files, &found)?;
        if found.classifier && !reads_mean(&config) {
            return Err(Error::SentenceTransformers {
                path: dir.join("modules.json"),
                what: "a classifier that config.json does not name".into(),
                way_out: "restore config.json, or use a model of Transformer, Pooling and Normalize alone",
            });
        }
        let ReadModel { config, weights, quantized, notes } =
            read_weights(files, &found.transformer, head(config), choice)?;
        check_projections(dir, &config, &found.projections)?;
        let mut tokenizer_files = Vec::new();
        for name in TOKENIZER_FILES {
            if let Some(bytes) = files.read_optional(&found.transformer.join(name))? {
                tokenizer_files.push((name.to_string(), bytes));
            }
        }
        let max_tokens = match found.max_tokens {
            Some(count) => Some(count),
            None => tokenizer_max_tokens(&found.transformer, &tokenizer_files)?,
        };
        Ok(Bundle {
            max_tokens: max_tokens.filter(|&count| count < config.usable_positions()),
            config,
            weights,
            quantized,
            tokenizer_files,
            pooling: found.pooling,
            projections: found.projections,
            prompts: found.prompts,
            notes,
            narrow_embeddings: None,
            provenance: files.provenance()?,
            card: files.read_optional_text(&dir.join("README.md"))?,
        })
    }

    /// Writes the directory with all the weights there are, complete or not at all; see [`write_dir`].
    ///
    /// Tensors are written as f32 under the names that the class in `architectures` has for them, quantized ones to
    /// [`QUANTIZED_FILE`] besides. Only a directory with a `config.json` is replaced.
    ///
    /// # Errors
    /// As [`write_with`](Self::write_with).
    pub fn write(&self, dir: &Path, mode: WriteMode) -> Result<(), Error> {
        self.write_with(dir, mode, WriteWeights::All)
    }

    /// As [`write`](Self::write), with a choice of weights.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Weights`] and [`Error::Quantized`] if the parts contradict each other (quantized
    /// weights made from others than those beside them included), [`Error::NoQuantized`] if only quantized weights are
    /// to be written and there are none, [`Error::FileName`] if a tokenizer file has an unusable name,
    /// [`Error::NotAModel`], otherwise as [`write_dir`].
    pub fn write_with(&self, dir: &Path, mode: WriteMode, choice: WriteWeights) -> Result<(), Error> {
        let files = self.files(dir, choice)?;
        if mode == WriteMode::Replace {
            refuse_foreign(dir)?;
        }
        write_dir(dir, mode, |dir| {
            for (name, bytes) in &files {
                let path = dir.join(name);
                if name.ends_with('/') { make_dir(&path)? } else { write_plain(&path, bytes)? }
            }
            Ok(())
        })
    }

    /// SHA-256 of configuration and weights in f32, independent of files; see [`fingerprint()`]. The quantized ones
    /// have [their own](QuantizedWeights::fingerprint).
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.config, &self.weights)
    }

    /// A tokenizer file by name.
    pub fn tokenizer_file(&self, name: &str) -> Option<&[u8]> {
        self.tokenizer_files.iter().find(|(its, _)| its == name).map(|(_, bytes)| bytes.as_slice())
    }
}

/// The configuration of a directory. A sentence encoder keeps the class that it was made from in its file, often that of
/// a masked language model, and not its head.
fn own_config(files: &ModelFiles<'_>, found: &sentence_transformers::Found) -> Result<EncoderConfig, Error> {
    let config = checkpoint::config_of(files, &found.transformer)?;
    let is_encoder = found.pooling.is_some() && config.head.has_masked_lm();
    let lacks_head = is_encoder && checkpoint::lacks_head(files, &found.transformer, &config)?;
    Ok(if lacks_head { config.with_head(Head::None) } else { config })
}

/// Whether a classifier stands on the mean of token states.
fn reads_mean(config: &EncoderConfig) -> bool {
    matches!(config.head, Head::Classification { .. }) && config.classifier_input == ClassifierInput::Mean
}

/// Names that a note lists.
const NAMED: usize = 4;

/// That these tensors of a weights file are not used.
fn unused_note(unused: &[String]) -> Option<String> {
    let first = unused.iter().take(NAMED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match unused.len() {
        0 => None,
        1 => Some(format!("a tensor of the weights file is not used: {first}")),
        count @ ..=NAMED => Some(format!("{count} tensors of the weights file are not used: {first}")),
        count => Some(format!("{count} tensors of the weights file are not used: {first} and {} more", count - NAMED)),
    }
}

/// Checks that each dense layer takes what comes before it.
fn check_projections(dir: &Path, config: &EncoderConfig, projections: &[Projection]) -> Result<(), Error> {
    let mut width = config.hidden;
    for projection in projections {
        if projection.inputs() != width {
            return Err(Error::SentenceTransformers {
                path: dir.join("modules.json"),
                what: format!("a Dense module of {} inputs after a vector of {width}", projection.inputs()),
                way_out: "take all modules from the same model",
            });
        }
        width = projection.outputs();
    }
    Ok(())
}

/// What the weights files of a directory hold.
struct ReadModel {
    /// The configuration as the weights show it to be.
    config: EncoderConfig,
    weights: Weights,
    quantized: Option<QuantizedWeights>,
    notes: Vec<String>,
}

/// The weights of a directory.
fn read_weights(
    files: &ModelFiles<'_>,
    dir: &Path,
    config: EncoderConfig,
    choice: ReadWeights,
) -> Result<ReadModel, Error> {
    let path = dir.join(QUANTIZED_FILE);
    let has_quantized = choice != ReadWeights::F32 && files.exists(&path);
    let only_quantized = match choice {
        ReadWeights::All | ReadWeights::F32 => false,
        ReadWeights::Quantized if !has_quantized => return Err(Error::NoQuantized { dir: dir.into() }),
        ReadWeights::Quantized | ReadWeights::QuantizedOrF32 => has_quantized,
    };
    if only_quantized {
        let quantized = QuantizedWeights::read_from(files, &path, &config)?;
        if checkpoint::has_weights(files, dir) {
            let (expected, got) = (checkpoint::fingerprint(files, dir, &config)?, quantized.source().to_owned());
            if expected != got {
                return Err(Error::Quantized { path, source: QuantizedError::Stale { expected, got }.into() });
            }
        }
        return Ok(ReadModel { config, weights: Weights::new(), quantized: Some(quantized), notes: Vec::new() });
    }
    if !checkpoint::has_weights(files, dir) && files.exists(&path) {
        let quantized = QuantizedWeights::read_from(files, &path, &config)?;
        let weights = quantized.dequantize();
        let quantized = has_quantized.then_some(quantized);
        return Ok(ReadModel { config, weights, quantized, notes: Vec::new() });
    }
    let Loaded { config, weights, missing, unexpected, other_heads, .. } =
        checkpoint::load_unhashed(files, dir, config)?;
    if !missing.is_empty() {
        return Err(Error::Incomplete { dir: dir.into(), missing, unexpected });
    }
    let mut quantized = if has_quantized { Some(QuantizedWeights::read_from(files, &path, &config)?) } else { None };
    let unused: Vec<String> = unexpected.into_iter().chain(other_heads).collect();
    let mut notes: Vec<String> = unused_note(&unused).into_iter().collect();
    if quantized.as_ref().is_some_and(|quantized| quantized.source() != fingerprint(&config, &weights)) {
        quantized = None;
        notes.push(format!("{QUANTIZED_FILE} was made from other weights than those beside it, and is left out"));
    }
    Ok(ReadModel { config, weights, quantized, notes })
}

/// Refuses to replace, and so to remove, a directory that is not a model.
fn refuse_foreign(dir: &Path) -> Result<(), Error> {
    let holds_something = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if holds_something && !dir.join("config.json").exists() {
        return Err(Error::NotAModel { path: dir.into() });
    }
    Ok(())
}

/// `model_max_length` of a tokenizer's configuration; the huge number that stands for "no limit" is none.
fn tokenizer_max_tokens(dir: &Path, tokenizer_files: &[(String, Vec<u8>)]) -> Result<Option<usize>, Error> {
    const NAME: &str = "tokenizer_config.json";
    let Some((_, bytes)) = tokenizer_files.iter().find(|(name, _)| name == NAME) else { return Ok(None) };
    let config: Value = serde_json::from_slice(bytes).map_err(|source| Error::Json { path: dir.join(NAME), source })?;
    Ok(config["model_max_length"].as_u64().and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0))
}

/// A plain write, sufficient inside a directory that is not in place yet.
fn write_plain(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    fs::write(path, bytes).map_err(|source| Error::Write { path: path.into(), source })
}

fn make_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::Write { path: path.into(), source })
}
