//! A student that learns a second vocabulary beside its own.

use std::path::Path;

use attar_model::{Bundle, EncoderConfig, Head, Tensor, Weights};
use attar_text::tokenizer::Tokenizer;
use nalgebra::DMatrix;

use super::vocabulary;
use super::{Beginning, PlannedStudent};
use crate::begin::Directions;
use crate::engine::{Encoder, Lift};
use crate::objectives::{Objective, Semantics};
use crate::recipe::{DataSpec, Recipe};
use crate::{Error, model_directory};

/// The table that is read, and the bias of each piece where it is guessed.
const TABLES: [&str; 2] = ["embeddings.word_embeddings.weight", "cls.predictions.bias"];

/// The vocabulary that a model has before it learns a second one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstVocabulary {
    /// Its pieces, whose rows come first.
    pub pieces: usize,
    /// Width of the second one's embeddings, if they are narrower than the model.
    pub second_width: Option<usize>,
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
        let width = match &recipe.data {
            DataSpec::Corpus { mix: Some(mix), .. } => {
                mix.width.filter(|&width| width != self.config.embedding_width())
            }
            _ => None,
        };
        let own = self.config.embedding_width();
        if let Some(width) = width.filter(|width| !(1..own).contains(width)) {
            let expected = format!("a `width` (`--second-width`) from 1 to {own}, that of the model's embeddings");
            return refused(&expected, &width.to_string(), "leave it out for the model's own");
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
        let (pieces, special) = (self.config.vocabulary, special.collect());
        self.first_vocabulary = Some(FirstVocabulary { pieces, second_width: width, special });
        self.config.vocabulary += sources.len();
        if let Some(width) = width
            && let Some(table) = self.weights.remove(TABLES[0])
        {
            let columns = self.config.embedding_width();
            let (first, second) = table.data.split_at(pieces * columns);
            let [narrow, map, mean] = narrowed(second, columns, width);
            self.weights.insert(TABLES[0], Tensor::new(vec![pieces, columns], first.to_vec()));
            self.weights.insert(Lift::TABLE, narrow);
            self.weights.insert(Lift::MAP[0], map);
            self.weights.insert(Lift::MAP[1], mean);
        }
        Ok(self)
    }

    /// The encoder that is trained under this configuration.
    pub(crate) fn encoder(&self, config: EncoderConfig) -> Encoder {
        let first = self.first_vocabulary.as_ref();
        let lift = first.and_then(|first| Some(Lift { first: first.pieces, width: first.second_width? }));
        Encoder::new(config).with_lift(lift)
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

    /// Its weights without the first vocabulary's pieces. Narrow embeddings are lifted, and kept beside as they are; special tokens
    /// get the rows that the first vocabulary's have learned.
    pub(crate) fn written_weights(&self, mut weights: Weights) -> Weights {
        let Some(first) = &self.first_vocabulary else { return weights };
        if first.second_width.is_some() {
            lift(&mut weights, first);
        }
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

/// Embeddings `[V, H]` as narrow ones `[V, h]`, with the affine map `[H, h]` and `[H]` that lifts them back: the mean, and the
/// principal directions around it.
fn narrowed(rows: &[f32], columns: usize, width: usize) -> [Tensor; 3] {
    let table = DMatrix::from_row_iterator(rows.len() / columns, columns, rows.iter().map(|&x| f64::from(x)));
    let mean = table.row_mean();
    let mut centered = table;
    centered.row_iter_mut().for_each(|mut row| row -= &mean);
    let directions = Directions::of(centered.transpose() * &centered, width);
    let count = centered.nrows();
    let centered: Vec<f32> = centered.transpose().iter().map(|&x| x as f32).collect();
    let narrow = directions.project_rows(&Tensor::new(vec![count, columns], centered));
    let map = Tensor::new(vec![columns, width], directions.columns());
    [narrow, map, Tensor::new(vec![columns], mean.iter().map(|&x| x as f32).collect())]
}

/// Puts lifted embeddings after those of the first vocabulary, takes the map away, and gives special tokens, which texts
/// have as the first vocabulary's, the narrow rows that come nearest to what was learned.
fn lift(weights: &mut Weights, first: &FirstVocabulary) {
    let parts = [Lift::TABLE, Lift::MAP[0], Lift::MAP[1]].map(|name| weights.remove(name));
    let ([Some(mut narrow), Some(map), Some(offset)], Some(table)) = (parts, weights.get_mut(TABLES[0])) else {
        return;
    };
    let (columns, width) = (offset.data.len(), narrow.shape[1]);
    let wide = DMatrix::from_row_iterator(columns, width, map.data.iter().map(|&x| f64::from(x)));
    let solver = wide.clone().svd(true, true);
    for &[learned, written] in &first.special {
        let row = &table.data[learned as usize * columns..][..columns];
        let distance = row.iter().zip(&offset.data).map(|(x, o)| f64::from(*x) - f64::from(*o));
        // Singular values below a millionth of the largest tell nothing.
        let smallest = 1e-6 * solver.singular_values.max();
        if let Ok(nearest) = solver.solve(&DMatrix::from_iterator(columns, 1, distance), smallest) {
            let own = &mut narrow.data[written as usize * width..][..width];
            own.iter_mut().zip(nearest.iter()).for_each(|(own, &x)| *own = x as f32);
        }
    }
    for row in narrow.data.chunks(width) {
        let lifted = map.data.chunks(width).zip(&offset.data);
        table.data.extend(lifted.map(|(of_map, o)| of_map.iter().zip(row).map(|(a, b)| a * b).sum::<f32>() + o));
    }
    table.shape[0] += narrow.shape[0];
    weights.insert(Lift::TABLE, narrow);
}

/// The narrow embeddings beside a model, for a new student of this shape with these pieces.
pub(super) fn narrow_embeddings(path: &Path, config: &EncoderConfig, tokenizer: &Tokenizer) -> Result<Tensor, Error> {
    let dir = model_directory::existing(path)?;
    let place = format!("student, embeddings of {}", dir.display());
    let Some(narrow) = Bundle::read_narrow_embeddings(&dir)? else {
        let out = "train that model with a `width` in `mix` (`attar pretrain --second-width`)";
        return Err(Error::refused(place, "embeddings of a narrower model", "none", out));
    };
    let wanted = [config.vocabulary, config.embedding_width()];
    if narrow.shape != wanted {
        let out = "give the student that width, and all pieces of that model's tokenizer";
        return Err(Error::refused(place, format!("{wanted:?}"), format!("{:?}", narrow.shape), out));
    }
    let theirs = Tokenizer::from_dir(&dir)?;
    match (0..config.vocabulary as u32).find(|&id| theirs.token(id) != tokenizer.token(id)) {
        None => Ok(narrow),
        Some(id) => {
            let piece = |tokenizer: &Tokenizer| format!("{:?} as piece {id}", tokenizer.token(id).unwrap_or_default());
            Err(Error::refused(place, piece(tokenizer), piece(&theirs), "give the student that model's tokenizer"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_tokens_are_written_as_they_were_learned() {
        let config = EncoderConfig { vocabulary: 7, ..EncoderConfig::bert_base() }.with_head(Head::MaskedLm);
        // Four pieces, of which the second is `[CLS]`; then three, of which the last is.
        let first = FirstVocabulary { pieces: 4, second_width: None, special: vec![[1, 2]] };
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

    #[test]
    fn narrow_embeddings_span_what_they_are_made_of() {
        // Rows in a plane beside the origin need two numbers each.
        let rows: Vec<f32> = [[1.0, 2.0], [-1.0, 0.5], [0.0, -3.0], [2.0, 2.0]]
            .iter()
            .flat_map(|[a, b]| [1.0 + a, 2.0 + a + b, 3.0 - b])
            .collect();
        let [narrow, map, mean] = narrowed(&rows, 3, 2);
        assert_eq!((&narrow.shape[..], &map.shape[..], &mean.shape[..]), (&[4, 2][..], &[3, 2][..], &[3][..]));
        let mut weights = Weights::new();
        // Two pieces of the first vocabulary: the second is a special token, which the other vocabulary has as its third.
        let special = [1.5, 2.5, 3.0];
        weights.insert(TABLES[0], Tensor::new(vec![2, 3], [[0.0; 3], special].concat()));
        weights.insert(Lift::TABLE, narrow);
        weights.insert(Lift::MAP[0], map.clone());
        weights.insert(Lift::MAP[1], mean.clone());
        lift(&mut weights, &FirstVocabulary { pieces: 2, second_width: Some(2), special: vec![[1, 2]] });
        let table = weights.get(TABLES[0]).unwrap();
        assert_eq!((&table.shape[..], weights.len()), (&[6, 3][..], 2));
        for row in [0, 1, 3] {
            for column in 0..3 {
                let (got, expected) = (table.data[(2 + row) * 3 + column], rows[row * 3 + column]);
                assert!((got - expected).abs() < 1e-5, "row {row}: {got} and {expected}");
            }
        }
        // The special token's row is in the plane too, so that its narrow form lifts to it.
        assert!(table.data[12..15].iter().zip(special).all(|(a, b)| (a - b).abs() < 1e-5), "{:?}", table.data);
    }
}
