//! From token states to one vector for each sequence.

use burn::tensor::{Tensor, TensorData};

use super::layout::Geometry;

/// Added to a squared norm before the root, so that the gradient of a zero vector is finite.
const TINY: f64 = 1e-24;

/// Mean over the real tokens of each sequence: `[N, H]` to `[B, H]`.
pub fn mean_pool(states: &Tensor<2>, geometry: &Geometry) -> Tensor<2> {
    let layout = &geometry.layout;
    let [sequences, rows] = [layout.sequences(), layout.rows()];
    let mut shares = vec![0.0f32; sequences * rows];
    for (b, (first, &real)) in layout.firsts().into_iter().zip(layout.real()).enumerate() {
        shares[b * rows + first..][..real].fill(1.0 / real as f32);
    }
    Tensor::<2>::from_data(TensorData::new(shares, [sequences, rows]), geometry.device()).matmul(states.clone())
}

/// Rows scaled to Euclidean length 1.
pub fn normalize(x: Tensor<2>) -> Tensor<2> {
    let length = (x.clone().square().sum_dim(1) + TINY).sqrt();
    x / length
}
