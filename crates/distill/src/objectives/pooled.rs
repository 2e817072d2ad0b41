//! Sentence vectors: cosine and squared distances of pooled states (Reimers & Gurevych,
//! arXiv 2004.09813, for the squared distance of embeddings).

use burn::tensor::{Tensor, TensorData};

use super::{mean, mean_square};
use crate::engine::Geometry;

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
pub fn normalise(x: Tensor<2>) -> Tensor<2> {
    let length = (x.clone().square().sum_dim(1) + TINY).sqrt();
    x / length
}

/// Mean over tokens of 1 - cos of states `[N, H]` of the same width.
pub fn cosine_tokens(student: &Tensor<2>, teacher: &Tensor<2>) -> Tensor<1> {
    one_minus_cosine(student.clone(), teacher.clone())
}

/// Mean over sequences of 1 - cos of the mean-pooled states.
pub fn cosine_pooled(student: &Tensor<2>, teacher: &Tensor<2>, geometry: &Geometry) -> Tensor<1> {
    one_minus_cosine(mean_pool(student, geometry), mean_pool(teacher, geometry))
}

/// Mean squared difference of sentence vectors `[B, H]`.
pub fn pooled_mse(student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    mean_square(student, teacher)
}

fn one_minus_cosine(student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    let cosine = (normalise(student) * normalise(teacher)).sum_dim(1);
    mean(cosine).neg() + 1.0
}
