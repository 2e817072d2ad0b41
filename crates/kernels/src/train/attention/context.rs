//! The context, sums of values weighted by the softmax of scores, and its gradients.

use rayon::prelude::*;

use super::ragged::{Qkv, Ragged, SequenceSpan, padded};
use super::softmax::{HeadSoftmax, SoftmaxGradient};
use crate::cpu::Cpu;
use crate::train::mask::Mask;
use crate::train::pool::{acquire, acquire_aligned, release_aligned};
use crate::train::product::{Product, Transpose};
use crate::train::rows::SharedOutput;

/// `dropout(softmax(scores)) V` over the keys of each sequence: `[P]` and the values of `[N, 3H]` to `[N, H]`.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn attention_context(
    cpu: Cpu,
    scores: &[f32],
    qkv: &[f32],
    heads: usize,
    ragged: &Ragged,
    mask: Option<&Mask>,
) -> Vec<f32> {
    let width = ragged.head_width(qkv, heads);
    check_pairs(ragged, heads, scores, mask);
    let mut context = acquire(ragged.rows() * heads * width);
    let output = SharedOutput::of(&mut context);
    ragged.for_each_head(heads, width, |head| {
        let SequenceSpan { rows, keys, .. } = head.span;
        let weight_stride = padded(rows);
        let mut weights = acquire_aligned(rows * weight_stride);
        let softmax = HeadSoftmax {
            scores: scores[head.pairs..].as_ptr(),
            rows,
            keys,
            weights: weights.as_mut_ptr(),
            weight_stride,
            mask: mask.map(|mask| (mask.from(head.pairs), mask.factor())),
            gradient: None,
        };
        let product = Product {
            a: weights.as_ptr(),
            a_row_stride: weight_stride,
            a_column_stride: 1,
            b: qkv[head.qkv_offset(Qkv::Value)..].as_ptr(),
            b_stride: 3 * head.hidden,
            // SAFETY: the columns of this head, which belong to this task.
            c: unsafe { output.at(head.context_offset()) },
            c_stride: head.hidden,
            rows,
            depth: keys,
            columns: width,
            scale: 1.0,
            add: false,
        };
        // SAFETY: pairs, weights, values and context of this head.
        unsafe {
            softmax.run(cpu);
            product.run(cpu);
        }
        release_aligned(weights);
    });
    context
}

/// Gradients of [`attention_context`] at the scores `[P]` and at `[N, 3H]`, where those of queries and keys are 0, if the
/// context has the gradient `dc` `[N, H]`. The first is added to `existing`, if given.
///
/// # Panics
/// If the lengths do not match.
#[expect(clippy::too_many_arguments, reason = "an operation and its gradient")]
#[track_caller]
pub fn attention_context_backward(
    cpu: Cpu,
    scores: &[f32],
    qkv: &[f32],
    heads: usize,
    ragged: &Ragged,
    mask: Option<&Mask>,
    dc: &[f32],
    existing: Option<Vec<f32>>,
) -> [Vec<f32>; 2] {
    let width = ragged.head_width(qkv, heads);
    let hidden = heads * width;
    check_pairs(ragged, heads, scores, mask);
    assert_eq!(dc.len(), ragged.rows() * hidden, "a gradient of the context");
    assert!(existing.as_ref().is_none_or(|sum| sum.len() == scores.len()), "a gradient for each pair");
    let add = existing.is_some();
    let (mut ds, mut dqkv) = (existing.unwrap_or_else(|| acquire(scores.len())), acquire(qkv.len()));
    if hidden > 0 {
        dqkv.par_chunks_mut(3 * hidden).for_each(|row| row[..2 * hidden].fill(0.0));
    } else if !add {
        ds.fill(0.0);
    }
    let (ds_output, dqkv_output) = (SharedOutput::of(&mut ds), SharedOutput::of(&mut dqkv));
    ragged.for_each_head(heads, width, |head| {
        let SequenceSpan { rows, keys, .. } = head.span;
        let (weight_stride, stride) = (padded(rows), 3 * hidden);
        let mut buffer = acquire_aligned(2 * rows * weight_stride + width * weight_stride);
        let (weights, rest) = buffer.split_at_mut(rows * weight_stride);
        let (gradients, transposed) = rest.split_at_mut(rows * weight_stride);
        let values = qkv[head.qkv_offset(Qkv::Value)..].as_ptr();
        let dc = dc[head.context_offset()..].as_ptr();
        let of_weights = Product {
            a: dc,
            a_row_stride: hidden,
            a_column_stride: 1,
            b: transposed.as_ptr(),
            b_stride: weight_stride,
            c: gradients.as_mut_ptr(),
            c_stride: weight_stride,
            rows,
            depth: width,
            // The transposed values are padded with zeros, and so are these gradients.
            columns: weight_stride,
            scale: 1.0,
            add: false,
        };
        let softmax = HeadSoftmax {
            scores: scores[head.pairs..].as_ptr(),
            rows,
            keys,
            weights: weights.as_mut_ptr(),
            weight_stride,
            mask: mask.map(|mask| (mask.from(head.pairs), mask.factor())),
            gradient: Some(SoftmaxGradient {
                of_weights: gradients.as_mut_ptr(),
                // SAFETY: the pairs of this head, which belong to this task.
                of_scores: unsafe { ds_output.at(head.pairs) },
                add,
            }),
        };
        let of_values = Product {
            a: weights.as_ptr(),
            a_row_stride: 1,
            a_column_stride: weight_stride,
            b: dc,
            b_stride: hidden,
            // SAFETY: the values of this head, whose gradients belong to this task.
            c: unsafe { dqkv_output.at(head.qkv_offset(Qkv::Value)) },
            c_stride: stride,
            rows,
            depth: rows,
            columns: width,
            scale: 1.0,
            add: false,
        };
        // SAFETY: pairs, values and gradients of this head, and buffers of the sizes that they need.
        unsafe {
            cpu.run(Transpose::new(values, stride, rows, width, transposed.as_mut_ptr(), weight_stride));
            of_weights.run(cpu);
            softmax.run(cpu);
            of_values.run(cpu);
        }
        release_aligned(buffer);
    });
    [ds, dqkv]
}

#[track_caller]
fn check_pairs(ragged: &Ragged, heads: usize, scores: &[f32], mask: Option<&Mask>) {
    assert_eq!(scores.len(), ragged.pairs(heads), "a score for each pair");
    assert!(mask.is_none_or(|mask| mask.len() == scores.len()), "a mask entry for each pair");
}
