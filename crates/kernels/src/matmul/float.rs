//! The product in 32-bit floats.

use rayon::prelude::*;

use super::epilogue::Epilogue;
use super::tile::{Prefetcher, Shape, TileProduct, multiply};
use crate::buffer::{Buffer, Rows, RowsMut};
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;

/// Weights and bias of a linear layer, packed for one instruction set.
#[derive(Debug, Clone)]
pub struct PackedMatrix {
    cpu: Cpu,
    shape: Shape,
    inputs: usize,
    outputs: usize,
    /// Panel after panel; in a panel, the columns of one input after the other, zeros beyond the last column.
    panels: Buffer<f32>,
    bias: Buffer<f32>,
}

impl PackedMatrix {
    /// Packs `weight` `[outputs, inputs]`, as a linear layer is stored, and `bias` `[outputs]`, or zeros if empty.
    ///
    /// # Panics
    /// If the lengths do not match.
    #[track_caller]
    pub fn new(cpu: Cpu, weight: &[f32], bias: &[f32], inputs: usize, outputs: usize) -> Self {
        assert_eq!(weight.len(), inputs * outputs, "a weight of [{outputs}, {inputs}]");
        PackedMatrix::pack(cpu, weight, true, bias, [inputs, outputs], Buffer::default())
    }

    /// Packs `weight` `[inputs, outputs]`, as in the formula `x W + b`, and `bias` `[outputs]`, or zeros if empty.
    ///
    /// # Panics
    /// If the lengths do not match.
    #[track_caller]
    pub fn transposed(cpu: Cpu, weight: &[f32], bias: &[f32], inputs: usize, outputs: usize) -> Self {
        assert_eq!(weight.len(), inputs * outputs, "a weight of [{inputs}, {outputs}]");
        PackedMatrix::pack(cpu, weight, false, bias, [inputs, outputs], Buffer::default())
    }

    /// Packs into existing memory a weight `[outputs, inputs]` if `by_output`, else `[inputs, outputs]`, whose length the
    /// caller has checked.
    #[track_caller]
    pub(crate) fn pack(
        cpu: Cpu,
        weight: &[f32],
        by_output: bool,
        bias: &[f32],
        [inputs, outputs]: [usize; 2],
        mut panels: Buffer<f32>,
    ) -> Self {
        assert!(bias.is_empty() || bias.len() == outputs, "a bias of [{outputs}], got {}", bias.len());
        let shape = Shape::of::<FloatProduct>(cpu);
        let padded = outputs.next_multiple_of(shape.lanes);
        let mut padded_bias = Buffer::zeros(padded);
        padded_bias[..bias.len()].copy_from_slice(bias);
        panels.reserve(padded * inputs);
        let widest = shape.vectors * shape.lanes;
        if inputs > 0 {
            panels[..padded * inputs].par_chunks_mut(widest * inputs).enumerate().for_each(|(index, panel)| {
                cpu.run(PackPanel { weight, by_output, inputs, outputs, first: index * widest, panel });
            });
        }
        PackedMatrix { cpu, shape, inputs, outputs, panels, bias: padded_bias }
    }

    /// The memory of the packed weights, for reuse.
    pub(crate) fn into_panels(self) -> Buffer<f32> {
        self.panels
    }

    /// Width of an input row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width of an output row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Bytes of the packed weights.
    pub fn bytes(&self) -> usize {
        (self.inputs + 1) * self.bias.len() * size_of::<f32>()
    }

    /// Multiplies: `input` `[rows, inputs]` to `output` `[rows, outputs]`.
    ///
    /// A sum is off by at most `(inputs + 2) ε/2 (|b| + Σ |x w|)`. A NaN stays in its row.
    ///
    /// # Panics
    /// If the shapes do not match.
    #[track_caller]
    pub fn apply(&self, input: Rows<'_, f32>, output: RowsMut<'_, f32>, epilogue: Epilogue) {
        assert_eq!(input.columns, self.inputs, "columns of the input");
        assert_eq!(output.columns, self.outputs, "columns of the output");
        assert_eq!(input.rows, output.rows, "as many rows out as in");
        let product = FloatProduct {
            input: input.data.as_ptr(),
            stride: input.stride,
            depth: self.inputs,
            panels: self.panels.as_ptr(),
        };
        // SAFETY: rows, panels and bias are of the sizes just compared.
        unsafe { multiply(self.cpu, self.shape, product, self.inputs, &self.bias, output, epilogue) };
    }
}

/// Packs the columns of one panel.
struct PackPanel<'a> {
    weight: &'a [f32],
    by_output: bool,
    inputs: usize,
    outputs: usize,
    first: usize,
    panel: &'a mut [f32],
}

impl Kernel for PackPanel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let PackPanel { weight, by_output, inputs, outputs, first, panel } = self;
        let width = panel.len() / inputs;
        let columns = width.min(outputs - first);
        if !by_output {
            for (row, to) in weight.chunks_exact(outputs).zip(panel.chunks_exact_mut(width)) {
                to[..columns].copy_from_slice(&row[first..first + columns]);
                to[columns..].fill(0.0);
            }
            return;
        }
        for v in (0..width).step_by(I::LANES) {
            let rows = columns.saturating_sub(v).min(I::LANES);
            let from = weight[((first + v) * inputs).min(weight.len())..].as_ptr();
            // SAFETY: `rows` rows of the weight, and a vector of each row of the panel.
            unsafe { isa.transpose_in(from, inputs, rows, inputs, panel.as_mut_ptr().add(v), width) };
        }
    }
}

#[derive(Clone, Copy)]
struct FloatProduct {
    input: *const f32,
    stride: usize,
    depth: usize,
    panels: *const f32,
}

impl TileProduct for FloatProduct {
    const BYTES: usize = size_of::<f32>();

    #[inline]
    fn enter<K: Kernel>(cpu: Cpu, kernel: K) -> K::Output {
        cpu.run(kernel)
    }

    #[inline(always)]
    fn tile_shape<I: Isa>() -> (usize, usize) {
        I::TILE
    }

    #[inline(always)]
    fn rows_at_once<I: Isa>() -> usize {
        1
    }

    fn weights(self) -> *const u8 {
        self.panels.cast()
    }

    fn steps(self) -> usize {
        self.depth
    }

    #[inline(always)]
    unsafe fn tile<I: Isa, const M: usize, const V: usize>(
        self,
        isa: I,
        row: usize,
        panel: usize,
        _: usize,
        mut prefetcher: Prefetcher,
    ) -> [[I::F; V]; M] {
        // SAFETY: a panel of the weights and a row of the input, by the caller.
        let (mut weights, mut inputs) = unsafe { (self.panels.add(panel), self.input.add(row * self.stride)) };
        let mut sums = [[isa.zero(); V]; M];
        for _ in 0..self.depth {
            prefetcher.prefetch_next(isa);
            let mut w = [isa.zero(); V];
            for (v, w) in w.iter_mut().enumerate() {
                // SAFETY: inside the panel.
                *w = unsafe { isa.load(weights.add(v * I::LANES)) };
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: inside the row.
                let x = isa.splat(unsafe { *inputs.add(r * self.stride) });
                for (sum, &w) in sums.iter_mut().zip(&w) {
                    *sum = isa.fma(x, w, *sum);
                }
            }
            // SAFETY: at most one past the end.
            (weights, inputs) = unsafe { (weights.add(V * I::LANES), inputs.add(1)) };
        }
        sums
    }
}
