//! `LayerNorm(dropout(z) + residual)` over rows, and the operation that a linear layer makes with it.

use rayon::prelude::*;

use super::lanes::{load_lanes, store_lanes};
use super::linear::{Linear, LinearGradients};
use super::mask::Mask;
use super::pool::{acquire, release};
use super::rows::{Packed, block, sum_parts};
use super::weight_gradient::{RightFactor, weight_gradient};
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::matmul::Epilogue;
use crate::norm::Norm;

/// What a normalization saves for its backward pass.
#[derive(Debug)]
pub struct ResidualNormKept {
    /// `(s - mean) / √(variance + ε)` of each row, `[rows, H]`.
    pub(super) normalized: Vec<f32>,
    /// `1 / √(variance + ε)` of each row.
    pub(super) inverse: Vec<f32>,
}

impl Drop for ResidualNormKept {
    fn drop(&mut self) {
        release(std::mem::take(&mut self.normalized));
    }
}

/// Gradients of a LayerNorm's parameters.
#[derive(Debug, Clone)]
pub struct NormGradients {
    /// `[H]`
    pub gain: Vec<f32>,
    /// `[H]`
    pub bias: Vec<f32>,
}

/// Gradients of [`linear_residual_norm`].
#[derive(Debug, Clone)]
pub struct ResidualNormGradients {
    /// Of the linear layer and its input.
    pub linear: LinearGradients,
    /// `[rows, H]`
    pub residual: Vec<f32>,
    /// Of gain and bias.
    pub norm: NormGradients,
}

/// `LayerNorm(dropout(x W + b) + residual)`: `[rows, inputs]` and `[rows, H]` to `[rows, H]`.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn linear_residual_norm(
    cpu: Cpu,
    x: &[f32],
    rows: usize,
    layer: Linear<'_>,
    residual: &[f32],
    norm: Norm<'_>,
    mask: Option<&Mask>,
) -> (Vec<f32>, ResidualNormKept) {
    layer.check(x, rows);
    let [inputs, hidden] = layer.shape();
    check(rows, hidden, residual, norm, mask);
    let (mut y, mut normalized, mut inverse) = (acquire(rows * hidden), acquire(rows * hidden), vec![0.0; rows]);
    if rows * hidden > 0 {
        let packed = Packed::forward(cpu, layer.weight, layer.bias, layer.shape());
        let block = block(rows);
        let outputs = y.par_chunks_mut(block * hidden).zip(normalized.par_chunks_mut(block * hidden));
        outputs.zip(inverse.par_chunks_mut(block)).enumerate().for_each(|(part, ((y, normalized), inverse))| {
            let first = part * block;
            let rows = inverse.len();
            packed.apply(&x[first * inputs..(first + rows) * inputs], y, Epilogue::Write);
            let residual = &residual[first * hidden..][..rows * hidden];
            forward_rows(cpu, ForwardRows { y, normalized, inverse, residual, norm, mask, first });
        });
    }
    (y, ResidualNormKept { normalized, inverse })
}

/// Gradients of [`linear_residual_norm`] where its output has the gradient `dy` `[rows, H]`. That of `x` is computed if
/// `input_gradient`.
///
/// # Panics
/// If the lengths do not match.
#[expect(clippy::too_many_arguments, reason = "an operation and its gradient")]
#[track_caller]
pub fn linear_residual_norm_backward(
    cpu: Cpu,
    x: &[f32],
    rows: usize,
    layer: Linear<'_>,
    norm: Norm<'_>,
    mask: Option<&Mask>,
    kept: &ResidualNormKept,
    dy: &[f32],
    input_gradient: bool,
) -> ResidualNormGradients {
    layer.check(x, rows);
    let [inputs, hidden] = layer.shape();
    check(rows, hidden, dy, norm, mask);
    assert_eq!(kept.inverse.len(), rows, "what the forward pass of {rows} rows kept");
    let (mut ds, mut dz) = (acquire(rows * hidden), acquire(if mask.is_some() { rows * hidden } else { 0 }));
    let mut dx = input_gradient.then(|| acquire(rows * inputs));
    let block = block(rows);
    let parts = rows.div_ceil(block);
    let mut sums = vec![0.0; parts * 3 * hidden];
    if rows * hidden > 0 {
        let packed = input_gradient.then(|| Packed::backward(cpu, layer.weight, layer.shape()));
        let dropped = OptionalChunks::of(&mut dz, block * hidden, parts);
        let inputs_of = OptionalChunks::of(dx.as_deref_mut().unwrap_or_default(), block * inputs, parts);
        let work = ds.par_chunks_mut(block * hidden).zip(sums.par_chunks_mut(3 * hidden));
        work.zip(dropped.0.into_par_iter().zip(inputs_of.0)).enumerate().for_each(|(part, ((ds, sums), (dz, dx)))| {
            let first = part * block;
            let dz = backward_rows(cpu, BackwardRows { dy, kept, norm, mask, first, ds, dz, sums });
            if let (Some(packed), Some(dx)) = (&packed, dx) {
                packed.apply(dz, dx, Epilogue::Write);
            }
        });
    }
    let sums = sum_parts(&sums, 3 * hidden);
    let [gain, bias, linear_bias] = [0, 1, 2].map(|i| sums[i * hidden..][..hidden].to_vec());
    let right = RightFactor { numbers: if mask.is_some() { &dz } else { &ds }, columns: hidden, activation: None };
    let weight = weight_gradient(cpu, rows, (x, inputs), right, false, None);
    release(dz);
    ResidualNormGradients {
        linear: LinearGradients { input: dx, weight, bias: linear_bias },
        residual: ds,
        norm: NormGradients { gain, bias },
    }
}

/// Chunks of a slice, or `None` for each if the slice is empty: there may be nothing to write.
pub(super) struct OptionalChunks<'a>(pub(super) Vec<Option<&'a mut [f32]>>);

impl<'a> OptionalChunks<'a> {
    pub(super) fn of(numbers: &'a mut [f32], size: usize, parts: usize) -> Self {
        if numbers.is_empty() {
            return OptionalChunks((0..parts).map(|_| None).collect());
        }
        OptionalChunks(numbers.chunks_mut(size).map(Some).collect())
    }
}

#[track_caller]
pub(super) fn check(rows: usize, hidden: usize, x: &[f32], norm: Norm<'_>, mask: Option<&Mask>) {
    assert_eq!(x.len(), rows * hidden, "{rows} rows of {hidden} numbers");
    assert_eq!([norm.gain.len(), norm.bias.len()], [hidden; 2], "gain and bias of each column");
    assert!(mask.is_none_or(|mask| mask.len() == rows * hidden), "a mask of {rows} rows of {hidden} numbers");
}

/// Some rows of a forward pass.
pub(super) struct ForwardRows<'a> {
    /// On entry the input of the dropout, on return the result.
    pub(super) y: &'a mut [f32],
    pub(super) normalized: &'a mut [f32],
    pub(super) inverse: &'a mut [f32],
    pub(super) residual: &'a [f32],
    pub(super) norm: Norm<'a>,
    pub(super) mask: Option<&'a Mask>,
    /// Number of the first row, for the mask.
    pub(super) first: usize,
}

pub(super) fn forward_rows(cpu: Cpu, forward: ForwardRows<'_>) {
    let (rows, hidden) = (forward.inverse.len(), forward.norm.gain.len());
    let lengths = [forward.y.len(), forward.normalized.len(), forward.residual.len()];
    assert_eq!(lengths, [rows * hidden; 3], "rows of every matrix");
    if let Some(mask) = forward.mask {
        assert!((forward.first + rows) * hidden <= mask.len(), "a mask for these rows");
    }
    cpu.run(forward);
}

impl Kernel for ForwardRows<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::manual_map, reason = "a closure would be compiled without the instruction set")]
    fn run<I: Isa>(self, isa: I) {
        let ForwardRows { y, normalized, inverse, residual, norm, mask, first } = self;
        let hidden = norm.gain.len();
        let (gain, bias) = (norm.gain.as_ptr(), norm.bias.as_ptr());
        let count = isa.splat(1.0 / hidden as f32);
        let rows =
            y.chunks_exact_mut(hidden).zip(normalized.chunks_exact_mut(hidden)).zip(residual.chunks_exact(hidden));
        for (r, (((y, normalized), residual), inverse)) in rows.zip(inverse).enumerate() {
            let kept = match mask {
                Some(mask) => Some((mask.from((first + r) * hidden), isa.splat(mask.factor()))),
                None => None,
            };
            let (y, s, residual) = (y.as_mut_ptr(), normalized.as_mut_ptr(), residual.as_ptr());
            let mut sum = isa.zero();
            let mut c = 0;
            // SAFETY (all blocks): `n` numbers from `c` on are in the row, and in gain, bias and mask.
            while c < hidden {
                let n = (hidden - c).min(I::LANES);
                let mut x = unsafe { load_lanes(isa, y.add(c), n) };
                if let Some((kept, factor)) = kept {
                    x = isa.mul(x, isa.mul(unsafe { isa.load_signed_bytes(kept.add(c)) }, factor));
                }
                x = isa.add(x, unsafe { load_lanes(isa, residual.add(c), n) });
                sum = isa.add(sum, x);
                unsafe { store_lanes(isa, s.add(c), x, n) };
                c += I::LANES;
            }
            let mean = isa.mul(isa.splat(isa.sum(sum)), count);
            let mut squares = isa.zero();
            let mut c = 0;
            while c < hidden {
                let n = (hidden - c).min(I::LANES);
                let d = isa.sub(unsafe { load_lanes(isa, s.add(c), n) }, mean);
                if n == I::LANES {
                    squares = isa.fma(d, d, squares);
                } else {
                    // The lanes beyond the row hold no deviation.
                    let mut last = [0.0; MAX_LANES];
                    unsafe { isa.store_part(last.as_mut_ptr(), d, n) };
                    let d = unsafe { isa.load(last.as_ptr()) };
                    squares = isa.fma(d, d, squares);
                }
                c += I::LANES;
            }
            let scale = 1.0 / (isa.sum(squares) / hidden as f32 + norm.epsilon).sqrt();
            *inverse = scale;
            let scale = isa.splat(scale);
            let mut c = 0;
            while c < hidden {
                let n = (hidden - c).min(I::LANES);
                unsafe {
                    let d = isa.mul(isa.sub(load_lanes(isa, s.add(c), n), mean), scale);
                    store_lanes(isa, s.add(c), d, n);
                    store_lanes(
                        isa,
                        y.add(c),
                        isa.fma(d, load_lanes(isa, gain.add(c), n), load_lanes(isa, bias.add(c), n)),
                        n,
                    );
                }
                c += I::LANES;
            }
        }
    }
}

/// Lanes of the widest vector.
const MAX_LANES: usize = 16;

/// Some rows of a backward pass.
pub(super) struct BackwardRows<'a> {
    /// Gradients of all rows.
    pub(super) dy: &'a [f32],
    pub(super) kept: &'a ResidualNormKept,
    pub(super) norm: Norm<'a>,
    pub(super) mask: Option<&'a Mask>,
    /// Number of the first row.
    pub(super) first: usize,
    /// Gradients of the sum that was normalized, of these rows.
    pub(super) ds: &'a mut [f32],
    /// Gradients at the input of the dropout, if there is a mask; without one, they are those of the sum.
    pub(super) dz: Option<&'a mut [f32]>,
    /// `[3, H]`: sums over these rows of the gradients of gain, bias, and the input of the dropout.
    pub(super) sums: &'a mut [f32],
}

/// Computes the gradients, and returns those at the input of the dropout.
pub(super) fn backward_rows<'a>(cpu: Cpu, backward: BackwardRows<'a>) -> &'a [f32] {
    let hidden = backward.norm.gain.len();
    let rows = backward.ds.len() / hidden.max(1);
    let last = (backward.first + rows) * hidden;
    assert!(last <= backward.dy.len() && last <= backward.kept.normalized.len(), "gradients of these rows");
    assert_eq!(backward.sums.len(), 3 * hidden, "three sums for each column");
    assert_eq!(backward.mask.is_some(), backward.dz.is_some(), "a gradient of the input of the dropout");
    if let (Some(mask), Some(dz)) = (backward.mask, &backward.dz) {
        assert!(last <= mask.len() && dz.len() == backward.ds.len(), "a mask for these rows");
    }
    cpu.run(backward)
}

impl<'a> Kernel for BackwardRows<'a> {
    type Output = &'a [f32];

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> &'a [f32] {
        let BackwardRows { dy, kept, norm, mask, first, ds, mut dz, sums } = self;
        let hidden = norm.gain.len();
        let gain = norm.gain.as_ptr();
        let count = isa.splat(1.0 / hidden as f32);
        let [gains, biases, linear_biases] = [0, 1, 2].map(|i| sums[i * hidden..].as_mut_ptr());
        for (r, to) in ds.chunks_exact_mut(hidden).enumerate() {
            let row = first + r;
            let dy = dy[row * hidden..][..hidden].as_ptr();
            let normalized = kept.normalized[row * hidden..][..hidden].as_ptr();
            let to = to.as_mut_ptr();
            let (mut sum, mut product) = (isa.zero(), isa.zero());
            let mut c = 0;
            // SAFETY (all blocks): `n` numbers from `c` on are in the row, and in gain, mask and sums.
            while c < hidden {
                let n = (hidden - c).min(I::LANES);
                unsafe {
                    let (dy, d) = (load_lanes(isa, dy.add(c), n), load_lanes(isa, normalized.add(c), n));
                    let g = isa.mul(dy, load_lanes(isa, gain.add(c), n));
                    sum = isa.add(sum, g);
                    product = isa.fma(g, d, product);
                    store_lanes(isa, gains.add(c), isa.fma(dy, d, load_lanes(isa, gains.add(c), n)), n);
                    store_lanes(isa, biases.add(c), isa.add(dy, load_lanes(isa, biases.add(c), n)), n);
                }
                c += I::LANES;
            }
            let mean = isa.mul(isa.splat(isa.sum(sum)), count);
            let projection = isa.mul(isa.splat(isa.sum(product)), count);
            let inverse = isa.splat(kept.inverse[row]);
            let dropped = match (mask, &mut dz) {
                (Some(mask), Some(dz)) => {
                    let to = dz[r * hidden..][..hidden].as_mut_ptr();
                    Some((mask.from(row * hidden), isa.splat(mask.factor()), to))
                }
                _ => None,
            };
            let mut c = 0;
            while c < hidden {
                let n = (hidden - c).min(I::LANES);
                unsafe {
                    let (dy, d) = (load_lanes(isa, dy.add(c), n), load_lanes(isa, normalized.add(c), n));
                    let g = isa.mul(dy, load_lanes(isa, gain.add(c), n));
                    let projection = isa.mul(d, projection);
                    let mut x = isa.mul(inverse, isa.sub(isa.sub(g, mean), projection));
                    store_lanes(isa, to.add(c), x, n);
                    if let Some((kept, factor, dz)) = dropped {
                        x = isa.mul(x, isa.mul(isa.load_signed_bytes(kept.add(c)), factor));
                        store_lanes(isa, dz.add(c), x, n);
                    }
                    store_lanes(isa, linear_biases.add(c), isa.add(x, load_lanes(isa, linear_biases.add(c), n)), n);
                }
                c += I::LANES;
            }
        }
        match dz {
            Some(dz) => dz,
            None => ds,
        }
    }
}
