//! Hidden states and embeddings: squared difference after a learned projection (TinyBERT,
//! arXiv 1909.10351, eq. 8 and 9).

use burn::tensor::Tensor;

use super::mean_square;
use crate::engine::{Linear, linear};

/// A learned projection of student states `[N, H]` to the teacher's width, `x W + b`.
///
/// The published code has one for the embeddings and all layers; its later checkpoints have one
/// for each level.
#[derive(Debug, Clone)]
pub struct Projection(pub Linear);

/// Mean squared difference of two states, over rows and features.
///
/// `student` is `[N, H]`, `teacher` `[N, H']`; without a projection the widths are equal. Under
/// both semantics this is a plain mean over the stored rows: what differs is whether padding is
/// stored.
pub fn hidden(student: &Tensor<2>, teacher: &Tensor<2>, projection: Option<&Projection>) -> Tensor<1> {
    let student = match projection {
        Some(Projection(layer)) => linear(student.clone(), layer),
        None => student.clone(),
    };
    mean_square(student, teacher.clone())
}
