//! Forward passes beside the fixtures and beside themselves: on every instruction set, with any number of threads,
//! alone and in a batch.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use attar_model::{Bundle, Head, Pooling, PoolingMode, checkpoint};
use attar_runtime::{Cpu, Encoder, Input, LayerBuffers, Options, Output, Precision, TraceBuffers};
use attar_testing::{Array, assert_close, base_teacher, fixture_models, fixtures, json, teacher, tensors};

/// Hidden states, pooled vectors, logits.
const STATES: f64 = 1e-5;
/// Attention scores: sums of products of numbers around 10.
const SCORES: f64 = 2e-5;

fn options(cpu: Cpu, precision: Precision, threads: usize) -> Options {
    Options { cpu, ..Options::new(precision, threads) }
}

fn bundle(dir: &Path) -> Bundle {
    let loaded = checkpoint::load(dir).unwrap();
    assert!(loaded.missing.is_empty(), "{}: {:?}", dir.display(), loaded.missing);
    Bundle::new(loaded.config, loaded.weights)
}

/// Ids, types and lengths without padding.
struct Batch {
    ids: Vec<u32>,
    types: Vec<u32>,
    lengths: Vec<u32>,
}

impl Batch {
    fn of(arrays: &BTreeMap<String, Array>) -> Batch {
        let mask = arrays["attention_mask"].i64();
        let real: Vec<usize> = (0..mask.len()).filter(|&i| mask[i] == 1).collect();
        let take = |name: &str| -> Vec<u32> {
            arrays.get(name).map_or(Vec::new(), |array| {
                let all = array.i64();
                real.iter().map(|&i| all[i] as u32).collect()
            })
        };
        let longest = arrays["input_ids"].shape[1];
        let lengths = mask.chunks(longest).map(|row| row.iter().sum::<i64>() as u32).collect();
        Batch { ids: take("input_ids"), types: take("token_type_ids"), lengths }
    }

    fn input(&self) -> Input<'_> {
        Input::new(&self.ids, &self.types, &self.lengths).unwrap()
    }
}

fn logits(encoder: &mut Encoder, input: Input<'_>) -> Vec<f32> {
    let mut out = vec![f32::NAN; encoder.rows(Output::Logits, input) * encoder.width(Output::Logits).unwrap()];
    encoder.forward(input, Output::Logits, &mut out).unwrap();
    out
}

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&x| f64::from(x)).collect()
}

/// Rows of the real tokens of a padded array `[B, S, …]`.
fn real_rows(array: &Array, lengths: &[u32]) -> Vec<f64> {
    let width: usize = array.shape[2..].iter().product();
    let rows = array.data.chunks(array.shape[1] * width);
    lengths.iter().zip(rows).flat_map(|(&n, row)| row[..n as usize * width].to_vec()).collect()
}

/// Real query-key pairs of scores `[B, A, S, S]`, in the order sequence, head, query, key.
fn real_pairs(array: &Array, lengths: &[u32]) -> Vec<f64> {
    let [_, heads, longest, _] = array.shape[..] else { panic!("scores have four dimensions") };
    let mut pairs = Vec::new();
    for (b, &n) in lengths.iter().enumerate() {
        for head in 0..heads {
            for query in 0..n as usize {
                let row = ((b * heads + head) * longest + query) * longest;
                pairs.extend_from_slice(&array.data[row..row + n as usize]);
            }
        }
    }
    pairs
}

fn models() -> Vec<(String, Bundle, Batch, BTreeMap<String, Array>)> {
    let read = |model: attar_testing::FixtureModel| {
        let batch = Batch::of(&tensors(&model.dir.join("inputs.safetensors")));
        (model.name, bundle(&model.dir), batch, tensors(&model.dir.join("expected.safetensors")))
    };
    fixture_models().into_iter().map(read).collect()
}

#[test]
fn traces_match_the_fixtures() {
    for (name, bundle, batch, expected) in models() {
        for cpu in Cpu::all() {
            for threads in [1, 2] {
                let mut encoder = Encoder::from_bundle(&bundle, &options(cpu, Precision::F32, threads)).unwrap();
                let config = encoder.config().clone();
                let (input, h) = (batch.input(), config.hidden);
                let (n, sequences) = (input.tokens(), input.sequences());
                let has_logits = config.head != Head::None;
                let mut logits = vec![
                    0.0;
                    if has_logits {
                        encoder.rows(Output::Logits, input) * encoder.width(Output::Logits).unwrap()
                    } else {
                        0
                    }
                ];
                let (mut embeddings, mut pooled) = (vec![0.0; n * h], vec![0.0; sequences * h]);
                let mut next_sentence = vec![0.0; sequences * 2];
                let mut hidden = vec![vec![0.0; n * h]; config.layers];
                let mut scores = vec![vec![0.0; config.heads * input.pairs()]; config.layers];
                let layers = hidden.iter_mut().zip(&mut scores).map(|(hidden, scores)| LayerBuffers {
                    hidden: Some(hidden),
                    scores: Some(scores),
                    ..LayerBuffers::default()
                });
                let buffers = TraceBuffers {
                    embeddings: Some(&mut embeddings),
                    layers: layers.collect(),
                    pooled: Some(&mut pooled),
                    logits: has_logits.then_some(&mut logits),
                    next_sentence: Some(&mut next_sentence),
                };
                encoder.trace(input, buffers).unwrap();
                for (key, array) in &expected {
                    let what = format!("{name} on {cpu}, {threads} threads: {key}");
                    let rows = || real_rows(array, &batch.lengths);
                    match key.split_once('.') {
                        None if key == "embedding_output" => assert_close(&what, &wide(&embeddings), &rows(), STATES),
                        None if key == "pooled" => assert_close(&what, &wide(&pooled), &array.data, STATES),
                        None if key == "logits" || key == "prediction_logits" => {
                            let wanted = if array.shape.len() == 3 { rows() } else { array.data.clone() };
                            assert_close(&what, &wide(&logits), &wanted, STATES);
                        }
                        None if key == "seq_relationship_logits" => {
                            assert_close(&what, &wide(&next_sentence), &array.data, STATES);
                        }
                        Some(("hidden_states", layer)) => {
                            let layer: usize = layer.parse().unwrap();
                            let got = if layer == 0 { &embeddings } else { &hidden[layer - 1] };
                            assert_close(&what, &wide(got), &rows(), STATES);
                        }
                        Some(("attention_scores", layer)) => {
                            let got = &scores[layer.parse::<usize>().unwrap()];
                            assert_close(&what, &wide(got), &real_pairs(array, &batch.lengths), SCORES);
                        }
                        _ => panic!("{what} is not compared with anything"),
                    }
                }
            }
        }
    }
}

/// What a feed-forward block reads and what its activations are lead to the layer's output, which the fixtures give.
#[test]
fn traces_of_feed_forward_blocks_fit_their_outputs() {
    for (name, bundle, batch, _) in models() {
        for (cpu, threads) in Cpu::all().into_iter().map(|cpu| (cpu, 1)).chain([(Cpu::detect(), 2)]) {
            let mut encoder = Encoder::from_bundle(&bundle, &options(cpu, Precision::F32, threads)).unwrap();
            let config = encoder.config().clone();
            let (n, h, f) = (batch.input().tokens(), config.hidden, config.feed_forward);
            let mut traced = vec![[vec![0.0; n * h], vec![0.0; n * f], vec![0.0; n * h]]; config.layers];
            let layers = traced.iter_mut().map(|[input, activations, hidden]| LayerBuffers {
                feed_forward_input: Some(input),
                activations: Some(activations),
                hidden: Some(hidden),
                ..LayerBuffers::default()
            });
            let buffers = TraceBuffers { layers: layers.collect(), ..TraceBuffers::default() };
            encoder.trace(batch.input(), buffers).unwrap();
            for (index, [input, activations, hidden]) in traced.iter().enumerate() {
                let part =
                    |part: &str| wide(&bundle.weights.get(&format!("encoder.layer.{index}.{part}")).unwrap().data);
                let (weight, bias) = (part("output.dense.weight"), part("output.dense.bias"));
                let (gain, shift) = (part("output.LayerNorm.weight"), part("output.LayerNorm.bias"));
                let mut expected = Vec::with_capacity(n * h);
                for (activations, input) in activations.chunks(f).zip(input.chunks(h)) {
                    let sums = weight.chunks(f).zip(&bias).zip(input).map(|((row, bias), x)| {
                        row.iter().zip(activations).map(|(w, &a)| w * f64::from(a)).sum::<f64>() + bias + f64::from(*x)
                    });
                    let sums: Vec<f64> = sums.collect();
                    let mean = sums.iter().sum::<f64>() / h as f64;
                    let variance = sums.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / h as f64;
                    let deviation = (variance + config.layer_norm_eps).sqrt();
                    expected.extend((0..h).map(|c| (sums[c] - mean) / deviation * gain[c] + shift[c]));
                }
                assert_close(&format!("{name} on {cpu}, layer {index}"), &wide(hidden), &expected, STATES);
            }
        }
    }
}

/// A row gives the same bits by itself and in a batch, with one thread and with several.
#[test]
fn batch_and_threads_do_not_change_a_bit() {
    for (name, bundle, batch, _) in models() {
        if bundle.config.head == Head::None {
            continue;
        }
        for cpu in Cpu::all() {
            for precision in [Precision::F32, Precision::Int8] {
                let mut one = Encoder::from_bundle(&bundle, &options(cpu, precision, 1)).unwrap();
                let together = logits(&mut one, batch.input());
                for threads in [2, 3] {
                    let mut some = Encoder::from_bundle(&bundle, &options(cpu, precision, threads)).unwrap();
                    assert_eq!(logits(&mut some, batch.input()), together, "{name} on {cpu}, {threads} threads");
                    // So many sequences that threads take them as wholes.
                    let many = Batch {
                        ids: batch.ids.repeat(20),
                        types: batch.types.repeat(20),
                        lengths: batch.lengths.repeat(20),
                    };
                    assert_eq!(logits(&mut some, many.input()), together.repeat(20), "{name} on {cpu}, many");
                }
                let (mut alone, mut first) = (Vec::new(), 0);
                for &length in &batch.lengths {
                    let range = first..first + length as usize;
                    let types = if batch.types.is_empty() { &[][..] } else { &batch.types[range.clone()] };
                    alone.extend(logits(&mut one, Input::new(&batch.ids[range.clone()], types, &[length]).unwrap()));
                    first = range.end;
                }
                assert_eq!(alone, together, "{name} on {cpu}, alone");
            }
        }
    }
}

/// The real teacher, in sentences of its tokenizer.
#[test]
#[ignore = "needs the pretrained teacher of ../shared"]
fn vectors_match_the_teacher() {
    vectors_match(&fixtures("minilm"), &teacher());
}

/// The real base teacher, which has a bias by distance.
#[test]
#[ignore = "needs the pretrained base teacher of ../shared"]
fn vectors_match_the_base_teacher() {
    vectors_match(&fixtures("mpnet/base"), &base_teacher());
}

/// Vectors of the sentences of a fixture, and states of the first tokens.
fn vectors_match(dir: &Path, teacher: &Path) {
    let expected = tensors(&dir.join("expected.safetensors"));
    let sentences = json(&dir.join("sentences.json"));
    let rows = sentences.as_array().or_else(|| sentences["sentences"].as_array()).unwrap();
    let (mut ids, mut lengths) = (Vec::new(), Vec::new());
    for row in rows {
        let row: Vec<u32> = serde_json::from_value(row["input_ids"].clone()).unwrap();
        lengths.push(row.len() as u32);
        ids.extend(row);
    }
    let input = Input::new(&ids, &[], &lengths).unwrap();
    let normalized = |mode| Output::Vectors(Pooling { mode, normalize: mode == PoolingMode::Mean });
    for cpu in Cpu::all() {
        let mut encoder = Encoder::load_headless(teacher, &options(cpu, Precision::F32, 1)).unwrap();
        let mut out = vec![0.0; lengths.len() * encoder.config().hidden];
        encoder.forward(input, normalized(PoolingMode::Mean), &mut out).unwrap();
        let wanted = &expected["embeddings"].data;
        // The fixture's own bound for embeddings.
        assert_close(&format!("embeddings on {cpu}"), &wide(&out[..wanted.len()]), wanted, 5e-6);
        encoder.forward(input, normalized(PoolingMode::Cls), &mut out).unwrap();
        let wanted = &expected["cls_hidden"].data;
        assert_close(&format!("first states on {cpu}"), &wide(&out[..wanted.len()]), wanted, 1e-5);
        let mut bytes = Encoder::load_headless(teacher, &options(cpu, Precision::Int8, 1)).unwrap();
        bytes.forward(input, normalized(PoolingMode::Mean), &mut out).unwrap();
        let h = bytes.config().hidden;
        for (got, wanted) in out.chunks(h).zip(expected["embeddings"].data.chunks(h)) {
            let cosine: f64 = got.iter().zip(wanted).map(|(&a, b)| f64::from(a) * b).sum();
            // The bound of any text, from `int8_vectors_are_near_those_of_f32` in session.rs.
            assert!(cosine > 0.985, "cosine {cosine} of int8 and f32 on {cpu}");
        }
    }
}
