//! Traces, what a student learns from its teacher, written into memory of the caller.

use attar_kernels::{AttentionScratch, Rows, attention_scores, relations};
use attar_model::EncoderConfig;

use crate::batch::Input;
use crate::model::PackedModel;
use crate::rows::{copy_rows, strides, take_front};

/// Where the parts of a trace are written; parts without a buffer are not computed, unless the pass needs them.
#[derive(Debug, Default)]
pub struct TraceBuffers<'a> {
    /// Embeddings after their normalization, hidden state 0: `[N, H]`.
    pub embeddings: Option<&'a mut [f32]>,
    /// Of each layer, from the first on; layers beyond the end of the list are not traced.
    pub layers: Vec<LayerBuffers<'a>>,
    /// Output of the pooler, `[B, H]`; not written by a model without one.
    pub pooled: Option<&'a mut [f32]>,
    /// Logits of the head, `[B, K]` or `[N, K]`.
    pub logits: Option<&'a mut [f32]>,
    /// Logits of the next-sentence head, `[B, 2]`: that the second text follows the first, and that it does not. Not
    /// written by a model without one.
    pub next_sentence: Option<&'a mut [f32]>,
}

/// Where the parts of one layer are written.
#[derive(Debug, Default)]
pub struct LayerBuffers<'a> {
    /// Output of the layer, `[N, H]`.
    pub hidden: Option<&'a mut [f32]>,
    /// Queries, keys and values side by side, `[N, 3H]`.
    pub qkv: Option<&'a mut [f32]>,
    /// What the feed-forward block reads, the normalized output of the attention block: `[N, H]`.
    pub feed_forward_input: Option<&'a mut [f32]>,
    /// Activations of the feed-forward block, `[N, F]`.
    pub activations: Option<&'a mut [f32]>,
    /// Attention scores before the softmax, MPNet's bias included, `[P]`: sequences, heads, queries, keys; `P = A Σ n_b²`.
    pub scores: Option<&'a mut [f32]>,
    /// Relations of queries, of keys and of values (Wang et al. 2021) before their softmax.
    pub relations: Option<RelationBuffers<'a>>,
}

/// Where relations are written.
#[derive(Debug)]
pub struct RelationBuffers<'a> {
    /// R, the number of relation heads; divides H.
    pub heads: usize,
    /// `Q Qᵀ / √D`, `K Kᵀ / √D` and `V Vᵀ / √D` with `D = H / R`, each `[R Σ n_b²]`: sequences, heads, rows, columns.
    pub parts: [&'a mut [f32]; 3],
}

fn front<'a>(buffer: &mut Option<&'a mut [f32]>, count: usize) -> Option<&'a mut [f32]> {
    buffer.as_mut().map(|buffer| take_front(buffer, count))
}

impl<'a> TraceBuffers<'a> {
    #[track_caller]
    pub(crate) fn check(&self, config: &EncoderConfig, outputs: usize, input: Input<'_>) {
        let (n, h) = (input.tokens(), config.hidden);
        let expect = |name: &str, buffer: &Option<&mut [f32]>, length: usize| {
            let got = buffer.as_ref().map_or(length, |buffer| buffer.len());
            assert_eq!(got, length, "elements of the buffer for {name}");
        };
        expect("embeddings", &self.embeddings, n * h);
        expect("pooled vectors", &self.pooled, input.sequences() * h);
        let rows = if config.head.is_by_token() { n } else { input.sequences() };
        expect("logits", &self.logits, rows * outputs);
        expect("next-sentence logits", &self.next_sentence, input.sequences() * 2);
        for layer in &self.layers {
            expect("hidden states", &layer.hidden, n * h);
            expect("queries, keys and values", &layer.qkv, n * 3 * h);
            expect("inputs of feed-forward blocks", &layer.feed_forward_input, n * h);
            expect("activations", &layer.activations, n * config.feed_forward);
            expect("scores", &layer.scores, config.heads * input.pairs());
            if let Some(RelationBuffers { heads, parts }) = &layer.relations {
                assert!(*heads > 0 && h.is_multiple_of(*heads), "{heads} relation heads of {h} columns");
                for part in parts {
                    assert_eq!(part.len(), heads * input.pairs(), "elements of the buffer for relations");
                }
            }
        }
    }

    /// The buffers of the first sequences, and of the others.
    pub(crate) fn split(mut self, model: &PackedModel, first: Input<'_>) -> (TraceBuffers<'a>, TraceBuffers<'a>) {
        let config = &model.config;
        let (n, h, sequences) = (first.tokens(), config.hidden, first.sequences());
        let outputs = if config.head.has_masked_lm() { config.vocabulary } else { config.outputs() };
        let rows = if config.head.is_by_token() { n } else { sequences };
        let layers = self.layers.iter_mut().map(|layer| LayerBuffers {
            hidden: front(&mut layer.hidden, n * h),
            qkv: front(&mut layer.qkv, n * 3 * h),
            feed_forward_input: front(&mut layer.feed_forward_input, n * h),
            activations: front(&mut layer.activations, n * config.feed_forward),
            scores: front(&mut layer.scores, config.heads * first.pairs()),
            relations: layer.relations.as_mut().map(|relations| RelationBuffers {
                heads: relations.heads,
                parts: relations.parts.each_mut().map(|part| take_front(part, relations.heads * first.pairs())),
            }),
        });
        let taken = TraceBuffers {
            layers: layers.collect(),
            embeddings: front(&mut self.embeddings, n * h),
            pooled: front(&mut self.pooled, sequences * h),
            logits: front(&mut self.logits, rows * outputs),
            next_sentence: front(&mut self.next_sentence, sequences * 2),
        };
        (taken, self)
    }
}

impl LayerBuffers<'_> {
    /// Writes queries, keys and values, and what is computed from them.
    pub(crate) fn fill_attention(
        &mut self,
        model: &PackedModel,
        group: Input<'_>,
        qkv: &[f32],
        scratch: &mut AttentionScratch,
    ) {
        let PackedModel { cpu, config, bias, .. } = model;
        let (cpu, h, [_, stride]) = (*cpu, config.hidden, strides(model));
        if let Some(to) = &mut self.qkv {
            copy_rows(qkv, stride, to, 3 * h);
        }
        let mut pairs = 0;
        for span in group.spans() {
            let (n, square) = (span.len(), span.len() * span.len());
            let rows = Rows::new(&qkv[span.start * stride..], n, 3 * h, stride);
            if let Some(to) = &mut self.scores {
                let to = &mut to[config.heads * pairs..][..config.heads * square];
                attention_scores(cpu, rows, config.heads, bias.as_ref(), to, scratch);
            }
            if let Some(RelationBuffers { heads, parts }) = &mut self.relations {
                for (part, to) in parts.iter_mut().enumerate() {
                    let x = rows.columns(part * h, h);
                    relations(cpu, x, x, *heads, &mut to[*heads * pairs..][..*heads * square], scratch);
                }
            }
            pairs += square;
        }
    }
}
