//! The cross-entropy of labels, without a matrix of logarithms.

use std::sync::Arc;

use attar_kernels::train;
use burn::tensor::Tensor;

use super::primitive::{Primitive, flat, like, numbers, recycle, rows};
use super::{Operation, Parents, run};

/// Cross-entropy of logits `[B, K]` against class numbers `[B]`, averaged over rows, `[1]`.
pub(in crate::engine) fn cross_entropy(logits: Tensor<2>, labels: Vec<u32>) -> Tensor<1> {
    Tensor::from_dispatch(run(CrossEntropy { labels: labels.into() }, [logits.into_dispatch()]))
}

#[derive(Debug, Clone)]
struct CrossEntropy {
    labels: Arc<[u32]>,
}

impl Operation<1> for CrossEntropy {
    /// The logits, and of each row the logarithm of its sum of exponentials.
    type Saved = (Primitive, Vec<f32>);

    fn forward(&self, [logits]: &[Primitive; 1]) -> (Primitive, Self::Saved) {
        let mut totals = vec![0.0; rows(logits)];
        let sum = train::cross_entropy(numbers(logits), &self.labels, &mut totals);
        (flat(vec![(sum / totals.len() as f64) as f32]), (logits.clone(), totals))
    }

    fn backward(&self, (logits, totals): Self::Saved, dy: Primitive, mut parents: Parents<'_, 1>) {
        let factor = numbers(&dy).first().copied().unwrap_or(0.0) / totals.len() as f32;
        let gradient = train::cross_entropy_backward(numbers(&logits), &self.labels, &totals, factor);
        parents.register(0, like(&logits, gradient));
        recycle(logits);
    }
}
