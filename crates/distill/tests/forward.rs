//! Forward passes against the fixtures, at the fixtures' own bounds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use attar_distill::engine::{Encoder, Input, Keep, Parameters, Trace};
use attar_distill::engine::{mean_pool, normalize};
use attar_model::{Head, checkpoint};
use attar_testing::{FixtureModel, assert_close, base_teacher, fixture_models, fixtures, json, teacher, tensors};
use common::{Model, batch_of, device, load, numbers, real_pairs, real_rows, single};

/// Hidden states, pooled vector, logits.
const STATES: f64 = 2e-5;
/// Attention scores.
const SCORES: f64 = 5e-5;

fn forward(model: &Model, input: &Input) -> Trace {
    model.encoder.forward(&model.parameters.values(), input, Keep::Layers, None)
}

#[test]
fn every_model() {
    for FixtureModel { name, dir, .. } in fixture_models() {
        let model = load(&dir);
        let batch = batch_of(&tensors(&dir.join("inputs.safetensors")));
        let input = Input::ragged(&batch, model.encoder.config(), &device());
        let trace = forward(&model, &input);
        let expected = tensors(&dir.join("expected.safetensors"));
        for (key, array) in &expected {
            let what = format!("{name}: {key}");
            let rows = || real_rows(array, &batch.lengths);
            match key.split_once('.') {
                None if key == "embedding_output" => {
                    assert_close(&what, &numbers(trace.embeddings.clone()), &rows(), STATES)
                }
                None if key == "pooled" => {
                    assert_close(&what, &numbers(trace.pooled.clone().unwrap()), &array.data, STATES);
                }
                None if key == "logits" || key == "prediction_logits" => {
                    let wanted = if array.shape.len() == 3 { rows() } else { array.data.clone() };
                    assert_close(&what, &numbers(trace.logits.clone().unwrap()), &wanted, STATES);
                }
                None if key == "seq_relationship_logits" => {
                    assert_close(&what, &numbers(trace.sequence_logits.clone().unwrap()), &array.data, STATES);
                }
                Some(("hidden_states", layer)) => {
                    let got = trace.hidden(layer.parse().unwrap()).clone();
                    assert_close(&what, &numbers(got), &rows(), STATES);
                }
                Some(("attention_scores", layer)) => {
                    let scores = &trace.layers[layer.parse::<usize>().unwrap()].scores;
                    let got = numbers(scores.ragged(&input.geometry));
                    assert_close(&what, &got, &real_pairs(array, &batch.lengths), SCORES);
                }
                _ => panic!("{what} is not compared with anything"),
            }
        }
    }
}

#[test]
fn fixture_texts() {
    let mut texts = 0;
    for dir in fixture_models().into_iter().map(|model| model.dir) {
        if !dir.join("texts.json").exists() {
            continue;
        }
        let model = load(&dir);
        for text in json(&dir.join("texts.json")).as_array().unwrap() {
            let batch = single(&text["input_ids"], text.get("token_type_ids"));
            let input = Input::ragged(&batch, model.encoder.config(), &device());
            let trace = forward(&model, &input);
            let first = trace.last().clone().narrow(0, 0, 1);
            let got = [("logits", trace.logits.clone()), ("pooled", trace.pooled.clone()), ("cls", Some(first))];
            for (key, got) in got {
                let Some(expected) = text.get(key) else { continue };
                let expected = flat_numbers(expected);
                assert_close(&format!("{} {key}", dir.display()), &numbers(got.unwrap()), &expected, STATES);
                texts += 1;
            }
        }
    }
    assert!(texts > 0, "no text was compared");
}

/// The numbers of nested lists, in order.
fn flat_numbers(value: &serde_json::Value) -> Vec<f64> {
    match value.as_array() {
        Some(list) => list.iter().flat_map(flat_numbers).collect(),
        None => vec![value.as_f64().unwrap()],
    }
}

/// A row gives the same numbers alone as in a batch, whatever stands beside it, and padding rows
/// that are stored do not reach the real ones.
#[test]
fn batch_and_padding_change_nothing() {
    let classifies = |model: &FixtureModel| model.architecture.ends_with("ForSequenceClassification");
    for FixtureModel { name, dir, .. } in fixture_models().into_iter().filter(classifies) {
        let model = load(&dir);
        let config = model.encoder.config();
        let batch = batch_of(&tensors(&dir.join("inputs.safetensors")));
        let together = numbers(forward(&model, &Input::ragged(&batch, config, &device())).logits.unwrap());
        let padded = numbers(forward(&model, &Input::padded(&batch, config, &device())).logits.unwrap());
        // Sums over keys run over more zeros in a padded row.
        assert_close(&format!("{name}: padded"), &padded, &together, 1e-6);
        let mut alone = Vec::new();
        let mut next = 0;
        for &length in &batch.lengths {
            let range = next..next + length as usize;
            let row = attar_text::batch::Batch {
                rows: vec![0],
                ids: batch.ids[range.clone()].to_vec(),
                types: batch.types[range].to_vec(),
                lengths: vec![length],
            };
            alone.extend(numbers(forward(&model, &Input::ragged(&row, config, &device())).logits.unwrap()));
            next += length as usize;
        }
        // Matrix products of other heights may block their sums differently.
        assert_close(&format!("{name}: alone"), &alone, &together, 1e-6);
    }
}

/// The real teacher.
#[test]
#[ignore = "needs the pretrained teacher of ../shared"]
fn teacher_embeddings() {
    embeddings_match(&fixtures("minilm"), &teacher());
}

/// The real base teacher, which has a bias by distance.
#[test]
#[ignore = "needs the pretrained base teacher of ../shared"]
fn base_teacher_embeddings() {
    embeddings_match(&fixtures("mpnet/base"), &base_teacher());
}

fn embeddings_match(dir: &Path, teacher: &Path) {
    let loaded = checkpoint::load_as(teacher, Head::None).unwrap();
    let encoder = Encoder::new(loaded.config);
    let mut parameters = Parameters::empty(&device());
    parameters.load(encoder.slots(), &loaded.weights).unwrap();
    let model = Model { encoder, parameters };
    let expected = tensors(&dir.join("expected.safetensors"));
    let (mut embeddings, mut firsts) = (Vec::new(), Vec::new());
    for sentence in json(&dir.join("sentences.json")).as_array().unwrap() {
        let input = Input::ragged(&single(&sentence["input_ids"], None), model.encoder.config(), &device());
        let trace = forward(&model, &input);
        embeddings.extend(numbers(normalize(mean_pool(trace.last(), &input.geometry))));
        firsts.extend(numbers(trace.last().clone().narrow(0, 0, 1)));
    }
    assert_close("embeddings", &embeddings, &expected["embeddings"].data, 5e-6);
    assert_close("first states", &firsts, &expected["cls_hidden"].data, 3e-5);
    let rows: Vec<&[f64]> = embeddings.chunks(model.encoder.config().hidden).collect();
    let cosine: Vec<f64> =
        rows.iter().flat_map(|a| rows.iter().map(|b| a.iter().zip(*b).map(|(x, y)| x * y).sum::<f64>())).collect();
    assert_close("cosine", &cosine, &expected["cosine"].data, 1e-5);
}
