//! Means over runs of rows.

use std::ops::Range;
use std::sync::Arc;

use attar_kernels::train;
use burn::tensor::Tensor;

use super::primitive::{Primitive, columns, matrix, numbers, recycle, rows};
use super::{Operation, Parents, run};

/// The mean of the rows of each segment, `[N, H]` to `[W, H]`.
pub(in crate::engine) fn segment_mean(x: Tensor<2>, segments: Arc<[Range<u32>]>) -> Tensor<2> {
    Tensor::from_dispatch(run(SegmentMean { segments }, [x.into_dispatch()]))
}

#[derive(Debug, Clone)]
struct SegmentMean {
    segments: Arc<[Range<u32>]>,
}

impl Operation<1> for SegmentMean {
    /// Rows of the input.
    type Saved = usize;

    fn forward(&self, [x]: &[Primitive; 1]) -> (Primitive, usize) {
        let means = train::segment_mean(numbers(x), columns(x), &self.segments);
        (matrix(means, self.segments.len(), columns(x)), rows(x))
    }

    fn backward(&self, rows: usize, dy: Primitive, mut parents: Parents<'_, 1>) {
        let width = columns(&dy);
        let gradient = train::segment_mean_backward(numbers(&dy), width, &self.segments, rows);
        parents.register(0, matrix(gradient, rows, width));
        recycle(dy);
    }
}
