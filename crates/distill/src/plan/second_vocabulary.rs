//! A student that learns a second vocabulary beside its own.

use attar_model::{EncoderConfig, Head, Tensor, Weights};
use attar_text::tokenizer::Tokenizer;

use super::vocabulary;
use super::{Beginning, PlannedStudent};
use crate::Error;
use crate::objectives::{Objective, Semantics};
use crate::recipe::Recipe;

/// The table that is read, and the bias of each piece where it is guessed.
const TABLES: [&str; 2] = ["embeddings.word_embeddings.weight", "cls.predictions.bias"];

impl PlannedStudent {
    /// The student with a row for each piece of a second vocabulary after those of its own: the mean of the rows of the
    /// pieces that its own tokenizer cuts the new one into.
    pub(super) fn with_second_vocabulary(
        mut self,
        recipe: &Recipe,
        first: &Tokenizer,
        second: &Tokenizer,
    ) -> Result<PlannedStudent, Error> {
        let refused = |expected: &str, got: &str, out: &str| Err(Error::refused("data, mix", expected, got, out));
        if self.beginning != Beginning::Given || self.base.is_none() {
            return refused(
                "a model that knows one vocabulary",
                "a student without",
                "set `student = { from = \"model\" }`",
            );
        }
        if self.config.head != Head::MaskedLm {
            return refused("the objective `masked-lm`", "none", "add `{ kind = \"masked-lm\" }` to a stage");
        }
        if recipe.semantics == Semantics::Reference
            || recipe.stages.iter().flat_map(|stage| &stage.objectives).any(Objective::needs_trace)
        {
            let out = "distill from the model that comes out";
            return refused("no objective that reads a teacher's states", "one", out);
        }
        if self.config.vocabulary != first.vocabulary_size() {
            let got = format!("a table of {} rows for {} pieces", self.config.vocabulary, first.vocabulary_size());
            return refused("a row for each piece", &got, "use a model whose table and tokenizer agree");
        }
        let origins = vocabulary::origins(second, first);
        for name in TABLES {
            let Some(tensor) = self.weights.remove(name) else { continue };
            let columns = tensor.data.len() / self.config.vocabulary;
            let mut data = tensor.data;
            for pieces in &origins {
                let share = 1.0 / pieces.len().max(1) as f32;
                let mut row = vec![0.0; columns];
                for &piece in pieces {
                    let from = piece as usize * columns;
                    row.iter_mut().zip(&data[from..from + columns]).for_each(|(sum, x)| *sum += share * x);
                }
                data.extend(row);
            }
            let mut shape = tensor.shape;
            shape[0] += origins.len();
            self.weights.insert(name, Tensor::new(shape, data));
        }
        self.first_pieces = Some(self.config.vocabulary);
        self.config.vocabulary += origins.len();
        Ok(self)
    }

    /// The configuration with which the student is written.
    pub fn written_config(&self, tokenizer: &Tokenizer) -> EncoderConfig {
        match self.first_pieces {
            None => self.config.clone(),
            Some(first) => EncoderConfig {
                vocabulary: self.config.vocabulary - first,
                pad_id: tokenizer.pad_id().unwrap_or(0),
                ..self.config.clone()
            },
        }
    }

    /// Its weights without the pieces of the first vocabulary, where it has learned a second one.
    pub(crate) fn written_weights(&self, mut weights: Weights) -> Weights {
        let Some(first) = self.first_pieces else { return weights };
        for name in TABLES {
            let Some(Tensor { mut shape, mut data }) = weights.remove(name) else { continue };
            let columns = data.len() / self.config.vocabulary;
            data.drain(..first * columns);
            shape[0] -= first;
            weights.insert(name, Tensor::new(shape, data));
        }
        weights
    }
}
