//! Gradients of whole models and a training trajectory against the fixtures, at the fixtures' own
//! bounds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use attar_distill::engine::{Encoder, Input, Parameters};
use attar_distill::objectives::{
    Attention, BatchLabels, Embedding, Gold, Hidden, LayerMap, Objective, ProjectionSpec, Semantics, Soft,
    cross_entropy,
};
use attar_distill::optimizer::{AdamW, AdamWOptions, Gradients, Schedule, ScheduleKind};
use attar_distill::train::{StageLoss, Teacher};
use attar_model::{Tensor as Stored, Weights, checkpoint};
use attar_testing::{
    Array, assert_close, assert_close_relative, fixtures, json, max_abs, relative_norm, section_models, tensors,
};
use attar_text::batch::Batch;
use burn::tensor::{Int, Tensor, TensorData};
use common::{Model, batch, batch_of, by_file_name, device, load};

fn classes(labels: &[i64]) -> BatchLabels {
    BatchLabels::Classes(int(labels.iter().map(|&l| l as i32).collect()))
}

fn int(values: Vec<i32>) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), &device())
}

/// Parameters in the names of the files against `expected`.
fn compare(weights: &Weights, encoder: &Encoder, expected: &std::collections::BTreeMap<String, Array>, what: &str) {
    let got = by_file_name(weights, encoder.config());
    let mut pairs = Vec::new();
    for (name, wanted) in expected {
        let Some(got) = got.get(name) else {
            // A term that needs no projection has none.
            assert_eq!(max_abs(&wanted.data), 0.0, "{what}: no gradient of {name}");
            continue;
        };
        let tolerance = 5e-5 * max_abs(&wanted.data) + 1e-6;
        assert_close(&format!("{what}: {name}"), got, &wanted.data, tolerance);
        pairs.push((got.as_slice(), wanted.data.as_slice()));
    }
    let difference = relative_norm(&pairs);
    assert!(difference <= 2e-5, "{what}: gradients differ by {difference:.2e} of their norm");
}

fn gradient_weights(parameters: &Parameters, gradients: Gradients) -> Weights {
    parameters.split(&gradients.into_dense(parameters)).unwrap()
}

#[test]
fn classification() {
    let dir = fixtures("gradients/seqcls");
    let Model { encoder, parameters } = load(&dir.join("model"));
    let arrays = tensors(&dir.join("batch.safetensors"));
    let stage = gold_only(encoder.clone());
    let input = Input::ragged(&batch_of(&arrays), encoder.config(), &device());
    let leaves = parameters.leaves(&input);
    let loss = stage.loss(&leaves, &input, None, Some(&classes(&arrays["labels"].i64())), None).total;
    let gradients = Gradients::collect(leaves, input.ids(), loss.backward()).unwrap();
    let expected = json(&dir.join("expected.json"));
    assert_close_relative("loss", loss.into_scalar::<f32>().into(), expected["loss"].as_f64().unwrap(), 1e-5);
    assert_close_relative("norm", gradients.norm().unwrap(), expected["grad_norm"].as_f64().unwrap(), 2e-5);
    let weights = gradient_weights(&parameters, gradients);
    compare(&weights, &encoder, &tensors(&dir.join("grads.safetensors")), "seqcls");
}

/// A bias of attention scores by distance, whose table all layers share, with fused operations and composed ones.
#[test]
fn relative_bias() {
    for model in section_models("mpnet") {
        classifier_both_ways(&model.dir);
    }
}

/// Embeddings narrower than the states behind a map, with fused operations and composed ones: of a classifier, and of a
/// masked language model, whose decoder is the narrow table.
#[test]
fn factorized_embeddings() {
    let (mut classifiers, mut language_models) = (0, 0);
    for model in section_models("electra").into_iter().filter(|model| model.dir.join("grads.safetensors").exists()) {
        let config = checkpoint::load(&model.dir).unwrap().config;
        assert!(config.embedding.is_some(), "{} has no map", model.name);
        if config.head.has_masked_lm() {
            language_model(&model.dir, &model.dir, &model.dir.join("inputs.safetensors"), "meta.json");
            language_models += 1;
        } else {
            classifier_both_ways(&model.dir);
            classifiers += 1;
        }
    }
    assert!(classifiers > 0 && language_models > 0, "{classifiers} classifiers, {language_models} language models");
}

fn classifier_both_ways(dir: &Path) {
    let expected = json(&dir.join("meta.json"));
    let arrays = tensors(&dir.join("inputs.safetensors"));
    for composed in [false, true] {
        let Model { encoder, parameters } = load(dir);
        let encoder = if composed { encoder.composed() } else { encoder };
        let stage = gold_only(encoder.clone());
        let input = Input::ragged(&batch_of(&arrays), encoder.config(), &device());
        let leaves = parameters.leaves(&input);
        let loss = stage.loss(&leaves, &input, None, Some(&classes(&arrays["labels"].i64())), None).total;
        let gradients = Gradients::collect(leaves, input.ids(), loss.backward()).unwrap();
        assert_close_relative("loss", loss.into_scalar::<f32>().into(), expected["loss"].as_f64().unwrap(), 1e-5);
        assert_close_relative("norm", gradients.norm().unwrap(), expected["grad_norm"].as_f64().unwrap(), 2e-5);
        let weights = gradient_weights(&parameters, gradients);
        compare(&weights, &encoder, &tensors(&dir.join("grads.safetensors")), &format!("composed {composed}"));
    }
}

#[test]
fn masked_language_model() {
    let dir = fixtures("gradients/mlm");
    language_model(&dir, &dir.join("model"), &dir.join("batch.safetensors"), "expected.json");
}

fn language_model(dir: &Path, model: &Path, batch: &Path, expected: &str) {
    let Model { encoder, parameters } = load(model);
    let arrays = tensors(batch);
    let batch = batch_of(&arrays);
    // Labels of the real tokens, in ragged order.
    let mask = arrays["attention_mask"].i64();
    let labels: Vec<i64> =
        arrays["labels"].i64().into_iter().zip(mask).filter(|(_, real)| *real == 1).map(|(l, _)| l).collect();
    let rows: Vec<i32> = (0..labels.len()).filter(|&i| labels[i] != -100).map(|i| i as i32).collect();
    let tokens: Vec<i32> = labels.iter().filter(|&&l| l != -100).map(|&l| l as i32).collect();
    let input = Input::ragged(&batch, encoder.config(), &device());
    let leaves = parameters.leaves(&input);
    let trace = encoder.forward(&leaves, &input, attar_distill::engine::Keep::Output, None);
    let loss = cross_entropy(trace.logits.clone().unwrap().select(0, int(rows)), int(tokens));
    let gradients = Gradients::collect(leaves, input.ids(), loss.backward()).unwrap();
    let expected = json(&dir.join(expected));
    assert_close_relative("loss", loss.into_scalar::<f32>().into(), expected["loss"].as_f64().unwrap(), 1e-5);
    let weights = gradient_weights(&parameters, gradients);
    compare(&weights, &encoder, &tensors(&dir.join("grads.safetensors")), "mlm");
}

/// Teacher, student, projection and what is learned in the fixtures' distillation.
fn distillation(dir: &Path, objectives: Vec<Objective>) -> (Teacher, StageLoss, Parameters) {
    let teacher = load(&dir.join("teacher"));
    let Model { encoder, mut parameters } = load(&dir.join("student"));
    let width = teacher.encoder.config().hidden;
    let stage = StageLoss::new(encoder, objectives, Semantics::Clean, ProjectionSpec::Shared, Some(width));
    let mut projection = Weights::new();
    for (name, array) in tensors(&dir.join("projection.safetensors")) {
        projection.insert(format!("projection.{name}"), Stored::new(array.shape.clone(), array.f32()));
    }
    // A term that needs no projection is learned without one.
    parameters.load(stage.projection_slots(), &projection).unwrap();
    (Teacher::new(teacher.encoder, teacher.parameters.values(), None), stage, parameters)
}

/// The names of the terms of `gradients/tinybert` and what they stand for.
fn all_terms(dir: &Path) -> Vec<(&'static str, Objective)> {
    let expected = json(&dir.join("expected.json"));
    let weight = |term: &str| expected["weights_in_total"][term].as_f64().unwrap();
    let layers = |side: &str| checkpoint::load(&dir.join(side)).unwrap().config.layers;
    // The generator's rule, also where the depth of the student does not divide the teacher's.
    let step = layers("teacher") / layers("student");
    let map = || LayerMap::Pairs((1..=layers("student")).map(|layer| [layer, step * layer]).collect());
    let temperature = expected["temperature"].as_f64().unwrap();
    vec![
        ("attention", Objective::from(Attention { weight: weight("attention"), map: map() })),
        ("hidden", Objective::from(Hidden { weight: weight("hidden"), map: map() })),
        ("embedding", Objective::from(Embedding { weight: weight("embedding") })),
        ("prediction", Objective::from(Soft { weight: weight("prediction"), temperature })),
    ]
}

#[test]
fn tinybert() {
    let dir = fixtures("gradients/tinybert");
    let expected = json(&dir.join("expected.json"));
    let batch = batch_of(&tensors(&dir.join("batch.safetensors")));
    let total = all_terms(&dir).into_iter().map(|(_, objective)| objective).collect();
    let single = all_terms(&dir).into_iter().map(|(name, objective)| (name, vec![objective], &expected["terms"][name]));
    for (name, objectives, wanted) in single.chain([("total", total, &expected["total"])]) {
        let (teacher, stage, parameters) = distillation(&dir, objectives);
        let input = Input::ragged(&batch, stage.encoder().config(), &device());
        let trace = teacher.trace(&input, stage.keep(), None);
        let leaves = parameters.leaves(&input);
        let loss = stage.loss(&leaves, &input, Some((&trace).into()), None, None).total;
        let gradients = Gradients::collect(leaves, input.ids(), loss.backward()).unwrap();
        assert_close_relative(name, loss.into_scalar::<f32>().into(), wanted.as_f64().unwrap(), 1e-5);
        assert_close_relative(name, gradients.norm().unwrap(), expected["grad_norm"][name].as_f64().unwrap(), 2e-5);
        let weights = gradient_weights(&parameters, gradients);
        compare(&weights, stage.encoder(), &tensors(&dir.join(format!("grads_{name}.safetensors"))), name);
    }
}

fn gold_only(encoder: Encoder) -> StageLoss {
    let objectives = vec![Objective::from(Gold { weight: 1.0 })];
    StageLoss::new(encoder, objectives, Semantics::Clean, ProjectionSpec::None, None)
}

/// The batch of one step out of arrays `[steps, B, S]`.
fn step_batch(arrays: &std::collections::BTreeMap<String, Array>, step: usize) -> Batch {
    let [_, rows, longest] = arrays["input_ids"].shape[..] else { panic!("three dimensions") };
    let part = |name: &str| arrays[name].i64()[step * rows * longest..][..rows * longest].to_vec();
    batch(&part("input_ids"), Some(&part("token_type_ids")), &part("attention_mask"), longest)
}

/// Replays the steps of the fixtures and compares losses, norms and final parameters.
fn replay(
    dir: &Path,
    mut parameters: Parameters,
    encoder: &Encoder,
    skip: Option<&str>,
    mut loss: impl FnMut(&attar_distill::engine::Values, usize, &Input) -> Tensor<1>,
) {
    let expected = json(&dir.join("expected.json"));
    let list = |name: &str| expected[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>();
    let (losses, norms, rates) = (list("loss"), list("grad_norm"), list("lr"));
    let arrays = tensors(&dir.join("batches.safetensors"));
    let constants = &expected["hyperparameters"];
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let count = |name: &str| constants[name].as_u64().unwrap() as usize;
    let schedule = Schedule {
        kind: ScheduleKind::Linear {},
        peak: number(&constants["lr"]),
        warmup: count("warmup"),
        total: count("steps"),
    };
    assert_eq!(losses.len(), schedule.total);
    let options = AdamWOptions {
        beta1: number(&constants["betas"][0]),
        beta2: number(&constants["betas"][1]),
        epsilon: number(&constants["eps"]),
        weight_decay: number(&constants["weight_decay"]),
    };
    let clip = number(&constants["clip"]);
    let mut optimizer = AdamW::new(options, &parameters);
    for step in 0..losses.len() {
        let input = Input::ragged(&step_batch(&arrays, step), encoder.config(), &device());
        let leaves = parameters.leaves(&input);
        let value = loss(&leaves, step, &input);
        let gradients = Gradients::collect(leaves, input.ids(), value.backward()).unwrap();
        assert_close_relative(&format!("loss {step}"), value.into_scalar::<f32>().into(), losses[step], 2e-5);
        let norm = gradients.norm().unwrap();
        assert_close_relative(&format!("norm {step}"), norm, norms[step], 2e-5);
        assert_close("rate", &[schedule.rate(step)], &[rates[step]], 1e-15);
        let scale = (clip / (norm + 1e-6)).min(1.0);
        optimizer.step(&mut parameters, gradients, schedule.rate(step), scale).unwrap();
    }
    let got = by_file_name(&parameters.weights().unwrap(), encoder.config());
    for (name, wanted) in tensors(&dir.join("final.safetensors")) {
        if skip.is_some_and(|skip| name.ends_with(skip)) {
            continue;
        }
        assert_close(&name, &got[&name], &wanted.data, 2e-5);
    }
}

#[test]
fn trajectory_of_classification() {
    let dir = fixtures("training/seqcls");
    let Model { encoder, parameters } = load(&fixtures("gradients/seqcls/model"));
    let arrays = tensors(&dir.join("batches.safetensors"));
    let rows = arrays["labels"].shape[1];
    let labels = arrays["labels"].i64();
    let stage = gold_only(encoder.clone());
    // Adam amplifies the rounding noise of the key bias, whose gradient is 0.
    replay(&dir, parameters, &encoder, Some("attention.self.key.bias"), |leaves, step, input| {
        let gold = classes(&labels[step * rows..][..rows]);
        stage.loss(leaves, input, None, Some(&gold), None).total
    });
}

#[test]
fn trajectory_of_distillation() {
    let dir = fixtures("training/tinybert");
    let models = fixtures("gradients/tinybert");
    let objectives = all_terms(&models).into_iter().map(|(_, objective)| objective).collect();
    let (teacher, stage, parameters) = distillation(&models, objectives);
    replay(&dir, parameters, stage.encoder(), None, |leaves, _, input| {
        let trace = teacher.trace(input, stage.keep(), None);
        stage.loss(leaves, input, Some((&trace).into()), None, None).total
    });
}
