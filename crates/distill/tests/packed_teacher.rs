//! A teacher on the engine of inference beside the same teacher on the tensor engine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use attar_distill::engine::{Encoder, Input, Keep, Parameters, RequiredOutputs, Trace};
use attar_distill::objectives::{Attention, LayerMap, NamedMap, Objective, ProjectionSpec, Relation, Semantics};
use attar_distill::plan::initialize_missing;
use attar_distill::recipe::TeacherPrecision;
use attar_distill::train::{StageLoss, Teacher};
use attar_model::{Bundle, ClassifierInput, EncoderConfig, Head, Target, Weights};
use attar_testing::{assert_close, relative_norm};
use attar_text::batch::Batch;
use attar_text::random::Streams;
use burn::tensor::{Device, Tensor};

fn config(head: Head) -> EncoderConfig {
    EncoderConfig {
        layers: 3,
        hidden: 52,
        heads: 2,
        feed_forward: 100,
        vocabulary: 60,
        positions: 40,
        initializer_range: 0.1,
        ..EncoderConfig::bert_base()
    }
    .with_head(head)
}

fn classes() -> Head {
    Head::Classification { target: Target::Labels(["a", "b", "c"].map(String::from).to_vec()) }
}

fn batch() -> Batch {
    let lengths = [9, 1, 33, 17, 2];
    let tokens: u32 = lengths.iter().sum();
    let mut stream = Streams::new(4).stream("ids", &[]);
    Batch {
        rows: (0..lengths.len() as u32).collect(),
        ids: (0..tokens).map(|_| stream.below(60) as u32).collect(),
        types: (0..tokens).map(|i| i / 3 % 2).collect(),
        lengths: lengths.to_vec(),
    }
}

/// The teacher on the tensor engine, and packed.
fn teachers(head: Head, precision: TeacherPrecision, order: Option<Vec<usize>>) -> [Teacher; 2] {
    teachers_of(config(head), precision, order)
}

fn teachers_of(config: EncoderConfig, precision: TeacherPrecision, order: Option<Vec<usize>>) -> [Teacher; 2] {
    let bundle = Bundle::new(config.clone(), initialize_missing(&config, Weights::new(), &Streams::new(8)));
    let encoder = Encoder::new(bundle.config.clone());
    let mut parameters = Parameters::empty(&Device::flex());
    parameters.load(encoder.slots(), &bundle.weights).unwrap();
    let tensors = Teacher::new(encoder, parameters.values(), order.clone());
    [tensors, Teacher::packed(&bundle, precision, order).unwrap()]
}

fn numbers<const D: usize>(t: &Tensor<D>) -> Vec<f64> {
    t.clone().try_into_vec_as::<f32>().unwrap().into_iter().map(f64::from).collect()
}

/// Every part of a trace by name.
fn parts_of(trace: &Trace, input: &Input) -> Vec<(String, Vec<f64>)> {
    let mut parts = vec![("embeddings".to_string(), numbers(&trace.embeddings))];
    for (index, layer) in trace.layers.iter().enumerate() {
        parts.push((format!("hidden {index}"), numbers(&layer.hidden)));
        parts.push((format!("qkv {index}"), numbers(&layer.qkv)));
        parts.push((format!("scores {index}"), numbers(&layer.scores.ragged(&input.geometry))));
    }
    parts.extend(trace.logits.iter().map(|logits| ("logits".to_string(), numbers(logits))));
    parts.extend(trace.sequence_logits.iter().map(|logits| ("next-sentence logits".to_string(), numbers(logits))));
    parts
}

#[test]
fn in_floats_it_is_the_same() {
    let tagger = Head::TokenClassification { labels: ["x", "y"].map(String::from).to_vec() };
    for head in [Head::None, classes(), tagger, Head::QuestionAnswering, Head::Pretraining] {
        let order = (head == classes()).then(|| vec![2, 0, 1]);
        let [tensors, packed] = teachers(head.clone(), TeacherPrecision::F32, order);
        let input = Input::ragged(&batch(), tensors.encoder().config(), &Device::flex());
        let [expected, got] = [tensors, packed].map(|t| parts_of(&t.trace(&input, Keep::Layers, None), &input));
        assert_eq!(expected.len(), got.len());
        for ((name, expected), (_, got)) in expected.iter().zip(&got) {
            // Three layers of sums in another order.
            assert_close(&format!("{head:?}: {name}"), got, expected, 2e-5);
        }
    }
}

#[test]
fn classifiers_over_states_are_the_same() {
    let one = Head::Classification { target: Target::Regression };
    for (classifier_input, head, rows) in [
        (ClassifierInput::Mean, classes(), 6),
        (ClassifierInput::Mean, one.clone(), 6),
        (ClassifierInput::Cosine, one, 3),
    ] {
        let config = EncoderConfig { classifier_input, ..config(Head::None) }.with_head(head);
        assert!(!config.pooler);
        let [tensors, packed] = teachers_of(config, TeacherPrecision::F32, None);
        let mut batch = batch();
        // An even number of sequences, for pairs.
        batch.lengths.splice(2..3, [20, 13]);
        batch.rows.push(5);
        let input = Input::ragged(&batch, tensors.encoder().config(), &Device::flex());
        let [expected, got] =
            [tensors, packed].map(|teacher| teacher.trace(&input, Keep::Output, None).logits.expect("it has a head"));
        assert_eq!(expected.dims()[0], rows);
        assert_close(&format!("{classifier_input:?}"), &numbers(&got), &numbers(&expected), 2e-5);
    }
}

/// A cosine does not depend on the length of a vector, and the mean head is linear in the mean.
#[test]
fn what_a_classifier_reads_is_what_it_says() {
    let config = EncoderConfig { classifier_input: ClassifierInput::Mean, ..config(Head::None) }.with_head(classes());
    let [tensors, _] = teachers_of(config.clone(), TeacherPrecision::F32, None);
    let input = Input::ragged(&batch(), &config, &Device::flex());
    let trace = tensors.trace(&input, Keep::Output, None);
    let states = numbers(trace.last());
    let weights = initialize_missing(&config, Weights::new(), &Streams::new(8));
    let [w, b] = ["classifier.weight", "classifier.bias"].map(|name| &weights.get(name).unwrap().data);
    let mut first = 0;
    let mut expected = Vec::new();
    for &length in &batch().lengths {
        let rows = &states[first * 52..(first + length as usize) * 52];
        first += length as usize;
        let mean: Vec<f64> =
            (0..52).map(|column| rows.iter().skip(column).step_by(52).sum::<f64>() / f64::from(length)).collect();
        let logit = |class: usize| {
            f64::from(b[class]) + mean.iter().zip(&w[class * 52..]).map(|(x, &w)| x * f64::from(w)).sum::<f64>()
        };
        expected.extend((0..3).map(logit));
    }
    assert_close("logits of the mean", &numbers(&trace.logits.unwrap()), &expected, 1e-5);
}

#[test]
fn in_bytes_it_is_near() {
    let [tensors, packed] = teachers(classes(), TeacherPrecision::Int8, None);
    let input = Input::ragged(&batch(), tensors.encoder().config(), &Device::flex());
    let [expected, got] = [tensors, packed].map(|t| parts_of(&t.trace(&input, Keep::Layers, None), &input));
    for ((name, expected), (_, got)) in expected.iter().zip(&got).filter(|((name, _), _)| name.starts_with("hidden")) {
        let difference = relative_norm(&[(got.as_slice(), expected.as_slice())]);
        assert!(difference > 0.0 && difference < 0.03, "{name}: {difference}");
    }
}

#[test]
fn only_what_is_asked_for_is_there() {
    let [_, packed] = teachers(classes(), TeacherPrecision::F32, None);
    let input = Input::ragged(&batch(), packed.encoder().config(), &Device::flex());
    let output = packed.trace(&input, Keep::Output, None);
    assert_eq!(output.logits.as_ref().unwrap().dims(), [5, 3]);
    assert_eq!(output.last().dims(), [62, 52]);
    assert_eq!(output.embeddings.dims()[0], 0);

    let student = EncoderConfig { layers: 1, ..config(classes()) };
    let map = || LayerMap::Named(NamedMap::Bottom);
    let objectives = vec![
        Objective::from(Attention { weight: 1.0, map: map() }),
        Objective::from(Relation { weight: 1.0, heads: 2, layer: Some(2) }),
    ];
    let loss = StageLoss::new(Encoder::new(student), objectives, Semantics::Clean, ProjectionSpec::default(), None);
    let some = packed.trace_required(&input, &loss.required_outputs(3), None);
    let all = packed.trace_required(&input, &RequiredOutputs::of(Keep::Layers, 3), None);
    let rows = |layer: usize| {
        let layer = &some.layers[layer];
        [layer.hidden.dims()[0], layer.qkv.dims()[0], layer.scores.ragged(&input.geometry).dims()[0]]
    };
    let pairs = input.geometry.layout.pairs(2);
    assert_eq!([rows(0), rows(1), rows(2)], [[0, 0, pairs], [0, 62, 0], [62, 0, 0]]);
    assert_eq!(numbers(&some.layers[1].qkv), numbers(&all.layers[1].qkv));
}
