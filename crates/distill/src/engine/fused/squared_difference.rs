//! The squared difference, which most objectives use.

use attar_kernels::train;
use burn::tensor::Tensor;

use super::primitive::{Primitive, flat, like, numbers, recycle};
use super::{GradientAccumulator, Operation, Parents, run};

/// `Σ (a - b)²`, `[1]`, of two tensors of one shape; `accumulator` is shared by all operations that read `a`.
pub(in crate::engine) fn squared_difference<const D: usize>(
    a: Tensor<D>,
    b: Tensor<D>,
    accumulator: GradientAccumulator,
) -> Tensor<1> {
    Tensor::from_dispatch(run(SquaredDifference { accumulator }, [a.into_dispatch(), b.into_dispatch()]))
}

#[derive(Debug, Clone)]
struct SquaredDifference {
    accumulator: GradientAccumulator,
}

impl Operation<2> for SquaredDifference {
    type Saved = [Primitive; 2];

    fn forward(&self, inputs: &[Primitive; 2]) -> (Primitive, Self::Saved) {
        let [a, b] = inputs;
        (flat(vec![train::squared_difference(numbers(a), numbers(b)) as f32]), inputs.clone())
    }

    fn backward(&self, [a, b]: Self::Saved, dy: Primitive, mut parents: Parents<'_, 2>) {
        let factor = 2.0 * numbers(&dy).first().copied().unwrap_or(0.0);
        for (input, factor) in [(0, factor), (1, -factor)] {
            // Computed only where it is used.
            if parents.wants(input) {
                let gradient = train::squared_difference_backward(numbers(&a), numbers(&b), factor);
                parents.register(input, like(&a, gradient));
            }
        }
        if parents.wants(0) {
            self.accumulator.mark_registered();
        }
        recycle(a);
        recycle(b);
    }
}
