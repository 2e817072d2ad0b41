//! Whether the score of a pair is how alike its texts are, before anything is trained.

use attar_model::Pooling;
use attar_runtime::{Session, Text};
use attar_text::labeled::Dataset;
use attar_text::random::Streams;

use super::frozen::{cosine, pair_row};
use crate::Error;
use crate::linear::{DenseRows, Features, select_ridge};

/// Most rows that are looked at: more change little, and these take seconds.
const ROWS: usize = 2_000;
/// Penalties tried: a look needs no finer ones.
const GRID: [f64; 4] = [0.1, 1.0, 10.0, 100.0];

/// Least part of what both vectors explain that the cosine has to explain.
const MIN_COSINE_SHARE: f64 = 0.75;

/// How much of the scores of pairs two readings explain over a frozen sentence encoder: 1 less the share of the variance that
/// a linear model misses, on rows held out in cross-validation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairReadings {
    /// The cosine of both vectors, scaled and shifted.
    pub cosine: f64,
    /// Both vectors, their absolute difference and their product.
    pub vectors: f64,
    /// Rows looked at.
    pub rows: usize,
}

/// What a linear model reads of the vectors of both texts.
type PairFeatures<'a> = &'a dyn Fn(&[f32], &[f32]) -> Vec<f32>;

impl PairReadings {
    /// Looks at some training rows; `None` where one has no score or no second text.
    ///
    /// # Errors
    /// If a text cannot be encoded.
    pub fn of(session: &mut Session, data: &Dataset, streams: &Streams) -> Result<Option<PairReadings>, Error> {
        let data = data.take(ROWS, streams);
        let Some(scores) = data.scores() else { return Ok(None) };
        let pairs = data.examples.iter().map(|example| Some([example.text.as_str(), example.pair.as_deref()?]));
        let Some(pairs) = pairs.collect::<Option<Vec<[&str; 2]>>>() else { return Ok(None) };
        let texts: Vec<Text<'_>> = pairs.iter().flatten().map(|text| (*text, None)).collect();
        let pooling = Pooling { normalize: true, ..session.pooling() };
        let vectors = session.embed(&texts, pooling, |_| ())?;
        let scores: Vec<f32> = scores.iter().map(|&score| score as f32).collect();
        let explained = |row: PairFeatures<'_>| {
            let rows: Vec<Vec<f32>> = vectors.chunks_exact(2).map(|pair| row(&pair[0], &pair[1])).collect();
            let columns = rows.first().map_or(1, Vec::len);
            select_ridge(&Features::Dense(DenseRows { columns, values: rows.concat() }), &scores, &GRID, streams).score
        };
        Ok(Some(PairReadings {
            cosine: explained(&|one, other| vec![cosine(one, other)]),
            vectors: explained(&scaled_pair_row),
            rows: data.len(),
        }))
    }

    /// Whether the cosine is what to train: if it explains at least three quarters of what the vectors explain, or if the
    /// vectors explain nothing.
    ///
    /// A linear model over four times as many features as the encoder is wide may explain a little more than a single number that nobody has
    /// trained, as on STS-B (0.71 against 0.69 from all-MiniLM-L6-v2). Where the score is not how alike the texts are, such
    /// as how polite the first one is, the cosine is far behind.
    pub fn prefers_cosine(&self) -> bool {
        self.vectors <= 0.0 || self.cosine >= MIN_COSINE_SHARE * self.vectors
    }
}

/// What a linear model reads of two vectors of length 1. Products are as large as the other numbers, so that a penalty
/// means the same for them: their sum is the cosine.
fn scaled_pair_row(one: &[f32], other: &[f32]) -> Vec<f32> {
    let mut row = pair_row(one, other);
    let scale = (one.len() as f32).sqrt();
    row[3 * one.len()..].iter_mut().for_each(|product| *product *= scale);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_is_kept_where_it_explains_most() {
        let prefers = |cosine, vectors| PairReadings { cosine, vectors, rows: 10 }.prefers_cosine();
        assert!(prefers(0.70, 0.72) && prefers(0.70, 0.60) && prefers(-0.01, -0.1));
        assert!(!prefers(0.50, 0.72) && !prefers(-0.01, 0.3));
    }

    #[test]
    fn products_weigh_like_the_others() {
        assert_eq!(scaled_pair_row(&[0.5; 4], &[-0.5; 4])[8..], [1.0, 1.0, 1.0, 1.0, -0.5, -0.5, -0.5, -0.5]);
    }
}
