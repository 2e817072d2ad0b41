//! Sentence vectors: cosine and squared distances of pooled states (Reimers & Gurevych,
//! arXiv 2004.09813, for the squared distance of embeddings).

use burn::tensor::Tensor;

use super::{mean, mean_square};
use crate::engine::{Geometry, mean_pool, normalise};

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
