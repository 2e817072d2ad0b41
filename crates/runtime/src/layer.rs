//! Embeddings and layers, for some rows of a group of sequences.
//!
//! Everything but attention works row by row, and attention needs only the keys and values of its own sequence, so any
//! thread can compute any rows once [`project_qkv`] has been applied to the whole sequence.

use std::ops::Range;

use attar_kernels::{
    EmbeddingTable, Epilogue, QuantizedRowsMut, Rows, RowsMut, Softmax, attention, gather, layer_norm,
};

use crate::batch::Input;
use crate::model::{Layer, PackedModel, epilogue};
use crate::rows::{copy_rows, strides, whole_lines};
use crate::scratch::ThreadScratch;
use crate::trace::LayerBuffers;

/// Bytes of feed-forward activations that are computed at a time.
const INNER_BYTES: usize = 384 << 10;

/// Embeddings of some rows of a group.
pub(crate) fn embed(
    model: &PackedModel,
    group: Input<'_>,
    rows: Range<usize>,
    x: &mut [f32],
    scratch: &mut ThreadScratch,
) {
    let PackedModel { config, embeddings, .. } = model;
    let (count, h, [stride, _]) = (rows.len(), config.hidden, strides(model));
    let Some(projection) = &embeddings.projection else {
        let quantized = model.layers.first().and_then(|layer| scratch.quantized_x.reserve_for(&layer.qkv, count));
        return normalized_embeddings(model, group, rows, x, stride, &mut scratch.positions, quantized);
    };
    let e = config.embedding_width();
    let e_stride = whole_lines(e);
    scratch.context.reserve(count * e_stride);
    let quantized = scratch.quantized.reserve_for(projection, count);
    normalized_embeddings(model, group, rows, &mut scratch.context, e_stride, &mut scratch.positions, quantized);
    let narrow = Rows::new(&scratch.context, count, e, e_stride);
    let to = RowsMut::new(x, count, h, stride);
    projection.apply(narrow, &scratch.quantized, 0, count, to, Epilogue::Write);
    if let Some(layer) = model.layers.first() {
        scratch.quantized_x.quantize_for(&layer.qkv, Rows::new(x, count, h, stride), count);
    }
}

/// Sums of word, position and type embeddings of some rows of a group, normalized: `[rows, E]`.
fn normalized_embeddings(
    model: &PackedModel,
    group: Input<'_>,
    rows: Range<usize>,
    x: &mut [f32],
    stride: usize,
    indices: &mut Vec<u32>,
    quantized: Option<QuantizedRowsMut<'_>>,
) {
    let PackedModel { cpu, config, embeddings, .. } = model;
    let (count, e) = (rows.len(), config.embedding_width());
    gather(*cpu, embeddings.words(), &group.ids()[rows.clone()], RowsMut::new(x, count, e, stride), false);
    indices.clear();
    for span in group.spans() {
        let from = rows.start.max(span.start)..rows.end.min(span.end);
        indices.extend(from.map(|row| (row - span.start + config.position_offset()) as u32));
    }
    let positions = EmbeddingTable::F32(&embeddings.positions);
    gather(*cpu, positions, indices, RowsMut::new(x, count, e, stride), true);
    if !embeddings.types.is_empty() {
        let types = if group.types().is_empty() {
            indices.clear();
            indices.resize(count, 0);
            indices
        } else {
            &group.types()[rows]
        };
        gather(*cpu, EmbeddingTable::F32(&embeddings.types), types, RowsMut::new(x, count, e, stride), true);
    }
    layer_norm(*cpu, RowsMut::new(x, count, e, stride), embeddings.norm.borrow(), quantized);
}

/// Queries, keys and values of some rows.
pub(crate) fn project_qkv(
    model: &PackedModel,
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
    model: &PackedModel,
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
    if let Some(to) = trace.as_mut().and_then(|trace| trace.feed_forward_input.as_deref_mut()) {
        copy_rows(x, strides(model)[0], to, model.config.hidden);
    }
    let activations = trace.as_mut().and_then(|trace| trace.activations.as_deref_mut());
    feed_forward(model, index, count, x, scratch, activations);
    if let Some(to) = trace.and_then(|trace| trace.hidden.as_deref_mut()) {
        copy_rows(x, strides(model)[0], to, model.config.hidden);
    }
}

/// `LayerNorm(dense(attention) + x)` of some rows.
fn attend(
    model: &PackedModel,
    index: usize,
    group: Input<'_>,
    rows: Range<usize>,
    qkv: &[f32],
    x: &mut [f32],
    scratch: &mut ThreadScratch,
) {
    let PackedModel { cpu, config, bias, layers, .. } = model;
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
    scratch.quantized.quantize_for(dense, context, count);
    dense.apply(context, &scratch.quantized, 0, count, RowsMut::new(x, count, h, stride), Epilogue::Add);
    let quantized = scratch.quantized_x.reserve_for(inner, count);
    layer_norm(*cpu, RowsMut::new(x, count, h, stride), attention_norm.borrow(), quantized);
}

/// `LayerNorm(outer(act(inner(x))) + x)` of some rows, block by block; `act(inner(x))` is written for a trace too.
fn feed_forward(
    model: &PackedModel,
    index: usize,
    count: usize,
    x: &mut [f32],
    scratch: &mut ThreadScratch,
    mut activations: Option<&mut [f32]>,
) {
    let PackedModel { cpu, config, layers, .. } = model;
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
        if let Some(to) = &mut activations {
            copy_rows(&scratch.inner, f_stride, &mut to[first * f..][..rows * f], f);
        }
        let middle = Rows::new(&scratch.inner, rows, f, f_stride);
        scratch.quantized.quantize_for(outer, middle, rows);
        let to = RowsMut::new(&mut x[first * stride..], rows, h, stride);
        outer.apply(middle, &scratch.quantized, 0, rows, to, Epilogue::Add);
    }
    let quantized = layers.get(index + 1).and_then(|next| scratch.quantized_x.reserve_for(&next.qkv, count));
    layer_norm(*cpu, RowsMut::new(x, count, h, stride), output_norm.borrow(), quantized);
}
