//! How rows are shared among threads.

use rayon::prelude::*;

use super::pool::{acquire_aligned, release_aligned};
use crate::buffer::{Rows, RowsMut};
use crate::cpu::Cpu;
use crate::matmul::{Epilogue, PackedMatrix};

/// Rows of a block, whose sums over rows are separate: depends on the number of rows alone.
pub(super) const fn block(rows: usize) -> usize {
    if rows >= 1024 { 64 } else { 32 }
}

/// A packed weight whose memory returns to the pool.
pub(super) struct Packed(Option<PackedMatrix>);

impl Packed {
    /// `x W + b` with `weight` `[inputs, outputs]`.
    pub(super) fn forward(cpu: Cpu, weight: &[f32], bias: &[f32], [inputs, outputs]: [usize; 2]) -> Packed {
        Packed::pack(cpu, weight, false, bias, [inputs, outputs])
    }

    /// `y Wᵀ` with `weight` `[inputs, outputs]`.
    pub(super) fn backward(cpu: Cpu, weight: &[f32], [inputs, outputs]: [usize; 2]) -> Packed {
        Packed::pack(cpu, weight, true, &[], [outputs, inputs])
    }

    fn pack(cpu: Cpu, weight: &[f32], by_output: bool, bias: &[f32], [inputs, outputs]: [usize; 2]) -> Packed {
        assert_eq!(weight.len(), inputs * outputs, "a weight of {inputs} times {outputs} numbers");
        let panels = acquire_aligned(outputs.next_multiple_of(64) * inputs);
        Packed(Some(PackedMatrix::pack(cpu, weight, by_output, bias, [inputs, outputs], panels)))
    }

    /// Multiplies the rows `x` into `y`.
    pub(super) fn apply(&self, x: &[f32], y: &mut [f32], epilogue: Epilogue) {
        let Some(matrix) = &self.0 else { return };
        let (inputs, outputs) = (matrix.inputs(), matrix.outputs());
        let rows = y.len().checked_div(outputs).unwrap_or(0);
        matrix.apply(Rows::new(x, rows, inputs, inputs), RowsMut::new(y, rows, outputs, outputs), epilogue);
    }

    /// As [`Packed::apply`], with the rows shared among threads.
    pub(super) fn apply_parallel(&self, x: &[f32], y: &mut [f32], epilogue: Epilogue) {
        let Some(matrix) = &self.0 else { return };
        let (inputs, outputs) = (matrix.inputs(), matrix.outputs());
        if outputs == 0 || inputs == 0 {
            return self.apply(x, y, epilogue);
        }
        let rows = y.len() / outputs;
        // A row's result does not depend on the rows beside it, so this may depend on the number of threads.
        let rows_per_task = rows.div_ceil(4 * rayon::current_num_threads()).next_multiple_of(8).clamp(16, 128);
        x.par_chunks(rows_per_task * inputs)
            .zip(y.par_chunks_mut(rows_per_task * outputs))
            .for_each(|(x, y)| self.apply(x, y, epilogue));
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        if let Some(matrix) = self.0.take() {
            release_aligned(matrix.into_panels());
        }
    }
}

/// A result that several threads write to, each its own part of it.
#[derive(Clone, Copy)]
pub(super) struct SharedOutput(*mut f32);

// SAFETY: whoever writes promises that no other thread writes there.
unsafe impl Send for SharedOutput {}
// SAFETY: as above.
unsafe impl Sync for SharedOutput {}

impl SharedOutput {
    pub(super) fn of(numbers: &mut [f32]) -> SharedOutput {
        SharedOutput(numbers.as_mut_ptr())
    }

    /// The address of an element.
    ///
    /// # Safety
    /// The index is in bounds, or one past the end.
    pub(super) unsafe fn at(self, index: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(index) }
    }
}

/// Adds partial sums `[parts, columns]` in order: `[columns]`.
pub(super) fn sum_parts(parts: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    for part in parts.chunks_exact(columns.max(1)) {
        for (sum, x) in sums.iter_mut().zip(part) {
            *sum += x;
        }
    }
    sums
}
