//! What stands before every text whose vector is asked for.

use attar_model::{Pooling, Prompts};
use attar_text::tokenizer::Limit;

use super::Session;
use crate::error::Error;
use crate::output::Output;

/// A prompt that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prompt {
    pub(super) text: String,
    /// Tokens at the beginning that are not pooled.
    skipped: usize,
}

impl Prompt {
    /// Tokens at the beginning that are not pooled.
    pub(super) fn skipped(&self) -> usize {
        self.skipped
    }

    /// Vectors of texts that begin with this prompt.
    pub(super) fn output(&self, pooling: Pooling) -> Output {
        match self.skipped {
            0 => Output::Vectors(pooling),
            skipped => Output::VectorsAfter(pooling, skipped),
        }
    }
}

impl Session {
    /// The prompts that the model's files name.
    pub fn prompts(&self) -> &Prompts {
        &self.vectors.prompts
    }

    /// What stands before every text whose vector is asked for ([`Session::embed`]): the model's default prompt, unless
    /// another was set.
    pub fn prompt(&self) -> Option<&str> {
        self.prompt.as_ref().map(|prompt| prompt.text.as_str())
    }

    /// Puts this before every text whose vector is asked for, in place of the model's default prompt.
    ///
    /// Where the model's pooling leaves prompts out, so many tokens are left out as the prompt has by itself, the special
    /// one before it included. An empty prompt has that one: sentence-transformers counts so.
    ///
    /// # Errors
    /// [`Error::Prompt`] if it leaves no room for a text, and if it cannot be encoded.
    pub fn set_prompt(&mut self, text: &str) -> Result<(), Error> {
        let ids = self.tokenizer.encode(text, None, Limit::unlimited())?.ids;
        let closing = ids.last().is_some_and(|&id| self.tokenizer.is_special(id));
        let tokens = ids.len() - usize::from(closing);
        let limit = self.limit.max_tokens;
        if tokens + usize::from(closing) >= limit && !text.is_empty() {
            return Err(Error::Prompt { tokens, limit });
        }
        let skipped = if self.prompts().pooled { 0 } else { tokens };
        self.prompt = Some(Prompt { text: text.into(), skipped });
        Ok(())
    }
}
