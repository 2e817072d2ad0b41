//! The differentiable encoder: embeddings, layers, pooler and heads of BERT, DistilBERT, RoBERTa, MPNet and ELECTRA, with
//! a trace of what objectives compare.
//!
//! B sequences, N token rows, H hidden, E embedding, A heads, F feed-forward, V vocabulary, L layers, K labels.

use attar_model::{
    Activation, ClassifierInput, EMBEDDING_PROJECTION, EncoderConfig, Family, Head, PoolerActivation, RELATIVE_BIAS,
    RELATIVE_BUCKETS,
};
use burn::tensor::{Tensor, module};

use super::dropout::{Dropout, Site};
use super::fused::GradientAccumulator;
use super::input::{Guesses, Input};
use super::layer_weights::{Linear, Norm};
use super::operations::{Implementation, Scores, activation, apply_dropout, layer_norm, linear};
use super::parameters::{Cursor, Slot, Values};
use super::pooling::{mean_pool, normalize};
use super::relative_bias::RelativeBias;

/// What a forward pass leaves for the objectives.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Embeddings after LayerNorm, dropout and, where they are factorized, the map to the hidden width, `[N, H]`: hidden
    /// state 0.
    pub embeddings: Tensor<2>,
    /// Of every layer, or of the last one alone if layers were not asked for.
    pub layers: Vec<LayerTrace>,
    /// Output of the pooler, `[B, H]`, where the model has one.
    pub pooled: Option<Tensor<2>>,
    /// The vector of each sequence that a classifier reads, before its dropout `[B, H]`.
    pub sentences: Option<Tensor<2>>,
    /// Of the head: classes or a score `[B, K]`, tags `[N, K]` or masked-token logits `[N, V]`; of the latter two `[M, K]` and
    /// `[M, V]` where [`Input::guessing`] names M rows.
    pub logits: Option<Tensor<2>>,
    /// Next-sentence logits `[B, 2]` of a pre-training head.
    pub sequence_logits: Option<Tensor<2>>,
}

impl Trace {
    /// Hidden state `index`: 0 is the embedding output, `l` the output of layer `l`. `[N, H]`
    ///
    /// # Panics
    /// If the pass did not keep that layer.
    #[track_caller]
    pub fn hidden(&self, index: usize) -> &Tensor<2> {
        match index {
            0 => &self.embeddings,
            layer => &self.layers[layer - 1].hidden,
        }
    }

    /// Output of the last layer, or of the embeddings if there is none. `[N, H]`
    pub fn last(&self) -> &Tensor<2> {
        self.layers.last().map_or(&self.embeddings, |layer| &layer.hidden)
    }
}

/// What a layer leaves for the objectives.
#[derive(Debug, Clone)]
pub struct LayerTrace {
    /// Queries, keys and values side by side, `[N, 3H]`.
    pub qkv: Tensor<2>,
    /// Attention scores before mask and softmax, MPNet's bias included.
    pub scores: Scores,
    /// Output of the layer, `[N, H]`.
    pub hidden: Tensor<2>,
}

/// How much of a pass stays in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The last layer and the head's output.
    Output,
    /// Every layer.
    Layers,
}

/// An encoder: a configuration and the forward pass that it means.
#[derive(Debug, Clone)]
pub struct Encoder {
    config: EncoderConfig,
    /// How the operations are computed, if not in the fastest way.
    implementation: Option<Implementation>,
    /// The second of two vocabularies, if its embeddings are narrow.
    lift: Option<Lift>,
}

/// Embeddings of a second vocabulary that are narrower than the first one's and lifted to their width by an affine map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lift {
    /// Pieces of the first vocabulary.
    pub first: usize,
    /// Width of the second one's.
    pub width: usize,
}

impl Lift {
    /// The narrow embeddings, `[V', h]`.
    pub const TABLE: &str = "embeddings.narrow.weight";
    /// The affine map from `h` to `E`.
    pub const MAP: [&str; 2] = ["embeddings.lift.weight", "embeddings.lift.bias"];
}

impl Encoder {
    /// The encoder of a configuration.
    pub fn new(config: EncoderConfig) -> Encoder {
        Encoder { config, implementation: None, lift: None }
    }

    /// With narrow embeddings of the pieces of a second vocabulary, if there are such.
    #[must_use]
    pub fn with_lift(self, lift: Option<Lift>) -> Encoder {
        Encoder { lift, ..self }
    }

    /// With operations composed of tensor operations on every device: slow on the CPU, and the reference for the
    /// fused ones.
    #[must_use]
    pub fn composed(self) -> Encoder {
        Encoder { implementation: Some(Implementation::Composed), ..self }
    }

    /// The configuration.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// The parameters in the order in which [`Encoder::forward`] reads them.
    pub fn slots(&self) -> Vec<Slot> {
        let c = &self.config;
        let e = c.embedding_width();
        let words = "embeddings.word_embeddings.weight";
        let mut slots = match self.lift {
            Some(Lift { first, width }) => vec![
                Slot::table(words, first, e),
                Slot::table(Lift::TABLE, c.vocabulary - first, width),
                Slot::linear(Lift::MAP[0], width, e),
                Slot::vector(Lift::MAP[1], e),
            ],
            // The decoder of a masked-language-model head reads the whole table.
            None if c.head.has_masked_lm() => vec![Slot::table(words, c.vocabulary, e)],
            None => vec![Slot::lookup(words, c.vocabulary, e)],
        };
        slots.push(Slot::table("embeddings.position_embeddings.weight", c.positions, e));
        if c.types > 0 {
            slots.push(Slot::table("embeddings.token_type_embeddings.weight", c.types, e));
        }
        slots.extend(norm_slots("embeddings.LayerNorm", e));
        if c.embedding.is_some() {
            slots.extend(linear_slots(EMBEDDING_PROJECTION, e, c.hidden));
        }
        if c.family.has_relative_bias() {
            slots.push(Slot::table(RELATIVE_BIAS, RELATIVE_BUCKETS, c.heads));
        }
        for layer in 0..c.layers {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            let thirds =
                |suffix: &str| ["query", "key", "value"].map(|p| name(&format!("attention.self.{p}.{suffix}")));
            let square = Slot::linear("", c.hidden, c.hidden);
            slots.push(Slot::joined(name("attention.self.qkv.weight"), thirds("weight").into(), square));
            let vector = Slot::vector("", c.hidden);
            slots.push(Slot::joined(name("attention.self.qkv.bias"), thirds("bias").into(), vector));
            slots.extend(linear_slots(&name("attention.output.dense"), c.hidden, c.hidden));
            slots.extend(norm_slots(&name("attention.output.LayerNorm"), c.hidden));
            slots.extend(linear_slots(&name("intermediate.dense"), c.hidden, c.feed_forward));
            slots.extend(linear_slots(&name("output.dense"), c.feed_forward, c.hidden));
            slots.extend(norm_slots(&name("output.LayerNorm"), c.hidden));
        }
        if c.pooler {
            slots.extend(linear_slots("pooler.dense", c.hidden, c.hidden));
        }
        match &c.head {
            Head::None => {}
            Head::Classification { .. } | Head::TokenClassification { .. } | Head::QuestionAnswering => {
                slots.extend(linear_slots("classifier", c.classifier_width(), c.outputs()));
            }
            Head::MaskedLm | Head::Pretraining => {
                slots.extend(linear_slots("cls.predictions.transform.dense", c.hidden, e));
                slots.extend(norm_slots("cls.predictions.transform.LayerNorm", e));
                slots.push(Slot::vector("cls.predictions.bias", c.vocabulary));
                if c.head == Head::Pretraining {
                    slots.extend(linear_slots("cls.seq_relationship", c.hidden, 2));
                }
            }
        }
        slots
    }

    /// One forward pass over a batch. Without `dropout` the encoder is in evaluation mode.
    pub fn forward(&self, all: &Values, input: &Input, keep: Keep, dropout: Option<Dropout<'_>>) -> Trace {
        let c = &self.config;
        let mut values = all.cursor();
        let site = |index: usize, probability: f64| dropout.map(|d| d.site(index as u64, probability));

        let lifted = self.lift.map(|_| self.lifted_table(&mut values));
        let words = match &lifted {
            Some(table) => table.clone().select(0, input.ids.clone()),
            None => values.look_up(&input.ids),
        };
        let mut x = words + values.look_up(&input.positions);
        if c.types > 0 {
            x = x + values.look_up(&input.types);
        }
        let normalized = apply_dropout(layer_norm(x, &self.norm(&mut values)), site(0, c.hidden_dropout));
        let embeddings = if c.embedding.is_some() { linear(normalized, &self.linear(&mut values)) } else { normalized };

        let operations = self.implementation.unwrap_or_else(|| Implementation::of(&embeddings));
        let bias = c.family.has_relative_bias();
        let bias = bias.then(|| RelativeBias::new(values.matrix(), &input.geometry, operations));

        let mut x = embeddings.clone();
        let mut layers = Vec::with_capacity(c.layers);
        for layer in 0..c.layers {
            let first = 1 + 3 * layer;
            let attention = site(first, c.attention_dropout);
            let hidden = [first + 1, first + 2].map(|index| site(index, c.hidden_dropout));
            let trace =
                self.layer(x, &mut values, input, (operations, bias.as_ref()), [attention, hidden[0], hidden[1]]);
            x = trace.hidden.clone();
            if keep == Keep::Output {
                layers.clear();
            }
            layers.push(trace);
        }

        let mut trace =
            Trace { embeddings, layers, pooled: None, sentences: None, logits: None, sequence_logits: None };
        let head_sites = [0, 1].map(|i| site(1 + 3 * c.layers + i, c.classifier_dropout_rate()));
        // Of a masked language model whole: it decodes as it reads.
        let table = || lifted.clone().unwrap_or_else(|| all.cursor().matrix());
        self.heads(&mut trace, &x, &table, &mut values, input, head_sites);
        trace
    }

    /// The embeddings of all pieces of two vocabularies, `[V + V', E]`.
    fn lifted_table(&self, values: &mut Cursor<'_>) -> Tensor<2> {
        let (first, narrow) = (values.matrix(), values.matrix());
        let map = self.linear(values);
        Tensor::cat(vec![first, linear(narrow, &map)], 0)
    }

    fn layer(
        &self,
        x: Tensor<2>,
        values: &mut Cursor<'_>,
        input: &Input,
        (operations, bias): (Implementation, Option<&RelativeBias>),
        [attention, after_attention, after_feed_forward]: [Option<Site<'_>>; 3],
    ) -> LayerTrace {
        let c = &self.config;
        let geometry = &input.geometry;
        let accumulator = GradientAccumulator::default();
        let qkv = operations.linear(x.clone(), &self.linear(values), &accumulator);
        let scores = operations.attention_scores(&qkv, c.heads, geometry, bias);
        let context = operations.attention_context(&qkv, &scores, c.heads, geometry, attention);
        let (layer, norm) = (self.linear(values), self.norm(values));
        let x = operations.linear_residual_norm(context, &layer, x, &norm, after_attention, &accumulator);
        let (inner, outer, norm) = (self.linear(values), self.linear(values), self.norm(values));
        let hidden = operations.feed_forward(x, [&inner, &outer], c.activation, &norm, after_feed_forward);
        LayerTrace { qkv, scores, hidden }
    }

    fn heads(
        &self,
        trace: &mut Trace,
        last: &Tensor<2>,
        table: &dyn Fn() -> Tensor<2>,
        values: &mut Cursor<'_>,
        input: &Input,
        [before, after]: [Option<Site<'_>>; 2],
    ) {
        let c = &self.config;
        if c.pooler {
            let first = input.geometry.first_rows(last);
            // The classifiers of RoBERTa, MPNet and ELECTRA drop their input too; the others drop the pooled vector alone.
            let drops = matches!(c.family, Family::Roberta | Family::MpNet | Family::Electra);
            let first = if drops { apply_dropout(first, before) } else { first };
            let dense = linear(first, &self.linear(values));
            trace.pooled = Some(match c.pooler_activation() {
                PoolerActivation::Tanh => dense.tanh(),
                PoolerActivation::Relu => burn::tensor::activation::relu(dense),
                PoolerActivation::Gelu => activation(dense, Activation::Gelu),
            });
        }
        match &c.head {
            Head::None => {}
            Head::Classification { .. } => {
                let sentences = match c.classifier_input {
                    // A config whose classifier over the first token has no pooler is refused when it is read.
                    ClassifierInput::FirstToken => trace.pooled.clone().expect("a classifier has a pooler"),
                    ClassifierInput::Mean | ClassifierInput::Cosine => mean_pool(last, &input.geometry),
                };
                let read = match c.classifier_input {
                    ClassifierInput::FirstToken | ClassifierInput::Mean => apply_dropout(sentences.clone(), after),
                    ClassifierInput::Cosine => pair_cosine(sentences.clone()),
                };
                trace.logits = Some(linear(read, &self.linear(values)));
                trace.sentences = Some(sentences);
            }
            Head::TokenClassification { .. } | Head::QuestionAnswering => {
                let read = match &input.guesses {
                    Guesses::Rows(rows) => last.clone().select(0, rows.as_ref().clone()),
                    Guesses::All | Guesses::None => last.clone(),
                };
                trace.logits = Some(linear(apply_dropout(read, after), &self.linear(values)));
            }
            Head::MaskedLm | Head::Pretraining => {
                let read = match &input.guesses {
                    Guesses::All => Some(last.clone()),
                    Guesses::Rows(rows) => Some(last.clone().select(0, rows.as_ref().clone())),
                    Guesses::None => None,
                };
                let (dense, norm, bias) = (self.linear(values), self.norm(values), values.vector());
                trace.logits = read.map(|read| {
                    let transformed = activation(linear(read, &dense), c.masked_lm_activation());
                    let transformed = layer_norm(transformed, &norm);
                    module::linear(transformed, table().transpose(), Some(bias))
                });
                if c.head == Head::Pretraining {
                    let pooled = trace.pooled.clone().expect("a pre-training head has a pooler");
                    trace.sequence_logits = Some(linear(pooled, &self.linear(values)));
                }
            }
        }
    }

    fn linear(&self, values: &mut Cursor<'_>) -> Linear {
        Linear { weight: values.matrix(), bias: values.vector() }
    }

    fn norm(&self, values: &mut Cursor<'_>) -> Norm {
        Norm { gain: values.vector(), bias: values.vector(), epsilon: self.config.layer_norm_eps }
    }
}

/// Cosines of neighboring rows, `[2B, H]` to `[B, 1]`.
pub(crate) fn pair_cosine(vectors: Tensor<2>) -> Tensor<2> {
    let [sequences, hidden] = vectors.dims();
    let pairs = normalize(vectors).reshape([sequences / 2, 2 * hidden]);
    let [one, other] = [0, hidden].map(|first| pairs.clone().narrow(1, first, hidden));
    (one * other).sum_dim(1)
}

fn linear_slots(name: &str, inputs: usize, outputs: usize) -> [Slot; 2] {
    [Slot::linear(format!("{name}.weight"), inputs, outputs), Slot::vector(format!("{name}.bias"), outputs)]
}

fn norm_slots(name: &str, width: usize) -> [Slot; 2] {
    [Slot::vector(format!("{name}.weight"), width), Slot::vector(format!("{name}.bias"), width)]
}
