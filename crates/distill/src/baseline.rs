//! The baselines that a student must beat: a linear model over n-grams of words and characters, and one over the vectors of
//! a sentence encoder that is not trained ([`FrozenBaseline`]).
//!
//! It is what a practitioner tries first (TF-IDF and logistic regression), and it trains in seconds, so that every report
//! can show it. Classes come from [`select_softmax`] and scores from [`select_ridge`], with the penalty chosen by
//! cross-validation on the training rows.
//!
//! - One text: the TF-IDF row of its words, pairs of neighboring words and runs of 2 to 5 letters (`baseline/ngrams.rs`).
//! - Two texts with a class: the rows of both, the smaller one of both numbers of each n-gram (and with it their
//!   difference, which a linear model makes of the three), and measures of overlap (`baseline/overlap.rs`).
//! - Two texts with a score: the measures of overlap alone, which thousands of words would drown.

mod frozen;
mod ngrams;
mod overlap;
mod readings;

use attar_text::labeled::{Dataset, Example, Label, Target};
use attar_text::random::Streams;
use rayon::prelude::*;

use crate::Error;
use crate::linear::{
    DenseRows, Features, Labels, LinearModel, SparseRows, select_one_vs_rest, select_ridge, select_softmax,
};
pub use frozen::FrozenBaseline;
use ngrams::{Ngrams, Prepared};
use overlap::{Beyond, Overlaps};
pub use readings::PairReadings;

/// Inverse penalties tried for classes.
const SOFTMAX_GRID: [f64; 7] = [0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0];
/// Penalties tried for scores.
const RIDGE_GRID: [f64; 9] = [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 1e3, 1e4];

/// A linear model over n-grams.
#[derive(Debug, Clone)]
pub struct NgramBaseline {
    ngrams: Ngrams,
    overlaps: Option<Overlaps>,
    /// `[columns, outputs]`: the weights of a feature lie together.
    weights: Vec<f32>,
    /// `[outputs]`
    bias: Vec<f32>,
    /// Range of the scores.
    range: Option<[f32; 2]>,
    penalty: f64,
}

impl NgramBaseline {
    /// Trains on classes, several labels or scores; single texts or pairs. Deterministic for a seed, at any number of threads.
    ///
    /// # Errors
    /// If a row has no label.
    pub fn train(data: &Dataset, streams: &Streams) -> Result<NgramBaseline, Error> {
        let prepared: Vec<[Prepared; 2]> = data.examples.par_iter().map(prepare).collect();
        let pairs = data.has_pairs();
        let texts = prepared.iter().flat_map(|[text, pair]| [Some(text), pairs.then_some(pair)]).flatten();
        let ngrams = Ngrams::learn(&texts.collect::<Vec<&Prepared>>());
        let scores = matches!(data.target, Target::Regression { .. });
        let beyond = if scores { Beyond::Products } else { Beyond::Squares };
        let overlaps = pairs.then(|| Overlaps::learn(&ngrams, &prepared, beyond));
        let mut model =
            NgramBaseline { ngrams, overlaps, weights: Vec::new(), bias: Vec::new(), range: None, penalty: 0.0 };
        let rows: Vec<Vec<(u32, f32)>> = prepared.par_iter().map(|texts| model.row(texts, scores)).collect();
        let columns = model.columns(scores);
        let features = if scores && pairs { dense(&rows, columns) } else { sparse(rows, columns) };
        let selected = match data.target {
            Target::Classes(ref names) => {
                let labels = data.classes().ok_or_else(|| without_labels(data))?;
                select_softmax(&features, Labels::new(&labels, names.len()), &SOFTMAX_GRID, streams)
            }
            Target::MultiLabel(ref names) => {
                let sets = data.label_sets().ok_or_else(|| without_labels(data))?;
                select_one_vs_rest(&features, &sets, names.len(), &SOFTMAX_GRID, streams)
            }
            Target::Tags(_) | Target::Answers { .. } => return Err(no_labels_of_texts(data)),
            Target::Regression { low, high } => {
                model.range = Some([low, high]);
                let score = |example: &Example| match example.label {
                    Label::Score(score) => Ok(score),
                    _ => Err(without_labels(data)),
                };
                let targets = data.examples.iter().map(score).collect::<Result<Vec<f32>, Error>>()?;
                select_ridge(&features, &targets, &RIDGE_GRID, streams)
            }
        };
        model.penalty = selected.penalty;
        model.weights = by_column(&selected.model);
        model.bias = selected.model.bias;
        Ok(model)
    }

    /// What it answers to a text or pair: a logit for each class, or the score.
    pub fn predict(&self, example: &Example) -> Vec<f32> {
        let outputs = self.bias.len();
        let mut sums = self.bias.clone();
        for (column, value) in self.row(&prepare(example), self.range.is_some()) {
            let weights = &self.weights[column as usize * outputs..][..outputs];
            sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
        }
        if let Some([low, high]) = self.range {
            sums.iter_mut().for_each(|score| *score = score.clamp(low, high));
        }
        sums
    }

    /// Bytes of the model: a 32-bit weight for each feature and class, and the features' own letters.
    pub fn bytes(&self) -> usize {
        4 * (self.weights.len() + self.bias.len()) + self.ngrams.bytes()
    }

    /// The penalty that cross-validation chose: scikit-learn's `C` for classes, its `alpha` for scores.
    pub fn penalty(&self) -> f64 {
        self.penalty
    }

    /// Columns of a row.
    fn columns(&self, scores: bool) -> usize {
        match &self.overlaps {
            None => self.ngrams.len(),
            Some(overlaps) if scores => overlaps.len(),
            Some(overlaps) => 3 * self.ngrams.len() + overlaps.len(),
        }
    }

    /// The numbers of a text or pair that are not 0, with their columns.
    fn row(&self, [text, pair]: &[Prepared; 2], scores: bool) -> Vec<(u32, f32)> {
        let first = self.ngrams.row(text);
        let Some(overlaps) = &self.overlaps else { return first };
        let second = self.ngrams.row(pair);
        let measures = overlaps.measure(&self.ngrams, [text, pair], [&first, &second]);
        let numbered =
            |start: usize| measures.iter().enumerate().map(move |(number, &value)| ((start + number) as u32, value));
        if scores {
            return numbered(0).collect();
        }
        let size = self.ngrams.len() as u32;
        let mut row = first.clone();
        row.extend(second.iter().map(|&(column, value)| (size + column, value)));
        row.extend(overlap::shared(&first, &second).map(|(column, a, b)| (2 * size + column, a.min(b))));
        row.extend(numbered(3 * size as usize));
        row
    }
}

fn prepare(example: &Example) -> [Prepared; 2] {
    [Prepared::new(&example.text), Prepared::new(example.pair.as_deref().unwrap_or_default())]
}

fn sparse(rows: Vec<Vec<(u32, f32)>>, columns: usize) -> Features {
    let mut features = SparseRows::new(columns);
    rows.into_iter().for_each(|row| features.push(row));
    Features::Sparse(features)
}

fn dense(rows: &[Vec<(u32, f32)>], columns: usize) -> Features {
    Features::Dense(DenseRows { columns, values: rows.iter().flatten().map(|&(_, value)| value).collect() })
}

fn by_column(model: &LinearModel) -> Vec<f32> {
    let outputs = model.bias.len();
    let places = (0..model.columns).flat_map(|column| (0..outputs).map(move |output| (output, column)));
    places.map(|(output, column)| model.weights[output * model.columns + column]).collect()
}

/// Baselines answer whole texts.
fn no_labels_of_texts(data: &Dataset) -> Error {
    let got = match data.target {
        Target::Answers { .. } => "questions, whose answers are parts of a context",
        _ => "a tag for each word",
    };
    Error::refused(&data.name, "a label for each text, which a baseline learns", got, "leave the baseline out")
}

fn without_labels(data: &Dataset) -> Error {
    Error::refused(&data.name, "a label for every row, to train a baseline", "rows without", "leave the baseline out")
}
