//! The int8 product: activations as unsigned, weights as signed bytes, sums exact in 32 bits.
//!
//! A row of activations is `x ≈ offset + scale q` with `q` in 0..=255, its smallest and largest value exact; a
//! column of weights is `w ≈ scale q` with `q` in -127..=127. Then
//! `Σ x w ≈ scale_x scale_w Σ q_x q_w + offset_x scale_w Σ q_w`, whose last factor is known when packing.

use super::epilogue::Epilogue;
use super::quantized_rows::{IntegerShape, QuantizedRows};
use super::tile::{Prefetcher, Shape, TileProduct, multiply};
use crate::buffer::{Buffer, RowsMut};
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;

/// Int8 weights and the bias of a linear layer, packed for one instruction set.
#[derive(Debug, Clone)]
pub struct PackedInt8 {
    cpu: Cpu,
    shape: Shape,
    inputs: usize,
    outputs: usize,
    integers: IntegerShape,
    /// Panel after panel; in a panel, for each group of inputs, all columns with the bytes of a group each.
    panels: Buffer<i8>,
    bias: Buffer<f32>,
    /// Scale of each column.
    scales: Buffer<f32>,
    /// Sum of the bytes of each column.
    totals: Buffer<i32>,
    /// Scale of each column times the sum of its bytes.
    sums: Buffer<f32>,
}

impl PackedInt8 {
    /// Largest number of inputs for which no sum of products overflows 32 bits.
    pub const MAX_INPUTS: usize = (i32::MAX / (255 * 128)) as usize;

    /// Packs `weight` `[outputs, inputs]` with one of `scales` for each output, and `bias` `[outputs]`, or zeros
    /// if empty.
    ///
    /// # Panics
    /// If the lengths do not fit, or there are so many inputs that a sum might not fit into 32 bits.
    #[track_caller]
    pub fn new(cpu: Cpu, weight: &[i8], scales: &[f32], bias: &[f32], inputs: usize, outputs: usize) -> Self {
        assert_eq!(weight.len(), inputs * outputs, "a weight of [{outputs}, {inputs}]");
        assert_eq!(scales.len(), outputs, "a scale for each output");
        assert!(bias.is_empty() || bias.len() == outputs, "a bias of [{outputs}], got {}", bias.len());
        assert!(inputs <= Self::MAX_INPUTS, "sums of {inputs} products of bytes may overflow 32 bits");
        let (shape, integers) = (Shape::of::<Int8Product>(cpu), IntegerShape::of(cpu));
        let (IntegerShape { bytes: width, group, .. }, group_bytes) = (integers, integers.group_bytes());
        let (depth, padded) = (inputs.div_ceil(group), outputs.next_multiple_of(shape.lanes));
        let mut packed = PackedInt8 {
            cpu,
            shape,
            inputs,
            outputs,
            integers,
            panels: Buffer::zeros(padded * depth * group_bytes),
            bias: Buffer::zeros(padded),
            scales: Buffer::zeros(padded),
            totals: Buffer::zeros(padded),
            sums: Buffer::zeros(padded),
        };
        packed.bias[..bias.len()].copy_from_slice(bias);
        packed.scales[..outputs].copy_from_slice(scales);
        let mut offset = 0;
        for (first, vectors) in shape.panels(outputs) {
            let columns = vectors * shape.lanes;
            for output in first..outputs.min(first + columns) {
                let row = &weight[output * inputs..][..inputs];
                for (input, &w) in row.iter().enumerate() {
                    let lane = (input / group) * columns + output - first;
                    let at = offset + lane * group_bytes + input % group * width;
                    // The low byte first; a second one repeats the sign.
                    packed.panels[at] = w;
                    packed.panels[at + 1..at + width].fill(w >> 7);
                }
                let sum: i32 = row.iter().map(|&w| i32::from(w)).sum();
                packed.totals[output] = sum;
                packed.sums[output] = scales[output] * sum as f32;
            }
            offset += depth * columns * group_bytes;
        }
        packed
    }

    /// The instruction set it is packed for.
    pub fn cpu(&self) -> Cpu {
        self.cpu
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
        let columns = self.bias.len() + self.scales.len() + self.totals.len() + self.sums.len();
        self.panels.len() + columns * size_of::<f32>()
    }

    /// Multiplies: `input` `[rows, inputs]` to `output` `[rows, outputs]`.
    ///
    /// The sums of bytes are exact. With scales, offset and bias, the result is off by at most 4 ε times the
    /// magnitudes of the scaled sum, the offset's term and the bias together.
    ///
    /// # Panics
    /// If the shapes do not match.
    #[track_caller]
    pub fn apply(&self, input: QuantizedRows<'_>, output: RowsMut<'_, f32>, epilogue: Epilogue) {
        assert_eq!(input.columns, self.inputs, "columns of the input");
        assert_eq!(output.columns, self.outputs, "columns of the output");
        assert_eq!(input.scales.len(), output.rows, "as many rows out as in");
        assert_eq!(input.group, self.integers.group, "inputs quantized for this instruction set");
        let depth = self.inputs.div_ceil(self.integers.group);
        let product = Int8Product {
            input: input.bytes.as_ptr(),
            stride: input.stride,
            scales: input.scales.as_ptr(),
            offsets: input.offsets.as_ptr(),
            depth,
            panels: self.panels.as_ptr(),
            column_scales: self.scales.as_ptr(),
            column_totals: self.totals.as_ptr(),
            column_sums: self.sums.as_ptr(),
        };
        // SAFETY: rows, panels, scales and bias are of the sizes just compared.
        unsafe {
            let depth = depth * self.integers.group_bytes();
            multiply(self.cpu, self.shape, product, depth, &self.bias, output, epilogue);
        }
    }
}

#[derive(Clone, Copy)]
struct Int8Product {
    input: *const u8,
    stride: usize,
    scales: *const f32,
    offsets: *const f32,
    depth: usize,
    panels: *const i8,
    column_scales: *const f32,
    column_totals: *const i32,
    column_sums: *const f32,
}

impl TileProduct for Int8Product {
    const BYTES: usize = 1;

    #[inline]
    fn enter<K: Kernel>(cpu: Cpu, kernel: K) -> K::Output {
        cpu.run_integers(kernel)
    }

    #[inline(always)]
    fn tile_shape<I: Isa>() -> (usize, usize) {
        I::INTEGER_TILE
    }

    #[inline(always)]
    fn rows_at_once<I: Isa>() -> usize {
        I::ROWS
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
        column: usize,
        mut prefetcher: Prefetcher,
    ) -> [[I::F; V]; M] {
        // SAFETY: a panel of the weights and a row of the input, by the caller.
        let (mut weights, mut inputs) = unsafe { (self.panels.add(panel), self.input.add(row * self.stride)) };
        let mut start = [isa.zero_sum(); V];
        for (v, start) in start.iter_mut().enumerate() {
            // SAFETY: totals cover whole panels.
            *start = unsafe { isa.start_sum(self.column_totals.add(column + v * I::LANES)) };
        }
        // As many of them are used as there are products of `ROWS` rows.
        let mut sums = [start; M];
        for _ in 0..self.depth {
            prefetcher.prefetch_next(isa);
            // SAFETY: inside the panel; there is at least one vector.
            let mut w = [unsafe { isa.load_weights(weights) }; V];
            for (v, w) in w.iter_mut().enumerate() {
                // SAFETY: inside the panel.
                *w = unsafe { isa.load_weights(weights.add(v * I::GROUP_BYTES * I::LANES)) };
            }
            for (p, sums) in sums.iter_mut().enumerate().take(M.div_ceil(I::ROWS)) {
                // The last of an odd number of rows is multiplied beside itself.
                let (r, next) = (p * I::ROWS, (p * I::ROWS + I::ROWS - 1).min(M - 1));
                // SAFETY: inside the rows.
                let x = unsafe { isa.load_inputs(inputs.add(r * self.stride), inputs.add(next * self.stride)) };
                for (sum, &w) in sums.iter_mut().zip(&w) {
                    *sum = isa.dot(*sum, x, w);
                }
            }
            // SAFETY: at most one past the end.
            (weights, inputs) = unsafe { (weights.add(V * I::GROUP_BYTES * I::LANES), inputs.add(I::GROUP_BYTES)) };
        }
        let mut out = [[isa.zero(); V]; M];
        for v in 0..V {
            // SAFETY: scales and sums cover whole panels.
            let (scale, sum) = unsafe {
                let at = column + v * I::LANES;
                (isa.load(self.column_scales.add(at)), isa.load(self.column_sums.add(at)))
            };
            for r in 0..M {
                // SAFETY: each row has a scale and an offset.
                let (row_scale, offset) = unsafe { (*self.scales.add(row + r), *self.offsets.add(row + r)) };
                let sums = isa.sum_to_floats(sums[r / I::ROWS][v], r % I::ROWS);
                let product = isa.mul(isa.mul(sums, isa.splat(row_scale)), scale);
                out[r][v] = isa.fma(sum, isa.splat(offset), product);
            }
        }
        out
    }
}
