//! Embeddings and layers, for some rows of a group of sequences.
//!
//! Everything but attention works row by row, and attention needs only the keys and values of its own sequence, so any
//! thread can compute any rows once [`project_qkv`] has been applied to the whole sequence.

use std::ops::Range;

use attar_kernels::{EmbeddingTable, Epilogue, Rows, RowsMut, Softmax, attention, gather, layer_norm};

use crate::batch::Input;
use crate::model::{Layer, Model, epilogue};
use crate::rows::{copy_rows, strides};
use crate::scratch::ThreadScratch;
use crate::trace::LayerBuffers;

/// Bytes of feed-forward activations that are computed at a time.
const INNER_BYTES: usize = 384 << 10;

/// Embeddings of some rows of a group.
pub(crate) fn embed(model: &Model, group: Input<'_>, rows: Range<usize>, x: &mut [f32], scratch: &mut ThreadScratch) {
    let Model { cpu, config, embeddings, .. } = model;
    let (h, [stride, _]) = (config.hidden, strides(model));
    let count = rows.len();
    gather(*cpu, embeddings.words(), &group.ids()[rows.clone()], RowsMut::new(x, count, h, stride), false);
    scratch.positions.clear();
    for span in group.spans() {
        let from = rows.start.max(span.start)..rows.end.min(span.end);
        scratch.positions.extend(from.map(|row| (row - span.start + config.position_offset()) as u32));
    }
    let positions = EmbeddingTable::F32(&embeddings.positions);
    gather(*cpu, positions, &scratch.positions, RowsMut::new(x, count, h, stride), true);
    if !embeddings.types.is_empty() {
        let types = if group.types().is_empty() {
            scratch.positions.clear();
            scratch.positions.resize(count, 0);
            &scratch.positions
        } else {
            &group.types()[rows]
        };
        gather(*cpu, EmbeddingTable::F32(&embeddings.types), types, RowsMut::new(x, count, h, stride), true);
    }
    let is_int8 = model.layers.first().is_some_and(|layer| layer.qkv.is_int8());
    let quantized = is_int8.then(|| scratch.quantized_x.reserve(*cpu, count, h));
    layer_norm(*cpu, RowsMut::new(x, count, h, stride), embeddings.norm.borrow(), quantized);
}

/// Queries, keys and values of some rows.
pub(crate) fn project_qkv(
    model: &Model,
    index: usize,
    rows: usize,
    x: &[f32],
    qkv: &mut [f32],
    scratch: &ThreadScratch,
) {
    let (h, [stride, stride3]) = (model.config.hidden, strides(model));
    let to = RowsMut::new(qkv, rows, 3 * h, stride3);
    let projection = &model.layers[index].qkv;
    projection.apply(Rows::new(x, rows, h, stride), &scratch.quantized_x, 0, rows, to, Epilogue::Write);
}

/// Attention and feed-forward of some rows of a group, given the queries, keys and values of the whole group.
#[expect(clippy::too_many_arguments, reason = "what a layer reads and writes")]
pub(crate) fn attend_and_feed_forward(
    model: &Model,
    index: usize,
    group: Input<'_>,
    rows: Range<usize>,
    qkv: &[f32],
    x: &mut [f32],
    scratch: &mut ThreadScratch,
    mut trace: Option<&mut LayerBuffers<'_>>,
) {
    let count = rows.len();
    attend(model, index, group, rows, qkv, x, scratch);
    if let Some(trace) = &mut trace {
        trace.fill_attention(model, group, qkv, &mut scratch.attention);
    }
    feed_forward(model, index, count, x, scratch);
    if let Some(to) = trace.and_then(|trace| trace.hidden.as_deref_mut()) {
        copy_rows(x, strides(model)[0], to, model.config.hidden);
    }
}

/// `LayerNorm(dense(attention) + x)` of some rows.
fn attend(
    model: &Model,
    index: usize,
    group: Input<'_>,
    rows: Range<usize>,
    qkv: &[f32],
    x: &mut [f32],
    scratch: &mut ThreadScratch,
) {
    let Model { cpu, config, bias, layers, .. } = model;
    let Layer { attention: dense, attention_norm, inner, .. } = &layers[index];
    let (h, [stride, stride3], count) = (config.hidden, strides(model), rows.len());
    scratch.context.reserve(count * stride);
    let softmax = if dense.is_int8() { Softmax::Coarse } else { Softmax::Exact };
    for span in group.spans() {
        let mine = rows.start.max(span.start)..rows.end.min(span.end);
        if mine.is_empty() {
            continue;
        }
        let sequence = Rows::new(&qkv[span.start * stride3..], span.len(), 3 * h, stride3);
        let to = RowsMut::new(&mut scratch.context[(mine.start - rows.start) * stride..], mine.len(), h, stride);
        let queries = mine.start - span.start..mine.end - span.start;
        attention(*cpu, sequence, config.heads, queries, bias.as_ref(), softmax, to, &mut scratch.attention);
    }
    let context = Rows::new(&scratch.context, count, h, stride);
    if dense.is_int8() {
        scratch.quantized.quantize(*cpu, context, count, h);
    }
    dense.apply(context, &scratch.quantized, 0, count, RowsMut::new(x, count, h, stride), Epilogue::Add);
    let quantized = inner.is_int8().then(|| scratch.quantized_x.reserve(*cpu, count, h));
    layer_norm(*cpu, RowsMut::new(x, count, h, stride), attention_norm.borrow(), quantized);
}

/// `LayerNorm(outer(act(inner(x))) + x)` of some rows, block by block.
fn feed_forward(model: &Model, index: usize, count: usize, x: &mut [f32], scratch: &mut ThreadScratch) {
    let Model { cpu, config, layers, .. } = model;
    let Layer { inner, outer, output_norm, .. } = &layers[index];
    let (h, f, [stride, _]) = (config.hidden, config.feed_forward, strides(model));
    let f_stride = f.next_multiple_of(16);
    let block = (INNER_BYTES / (f_stride * 4).max(1)).next_multiple_of(8).max(16);
    scratch.inner.reserve(block.min(count) * f_stride);
    let activation = match epilogue(config.activation) {
        Epilogue::Gelu if outer.is_int8() => Epilogue::GeluCoarse,
        other => other,
    };
    for first in (0..count).step_by(block) {
        let rows = block.min(count - first);
        let from = Rows::new(&x[first * stride..], rows, h, stride);
        let middle = RowsMut::new(&mut scratch.inner, rows, f, f_stride);
        inner.apply(from, &scratch.quantized_x, first, rows, middle, activation);
        let middle = Rows::new(&scratch.inner, rows, f, f_stride);
        if outer.is_int8() {
            scratch.quantized.quantize(*cpu, middle, rows, f);
        }
        let to = RowsMut::new(&mut x[first * stride..], rows, h, stride);
        outer.apply(middle, &scratch.quantized, 0, rows, to, Epilogue::Add);
    }
    let next_is_int8 = layers.get(index + 1).is_some_and(|next| next.qkv.is_int8());
    let quantized = next_is_int8.then(|| scratch.quantized_x.reserve(*cpu, count, h));
    layer_norm(*cpu, RowsMut::new(x, count, h, stride), output_norm.borrow(), quantized);
}
