//! Attention: squared difference of scores before the softmax (TinyBERT, arXiv 1909.10351, eq. 7).

use burn::tensor::Tensor;

use super::Semantics;
use crate::engine::{Geometry, Join, Scores, squared_difference};

/// Mean squared difference of the attention scores of a student layer and a teacher layer.
///
/// Clean: over all query-key pairs of real tokens, heads and sequences together. Reference: -10,000
/// is added to the scores of padded keys on both sides, every score at or below -100 becomes 0 on
/// its own side, and the mean counts every stored pair; the geometry must then be a padded one.
///
/// # Panics
/// If the sides differ in their number of heads; plans refuse that before any compute.
pub fn attention(student: &Scores, teacher: &Scores, geometry: &Geometry, semantics: Semantics) -> Tensor<1> {
    let heads = student.heads();
    assert_eq!(heads, teacher.heads(), "attention scores are compared head by head");
    let join = student.join();
    let [student, teacher] = [student, teacher].map(|scores| scores.ragged(geometry));
    let (student, teacher, join) = match semantics {
        Semantics::Clean => (student, teacher, join),
        Semantics::Reference => {
            let padding = (geometry.real_keys(heads) - 1.0) * 10_000.0;
            let threshold = |x: Tensor<1>| {
                let x = x + padding.clone();
                let masked = x.clone().lower_equal_scalar(-100.0);
                x.mask_fill(masked, 0.0)
            };
            // The gradient meets that of the scores only after the threshold.
            (threshold(student), threshold(teacher), Join::default())
        }
    };
    let pairs = student.dims()[0];
    squared_difference(student, teacher, &join) / pairs as f64
}
