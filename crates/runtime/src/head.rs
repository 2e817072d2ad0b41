//! From hidden states to the requested output.

use attar_kernels::{Buffer, Epilogue, Rows, RowsMut, layer_norm, mean};

use crate::batch::Input;
use crate::model::{MaskedLm, PackedHead, PackedModel, epilogue};
use crate::output::Output;
use crate::pooling::pool;
use crate::rows::{copy_rows, strides, whole_lines};
use crate::scratch::ThreadScratch;
use crate::trace::TraceBuffers;

/// States of the first tokens, `[B, H]`.
fn first_rows<'a>(model: &PackedModel, group: Input<'_>, x: &[f32], buffer: &'a mut Buffer<f32>) -> &'a [f32] {
    let (h, [stride, _]) = (model.config.hidden, strides(model));
    buffer.reserve(group.sequences() * h);
    for (to, span) in buffer.chunks_exact_mut(h).zip(group.spans()) {
        to.copy_from_slice(&x[span.start * stride..][..h]);
    }
    &buffer[..group.sequences() * h]
}

/// Computes an output from the last hidden states, which are overwritten.
pub(crate) fn apply_head(
    model: &PackedModel,
    group: Input<'_>,
    output: Output,
    x: &mut [f32],
    scratch: &mut ThreadScratch,
    out: &mut [f32],
    width: usize,
) {
    let (h, [stride, _], tokens) = (model.config.hidden, strides(model), group.tokens());
    match (output, &model.head) {
        (Output::Hidden, _) | (Output::Logits, PackedHead::None | PackedHead::Cosine { .. }) => {
            copy_rows(x, stride, out, h)
        }
        (Output::Vectors(pooling), _) => pool(pooling, 0, group, x, stride, out),
        (Output::VectorsAfter(pooling, skipped), _) => pool(pooling, skipped, group, x, stride, out),
        (Output::Logits, PackedHead::Classification(classifier)) => {
            // A configuration whose classifier has no pooler is refused when it is read.
            let pooled = pooled(model, group, x, scratch).expect("a classifier has a pooler");
            classifier.apply(of_sequences(pooled, model), dense(out, width), Epilogue::Write);
        }
        (Output::Logits, PackedHead::Mean(classifier)) => {
            let sequences = group.sequences();
            scratch.context.reserve(sequences * h);
            for (to, span) in scratch.context.chunks_exact_mut(h).zip(group.spans()) {
                mean(Rows::new(&x[span.start * stride..], span.len(), h, stride), to);
            }
            classifier.apply(Rows::new(&scratch.context, sequences, h, h), dense(out, width), Epilogue::Write);
        }
        (Output::Logits, PackedHead::Tokens(classifier)) => {
            classifier.apply(Rows::new(x, tokens, h, stride), dense(out, width), Epilogue::Write);
        }
        (Output::Logits, PackedHead::MaskedLm(head)) => {
            let MaskedLm { transform, norm, decoder, .. } = &**head;
            // The decoder is the word embedding table, so what it reads is as wide.
            let e = model.config.embedding_width();
            let e_stride = whole_lines(e);
            scratch.context.reserve(tokens * e_stride);
            let to = RowsMut::new(&mut scratch.context, tokens, e, e_stride);
            transform.apply(Rows::new(x, tokens, h, stride), to, epilogue(model.config.masked_lm_activation()));
            layer_norm(model.cpu, RowsMut::new(&mut scratch.context, tokens, e, e_stride), norm.borrow(), None);
            decoder.apply(Rows::new(&scratch.context, tokens, e, e_stride), dense(out, width), Epilogue::Write);
        }
    }
}

/// The parts of a trace that depend on the pooler: its output, and the next-sentence logits.
pub(crate) fn pooler_outputs(
    model: &PackedModel,
    group: Input<'_>,
    x: &[f32],
    scratch: &mut ThreadScratch,
    to: &mut TraceBuffers<'_>,
) {
    if to.pooled.is_none() && to.next_sentence.is_none() {
        return;
    }
    let Some(pooled) = pooled(model, group, x, scratch) else { return };
    if let Some(to) = &mut to.pooled {
        to.copy_from_slice(pooled);
    }
    if let (Some(to), PackedHead::MaskedLm(head)) = (&mut to.next_sentence, &model.head)
        && let Some(next) = &head.next_sentence
    {
        next.apply(of_sequences(pooled, model), dense(to, 2), Epilogue::Write);
    }
}

/// The output of the pooler, `[B, H]`; `None` without a pooler.
fn pooled<'a>(model: &PackedModel, group: Input<'_>, x: &[f32], scratch: &'a mut ThreadScratch) -> Option<&'a [f32]> {
    let pooler = model.pooler.as_ref()?;
    let (h, sequences) = (model.config.hidden, group.sequences());
    let firsts = Rows::new(first_rows(model, group, x, &mut scratch.context), sequences, h, h);
    scratch.inner.reserve(sequences * h);
    let pooled = &mut scratch.inner[..sequences * h];
    pooler.apply(firsts, dense(pooled, h), model.pooler_epilogue());
    Some(pooled)
}

fn of_sequences<'a>(pooled: &'a [f32], model: &PackedModel) -> Rows<'a, f32> {
    let h = model.config.hidden;
    Rows::new(pooled, pooled.len() / h, h, h)
}

/// A matrix without gaps between rows.
fn dense(data: &mut [f32], columns: usize) -> RowsMut<'_, f32> {
    let rows = data.len() / columns;
    RowsMut::new(data, rows, columns, columns)
}
