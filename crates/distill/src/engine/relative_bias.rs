//! MPNet's bias of attention scores by distance, laid out once for all layers of a pass.

use attar_model::relative_bucket;
use burn::tensor::Tensor;

use super::layout::{Geometry, indices};
use super::operations::Implementation;

/// The biases of the sequences of a batch, as an implementation of the operations adds them.
#[derive(Debug, Clone)]
pub(super) enum RelativeBias {
    /// `[1, A, T, T]`
    Padded(Tensor<4>),
    /// `[A, 2T - 1]`: key minus query stands at `T - 1 + key - query`.
    ByDistance(Tensor<2>),
}

impl RelativeBias {
    /// From the table `[32, A]`.
    pub(super) fn new(table: Tensor<2>, geometry: &Geometry, implementation: Implementation) -> RelativeBias {
        let (heads, longest) = (table.dims()[1], geometry.layout.longest());
        let bucket = |key: usize, query: usize| relative_bucket(key as isize - query as isize);
        let rows = |buckets: Vec<usize>| table.select(0, indices(&buckets, geometry.device())).transpose();
        match implementation {
            Implementation::Composed => {
                let pairs = (0..longest).flat_map(|query| (0..longest).map(move |key| bucket(key, query)));
                RelativeBias::Padded(rows(pairs.collect()).reshape([1, heads, longest, longest]))
            }
            Implementation::Fused => {
                let distances = (0..2 * longest - 1).map(|at| bucket(at, longest - 1));
                RelativeBias::ByDistance(rows(distances.collect()))
            }
        }
    }
}
