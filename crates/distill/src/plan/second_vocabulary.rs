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

/// The vocabulary that a model has before it learns a second one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstVocabulary {
    /// Its pieces, whose rows come first.
    pub pieces: usize,
    /// The special tokens of both by what they are for: the first one's id, which texts have while the model learns, and the
    /// second one's, which they have afterwards.
    special: Vec<[u32; 2]>,
}

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
                "an existing model, which knows one vocabulary",
                "a new student",
                "set `student = { from = \"model\" }`",
            );
        }
        if self.config.head != Head::MaskedLm {
            return refused("the objective `masked-lm`", "none", "add `{ kind = \"masked-lm\" }` to a stage");
        }
        if recipe.semantics == Semantics::Reference
            || recipe.stages.iter().flat_map(|stage| &stage.objectives).any(Objective::needs_trace)
        {
            let out = "train this model first, then distill from it";
            return refused("clean semantics, and no objective that reads a teacher's states", "others", out);
        }
        if self.config.vocabulary != first.vocabulary_size() {
            let got = format!("a table of {} rows for {} pieces", self.config.vocabulary, first.vocabulary_size());
            return refused("a row for each piece", &got, "use a model whose table and tokenizer agree");
        }
        let sources = vocabulary::source_pieces(second, first);
        for name in TABLES {
            let Some(tensor) = self.weights.remove(name) else { continue };
            let columns = tensor.data.len() / self.config.vocabulary;
            let mut data = tensor.data;
            for pieces in &sources {
                let share = 1.0 / pieces.len().max(1) as f32;
                let mut row = vec![0.0; columns];
                for &piece in pieces {
                    let from = piece as usize * columns;
                    row.iter_mut().zip(&data[from..from + columns]).for_each(|(sum, x)| *sum += share * x);
                }
                data.extend(row);
            }
            let mut shape = tensor.shape;
            shape[0] += sources.len();
            self.weights.insert(name, Tensor::new(shape, data));
        }
        // What is unknown is unknown to one vocabulary: that token is each one's own.
        let framing =
            |tokenizer: &Tokenizer| [tokenizer.pad_id(), tokenizer.cls_id(), tokenizer.sep_id(), tokenizer.mask_id()];
        let special =
            framing(first).into_iter().zip(framing(second)).filter_map(|(ours, theirs)| Some([ours?, theirs?]));
        self.first_vocabulary = Some(FirstVocabulary { pieces: self.config.vocabulary, special: special.collect() });
        self.config.vocabulary += sources.len();
        Ok(self)
    }

    /// The configuration with which the student is written.
    pub fn written_config(&self, tokenizer: &Tokenizer) -> EncoderConfig {
        match &self.first_vocabulary {
            None => self.config.clone(),
            Some(first) => EncoderConfig {
                vocabulary: self.config.vocabulary - first.pieces,
                pad_id: tokenizer.pad_id().unwrap_or(0),
                ..self.config.clone()
            },
        }
    }

    /// Its weights without the pieces of the first vocabulary, where it has learned a second one, whose special tokens get
    /// the rows that the first one's have learned.
    pub(crate) fn written_weights(&self, mut weights: Weights) -> Weights {
        let Some(first) = &self.first_vocabulary else { return weights };
        for name in TABLES {
            let Some(Tensor { mut shape, mut data }) = weights.remove(name) else { continue };
            let columns = data.len() / self.config.vocabulary;
            for &[learned, written] in &first.special {
                let from = learned as usize * columns;
                data.copy_within(from..from + columns, (first.pieces + written as usize) * columns);
            }
            data.drain(..first.pieces * columns);
            shape[0] -= first.pieces;
            weights.insert(name, Tensor::new(shape, data));
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_tokens_are_written_as_they_were_learned() {
        let config = EncoderConfig { vocabulary: 7, ..EncoderConfig::bert_base() }.with_head(Head::MaskedLm);
        // Four pieces, of which the second is `[CLS]`; then three, of which the last is.
        let first = FirstVocabulary { pieces: 4, special: vec![[1, 2]] };
        let student = PlannedStudent {
            config,
            weights: Weights::new(),
            beginning: Beginning::Given,
            base: None,
            pooling: None,
            first_vocabulary: Some(first),
        };
        let mut weights = Weights::new();
        weights.insert(TABLES[0], Tensor::new(vec![7, 2], (0..14).map(|i| i as f32).collect()));
        weights.insert(TABLES[1], Tensor::new(vec![7], (0..7).map(|i| i as f32).collect()));
        let written = student.written_weights(weights);
        let table = written.get(TABLES[0]).unwrap();
        assert_eq!((&table.shape[..], &table.data[..]), (&[3, 2][..], &[8.0, 9.0, 10.0, 11.0, 2.0, 3.0][..]));
        assert_eq!(written.get(TABLES[1]).unwrap().data, [4.0, 5.0, 1.0]);
    }
}
