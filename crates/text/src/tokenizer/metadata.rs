//! The two small files beside a tokenizer: `tokenizer_config.json` and `special_tokens_map.json`.

use serde_json::{Map, Value, json};

use super::library::TokenizerBackend;
use super::settings::{self, Style};
use super::{SpecialIds, Tokenizer};

/// Names of the special tokens by their part in an input.
#[derive(Debug, Clone)]
pub(super) struct SpecialNames {
    pub(super) pad: String,
    pub(super) unk: String,
    pub(super) cls: String,
    pub(super) sep: String,
    pub(super) mask: String,
}

impl SpecialNames {
    pub(super) fn of(style: Style) -> Self {
        let names = match style {
            Style::Bert => ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
            Style::MpNet => ["<pad>", "[UNK]", "<s>", "</s>", "<mask>"],
        };
        let [pad, unk, cls, sep, mask] = names.map(str::to_owned);
        Self { pad, unk, cls, sep, mask }
    }

    /// What the files say, the usual names where they say nothing.
    pub(super) fn from_files(config: &Map<String, Value>, special_tokens_map: &Map<String, Value>) -> Self {
        let mut names = Self::of(Style::of(config));
        for (key, name) in names.by_key_mut() {
            if let Some(stated) = token_name(config, key).or_else(|| token_name(special_tokens_map, key)) {
                *name = stated;
            }
        }
        names
    }

    pub(super) fn all(&self) -> [&str; 5] {
        [&self.unk, &self.sep, &self.pad, &self.cls, &self.mask]
    }

    /// Writes the names into `config`, where neither file states them: a vocabulary may hold other tokens that look like
    /// special ones.
    pub(super) fn state(&mut self, config: &mut Map<String, Value>, special_tokens_map: &Map<String, Value>) {
        for (key, name) in self.by_key_mut() {
            if token_name(special_tokens_map, key).is_none() && token_name(config, key).is_none() {
                config.insert(key.to_owned(), json!(name));
            }
        }
    }

    fn by_key_mut(&mut self) -> [(&'static str, &mut String); 5] {
        [
            ("unk_token", &mut self.unk),
            ("sep_token", &mut self.sep),
            ("pad_token", &mut self.pad),
            ("cls_token", &mut self.cls),
            ("mask_token", &mut self.mask),
        ]
    }
}

/// Adds to the two small files what they lack and the tokenizer knows, so that `transformers` finds
/// the right class, cleaning and special tokens.
pub(super) fn complete(
    parts: &TokenizerBackend,
    config: &mut Map<String, Value>,
    special_tokens_map: &mut Map<String, Value>,
) {
    let class = match &parts.normalizer {
        Some(normalizer) if parts.is_wordpiece => {
            let mut default = |key: &str, value: Value| _ = config.entry(key).or_insert(value);
            default("do_lower_case", json!(normalizer.lowercase));
            default("strip_accents", json!(normalizer.strip_accents));
            default("tokenize_chinese_chars", json!(normalizer.handle_chinese_chars));
            "BertTokenizerFast"
        }
        _ => "PreTrainedTokenizerFast",
    };
    config.entry("tokenizer_class").or_insert(json!(class));
    let names = KEYS.map(|(key, known)| special_name(parts, config, special_tokens_map, key, known));
    for ((key, _), name) in KEYS.into_iter().zip(names) {
        if let Some(name) = name {
            config.entry(key).or_insert(json!(name));
            special_tokens_map.entry(key).or_insert(json!(name));
        }
    }
}

impl Tokenizer {
    /// Puts the parts together and finds the ids of the special tokens.
    pub(super) fn assemble(
        mut parts: TokenizerBackend,
        config: Map<String, Value>,
        special_tokens_map: Map<String, Value>,
    ) -> Self {
        let [unk, sep, pad, cls, mask] = KEYS.map(|(key, known)| {
            let name = special_name(&parts, &config, &special_tokens_map, key, known);
            name.and_then(|name| parts.id(&name))
        });
        let special = SpecialIds { pad, unk, cls, sep, mask };
        parts.gives_types = settings::gives_types(&config);
        Self { parts, special, config, special_tokens_map }
    }

    /// The most positions the model has, as `tokenizer_config.json` states it; `None` if it does not,
    /// or states the huge number that Hugging Face writes for "no limit".
    pub fn model_max_length(&self) -> Option<usize> {
        let stated = self.config.get("model_max_length")?.as_u64()?;
        usize::try_from(stated).ok().filter(|&length| length < 1 << 31)
    }

    /// Sets what [`Tokenizer::save`] writes as `model_max_length`, for a student that has fewer
    /// positions than its teacher. Encoding does not look at it.
    pub fn set_model_max_length(&mut self, positions: usize) {
        self.config.insert("model_max_length".to_owned(), json!(positions));
    }
}

/// The keys of the two files, and the names by which a special token is known where they are silent.
const KEYS: [(&str, [&str; 2]); 5] = [
    ("unk_token", ["[UNK]", "<unk>"]),
    ("sep_token", ["[SEP]", "</s>"]),
    ("pad_token", ["[PAD]", "<pad>"]),
    ("cls_token", ["[CLS]", "<s>"]),
    ("mask_token", ["[MASK]", "<mask>"]),
];

/// The name of a special token that is in the vocabulary.
fn special_name(
    parts: &TokenizerBackend,
    config: &Map<String, Value>,
    special_tokens_map: &Map<String, Value>,
    key: &str,
    known: [&str; 2],
) -> Option<String> {
    let stated = token_name(config, key).or_else(|| token_name(special_tokens_map, key));
    let mut candidates = match stated {
        Some(name) => vec![name],
        None => known.map(str::to_owned).to_vec(),
    };
    candidates.retain(|name| parts.id(name).is_some());
    candidates.into_iter().next()
}

/// The token under `key`: a string, or an object with `content`.
fn token_name(object: &Map<String, Value>, key: &str) -> Option<String> {
    let value = object.get(key)?;
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
}
