//! The objectives: one named loss term each, as functions of ragged tensors.
//!
//! Where the published TinyBERT code computes something else than the paper says, a term has two
//! [`Semantics`]. Padding never reaches a clean term: its tensors have no padding rows, so that a
//! mean over real tokens is a plain mean.

mod attention;
mod contrast;
mod hidden;
mod layer_map;
mod masked_lm;
mod pooled;
mod prediction;
mod relation;
mod shared_projection;
mod terms;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::engine::{Join, squared_difference};

pub use attention::attention;
pub use contrast::contrast;
pub use hidden::{Projection, hidden};
pub use layer_map::{LayerMap, NamedMap};
pub use masked_lm::masked_lm;
pub use pooled::{cosine_pooled, cosine_tokens, pooled_mse};
pub use prediction::{
    binary_cross_entropy, cross_entropy, regression, soft_binary_cross_entropy, soft_cross_entropy,
    weighted_cross_entropy,
};
pub use relation::relation;
pub use shared_projection::{project_down, project_down_vector, project_up, project_up_vector};
pub use terms::{Comparison, Gold, Objective};

/// Which arithmetic a term follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Semantics {
    /// What the papers say: means over real tokens and real query-key pairs; soft cross-entropy
    /// summed over classes, averaged over rows, times T²; teacher in evaluation mode.
    #[default]
    Clean,
    /// The published TinyBERT code, quirk by quirk: padding counts, scores at or below -100 become
    /// 0 on each side by itself, cross-entropy is averaged over classes too and lacks T², the
    /// teacher keeps its dropout, and regression is trained on gold scores.
    Reference,
}

/// Mean of all elements, summed row by row so that the result does not depend on threads.
pub(crate) fn mean(x: Tensor<2>) -> Tensor<1> {
    let [rows, columns] = x.dims();
    x.sum_dim(1).sum() / (rows * columns) as f64
}

/// Mean of the squared differences of two matrices of the same shape.
pub(crate) fn mean_square(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    let [rows, columns] = a.dims();
    squared_difference(a, b, &Join::default()) / (rows * columns) as f64
}

/// Sum of a long vector, by rows of a fixed length and then over the rows.
pub(crate) fn sum(x: Tensor<1>) -> Tensor<1> {
    const ROW: usize = 4096;
    let [length] = x.dims();
    let whole = length / ROW * ROW;
    if whole == 0 {
        return x.sum();
    }
    let rows = x.clone().narrow(0, 0, whole).reshape([whole / ROW, ROW]).sum_dim(1).sum();
    if whole == length { rows } else { rows + x.narrow(0, whole, length - whole).sum() }
}

#[cfg(test)]
mod tests;
