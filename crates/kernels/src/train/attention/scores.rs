//! Attention scores before the softmax, and their gradients.

use rayon::prelude::*;

use super::ragged::{Qkv, Ragged, SequenceSpan, padded};
use crate::cpu::Cpu;
use crate::train::pool::{acquire, acquire_aligned, release_aligned};
use crate::train::product::{Product, Transpose};
use crate::train::rows::SharedOutput;

/// `Q Kᵀ / √D + bias` before mask and softmax: `[N, 3H]` to `[P]`.
///
/// `bias` `[A, 2L - 1]`, where there is one, has the biases of each head by distance, at `L - 1 + key - query`, for
/// sequences of up to L tokens.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn attention_scores(cpu: Cpu, qkv: &[f32], heads: usize, ragged: &Ragged, bias: Option<&[f32]>) -> Vec<f32> {
    let width = ragged.head_width(qkv, heads);
    let longest = bias.map(|bias| longest(bias.len(), heads, ragged));
    let mut scores = acquire(ragged.pairs(heads));
    if width == 0 {
        scores.fill(0.0);
    }
    let output = SharedOutput::of(&mut scores);
    ragged.for_each_head(heads, width, |head| {
        let SequenceSpan { rows, .. } = head.span;
        // SAFETY: the pairs of this head, which belong to this task.
        let pairs = unsafe { output.at(head.pairs) };
        if let (Some(bias), Some(longest)) = (bias, longest) {
            // SAFETY: as above.
            let pairs = unsafe { std::slice::from_raw_parts_mut(pairs, rows * rows) };
            for (query, row) in pairs.chunks_exact_mut(rows).enumerate() {
                row.copy_from_slice(head_row(bias, head.head, longest, query, rows));
            }
        }
        let padded_rows = padded(rows);
        let mut transposed = acquire_aligned(width * padded_rows);
        let stride = 3 * head.hidden;
        let keys = qkv[head.qkv_offset(Qkv::Key)..].as_ptr();
        // SAFETY: `rows` rows of `width` keys, and a buffer for them.
        cpu.run(unsafe { Transpose::new(keys, stride, rows, width, transposed.as_mut_ptr(), padded_rows) });
        let product = Product {
            a: qkv[head.qkv_offset(Qkv::Query)..].as_ptr(),
            a_row_stride: stride,
            a_column_stride: 1,
            b: transposed.as_ptr(),
            b_stride: padded_rows,
            c: pairs,
            c_stride: rows,
            rows,
            depth: width,
            columns: rows,
            scale: head.scale(),
            add: bias.is_some(),
        };
        // SAFETY: queries, transposed keys and pairs of this head.
        unsafe { product.run(cpu) };
        release_aligned(transposed);
    });
    scores
}

/// Gradient of the bias of [`attention_scores`], `[A, 2L - 1]` for sequences of up to `longest` tokens, where the scores
/// have the gradient `ds` `[P]`: the sum over all pairs of a distance.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn attention_bias_backward(ds: &[f32], heads: usize, ragged: &Ragged, longest: usize) -> Vec<f32> {
    assert_eq!(ds.len(), ragged.pairs(heads), "a gradient for each pair");
    assert!(longest > 0 && ragged.longest() <= longest, "sequences of up to {} tokens", ragged.longest());
    let mut gradient = acquire(heads * (2 * longest - 1));
    // A head is one task and goes over the sequences in order, so that sums do not depend on threads.
    gradient.par_chunks_mut(2 * longest - 1).enumerate().for_each(|(head, gradient)| {
        gradient.fill(0.0);
        for (first, rows) in ragged.pairs_of_head(head, heads) {
            for (query, row) in ds[first..first + rows * rows].chunks_exact(rows).enumerate() {
                let sums = &mut gradient[longest - 1 - query..][..rows];
                sums.iter_mut().zip(row).for_each(|(sum, ds)| *sum += ds);
            }
        }
    });
    gradient
}

/// The biases of a query and the first `keys` keys.
fn head_row(bias: &[f32], head: usize, longest: usize, query: usize, keys: usize) -> &[f32] {
    &bias[head * (2 * longest - 1) + longest - 1 - query..][..keys]
}

/// L of biases `[A, 2L - 1]`, if they are enough for these sequences.
#[track_caller]
fn longest(biases: usize, heads: usize, ragged: &Ragged) -> usize {
    let longest = (biases / heads).div_ceil(2);
    assert_eq!(biases, heads * (2 * longest).saturating_sub(1), "biases of {heads} heads");
    assert!(ragged.longest() <= longest, "{} tokens and biases for {longest}", ragged.longest());
    longest
}

/// Gradient of [`attention_scores`] at `[N, 3H]` where the scores have the gradient `ds` `[P]`; that of the values is
/// 0. It is added to `existing`, if given.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn attention_scores_backward(
    cpu: Cpu,
    qkv: &[f32],
    heads: usize,
    ragged: &Ragged,
    ds: &[f32],
    existing: Option<Vec<f32>>,
) -> Vec<f32> {
    let width = ragged.head_width(qkv, heads);
    assert_eq!(ds.len(), ragged.pairs(heads), "a gradient for each pair");
    assert!(existing.as_ref().is_none_or(|sum| sum.len() == qkv.len()), "a gradient of queries, keys and values");
    let add = existing.is_some();
    let mut gradient = existing.unwrap_or_else(|| acquire(qkv.len()));
    let hidden = heads * width;
    if !add && hidden > 0 {
        gradient.par_chunks_mut(3 * hidden).for_each(|row| row[2 * hidden..].fill(0.0));
    }
    let output = SharedOutput::of(&mut gradient);
    ragged.for_each_head(heads, width, |head| {
        let SequenceSpan { rows, .. } = head.span;
        let stride = 3 * hidden;
        let ds = ds[head.pairs..].as_ptr();
        let of_queries = Product {
            a: ds,
            a_row_stride: rows,
            a_column_stride: 1,
            b: qkv[head.qkv_offset(Qkv::Key)..].as_ptr(),
            b_stride: stride,
            // SAFETY: the queries of this head, whose gradients belong to this task.
            c: unsafe { output.at(head.qkv_offset(Qkv::Query)) },
            c_stride: stride,
            rows,
            depth: rows,
            columns: width,
            scale: head.scale(),
            add,
        };
        let of_keys = Product {
            a_row_stride: 1,
            a_column_stride: rows,
            b: qkv[head.qkv_offset(Qkv::Query)..].as_ptr(),
            // SAFETY: as above, of the keys.
            c: unsafe { output.at(head.qkv_offset(Qkv::Key)) },
            ..of_queries
        };
        // SAFETY: pairs, queries and keys of this head.
        unsafe {
            of_queries.run(cpu);
            of_keys.run(cpu);
        }
    });
    gradient
}
