//! Quantized bundles: what is stored as floats is computed as floats, to the bit; tables of integers are the table of
//! floats they stand for; and layers of integers stay close to the exact result, by themselves and in a batch.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use attar_model::atomic::WriteMode;
use attar_model::quantized::{Int4Group, QuantizedWeights, ScaleChoice, Storage};
use attar_model::{Bundle, EncoderConfig, Head, Target, Tensor, Weights, WriteWeights, expected_shapes};
use attar_runtime::{Cpu, Encoder, Input, Options, Output, Precision};

/// Of the logits of a random model, relative to the largest; measured 0.030 for int8 layers and 0.135 with
/// int4 words besides.
const INT8: f32 = 0.04;
const INT4: f32 = 0.15;

const WORDS: &str = "embeddings.word_embeddings.weight";

/// Widths that fill no vector, and heads of six columns.
fn bundle(head: Head) -> Bundle {
    let config = EncoderConfig {
        layers: 3,
        hidden: 54,
        heads: 9,
        feed_forward: 131,
        vocabulary: 97,
        positions: 40,
        ..EncoderConfig::bert_base()
    }
    .with_head(head);
    let weights: Weights = expected_shapes(&config).into_iter().map(|(name, shape)| random(name, shape)).collect();
    Bundle::new(config, weights)
}

fn classifier() -> Head {
    Head::Classification { target: Target::Labels(["a", "b", "c"].map(String::from).to_vec()) }
}

/// Numbers between -1/4 and 1/4 from a fixed sequence; gains around 1.
fn random(name: String, shape: Vec<usize>) -> (String, Tensor) {
    let mut state = name.bytes().fold(1u64, |state, byte| state.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut tensor = Tensor::zeros(shape);
    for x in &mut tensor.data {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *x = ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) / 2.0;
        if name.ends_with("LayerNorm.weight") {
            *x += 1.0;
        }
    }
    (name, tensor)
}

fn quantize(bundle: &Bundle, storage: impl Fn(&str) -> Storage) -> QuantizedWeights {
    QuantizedWeights::quantize(&bundle.config, &bundle.weights, ScaleChoice::MaxAbs, storage).unwrap()
}

/// The same with quantized weights beside, or alone.
fn with(bundle: &Bundle, quantized: QuantizedWeights, alone: bool) -> Bundle {
    let weights = if alone { Weights::new() } else { bundle.weights.clone() };
    Bundle { quantized: Some(quantized), weights, ..bundle.clone() }
}

/// The weights that quantized ones stand for, as floats.
fn dequantized(bundle: &Bundle, quantized: &QuantizedWeights) -> Bundle {
    Bundle { weights: quantized.dequantize(), ..bundle.clone() }
}

const LENGTHS: [u32; 5] = [7, 1, 40, 3, 12];

fn ids() -> Vec<u32> {
    (0..LENGTHS.iter().sum()).map(|i: u32| i.wrapping_mul(2_654_435_761) % 97).collect()
}

fn answer(bundle: &Bundle, cpu: Cpu, precision: Precision, threads: usize) -> Vec<f32> {
    let options = Options { cpu, ..Options::new(precision, threads) };
    run(&mut Encoder::from_bundle(bundle, &options).unwrap(), &ids(), &LENGTHS)
}

fn run(encoder: &mut Encoder, ids: &[u32], lengths: &[u32]) -> Vec<f32> {
    let input = Input::new(ids, &[], lengths).unwrap();
    let mut out = vec![f32::NAN; encoder.rows(Output::Logits, input) * encoder.width(Output::Logits).unwrap()];
    encoder.forward(input, Output::Logits, &mut out).unwrap();
    out
}

/// The largest difference over the largest exact number.
fn off(got: &[f32], exact: &[f32]) -> f32 {
    let largest = exact.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    assert!(largest > 0.1 && got.iter().all(|x| x.is_finite()), "{exact:?}");
    got.iter().zip(exact).fold(0.0f32, |most, (a, b)| most.max((a - b).abs())) / largest
}

#[test]
fn layers_stored_as_floats_are_computed_as_floats() {
    let bundle = bundle(classifier());
    let quantized = with(&bundle, quantize(&bundle, |_| Storage::F32), true);
    for cpu in Cpu::all() {
        let exact = answer(&bundle, cpu, Precision::F32, 1);
        assert_eq!(answer(&quantized, cpu, Precision::Int8, 1), exact, "{cpu}");
        assert_eq!(answer(&quantized, cpu, Precision::F32, 1), exact, "{cpu}");
    }
}

#[test]
fn quantizing_while_loading_equals_a_quantized_file() {
    let bundle = bundle(classifier());
    let encoder_layers = |name: &str| match name.starts_with("encoder.") {
        true => Storage::int8_matrices(name),
        false => Storage::F32,
    };
    let quantized = with(&bundle, quantize(&bundle, encoder_layers), false);
    for cpu in Cpu::all() {
        let exact = answer(&bundle, cpu, Precision::F32, 1);
        let bytes = answer(&bundle, cpu, Precision::Int8, 1);
        assert_eq!(answer(&quantized, cpu, Precision::Int8, 1), bytes, "{cpu}");
        assert_eq!(answer(&quantized, cpu, Precision::F32, 1), exact, "{cpu}: the f32 weights are beside it");
        let error = off(&bytes, &exact);
        assert!(error > 0.0 && error < INT8, "{cpu}: {error}");
    }
}

#[test]
fn integer_tables_equal_their_floats() {
    let bundle = bundle(classifier());
    let exact = answer(&bundle, Cpu::detect(), Precision::F32, 1);
    for (storage, bound) in
        [(Storage::Int8, INT8), (Storage::Int4(Int4Group::Row), INT4), (Storage::Int4(Int4Group::Columns32), INT4)]
    {
        let quantized = quantize(&bundle, |name| if name == WORDS { storage } else { Storage::F32 });
        let floats = dequantized(&bundle, &quantized);
        let quantized = with(&bundle, quantized, true);
        for cpu in Cpu::all() {
            let got = answer(&quantized, cpu, Precision::Int8, 1);
            assert_eq!(got, answer(&floats, cpu, Precision::F32, 1), "{storage} on {cpu}");
            assert_eq!(got, answer(&quantized, cpu, Precision::F32, 1), "{storage} on {cpu}");
            let error = off(&got, &exact);
            assert!(error < bound, "{storage} on {cpu}: {error}");
        }
    }
}

/// One of query, key and value that was kept exact keeps all three in floats.
#[test]
fn query_key_and_value_have_one_precision() {
    let bundle = bundle(classifier());
    let quantized = quantize(&bundle, |name| match name.contains("attention.self.") && !name.contains(".key.") {
        true => Storage::int8_matrices(name),
        false => Storage::F32,
    });
    let floats = dequantized(&bundle, &quantized);
    for cpu in Cpu::all() {
        let got = answer(&with(&bundle, quantized.clone(), true), cpu, Precision::Int8, 1);
        assert_eq!(got, answer(&floats, cpu, Precision::F32, 1), "{cpu}");
    }
}

/// Every layer another mixture; alone as in a batch, with one thread as with three.
#[test]
fn mixtures_stay_close_and_batches_do_not_change_a_bit() {
    let bundle = bundle(classifier());
    let all = |name: &str| match Storage::int8_matrices(name) {
        Storage::Int8 if name == WORDS => Storage::Int4(Int4Group::Columns32),
        other => other,
    };
    let mixed = |name: &str| {
        let exact = ["0.attention.self", "1.intermediate", "2.output.dense", "0.attention.output", "pooler"];
        if exact.iter().any(|part| name.contains(part)) { Storage::F32 } else { all(name) }
    };
    let halves = |name: &str| if name.contains("layer.1.") { Storage::F16 } else { Storage::int8_matrices(name) };
    for quantized in [quantize(&bundle, all), quantize(&bundle, mixed), quantize(&bundle, halves)] {
        let quantized = with(&bundle, quantized, true);
        for cpu in Cpu::all() {
            let exact = answer(&bundle, cpu, Precision::F32, 1);
            let together = answer(&quantized, cpu, Precision::Int8, 1);
            let error = off(&together, &exact);
            assert!(error > 0.0 && error < INT4, "{cpu}: {error}");
            assert_eq!(answer(&quantized, cpu, Precision::Int8, 3), together, "{cpu}, three threads");
            let options = Options { cpu, ..Options::new(Precision::Int8, 1) };
            let mut encoder = Encoder::from_bundle(&quantized, &options).unwrap();
            let (mut alone, mut rest) = (Vec::new(), &ids()[..]);
            for length in LENGTHS {
                let (mine, others) = rest.split_at(length as usize);
                alone.extend(run(&mut encoder, mine, &[length]));
                rest = others;
            }
            assert_eq!(alone, together, "{cpu}, alone");
        }
    }
}

#[test]
fn the_precision_decides_which_weights_are_read() {
    let bundle = bundle(classifier());
    let quantized = with(&bundle, quantize(&bundle, Storage::int8_matrices), false);
    let folder = tempfile::tempdir().unwrap();
    let [both, alone] = ["both", "alone"].map(|name| folder.path().join(name));
    quantized.write(&both, WriteMode::New).unwrap();
    quantized.write_with(&alone, WriteMode::New, WriteWeights::Quantized).unwrap();
    let load = |dir: &std::path::Path, precision| {
        let mut encoder = Encoder::load(dir, &Options::new(precision, 1)).unwrap();
        (run(&mut encoder, &ids(), &LENGTHS), encoder.weight_bytes())
    };
    let cpu = Cpu::detect();
    let (exact, bytes) = (answer(&bundle, cpu, Precision::F32, 1), answer(&quantized, cpu, Precision::Int8, 1));
    assert_eq!(load(&both, Precision::F32).0, exact);
    let (got, size) = load(&both, Precision::Int8);
    assert_eq!(got, bytes);
    assert_eq!(load(&alone, Precision::Int8), (bytes, size));
    let floats = dequantized(&bundle, quantized.quantized.as_ref().unwrap());
    let (got, float_size) = load(&alone, Precision::F32);
    assert_eq!(got, answer(&floats, cpu, Precision::F32, 1));
    // Panels have columns to spare and, without an instruction for bytes, two bytes a weight; pooler and position table stay
    // floats.
    assert!(size * 4 < float_size * 3, "{size} bytes of {float_size}");
    // Without the head nothing of it is missed.
    Encoder::load_headless(&alone, &Options::new(Precision::Int8, 1)).unwrap();
}

/// The decoder of a language model is the word table again.
#[test]
fn a_quantized_language_model_runs() {
    let bundle = bundle(Head::MaskedLm);
    let quantized = quantize(&bundle, |name| match name == WORDS {
        true => Storage::Int4(Int4Group::Row),
        false => Storage::F32,
    });
    let floats = dequantized(&bundle, &quantized);
    let got = answer(&with(&bundle, quantized, true), Cpu::detect(), Precision::Int8, 2);
    assert_eq!(got, answer(&floats, Cpu::detect(), Precision::F32, 2));
}

#[test]
fn non_finite_weights_are_refused_everywhere() {
    let bundle = bundle(classifier());
    for name in ["encoder.layer.1.output.dense.bias", "embeddings.LayerNorm.weight", WORDS] {
        let mut quantized = quantize(&bundle, |_| Storage::F32);
        let mut tensor = bundle.weights.get(name).unwrap().clone();
        let last = tensor.data.len() - 1;
        tensor.data[last] = f32::NAN;
        quantized.replace(name, attar_model::quantized::QuantizedTensor::F32(tensor)).unwrap();
        let damaged = with(&bundle, quantized, true);
        let error = Encoder::from_bundle(&damaged, &Options::new(Precision::Int8, 1)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(&last.to_string()), "{error}");
    }
}
