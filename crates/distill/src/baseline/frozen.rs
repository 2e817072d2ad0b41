//! A sentence encoder that is not trained, with a linear model over its vectors.

use attar_model::Pooling;
use attar_runtime::{Session, Text};
use attar_text::labeled::{Dataset, Example, Target};
use attar_text::random::Streams;

use crate::Error;
use crate::linear::{
    DenseRows, Features, Labels, LinearModel, RIDGE_GRID, SOFTMAX_GRID, select_one_vs_rest, select_ridge,
    select_softmax,
};

/// The mean vectors of a frozen encoder under softmax or ridge regression, the penalty by cross-validation.
///
/// Of a pair with a class the model sees both vectors, their absolute difference and their product; of a pair with a
/// score their cosine alone, which is what sentence encoders are trained for.
#[derive(Debug)]
pub struct FrozenBaseline {
    session: Session,
    model: LinearModel,
    reading: VectorInput,
    /// Range of the scores.
    range: Option<[f32; 2]>,
}

/// What the linear model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VectorInput {
    Vector,
    Pair,
    Cosine,
}

impl FrozenBaseline {
    /// Fits the linear model to labeled rows. Deterministic for a seed, at any number of threads.
    ///
    /// # Errors
    /// If a row has no label or cannot be encoded.
    pub fn train(mut session: Session, data: &Dataset, streams: &Streams) -> Result<FrozenBaseline, Error> {
        let scores = matches!(data.target, Target::Regression { .. });
        let reading = match (data.has_pairs(), scores) {
            (true, true) => VectorInput::Cosine,
            (true, false) => VectorInput::Pair,
            (false, _) => VectorInput::Vector,
        };
        let texts: Vec<Text<'_>> = data.examples.iter().map(Example::texts).collect();
        let rows = features(&mut session, &texts, reading)?;
        let columns = rows.first().map_or(0, Vec::len);
        let features = Features::Dense(DenseRows { columns, values: rows.concat() });
        let unlabeled = || Error::refused(&data.name, "a label on every row", "rows without", "leave them out");
        let (model, range) = match &data.target {
            Target::Classes(labels) => {
                let classes = data.classes().ok_or_else(unlabeled)?;
                (select_softmax(&features, Labels::new(&classes, labels.len()), &SOFTMAX_GRID, streams).model, None)
            }
            Target::MultiLabel(labels) => {
                let sets = data.label_sets().ok_or_else(unlabeled)?;
                (select_one_vs_rest(&features, &sets, labels.len(), &SOFTMAX_GRID, streams).model, None)
            }
            Target::Tags(_) | Target::Answers { .. } => return Err(super::no_labels_of_texts(data)),
            &Target::Regression { low, high } => {
                let scores: Vec<f32> = data.scores().ok_or_else(unlabeled)?.iter().map(|&x| x as f32).collect();
                (select_ridge(&features, &scores, &RIDGE_GRID, streams).model, Some([low, high]))
            }
        };
        Ok(FrozenBaseline { session, model, reading, range })
    }

    /// Logits of each text, one for each class, or a score in the range of the data.
    ///
    /// # Errors
    /// If a text cannot be encoded, or is alone where the rows were pairs.
    pub fn predict(&mut self, texts: &[Text<'_>]) -> Result<Vec<Vec<f32>>, Error> {
        let rows = features(&mut self.session, texts, self.reading)?;
        let answer = |row: &Vec<f32>| {
            let mut outputs = self.model.apply_dense(row);
            if let Some([low, high]) = self.range {
                outputs.iter_mut().for_each(|score| *score = score.clamp(low, high));
            }
            outputs
        };
        Ok(rows.iter().map(answer).collect())
    }

    /// The encoder.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

fn features(session: &mut Session, texts: &[Text<'_>], reading: VectorInput) -> Result<Vec<Vec<f32>>, Error> {
    let pooling = Pooling { normalize: true, ..session.pooling() };
    let apart: Vec<Text<'_>> = match reading {
        VectorInput::Vector => texts.iter().map(|&(text, _)| (text, None)).collect(),
        VectorInput::Pair | VectorInput::Cosine => {
            if let Some(row) = texts.iter().position(|(_, pair)| pair.is_none()) {
                return Err(attar_runtime::Error::NoPair { row }.into());
            }
            texts.iter().flat_map(|&(text, pair)| [(text, None), (pair.unwrap_or_default(), None)]).collect()
        }
    };
    let vectors = session.embed(&apart, pooling, |_| ())?;
    Ok(match reading {
        VectorInput::Vector => vectors,
        VectorInput::Pair => vectors.chunks_exact(2).map(|pair| pair_row(&pair[0], &pair[1])).collect(),
        VectorInput::Cosine => vectors.chunks_exact(2).map(|pair| vec![cosine(&pair[0], &pair[1])]).collect(),
    })
}

/// Both vectors, their absolute difference and their product (Conneau et al., arXiv 1705.02364, section 3.1).
pub(super) fn pair_row(one: &[f32], other: &[f32]) -> Vec<f32> {
    let difference = one.iter().zip(other).map(|(a, b)| (a - b).abs());
    let product = one.iter().zip(other).map(|(a, b)| a * b);
    one.iter().chain(other).copied().chain(difference).chain(product).collect()
}

/// The cosine of two vectors of length 1.
pub(super) fn cosine(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_seen_from_four_sides() {
        assert_eq!(pair_row(&[1.0, -2.0], &[3.0, 0.5]), [1.0, -2.0, 3.0, 0.5, 2.0, 2.5, 3.0, -1.0]);
        assert_eq!(cosine(&[1.0, -2.0], &[3.0, 0.5]), 2.0);
    }
}
