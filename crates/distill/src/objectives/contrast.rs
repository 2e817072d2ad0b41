//! Sentence vectors that tell classes apart: cosines near 1 within a class and near 0 between classes, as SetFit
//! (Tunstall et al., arXiv 2209.11055) trains a sentence encoder on few rows; here over all pairs of a batch.

use attar_text::labeled::Target;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::term::{LossTerm, Misfit, Setting};
use super::{BatchLabels, Comparison, one};
use crate::engine::normalize;

/// Vectors that the classifier reads: those of one class near each other and far from those of other classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Contrast {
    /// Factor of the term in the sum.
    #[serde(default = "one")]
    pub weight: f64,
}

impl LossTerm for Contrast {
    fn weight(&self) -> f64 {
        self.weight
    }

    fn needs_labels(&self) -> bool {
        true
    }

    fn check(&self, setting: &Setting<'_>) -> Result<(), Misfit> {
        match setting.target {
            Some(Target::Classes(_)) => Ok(()),
            _ => Err(Misfit::new("rows with one class each", "rows with scores, label sets or none", "use `gold`")),
        }
    }

    fn value(&self, c: &Comparison<'_>) -> Tensor<1> {
        let sentences = c.student.sentences.clone().expect("a student of classes has a classifier");
        match c.labels {
            Some(BatchLabels::Classes(classes) | BatchLabels::WeightedClasses(classes, _)) => {
                contrast(sentences, classes.clone())
            }
            _ => panic!("the plan checked that rows have classes"),
        }
    }
}

/// Squared error of the cosines of all pairs of different rows, for vectors `[B, H]` and classes `[B]`: half the mean
/// over pairs of one class, which should have a cosine of 1, and half the mean over the others, which should have 0.
/// Either half is 0 where a batch has no such pair.
pub fn contrast(vectors: Tensor<2>, classes: Tensor<1, Int>) -> Tensor<1> {
    let [rows] = classes.dims();
    let unit = normalize(vectors);
    let cosines = unit.clone().matmul(unit.transpose());
    let [by_row, by_column] =
        [classes.clone().reshape([rows, 1]).repeat_dim(1, rows), classes.reshape([1, rows]).repeat_dim(0, rows)];
    let same = by_row.equal(by_column).float();
    let itself = Tensor::eye(rows, &cosines.device());
    // A row's cosine with itself is 1 and is counted on neither side.
    let (within, between) = (same.clone() - itself, same.neg() + 1.0);
    let half = |errors: Tensor<2>, pairs: Tensor<2>| {
        let count = total(pairs.clone()).clamp_min(1.0);
        total(errors.square() * pairs) / (count * 2.0)
    };
    half(cosines.clone() - 1.0, within) + half(cosines, between)
}

/// Sum of all elements, row by row so that the result does not depend on threads.
fn total(x: Tensor<2>) -> Tensor<1> {
    x.sum_dim(1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(vectors: &[[f32; 2]], classes: &[i32]) -> f32 {
        let device = Default::default();
        let flat: Vec<f32> = vectors.iter().flatten().copied().collect();
        let vectors = Tensor::<1>::from_floats(&flat[..], &device).reshape([vectors.len(), 2]);
        contrast(vectors, Tensor::from_ints(classes, &device)).into_scalar::<f32>()
    }

    #[test]
    fn both_kinds_of_pairs_count_half() {
        let vectors = [[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]];
        // Cosines: 0 and √½ between the classes, √½ within.
        let root = 0.5f32.sqrt();
        let expected = 0.5 * (root - 1.0).powi(2) + 0.5 * (0.0 + 0.5) / 2.0;
        assert!((value(&vectors, &[0, 1, 0]) - expected).abs() < 1e-6);
        // Without a pair of one kind the other counts its half.
        assert!((value(&vectors, &[0, 1, 2]) - 0.5 * (0.0 + 0.5 + 0.5) / 3.0).abs() < 1e-6);
        assert_eq!(value(&vectors[..1], &[0]), 0.0);
    }
}
