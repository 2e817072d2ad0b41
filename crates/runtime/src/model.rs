//! The weights of a bundle, packed for the processor at hand and shared by all threads.

use attar_kernels::{Buffer, Cpu, Finish, Norm, PackedBytes, PackedMatrix, Table};
use attar_model::{Activation, Bundle, EncoderConfig, Family, Head, PoolerActivation, Weights};

use crate::error::Error;
use crate::linear::Linear;

/// In which precision a model computes its linear layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// Bytes: weights with a scale for each output, activations with a scale and an offset for each token, sums
    /// exact. Attention, normalisations and heads stay in 32-bit floats.
    Int8,
}

/// An encoder with packed weights.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) cpu: Cpu,
    pub(crate) config: EncoderConfig,
    pub(crate) embeddings: Embeddings,
    pub(crate) layers: Vec<Layer>,
    pub(crate) pooler: Option<PackedMatrix>,
    pub(crate) head: PackedHead,
}

#[derive(Debug)]
pub(crate) struct Embeddings {
    words: Words,
    pub(crate) positions: Vec<f32>,
    pub(crate) types: Vec<f32>,
    pub(crate) norm: OwnNorm,
}

/// The word table as it is kept.
#[derive(Debug)]
enum Words {
    F32(Vec<f32>),
    Int8 { bytes: Vec<i8>, scales: Vec<f32> },
}

#[derive(Debug)]
pub(crate) struct OwnNorm {
    gain: Buffer<f32>,
    bias: Buffer<f32>,
    epsilon: f32,
}

#[derive(Debug)]
pub(crate) struct Layer {
    /// Queries, keys and values side by side.
    pub(crate) qkv: Linear,
    pub(crate) attention: Linear,
    pub(crate) attention_norm: OwnNorm,
    pub(crate) inner: Linear,
    pub(crate) outer: Linear,
    pub(crate) output_norm: OwnNorm,
}

#[derive(Debug)]
pub(crate) enum PackedHead {
    None,
    /// `classifier(act(pooler(h_0)))`
    Classification(PackedMatrix),
    /// `classifier(h_t)`
    Tokens(PackedMatrix),
    /// `decoder(LayerNorm(act(transform(h_t))))`
    MaskedLm {
        transform: PackedMatrix,
        norm: OwnNorm,
        decoder: PackedMatrix,
    },
}

impl Embeddings {
    pub(crate) fn words(&self) -> Table<'_> {
        match &self.words {
            Words::F32(numbers) => Table::F32(numbers),
            Words::Int8 { bytes, scales } => Table::Int8 { bytes, scales },
        }
    }
}

impl OwnNorm {
    pub(crate) fn borrow(&self) -> Norm<'_> {
        Norm { gain: &self.gain, bias: &self.bias, epsilon: self.epsilon }
    }
}

/// What an activation function is called in the kernels.
pub(crate) fn finish(activation: Activation) -> Finish {
    match activation {
        Activation::Gelu => Finish::Gelu,
        Activation::GeluNew => Finish::GeluTanh,
        Activation::Relu => Finish::Relu,
    }
}

impl Model {
    /// Packs a bundle.
    pub(crate) fn new(cpu: Cpu, bundle: &Bundle, precision: Precision) -> Result<Model, Error> {
        let config = &bundle.config;
        let source = Source { cpu, weights: &bundle.weights, config, precision };
        source.check_finite()?;
        let h = config.hidden;
        let embeddings = Embeddings {
            words: Words::F32(source.numbers("embeddings.word_embeddings.weight")),
            positions: source.numbers("embeddings.position_embeddings.weight"),
            types: if config.types > 0 && config.family != Family::DistilBert {
                source.numbers("embeddings.token_type_embeddings.weight")
            } else {
                Vec::new()
            },
            norm: source.norm("embeddings.LayerNorm"),
        };
        let layer = |index: usize| {
            let name = |part: &str| format!("encoder.layer.{index}.{part}");
            let thirds = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
            Layer {
                qkv: source.linear(&thirds, h, h),
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
            Head::Classification { .. } => PackedHead::Classification(source.matrix("classifier", h, config.outputs())),
            Head::TokenClassification { .. } => PackedHead::Tokens(source.matrix("classifier", h, config.outputs())),
            Head::MaskedLm | Head::Pretraining => PackedHead::MaskedLm {
                transform: source.matrix("cls.predictions.transform.dense", h, h),
                norm: source.norm("cls.predictions.transform.LayerNorm"),
                decoder: PackedMatrix::new(
                    cpu,
                    source.slice("embeddings.word_embeddings.weight"),
                    source.slice("cls.predictions.bias"),
                    h,
                    config.vocabulary,
                ),
            },
        };
        Ok(Model { cpu, embeddings, layers, pooler, head, config: config.clone() })
    }

    /// Bytes of the weights as they are kept.
    pub(crate) fn bytes(&self) -> usize {
        let words = match &self.embeddings.words {
            Words::F32(numbers) => numbers.len() * 4,
            Words::Int8 { bytes, scales } => bytes.len() + scales.len() * 4,
        };
        let tables = (self.embeddings.positions.len() + self.embeddings.types.len()) * 4;
        let layers: usize = self
            .layers
            .iter()
            .map(|layer| {
                [&layer.qkv, &layer.attention, &layer.inner, &layer.outer].map(Linear::bytes).iter().sum::<usize>()
            })
            .sum();
        let head = match &self.head {
            PackedHead::None => 0,
            PackedHead::Classification(matrix) | PackedHead::Tokens(matrix) => matrix.bytes(),
            PackedHead::MaskedLm { transform, decoder, .. } => transform.bytes() + decoder.bytes(),
        };
        words + tables + layers + head + self.pooler.as_ref().map_or(0, PackedMatrix::bytes)
    }

    pub(crate) fn pooler_finish(&self) -> Finish {
        match self.config.pooler_activation() {
            PoolerActivation::Tanh => Finish::Tanh,
            PoolerActivation::Relu => Finish::Relu,
        }
    }
}

/// Where the weights come from.
struct Source<'a> {
    cpu: Cpu,
    weights: &'a Weights,
    config: &'a EncoderConfig,
    precision: Precision,
}

impl Source<'_> {
    fn check_finite(&self) -> Result<(), Error> {
        for (name, tensor) in self.weights.iter() {
            // The sum of finite numbers may overflow, so it only says where to look.
            if !tensor.data.iter().sum::<f32>().is_finite()
                && let Some(index) = tensor.data.iter().position(|x| !x.is_finite())
            {
                return Err(Error::NotFinite { tensor: name.to_owned(), index, value: tensor.data[index] });
            }
        }
        Ok(())
    }

    fn slice(&self, name: &str) -> &[f32] {
        // A bundle's weights are those of its configuration: whoever makes one checks that.
        &self.weights.get(name).unwrap_or_else(|| panic!("a bundle without `{name}`")).data
    }

    fn numbers(&self, name: &str) -> Vec<f32> {
        self.slice(name).to_vec()
    }

    fn norm(&self, name: &str) -> OwnNorm {
        let part = |part: &str| self.slice(&format!("{name}.{part}")).iter().copied().collect();
        OwnNorm { gain: part("weight"), bias: part("bias"), epsilon: self.config.layer_norm_eps as f32 }
    }

    fn matrix(&self, name: &str, inputs: usize, outputs: usize) -> PackedMatrix {
        let [weight, bias] = ["weight", "bias"].map(|part| self.slice(&format!("{name}.{part}")));
        PackedMatrix::new(self.cpu, weight, bias, inputs, outputs)
    }

    /// Layers of equal shape, side by side.
    fn linear(&self, names: &[String], inputs: usize, outputs: usize) -> Linear {
        let joined = |part: &str| -> Vec<f32> {
            names.iter().flat_map(|name| self.slice(&format!("{name}.{part}"))).copied().collect()
        };
        let (weight, bias) = (joined("weight"), joined("bias"));
        let outputs = outputs * names.len();
        match self.precision {
            Precision::F32 => Linear::Float(PackedMatrix::new(self.cpu, &weight, &bias, inputs, outputs)),
            Precision::Int8 => {
                let (bytes, scales) = quantise_channels(&weight, inputs);
                Linear::Bytes(PackedBytes::new(self.cpu, &bytes, &scales, &bias, inputs, outputs))
            }
        }
    }
}

/// `w ≈ scale q` with `q` in -127..=127 for each row of `[outputs, inputs]`.
fn quantise_channels(weight: &[f32], inputs: usize) -> (Vec<i8>, Vec<f32>) {
    let mut bytes = Vec::with_capacity(weight.len());
    let mut scales = Vec::with_capacity(weight.len() / inputs.max(1));
    for row in weight.chunks(inputs.max(1)) {
        let scale = row.iter().fold(0.0f32, |largest, w| largest.max(w.abs())) / 127.0;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        bytes.extend(row.iter().map(|w| (w * inverse).round_ties_even() as i8));
        scales.push(scale);
    }
    (bytes, scales)
}
