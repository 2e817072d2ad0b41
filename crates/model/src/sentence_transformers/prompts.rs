//! Prompts: what is put before a text so that the encoder knows what its vector is for.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::describe;
use crate::error::Error;
use crate::files::ModelFiles;

/// What can be put before a text, and how its tokens count.
///
/// Models of search are trained with one for queries and another for documents, and give other vectors without them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompts {
    /// The prompts by name.
    pub named: BTreeMap<String, String>,
    /// The name of the one that is used unless the caller says otherwise; one of [`named`](Self::named).
    pub default: Option<String>,
    /// Whether the tokens of a prompt, and the special token before them, are pooled with those of the text.
    pub pooled: bool,
}

impl Default for Prompts {
    fn default() -> Self {
        Prompts { named: BTreeMap::new(), default: None, pooled: true }
    }
}

impl Prompts {
    /// The prompt that is used unless the caller says otherwise.
    pub fn default_text(&self) -> Option<&str> {
        self.named.get(self.default.as_ref()?).map(String::as_str)
    }

    /// Those of `config_sentence_transformers.json`, whose tokens are pooled.
    pub(super) fn read(files: &ModelFiles<'_>, path: &Path) -> Result<Prompts, Error> {
        let config = files.read_optional_json(path)?.unwrap_or_default();
        let wrong = |key: &str, expected, got: &Value| Error::JsonKey {
            path: path.into(),
            key: key.into(),
            expected,
            got: describe(got),
        };
        let none = Map::new();
        let prompts = match &config["prompts"] {
            Value::Null => &none,
            Value::Object(prompts) => prompts,
            other => return Err(wrong("prompts", "an object of texts by name", other)),
        };
        let mut named = BTreeMap::new();
        for (name, text) in prompts {
            let Value::String(text) = text else { return Err(wrong(&format!("prompts.{name}"), "a text", text)) };
            named.insert(name.clone(), text.clone());
        }
        let default = match &config["default_prompt_name"] {
            Value::Null => None,
            Value::String(name) if named.contains_key(name) => Some(name.clone()),
            other => return Err(wrong("default_prompt_name", "a name in `prompts`, or null", other)),
        };
        Ok(Prompts { named, default, pooled: true })
    }
}
