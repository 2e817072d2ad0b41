//! A teacher that the engine of inference computes, packed and unpadded.

use std::sync::{Arc, Mutex, PoisonError};

use attar_kernels::train::pool;
use attar_model::{Bundle, EncoderConfig, Head};
use attar_runtime::{LayerBuffers, Options, Output, Precision, TraceBuffers};
use burn::tensor::{Device, Tensor, TensorData};

use crate::Error;
use crate::engine::{Geometry, Input, LayerTrace, RequiredOutputs, Scores, Trace, mean_pool, pair_cosine};
use crate::recipe::TeacherPrecision;

/// A packed encoder with its threads; clones share both.
#[derive(Debug, Clone)]
pub(super) struct PackedTeacher {
    encoder: Arc<Mutex<attar_runtime::Encoder>>,
    config: EncoderConfig,
}

impl PackedTeacher {
    pub(super) fn new(bundle: &Bundle, precision: TeacherPrecision) -> Result<PackedTeacher, Error> {
        let precision = match precision {
            TeacherPrecision::F32 => Precision::F32,
            TeacherPrecision::Int8 => Precision::Int8,
        };
        // As many threads as train the student.
        let options = Options::new(precision, rayon::current_num_threads());
        let encoder = attar_runtime::Encoder::from_bundle(bundle, &options)?;
        Ok(PackedTeacher { encoder: Arc::new(Mutex::new(encoder)), config: bundle.config.clone() })
    }

    /// The required parts of a trace, and empty tensors for the others.
    pub(super) fn trace(&self, input: &Input, required: &RequiredOutputs) -> Trace {
        self.tensors(self.numbers(input, required), &input.geometry)
    }

    /// The required parts of a trace as numbers.
    pub(super) fn numbers(&self, input: &Input, required: &RequiredOutputs) -> TraceNumbers {
        let c = &self.config;
        let layout = &input.geometry.layout;
        assert_eq!(layout.rows(), layout.tokens(), "a packed teacher counts no padding");
        let lengths: Vec<u32> = layout.stored().iter().map(|&n| n as u32).collect();
        let types = if c.types > 0 { input.types() } else { &[] };
        let batch = attar_runtime::Input::new(input.ids(), types, &lengths).expect("lengths add up to the rows");
        let mut encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);

        let (rows, hidden, pairs) = (layout.rows(), c.hidden, layout.pairs(c.heads));
        let buffer = |wanted: bool, numbers: usize| pool::acquire(if wanted { numbers } else { 0 });
        let mut embeddings = buffer(required.embeddings || c.layers == 0, rows * hidden);
        let last = c.layers.saturating_sub(1);
        let mut layers: Vec<LayerNumbers> = (required.layers.iter().enumerate())
            .map(|(index, layer)| LayerNumbers {
                hidden: buffer(layer.hidden || index == last, rows * hidden),
                qkv: buffer(layer.qkv, rows * 3 * hidden),
                scores: buffer(layer.scores, pairs),
            })
            .collect();
        let logits = encoder.width(Output::Logits).ok().filter(|_| c.head != Head::None);
        let of_sequences = encoder.rows(Output::Logits, batch);
        let mut logits = logits.map(|width| (vec![0.0; of_sequences * width], width));
        let mut pooled = vec![0.0; if c.pooler { batch.sequences() * hidden } else { 0 }];
        let mut next_sentence = vec![0.0; if c.head == Head::Pretraining { 2 * batch.sequences() } else { 0 }];

        let buffers = TraceBuffers {
            embeddings: requested(&mut embeddings),
            layers: layers
                .iter_mut()
                .map(|layer| LayerBuffers {
                    hidden: requested(&mut layer.hidden),
                    qkv: requested(&mut layer.qkv),
                    scores: requested(&mut layer.scores),
                    ..LayerBuffers::default()
                })
                .collect(),
            pooled: requested(&mut pooled),
            logits: logits.as_mut().map(|(numbers, _)| numbers.as_mut_slice()),
            next_sentence: requested(&mut next_sentence),
        };
        encoder.trace(batch, buffers).expect("the plan checked ids, types and lengths");
        TraceNumbers { hidden, heads: c.heads, embeddings, layers, pooled, logits, next_sentence }
    }

    /// True if the answer is made of the last layer's output, as the cosine of two texts is.
    pub(super) fn answers_from_states(&self) -> bool {
        self.encoder.lock().unwrap_or_else(PoisonError::into_inner).cosine().is_some()
    }

    /// An empty trace of this model, its logits included.
    pub(super) fn no_numbers(&self) -> TraceNumbers {
        let c = &self.config;
        let width = self.encoder.lock().unwrap_or_else(PoisonError::into_inner).width(Output::Logits).ok();
        TraceNumbers {
            hidden: c.hidden,
            heads: c.heads,
            embeddings: Vec::new(),
            layers: vec![LayerNumbers::default(); c.layers],
            pooled: Vec::new(),
            logits: width.filter(|_| c.head != Head::None).map(|width| (Vec::new(), width)),
            next_sentence: Vec::new(),
        }
    }

    /// Numbers as tensors of a batch that lies so.
    pub(super) fn tensors(&self, numbers: TraceNumbers, geometry: &Geometry) -> Trace {
        let TraceNumbers { hidden, heads, embeddings, layers, pooled, logits, next_sentence } = numbers;
        let device = geometry.device();
        let cosine = self.encoder.lock().unwrap_or_else(PoisonError::into_inner).cosine();
        let layers: Vec<LayerTrace> = (layers.into_iter())
            .map(|layer| {
                let count = layer.scores.len();
                let scores = Tensor::from_data(TensorData::new(layer.scores, [count]), device);
                LayerTrace {
                    qkv: matrix(layer.qkv, 3 * hidden, device),
                    scores: Scores::from_ragged(scores, heads, geometry),
                    hidden: matrix(layer.hidden, hidden, device),
                }
            })
            .collect();
        let logits = match (cosine, layers.last()) {
            (Some([scale, offset]), Some(last)) => {
                Some(pair_cosine(mean_pool(&last.hidden, geometry)) * scale + offset)
            }
            _ => logits.map(|(numbers, width)| matrix(numbers, width, device)),
        };
        Trace {
            embeddings: matrix(embeddings, hidden, device),
            layers,
            pooled: (!pooled.is_empty()).then(|| matrix(pooled, hidden, device)),
            // Only a student's sentence vectors are read.
            sentences: None,
            logits,
            sequence_logits: (!next_sentence.is_empty()).then(|| matrix(next_sentence, 2, device)),
        }
    }
}

/// A trace as numbers; parts that were not required are empty.
#[derive(Debug, Clone)]
pub(super) struct TraceNumbers {
    hidden: usize,
    heads: usize,
    /// `[N, H]`
    embeddings: Vec<f32>,
    layers: Vec<LayerNumbers>,
    /// `[B, H]`
    pooled: Vec<f32>,
    /// `[B, K]` or `[N, K]`, and K.
    pub(super) logits: Option<(Vec<f32>, usize)>,
    /// `[B, 2]`
    next_sentence: Vec<f32>,
}

#[derive(Debug, Clone, Default)]
struct LayerNumbers {
    /// `[N, H]`
    hidden: Vec<f32>,
    /// `[N, 3H]`
    qkv: Vec<f32>,
    /// `[P]`
    scores: Vec<f32>,
}

/// How much of a batch a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowShape {
    pub(super) sequences: usize,
    pub(super) tokens: usize,
    /// Query-key pairs of a head: the sum of the squares of the lengths.
    pub(super) pairs: usize,
}

/// What the numbers of an array belong to, and how many each has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Measure {
    Tokens(usize),
    Pairs(usize),
}

impl Measure {
    /// Numbers of a row.
    pub(super) fn count(self, shape: RowShape) -> usize {
        match self {
            Measure::Tokens(width) => width * shape.tokens,
            Measure::Pairs(heads) => heads * shape.pairs,
        }
    }
}

impl TraceNumbers {
    /// The arrays of the required parts, always in the same order; the last layer's output is one of them.
    pub(super) fn states(&mut self, required: Option<&RequiredOutputs>) -> Vec<(Measure, &mut Vec<f32>)> {
        let Some(required) = required else { return Vec::new() };
        let (hidden, heads, last) = (self.hidden, self.heads, self.layers.len().saturating_sub(1));
        let mut arrays = Vec::new();
        if required.embeddings || self.layers.is_empty() {
            arrays.push((Measure::Tokens(hidden), &mut self.embeddings));
        }
        for (index, (layer, parts)) in self.layers.iter_mut().zip(&required.layers).enumerate() {
            if parts.hidden || index == last {
                arrays.push((Measure::Tokens(hidden), &mut layer.hidden));
            }
            if parts.qkv {
                arrays.push((Measure::Tokens(3 * hidden), &mut layer.qkv));
            }
            if parts.scores {
                arrays.push((Measure::Pairs(heads), &mut layer.scores));
            }
        }
        arrays
    }
}

fn requested(numbers: &mut [f32]) -> Option<&mut [f32]> {
    (!numbers.is_empty()).then_some(numbers)
}

fn matrix(numbers: Vec<f32>, columns: usize, device: &Device) -> Tensor<2> {
    let rows = numbers.len() / columns.max(1);
    Tensor::from_data(TensorData::new(numbers, [rows, columns]), device)
}
