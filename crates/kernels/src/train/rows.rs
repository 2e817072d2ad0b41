//! How rows are shared among threads.

use rayon::prelude::*;

use super::memory::{give_buffer, take_buffer};
use crate::buffer::{Rows, RowsMut};
use crate::cpu::Cpu;
use crate::matmul::{Finish, PackedMatrix};

/// Rows of a block whose sums over rows are taken apart: a function of the number of rows alone.
pub(super) const fn block(rows: usize) -> usize {
    if rows >= 1024 { 64 } else { 32 }
}

/// A packed weight whose memory goes back to the store.
pub(super) struct Packed(Option<PackedMatrix>);

impl Packed {
    /// `x W + b` with `weight` `[inputs, outputs]`.
    pub(super) fn forward(cpu: Cpu, weight: &[f32], bias: &[f32], [inputs, outputs]: [usize; 2]) -> Packed {
        Packed::of(cpu, weight, false, bias, [inputs, outputs])
    }

    /// `y Wᵀ` with `weight` `[inputs, outputs]`.
    pub(super) fn backward(cpu: Cpu, weight: &[f32], [inputs, outputs]: [usize; 2]) -> Packed {
        Packed::of(cpu, weight, true, &[], [outputs, inputs])
    }

    fn of(cpu: Cpu, weight: &[f32], turned: bool, bias: &[f32], [inputs, outputs]: [usize; 2]) -> Packed {
        assert_eq!(weight.len(), inputs * outputs, "a weight of {inputs} times {outputs} numbers");
        let memory = take_buffer(outputs.next_multiple_of(64) * inputs);
        Packed(Some(PackedMatrix::pack(cpu, weight, turned, bias, [inputs, outputs], memory)))
    }

    /// Multiplies the rows `x` into `y`.
    pub(super) fn apply(&self, x: &[f32], y: &mut [f32], finish: Finish) {
        let Some(matrix) = &self.0 else { return };
        let (inputs, outputs) = (matrix.inputs(), matrix.outputs());
        let rows = y.len().checked_div(outputs).unwrap_or(0);
        matrix.apply(Rows::new(x, rows, inputs, inputs), RowsMut::new(y, rows, outputs, outputs), finish);
    }

    /// As [`Packed::apply`], with the rows shared among threads.
    pub(super) fn apply_parallel(&self, x: &[f32], y: &mut [f32], finish: Finish) {
        let Some(matrix) = &self.0 else { return };
        let (inputs, outputs) = (matrix.inputs(), matrix.outputs());
        if outputs == 0 || inputs == 0 {
            return self.apply(x, y, finish);
        }
        let rows = y.len() / outputs;
        // A row's result does not depend on its company, so that this may depend on the number of threads.
        let share = rows.div_ceil(4 * rayon::current_num_threads()).next_multiple_of(8).clamp(16, 128);
        x.par_chunks(share * inputs).zip(y.par_chunks_mut(share * outputs)).for_each(|(x, y)| self.apply(x, y, finish));
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        if let Some(matrix) = self.0.take() {
            give_buffer(matrix.into_panels());
        }
    }
}

/// A place that several threads write to, each its own part.
#[derive(Clone, Copy)]
pub(super) struct Place(*mut f32);

// SAFETY: whoever writes promises to write where no other thread does.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

impl Place {
    pub(super) fn of(numbers: &mut [f32]) -> Place {
        Place(numbers.as_mut_ptr())
    }

    /// The number at an index.
    ///
    /// # Safety
    /// The index is inside, or one past the end.
    pub(super) unsafe fn at(self, index: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(index) }
    }
}

/// Adds partial sums `[parts, columns]` in their order: `[columns]`.
pub(super) fn add_up(parts: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    for part in parts.chunks_exact(columns.max(1)) {
        for (sum, x) in sums.iter_mut().zip(part) {
            *sum += x;
        }
    }
    sums
}
