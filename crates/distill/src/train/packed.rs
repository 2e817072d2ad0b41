//! A teacher that the engine of inference computes, packed and unpadded.

use std::sync::{Arc, Mutex, PoisonError};

use attar_kernels::train::pool;
use attar_model::{Bundle, EncoderConfig, Head};
use attar_runtime::{LayerBuffers, Options, Output, Precision, TraceBuffers};
use burn::tensor::{Device, Tensor, TensorData};

use crate::Error;
use crate::engine::{Input, LayerTrace, RequiredOutputs, Scores, Trace, mean_pool, pair_cosine};
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
        let mut layers: Vec<[Vec<f32>; 3]> = (required.layers.iter().enumerate())
            .map(|(index, layer)| {
                let states = buffer(layer.hidden || index == last, rows * hidden);
                [states, buffer(layer.qkv, rows * 3 * hidden), buffer(layer.scores, pairs)]
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
                .map(|[hidden, qkv, scores]| LayerBuffers {
                    hidden: requested(hidden),
                    qkv: requested(qkv),
                    scores: requested(scores),
                    relations: None,
                })
                .collect(),
            pooled: requested(&mut pooled),
            logits: logits.as_mut().map(|(numbers, _)| numbers.as_mut_slice()),
            next_sentence: requested(&mut next_sentence),
        };
        encoder.trace(batch, buffers).expect("the plan checked ids, types and lengths");

        let device = input.geometry.device();
        let cosine = encoder.cosine();
        let layers: Vec<LayerTrace> = (layers.into_iter())
            .map(|[states, qkv, scores]| {
                let count = scores.len();
                let scores = Tensor::from_data(TensorData::new(scores, [count]), device);
                LayerTrace {
                    qkv: matrix(qkv, 3 * hidden, device),
                    scores: Scores::from_ragged(scores, c.heads, &input.geometry),
                    hidden: matrix(states, hidden, device),
                }
            })
            .collect();
        let logits = match (cosine, layers.last()) {
            (Some([scale, offset]), Some(last)) => {
                Some(pair_cosine(mean_pool(&last.hidden, &input.geometry)) * scale + offset)
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

fn requested(numbers: &mut [f32]) -> Option<&mut [f32]> {
    (!numbers.is_empty()).then_some(numbers)
}

fn matrix(numbers: Vec<f32>, columns: usize, device: &Device) -> Tensor<2> {
    let rows = numbers.len() / columns.max(1);
    Tensor::from_data(TensorData::new(numbers, [rows, columns]), device)
}
