//! A model directory that is served by a name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use attar_model::{Head, Pooling, PoolingMode, Target};
use attar_runtime::{Options, Precision, Session};
use attar_text::tokenizer::Tokenizer;

use crate::cascade::ActiveCascade;
use crate::error::{ErrorType, Refusal, ServeError};

/// A model directory, the name it is served by, and how it is run.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedBundle {
    /// The name, a part of addresses.
    pub name: String,
    /// The directory.
    pub dir: PathBuf,
    /// Precision and threads.
    pub options: Options,
}

/// What requests need of a loaded bundle; its weights belong to the thread that computes.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// Told apart from other bundles and from its own former states.
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) tokenizer: Arc<Tokenizer>,
    /// Most tokens of an input.
    pub(crate) max_tokens: usize,
    pub(crate) head: Head,
    /// What its classifier chooses between; empty without one.
    pub(crate) labels: Vec<Arc<str>>,
    pub(crate) pooling: Pooling,
    /// Whether the head compares two texts, each a sequence of its own.
    pub(crate) compares: bool,
    pub(crate) precision: Precision,
    /// Bytes of the weights in memory.
    pub(crate) bytes: usize,
    /// Texts to put before others, by name.
    pub(crate) prompts: BTreeMap<String, Prompt>,
    /// The name of the one for requests that name none.
    pub(crate) default_prompt: Option<String>,
    /// Notes for the operator.
    pub(crate) notes: Vec<String>,
    /// The cascade that it begins; set before anybody asks.
    pub(crate) cascade: OnceLock<ActiveCascade>,
}

/// A text to put before others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) text: String,
    /// Tokens at the beginning that are not pooled.
    pub(crate) skipped: usize,
}

impl Bundle {
    /// Reads a directory, and answers one text, so that what cannot answer is found now and not by the first client.
    pub(crate) fn load(named: &NamedBundle) -> Result<(Arc<Bundle>, Session), ServeError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let refused = |source| ServeError::Bundle { name: named.name.clone(), source: Box::new(source) };
        let mut session = Session::load(&named.dir, &named.options).map_err(refused)?;
        session.embed(&[("a", None)], session.pooling(), |_| ()).map_err(refused)?;
        let known = session.prompts().clone();
        let prompt = |(name, text): (String, String)| {
            let skipped = session.skipped_after(&text)?;
            Ok((name, Prompt { text, skipped }))
        };
        let prompts = known.named.into_iter().map(prompt).collect::<Result<_, _>>().map_err(refused)?;
        let head = session.config().head.clone();
        let labels = match &head {
            Head::Classification { target } => shared_labels(target),
            _ => Vec::new(),
        };
        let bundle = Bundle {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            name: named.name.clone(),
            tokenizer: session.shared_tokenizer(),
            max_tokens: session.limit().max_tokens,
            head,
            labels,
            pooling: session.pooling(),
            compares: session.compares(),
            precision: named.options.precision,
            bytes: session.encoder().weight_bytes(),
            prompts,
            default_prompt: known.default,
            notes: session.notes().to_vec(),
            cascade: OnceLock::new(),
        };
        Ok((Arc::new(bundle), session))
    }

    /// What its classifier answers.
    pub(crate) fn target(&self) -> Result<&Target, Refusal> {
        match &self.head {
            Head::Classification { target } => Ok(target),
            _ => Err(self.lacks("classification head", "ask for /embed, or name a bundle that classifies")),
        }
    }

    /// The refusal of what its head does not do.
    pub(crate) fn lacks(&self, what: &str, way_out: &str) -> Refusal {
        Refusal::new(ErrorType::Backend, format!("the bundle `{}` has no {what}: {way_out}", self.name))
    }

    /// The name of its pooling, as text-embeddings-inference has it.
    pub(crate) fn pooling_name(&self) -> &'static str {
        match self.pooling.mode {
            PoolingMode::Mean => "mean",
            PoolingMode::Cls => "cls",
            PoolingMode::Max => "max",
            PoolingMode::MeanSqrtLength => "mean_sqrt_len_tokens",
            PoolingMode::LastToken => "last_token",
        }
    }

    /// The type of its numbers.
    pub(crate) fn data_type(&self) -> &'static str {
        match self.precision {
            Precision::F32 => "float32",
            Precision::Int8 => "int8",
        }
    }

    /// The prompt that a request wants before its texts: the one it names, or the bundle's default.
    pub(crate) fn prompt(&self, name: Option<&str>) -> Result<Prompt, Refusal> {
        let Some(name) = name.or(self.default_prompt.as_deref()) else { return Ok(Prompt::default()) };
        self.prompts.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.prompts.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let own = &self.name;
            let said = format!("the bundle `{own}` has no prompt `{name}` (available: {known}): use one of these, or leave `prompt_name` out");
            Refusal::new(ErrorType::Validation, said).with_status(axum::http::StatusCode::UNPROCESSABLE_ENTITY)
        })
    }
}

/// Names of the numbers that a classifier gives.
pub(crate) fn shared_labels(target: &Target) -> Vec<Arc<str>> {
    match target {
        Target::Labels(labels) | Target::MultiLabel(labels) => {
            labels.iter().map(|label| label.as_str().into()).collect()
        }
        Target::Regression => vec!["score".into()],
    }
}

/// Checks that a name can stand in an address.
pub(crate) fn check_name(name: &str) -> Result<(), ServeError> {
    let is_fit = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if name.is_empty() || name.len() > 100 || !name.chars().all(is_fit) || name.starts_with('.') {
        return Err(ServeError::Name { name: name.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_of_addresses() {
        for name in ["student", "all-MiniLM-L6-v2", "a.b_c"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "a/b", "..", "é", "a b", &"x".repeat(101)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
