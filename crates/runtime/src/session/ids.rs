//! Results for token ids, for one who encodes texts elsewhere, as a server does before it makes batches.

use std::sync::Arc;

use attar_model::{Pooling, PoolingMode, first_not_finite};
use attar_text::tokenizer::Tokenizer;

use super::Session;
use super::prompt::Prompt;
use crate::batch::Input;
use crate::error::Error;
use crate::output::Output;
use crate::projection;

impl Session {
    /// The tokenizer, to encode texts on other threads with.
    pub fn shared_tokenizer(&self) -> Arc<Tokenizer> {
        Arc::clone(&self.tokenizer)
    }

    /// Whether the head compares two texts, each a sequence of its own ([`Session::logits_of`]).
    pub fn compares(&self) -> bool {
        self.encoder.cosine().is_some()
    }

    /// Tokens at the beginning of a text with this prompt that are not pooled with the others, as the model's files have it.
    ///
    /// # Errors
    /// As [`Session::set_prompt`].
    pub fn skipped_after(&mut self, prompt: &str) -> Result<usize, Error> {
        let former = self.prompt.clone();
        let set = self.set_prompt(prompt);
        let skipped = self.prompt.as_ref().map_or(0, Prompt::skipped);
        self.prompt = former;
        set.map(|()| skipped)
    }

    /// A vector of each sequence, as [`Session::embed`] makes them of texts. The sequences hold their prompts already, of
    /// which `skipped` tokens are not pooled ([`Session::skipped_after`]).
    ///
    /// # Errors
    /// If the model cannot take the ids, or a number overflows.
    pub fn vectors_of(&mut self, input: Input<'_>, pooling: Pooling, skipped: usize) -> Result<Vec<Vec<f32>>, Error> {
        let projects = !self.vectors.projections.is_empty();
        let pooled = Pooling { normalize: pooling.normalize && !projects, ..pooling };
        let mut vectors = self.rows_of(
            input,
            match skipped {
                0 => Output::Vectors(pooled),
                skipped => Output::VectorsAfter(pooled, skipped),
            },
        )?;
        if projects {
            for (row, vector) in vectors.iter_mut().enumerate() {
                *vector = projection::apply_all(&self.vectors.projections, std::mem::take(vector), pooling.normalize);
                if first_not_finite(vector).is_some() {
                    return Err(Error::Overflow { row });
                }
            }
        }
        Ok(vectors)
    }

    /// Logits of each sequence, `[K]`; of each two that follow each other where the head compares texts
    /// ([`Session::compares`]).
    ///
    /// # Errors
    /// If the model has no classification head or cannot take the ids, or [`Error::NoPair`] if it compares texts and
    /// their number is odd.
    pub fn logits_of(&mut self, input: Input<'_>) -> Result<Vec<Vec<f32>>, Error> {
        self.target()?;
        let Some([scale, offset]) = self.encoder.cosine() else { return self.rows_of(input, Output::Logits) };
        if !input.sequences().is_multiple_of(2) {
            return Err(Error::NoPair { row: input.sequences() / 2 });
        }
        let pooling = Pooling { mode: PoolingMode::Mean, normalize: true };
        let vectors = self.rows_of(input, Output::Vectors(pooling))?;
        let score = |pair: &[Vec<f32>]| {
            let cosine: f32 = pair[0].iter().zip(&pair[1]).map(|(a, b)| a * b).sum();
            vec![scale * cosine + offset]
        };
        Ok(vectors.chunks_exact(2).map(score).collect())
    }

    /// The last hidden state of each token, `[N][H]`.
    ///
    /// # Errors
    /// If the model cannot take the ids, or a number overflows.
    pub fn states_of(&mut self, input: Input<'_>) -> Result<Vec<Vec<f32>>, Error> {
        self.rows_of(input, Output::Hidden)
    }

    fn rows_of(&mut self, input: Input<'_>, output: Output) -> Result<Vec<Vec<f32>>, Error> {
        let width = self.encoder.width(output)?;
        let out = &mut self.sorted.out;
        out.resize(self.encoder.rows(output, input) * width, 0.0);
        self.encoder.forward(input, output, out)?;
        Ok(out.chunks_exact(width.max(1)).map(<[f32]>::to_vec).collect())
    }
}
