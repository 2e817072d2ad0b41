//! The weights of a bundle, packed for this processor and shared by all threads.

use attar_kernels::{Cpu, EmbeddingTable, Epilogue, PackedMatrix, RelativeBias};
use attar_model::{
    Activation, Bundle, ClassifierInput, EMBEDDING_PROJECTION, EncoderConfig, Head, PoolerActivation, RELATIVE_BIAS,
    bias_by_distance,
};

use crate::layer_norm::LayerNormWeights;
use crate::linear::PackedLinear;
use crate::precision::Precision;
use crate::weight_source::WeightSource;
use crate::word_embeddings::WordEmbeddings;

/// An encoder with packed weights.
#[derive(Debug)]
pub(crate) struct PackedModel {
    pub(crate) cpu: Cpu,
    pub(crate) config: EncoderConfig,
    pub(crate) embeddings: Embeddings,
    /// Added to the attention scores of all layers, in MPNet.
    pub(crate) bias: Option<RelativeBias>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) pooler: Option<PackedMatrix>,
    pub(crate) head: PackedHead,
}

#[derive(Debug)]
pub(crate) struct Embeddings {
    words: WordEmbeddings,
    pub(crate) positions: Vec<f32>,
    pub(crate) types: Vec<f32>,
    pub(crate) norm: LayerNormWeights,
    /// From factorized embeddings, after their normalization, to the hidden width.
    pub(crate) projection: Option<PackedLinear>,
}

#[derive(Debug)]
pub(crate) struct Layer {
    /// Queries, keys and values side by side.
    pub(crate) qkv: PackedLinear,
    pub(crate) attention: PackedLinear,
    pub(crate) attention_norm: LayerNormWeights,
    pub(crate) inner: PackedLinear,
    pub(crate) outer: PackedLinear,
    pub(crate) output_norm: LayerNormWeights,
}

#[derive(Debug)]
pub(crate) enum PackedHead {
    None,
    /// `classifier(act(pooler(h_0)))`
    Classification(PackedMatrix),
    /// `classifier(mean of h_t)`
    Mean(PackedMatrix),
    /// `scale · cos(mean of one text, mean of the other) + offset`: it takes two sequences, so a session computes it.
    Cosine {
        scale: f32,
        offset: f32,
    },
    /// `classifier(h_t)`
    Tokens(PackedMatrix),
    MaskedLm(Box<MaskedLm>),
}

/// `decoder(LayerNorm(act(transform(h_t))))`
#[derive(Debug)]
pub(crate) struct MaskedLm {
    pub(crate) transform: PackedMatrix,
    pub(crate) norm: LayerNormWeights,
    pub(crate) decoder: PackedMatrix,
    /// `next(act(pooler(h_0)))` of a pre-training head.
    pub(crate) next_sentence: Option<PackedMatrix>,
}

impl Embeddings {
    pub(crate) fn words(&self) -> EmbeddingTable<'_> {
        self.words.table()
    }
}

/// The kernels' name of an activation function.
pub(crate) fn epilogue(activation: Activation) -> Epilogue {
    match activation {
        Activation::Gelu => Epilogue::Gelu,
        Activation::GeluNew => Epilogue::GeluTanh,
        Activation::Relu => Epilogue::Relu,
    }
}

impl PackedModel {
    /// Packs a bundle, given its word embeddings.
    pub(crate) fn new(cpu: Cpu, bundle: &Bundle, precision: Precision, words: WordEmbeddings) -> PackedModel {
        let config = &bundle.config;
        let source = WeightSource::new(cpu, bundle, precision);
        let (h, e) = (config.hidden, config.embedding_width());
        let layer = |index: usize| {
            let name = |part: &str| format!("encoder.layer.{index}.{part}");
            let projections = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
            Layer {
                qkv: source.linear(&projections, h, h),
                attention: source.linear(&[name("attention.output.dense")], h, h),
                attention_norm: source.norm(&name("attention.output.LayerNorm")),
                inner: source.linear(&[name("intermediate.dense")], h, config.feed_forward),
                outer: source.linear(&[name("output.dense")], config.feed_forward, h),
                output_norm: source.norm(&name("output.LayerNorm")),
            }
        };
        let layers = (0..config.layers).map(layer).collect();
        let pooler = config.pooler.then(|| source.matrix("pooler.dense", h, h));
        let head = match &config.head {
            Head::None => PackedHead::None,
            Head::Classification { .. } => match config.classifier_input {
                ClassifierInput::FirstToken => {
                    PackedHead::Classification(source.matrix("classifier", h, config.outputs()))
                }
                ClassifierInput::Mean => PackedHead::Mean(source.matrix("classifier", h, config.outputs())),
                ClassifierInput::Cosine => PackedHead::Cosine {
                    scale: source.numbers("classifier.weight")[0],
                    offset: source.numbers("classifier.bias")[0],
                },
            },
            Head::TokenClassification { .. } | Head::QuestionAnswering => {
                PackedHead::Tokens(source.matrix("classifier", h, config.outputs()))
            }
            Head::MaskedLm | Head::Pretraining => PackedHead::MaskedLm(Box::new(MaskedLm {
                transform: source.matrix("cls.predictions.transform.dense", h, e),
                norm: source.norm("cls.predictions.transform.LayerNorm"),
                decoder: PackedMatrix::new(
                    cpu,
                    &words.numbers(),
                    &source.numbers("cls.predictions.bias"),
                    e,
                    config.vocabulary,
                ),
                next_sentence: (config.head == Head::Pretraining).then(|| source.matrix("cls.seq_relationship", h, 2)),
            })),
        };
        let embeddings = Embeddings {
            words,
            positions: source.numbers("embeddings.position_embeddings.weight").into_owned(),
            types: if config.family.has_token_types() {
                source.numbers("embeddings.token_type_embeddings.weight").into_owned()
            } else {
                Vec::new()
            },
            norm: source.norm("embeddings.LayerNorm"),
            projection: config.embedding.map(|e| source.linear(&[EMBEDDING_PROJECTION.to_owned()], e, h)),
        };
        let bias = config.family.has_relative_bias().then(|| {
            let (heads, longest) = (config.heads, config.usable_positions());
            RelativeBias::new(&bias_by_distance(&source.numbers(RELATIVE_BIAS), heads, longest), heads, longest)
        });
        PackedModel { cpu, embeddings, bias, layers, pooler, head, config: config.clone() }
    }

    /// Bytes of the weights in memory.
    pub(crate) fn bytes(&self) -> usize {
        let tables = (self.embeddings.positions.len() + self.embeddings.types.len()) * 4;
        let projection = self.embeddings.projection.as_ref().map_or(0, PackedLinear::bytes);
        let layers: usize = self
            .layers
            .iter()
            .map(|layer| {
                [&layer.qkv, &layer.attention, &layer.inner, &layer.outer]
                    .map(PackedLinear::bytes)
                    .iter()
                    .sum::<usize>()
            })
            .sum();
        let head = match &self.head {
            PackedHead::None => 0,
            PackedHead::Cosine { .. } => 8,
            PackedHead::Classification(matrix) | PackedHead::Mean(matrix) | PackedHead::Tokens(matrix) => {
                matrix.bytes()
            }
            PackedHead::MaskedLm(head) => {
                let next = head.next_sentence.as_ref().map_or(0, PackedMatrix::bytes);
                head.transform.bytes() + head.decoder.bytes() + next
            }
        };
        let bias = self.bias.as_ref().map_or(0, RelativeBias::bytes);
        self.embeddings.words.bytes()
            + tables
            + projection
            + bias
            + layers
            + head
            + self.pooler.as_ref().map_or(0, PackedMatrix::bytes)
    }

    pub(crate) fn pooler_epilogue(&self) -> Epilogue {
        match self.config.pooler_activation() {
            PoolerActivation::Tanh => Epilogue::Tanh,
            PoolerActivation::Relu => Epilogue::Relu,
            PoolerActivation::Gelu => Epilogue::Gelu,
        }
    }
}
