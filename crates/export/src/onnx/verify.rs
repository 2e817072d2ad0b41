//! Holds what a graph computes against what the runtime computes of the same model.

use std::collections::BTreeMap;

use attar_model::{Bundle, Pooling, Projection, ProjectionActivation};
use attar_runtime::{Encoder, Input, Options, Output, TraceBuffers};
use prost::Message;

use super::evaluate::{self, Value};
use super::proto::ModelProto;
use super::{Check, Precision, heads};
use crate::error::Error;

/// Tokens of the sequences that are run, as far as the model takes so many: one is as long as the batch, one has padding,
/// one has a single token.
const LENGTHS: [usize; 3] = [13, 1, 6];
/// Of f32: two ways to the same numbers.
const EXACT: f64 = 1e-4;
/// Of int8: both round, at other places, and the pieces that are run are no sentence. What is wrong in a graph is off by the
/// whole.
const ROUNDED: f64 = 0.2;

/// Runs a file on a padded batch.
pub(super) fn against_runtime(bytes: &[u8], bundle: &Bundle, precision: Precision) -> Result<Vec<Check>, Error> {
    let unreadable = |problem: String| Error::Graph { place: "the file".into(), problem };
    let model = ModelProto::decode(bytes).map_err(|error| unreadable(error.to_string()))?;
    let graph = model.graph.ok_or_else(|| unreadable("it holds no graph".into()))?;
    let batch = Batch::of(bundle);
    let inputs = batch.padded(bundle.config.pad_id);
    let given = graph.input.iter().filter_map(|input| {
        let name = input.name.clone()?;
        Some((name.clone(), inputs.get(name.as_str())?.clone()))
    });
    let outputs = evaluate::run(&graph, given.collect())?;
    let expected = expected(bundle, precision, &batch, outputs.keys().map(String::as_str))?;
    let mut checks = Vec::new();
    for (name, value) in &outputs {
        let expected = &expected[name.as_str()];
        let got = batch.real(value, expected.by_token).map_err(unreadable)?;
        let check = Check { output: name.clone(), difference: difference(&got, &expected.numbers, precision) };
        let allowed = if precision == Precision::F32 { EXACT } else { ROUNDED };
        // What is no number is not within it either.
        if check.difference.is_nan() || check.difference > allowed || got.len() != expected.numbers.len() {
            return Err(Error::Differs { output: check.output, difference: check.difference, allowed });
        }
        checks.push(check);
    }
    Ok(checks)
}

fn difference(got: &[f32], expected: &[f32], precision: Precision) -> f64 {
    let pairs = || got.iter().zip(expected).map(|(&got, &expected)| (f64::from(got) - f64::from(expected), expected));
    // A NaN has to stay one.
    let larger = |most: f64, x: f64| if x <= most { most } else { x };
    match precision {
        Precision::F32 => {
            let largest = expected.iter().fold(1.0, |most: f64, &x| most.max(f64::from(x.abs())));
            pairs().map(|(difference, _)| difference.abs() / largest).fold(0.0, larger)
        }
        Precision::Int8 => {
            let norm: f64 = pairs().map(|(_, expected)| f64::from(expected).powi(2)).sum();
            let off: f64 = pairs().map(|(difference, _)| difference.powi(2)).sum();
            (off / norm.max(f64::MIN_POSITIVE)).sqrt()
        }
    }
}

/// What is run: ids and types `[N]`, lengths `[B]`.
struct Batch {
    ids: Vec<u32>,
    types: Vec<u32>,
    lengths: Vec<u32>,
}

/// What the runtime gives: rows of real tokens, or of texts.
struct Expected {
    by_token: bool,
    numbers: Vec<f32>,
}

impl Batch {
    fn of(bundle: &Bundle) -> Batch {
        let config = &bundle.config;
        let longest = config.usable_positions().max(1);
        let lengths: Vec<u32> = LENGTHS.iter().map(|&length| length.min(longest) as u32).collect();
        let count: u32 = lengths.iter().sum();
        // Pieces all over the vocabulary, none of them padding.
        let (v, pad) = (config.vocabulary.max(1) as u64, u64::from(config.pad_id));
        let id = |token: u64| match (token * 7919 + 1) % v {
            id if id == pad => ((id + 1) % v) as u32,
            id => id as u32,
        };
        let types = if config.types > 1 { (0..count).map(|token| token % 2).collect() } else { Vec::new() };
        Batch { ids: (0..u64::from(count)).map(id).collect(), types, lengths }
    }

    fn longest(&self) -> usize {
        self.lengths.iter().copied().max().unwrap_or(0) as usize
    }

    /// The inputs of a graph, `[B, T]`.
    fn padded(&self, pad: u32) -> BTreeMap<&'static str, Value> {
        let shape = [self.lengths.len(), self.longest()];
        let of = |all: &[u32], padding: u32| {
            let mut first = 0;
            let row = |&length: &u32| {
                let real = &all[first..first + length as usize];
                first += length as usize;
                real.iter().copied().chain(std::iter::repeat(padding)).take(shape[1]).map(i64::from).collect::<Vec<_>>()
            };
            Value::integers(&shape, self.lengths.iter().flat_map(row).collect())
        };
        let ones = vec![1; self.ids.len()];
        let types = if self.types.is_empty() { vec![0; self.ids.len()] } else { self.types.clone() };
        [("input_ids", of(&self.ids, pad)), ("attention_mask", of(&ones, 0)), ("token_type_ids", of(&types, 0))].into()
    }

    /// The rows of a result that are not padding.
    fn real(&self, value: &Value, by_token: bool) -> Result<Vec<f32>, String> {
        let all = value.as_floats()?;
        if !by_token {
            return Ok(all.to_vec());
        }
        let rows = self.lengths.len() * self.longest();
        let width = all.len() / rows.max(1);
        let text =
            |(text, &length): (usize, &u32)| all[text * self.longest() * width..][..length as usize * width].to_vec();
        Ok(self.lengths.iter().enumerate().flat_map(text).collect())
    }
}

/// What the runtime gives for each of the outputs.
fn expected<'a>(
    bundle: &Bundle,
    precision: Precision,
    batch: &Batch,
    names: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<&'a str, Expected>, Error> {
    let precision = match precision {
        Precision::F32 => attar_runtime::Precision::F32,
        Precision::Int8 => attar_runtime::Precision::Int8,
    };
    let mut encoder = Encoder::from_bundle(bundle, &Options::all_threads(precision))?;
    let input = Input::new(&batch.ids, &batch.types, &batch.lengths).map_err(|error| Error::Runtime(error.into()))?;
    let mut of = |output: Output| -> Result<Expected, Error> {
        let (rows, width) = (encoder.rows(output, input), encoder.width(output)?);
        let mut numbers = vec![f32::NAN; rows * width];
        encoder.forward(input, output, &mut numbers)?;
        Ok(Expected { by_token: rows == input.tokens() && rows != input.sequences(), numbers })
    };
    let mut all = BTreeMap::new();
    let (texts, h) = (batch.lengths.len(), bundle.config.hidden);
    let mut wants = Vec::new();
    for name in names {
        let found = match name {
            heads::STATES => of(Output::Hidden)?,
            heads::VECTOR => {
                let own = heads::pooling_of(bundle)
                    .unwrap_or(Pooling { mode: attar_model::PoolingMode::Mean, normalize: false });
                let pooled = Pooling { normalize: own.normalize && bundle.projections.is_empty(), ..own };
                let vectors = of(Output::Vectors(pooled))?.numbers;
                let vectors =
                    vectors.chunks(h.max(1)).map(|vector| projected(&bundle.projections, vector, own.normalize));
                Expected { by_token: false, numbers: vectors.flatten().collect() }
            }
            "start_logits" | "end_logits" => {
                let first = usize::from(name == "end_logits");
                let numbers = of(Output::Logits)?.numbers.into_iter().skip(first).step_by(2).collect();
                Expected { by_token: true, numbers }
            }
            "pooler_output" | "seq_relationship_logits" => {
                wants.push(name);
                continue;
            }
            _ => of(Output::Logits)?,
        };
        all.insert(name, found);
    }
    for name in wants {
        let mut numbers = vec![f32::NAN; texts * if name == "pooler_output" { h } else { 2 }];
        let buffers = if name == "pooler_output" {
            TraceBuffers { pooled: Some(&mut numbers), ..TraceBuffers::default() }
        } else {
            TraceBuffers { next_sentence: Some(&mut numbers), ..TraceBuffers::default() }
        };
        encoder.trace(input, buffers)?;
        all.insert(name, Expected { by_token: false, numbers });
    }
    Ok(all)
}

/// Dense layers over a vector, which the runtime computes where it has texts.
fn projected(projections: &[Projection], vector: &[f32], normalize: bool) -> Vec<f32> {
    let mut vector: Vec<f64> = vector.iter().map(|&x| f64::from(x)).collect();
    let normalized = |vector: Vec<f64>| {
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
        vector.into_iter().map(|x| x / length).collect::<Vec<f64>>()
    };
    for projection in projections {
        if projection.normalized_input {
            vector = normalized(vector);
        }
        let row = |(output, weights): (usize, &[f32])| {
            let bias = projection.bias.as_ref().map_or(0.0, |bias| f64::from(bias.data[output]));
            let sum = weights.iter().zip(&vector).map(|(&weight, x)| f64::from(weight) * x).sum::<f64>() + bias;
            match projection.activation {
                ProjectionActivation::Identity => sum,
                ProjectionActivation::Tanh => sum.tanh(),
                ProjectionActivation::Relu => sum.max(0.0),
            }
        };
        vector = projection.weight.data.chunks(projection.inputs().max(1)).enumerate().map(row).collect();
    }
    if normalize && !projections.is_empty() {
        vector = normalized(vector);
    }
    vector.into_iter().map(|x| x as f32).collect()
}

#[cfg(test)]
mod tests {
    use attar_model::{EncoderConfig, Tensor, Weights, expected_shapes};

    use super::*;
    use crate::onnx;

    fn bundle() -> Bundle {
        let config = EncoderConfig {
            layers: 1,
            hidden: 8,
            heads: 2,
            feed_forward: 12,
            vocabulary: 20,
            positions: 16,
            ..EncoderConfig::bert_base()
        };
        let tensor = |(at, (name, shape)): (usize, (String, Vec<usize>))| {
            let count: usize = shape.iter().product();
            let number = |i: usize| ((i * 31 + at * 17) % 101) as f32 / 101.0 - 0.5;
            (name, Tensor::new(shape, (0..count).map(number).collect()))
        };
        let weights: Weights = expected_shapes(&config).into_iter().enumerate().map(tensor).collect();
        Bundle::new(config, weights)
    }

    /// What the check says of a file after a change.
    fn checked(change: impl FnOnce(&mut ModelProto)) -> Result<Vec<Check>, Error> {
        let bundle = bundle();
        let file = onnx::export(&bundle, &onnx::Options::default()).unwrap();
        let mut model = ModelProto::decode(&file.bytes[..]).unwrap();
        change(&mut model);
        against_runtime(&model.encode_to_vec(), &bundle, Precision::F32)
    }

    fn nodes(model: &mut ModelProto) -> &mut Vec<crate::onnx::proto::NodeProto> {
        &mut model.graph.as_mut().unwrap().node
    }

    #[test]
    fn a_graph_that_computes_something_else_is_refused() {
        assert!(checked(|_| ()).is_ok());
        // Another operation, other weights, another mask.
        let differs = checked(|model| {
            let erf = nodes(model).iter_mut().find(|node| node.op_type.as_deref() == Some("Erf")).unwrap();
            erf.op_type = Some("Tanh".into());
        });
        assert!(matches!(differs, Err(Error::Differs { .. })), "{differs:?}");
        for name in ["encoder.layer.0.output.dense.bias", "masked", "pooler.dense.weight"] {
            let differs = checked(|model| {
                let all = &mut model.graph.as_mut().unwrap().initializer;
                let tensor = all.iter_mut().find(|tensor| tensor.name.as_deref() == Some(name)).unwrap();
                tensor.raw_data.as_mut().unwrap().fill(0);
            });
            assert!(matches!(differs, Err(Error::Differs { .. })), "{name}: {differs:?}");
        }
        let nan = checked(|model| {
            let all = &mut model.graph.as_mut().unwrap().initializer;
            all.iter_mut().find(|tensor| tensor.name.as_deref() == Some("one")).unwrap().raw_data =
                Some(f32::NAN.to_le_bytes().into());
        });
        assert!(matches!(nan, Err(Error::Differs { difference, .. }) if difference.is_nan()), "{nan:?}");
    }

    #[test]
    fn a_graph_that_is_not_whole_is_refused() {
        let told = |change: fn(&mut ModelProto)| match checked(change) {
            Err(Error::Graph { place, problem }) => format!("{place}: {problem}"),
            other => panic!("{other:?}"),
        };
        assert!(told(|model| _ = nodes(model).remove(0)).contains("not there yet"));
        assert!(told(|model| nodes(model).reverse()).contains("not there yet"));
        assert!(told(|model| nodes(model)[3].op_type = Some("Conv".into())).contains("not known: Conv"));
        let twice = told(|model| {
            let first = nodes(model)[0].clone();
            nodes(model).push(first);
        });
        assert!(twice.contains("second value"), "{twice}");
        assert!(told(|model| model.graph = None).contains("no graph"));
        assert!(
            told(|model| model.graph.as_mut().unwrap().output[0].name = Some("x".into())).contains("nothing computes")
        );
        let short = told(|model| {
            let all = &mut model.graph.as_mut().unwrap().initializer;
            all[0].raw_data.as_mut().unwrap().truncate(8);
        });
        assert!(short.contains("elements"), "{short}");
    }
}
