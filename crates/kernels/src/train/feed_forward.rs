//! `LayerNorm(dropout(act(x W₁ + b₁) W₂ + b₂) + x)` and its gradients.

use rayon::prelude::*;

use super::activation::{Activation, activate_into, times_slope};
use super::linear::{Linear, LinearGradients};
use super::mask::Mask;
use super::pool::{acquire, release};
use super::residual_norm::{
    BackwardRows, ForwardRows, NormGradients, OptionalChunks, ResidualNormKept, backward_rows, check, forward_rows,
};
use super::rows::{Packed, block, sum_parts};
use super::weight_gradient::{RightFactor, weight_gradient};
use crate::cpu::Cpu;
use crate::matmul::Epilogue;
use crate::norm::Norm;

/// The parameters of a feed-forward block.
#[derive(Debug, Clone, Copy)]
pub struct FeedForward<'a> {
    /// From H to F.
    pub inner: Linear<'a>,
    /// Between the two.
    pub activation: Activation,
    /// From F to H.
    pub outer: Linear<'a>,
    /// After the residual.
    pub norm: Norm<'a>,
}

/// What the forward pass saves for the backward pass.
#[derive(Debug)]
pub struct FeedForwardKept {
    /// Before the activation, `[rows, F]`. The activation is recomputed: that is faster than writing it to
    /// memory and reading it back.
    inside: Vec<f32>,
    norm: ResidualNormKept,
}

impl Drop for FeedForwardKept {
    fn drop(&mut self) {
        release(std::mem::take(&mut self.inside));
    }
}

/// Gradients of [`feed_forward`].
#[derive(Debug, Clone)]
pub struct FeedForwardGradients {
    /// `[rows, H]`
    pub input: Vec<f32>,
    /// Of the inner layer; without its input's gradient.
    pub inner: LinearGradients,
    /// Of the outer layer; without its input's gradient.
    pub outer: LinearGradients,
    /// Of gain and bias.
    pub norm: NormGradients,
}

impl FeedForward<'_> {
    #[track_caller]
    fn check(&self, x: &[f32], rows: usize, mask: Option<&Mask>) {
        let [hidden, inside] = self.inner.shape();
        assert_eq!(self.outer.shape(), [inside, hidden], "the outer layer maps back to the input width");
        self.inner.check(x, rows);
        assert_eq!(self.outer.weight.len(), inside * hidden, "a weight of [{inside}, {hidden}]");
        check(rows, hidden, x, self.norm, mask);
    }
}

/// `LayerNorm(dropout(act(x W₁ + b₁) W₂ + b₂) + x)`: `[rows, H]` to `[rows, H]`.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn feed_forward(
    cpu: Cpu,
    x: &[f32],
    rows: usize,
    layers: FeedForward<'_>,
    mask: Option<&Mask>,
) -> (Vec<f32>, FeedForwardKept) {
    layers.check(x, rows, mask);
    let FeedForward { inner, activation, outer, norm } = layers;
    let [hidden, width] = inner.shape();
    let (mut y, mut normalized, mut inverse) = (acquire(rows * hidden), acquire(rows * hidden), vec![0.0; rows]);
    let mut inside = acquire(rows * width);
    if rows * hidden > 0 {
        let first_layer = Packed::forward(cpu, inner.weight, inner.bias, inner.shape());
        let second_layer = Packed::forward(cpu, outer.weight, outer.bias, outer.shape());
        let block = block(rows);
        let parts = rows.div_ceil(block);
        let outputs = y.par_chunks_mut(block * hidden).zip(normalized.par_chunks_mut(block * hidden));
        let insides = OptionalChunks::of(&mut inside, block * width, parts).0;
        let outputs = outputs.zip(inverse.par_chunks_mut(block)).zip(insides);
        outputs.enumerate().for_each(|(part, (((y, normalized), inverse), inside))| {
            let first = part * block;
            let x = &x[first * hidden..][..inverse.len() * hidden];
            let inside = inside.unwrap_or_default();
            first_layer.apply(x, inside, Epilogue::Write);
            let mut active = acquire(inside.len());
            activate_into(cpu, activation, inside, &mut active);
            second_layer.apply(&active, y, Epilogue::Write);
            release(active);
            forward_rows(cpu, ForwardRows { y, normalized, inverse, residual: x, norm, mask, first });
        });
    }
    (y, FeedForwardKept { inside, norm: ResidualNormKept { normalized, inverse } })
}

/// Gradients of [`feed_forward`] where its output has the gradient `dy` `[rows, H]`.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn feed_forward_backward(
    cpu: Cpu,
    x: &[f32],
    rows: usize,
    layers: FeedForward<'_>,
    mask: Option<&Mask>,
    kept: &FeedForwardKept,
    dy: &[f32],
) -> FeedForwardGradients {
    layers.check(x, rows, mask);
    let FeedForward { inner, activation, outer, norm } = layers;
    let [hidden, width] = inner.shape();
    check(rows, hidden, dy, norm, mask);
    assert_eq!([kept.inside.len(), kept.norm.inverse.len()], [rows * width, rows], "what the forward pass kept");
    // Gradients of the input, of the input of the dropout, and before the activation.
    let mut dx = acquire(rows * hidden);
    let mut dz = acquire(if mask.is_some() { rows * hidden } else { 0 });
    // Without dropout the gradients of the sum are needed twice, as they are and as the start of the input's.
    let mut ds = acquire(if mask.is_some() { 0 } else { rows * hidden });
    let mut da = acquire(rows * width);
    let block = block(rows);
    let parts = rows.div_ceil(block);
    let mut sums = vec![0.0; parts * 3 * hidden];
    if rows * hidden > 0 {
        let first_layer = Packed::backward(cpu, inner.weight, inner.shape());
        let second_layer = Packed::backward(cpu, outer.weight, outer.shape());
        let dropped = OptionalChunks::of(&mut dz, block * hidden, parts).0;
        let copies = OptionalChunks::of(&mut ds, block * hidden, parts).0;
        let insides = OptionalChunks::of(&mut da, block * width, parts).0;
        let work = dx.par_chunks_mut(block * hidden).zip(sums.par_chunks_mut(3 * hidden));
        let work = work.zip(dropped.into_par_iter().zip(copies).zip(insides));
        work.enumerate().for_each(|(part, ((dx, sums), ((dz, copy), da)))| {
            let first = part * block;
            let da = da.unwrap_or_default();
            if let Some(ds) = copy {
                let backward = BackwardRows { dy, kept: &kept.norm, norm, mask, first, ds, dz: None, sums };
                let dz = backward_rows(cpu, backward);
                dx.copy_from_slice(dz);
                second_layer.apply(dz, da, Epilogue::Write);
            } else {
                let backward = BackwardRows { dy, kept: &kept.norm, norm, mask, first, ds: &mut *dx, dz, sums };
                second_layer.apply(backward_rows(cpu, backward), da, Epilogue::Write);
            }
            times_slope(cpu, activation, &kept.inside[first * width..][..da.len()], da);
            first_layer.apply(da, dx, Epilogue::Add);
        });
    }
    let sums = sum_parts(&sums, 3 * hidden);
    let [gain, bias, outer_bias] = [0, 1, 2].map(|i| sums[i * hidden..][..hidden].to_vec());
    let mut inner_bias = vec![0.0; width];
    let right = RightFactor { numbers: &da, columns: width, activation: None };
    let inner_weight = weight_gradient(cpu, rows, (x, hidden), right, false, Some(&mut inner_bias));
    let dz = if mask.is_some() { dz } else { ds };
    let right = RightFactor { numbers: &kept.inside, columns: width, activation: Some(activation) };
    let outer_weight = weight_gradient(cpu, rows, (&dz, hidden), right, true, None);
    release(da);
    release(dz);
    FeedForwardGradients {
        input: dx,
        inner: LinearGradients { input: None, weight: inner_weight, bias: inner_bias },
        outer: LinearGradients { input: None, weight: outer_weight, bias: outer_bias },
        norm: NormGradients { gain, bias },
    }
}
