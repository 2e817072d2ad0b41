//! The fused bodies of the operations beside the composed ones: the same losses, the same gradients.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use attar_distill::engine::{Dropout, Encoder, Input, Parameters};
use attar_distill::objectives::{
    Attention, BatchLabels, Embedding, Gold, Hidden, LayerMap, Objective, ProjectionSpec, Relation, Semantics, Soft,
};
use attar_distill::optimizer::Gradients;
use attar_distill::plan::initialize_missing;
use attar_distill::train::{StageLoss, Teacher};
use attar_model::{Activation, EncoderConfig, Family, Head, Target, Weights};
use attar_testing::{assert_close, assert_close_relative, max_abs, relative_norm};
use attar_text::batch::Batch;
use attar_text::random::Streams;
use burn::tensor::{Device, Int, Tensor, TensorData};

fn config(hidden: usize, heads: usize, feed_forward: usize, activation: Activation) -> EncoderConfig {
    let labels = ["a", "b", "c"].map(String::from).to_vec();
    EncoderConfig {
        layers: 2,
        hidden,
        heads,
        feed_forward,
        activation,
        vocabulary: 50,
        positions: 80,
        initializer_range: 0.3,
        ..EncoderConfig::bert_base()
    }
    .with_head(Head::Classification { target: Target::Labels(labels) })
}

fn batch(lengths: &[u32]) -> Batch {
    let tokens = lengths.iter().sum::<u32>() as usize;
    let mut stream = Streams::new(5).stream("ids", &[]);
    Batch {
        rows: (0..lengths.len() as u32).collect(),
        ids: (0..tokens).map(|_| stream.below(50) as u32).collect(),
        types: (0..tokens).map(|i| i as u32 % 2).collect(),
        lengths: lengths.to_vec(),
    }
}

/// Small numbers everywhere, biases and LayerNorms too.
fn weights(config: &EncoderConfig, seed: u64) -> Weights {
    let streams = Streams::new(seed);
    let mut weights = initialize_missing(config, Weights::new(), &streams);
    let names: Vec<String> = weights.iter().map(|(name, _)| name.to_string()).collect();
    for (index, name) in names.into_iter().enumerate() {
        let mut tensor = weights.remove(&name).unwrap();
        let mut stream = streams.stream("more", &[index as u64]);
        tensor.data.iter_mut().for_each(|x| *x += (stream.normal() * 0.1) as f32);
        weights.insert(name, tensor);
    }
    weights
}

struct Case<'a> {
    student: EncoderConfig,
    lengths: &'a [u32],
    semantics: Semantics,
    dropout: bool,
    objectives: Vec<Objective>,
}

/// Loss and gradients by slot, with fused or composed bodies.
fn outcome(case: &Case<'_>, composed: bool) -> (f64, Vec<(String, Vec<f64>)>) {
    let device = Device::flex();
    let body = |encoder: Encoder| if composed { encoder.composed() } else { encoder };
    let of_teacher = config(24, case.student.heads, 40, Activation::Gelu);
    let teacher = body(Encoder::new(of_teacher.clone()));
    let mut values = Parameters::empty(&device);
    values.load(teacher.slots(), &weights(&of_teacher, 1)).unwrap();
    let teacher = Teacher::new(teacher, values.values(), None);

    let encoder = body(Encoder::new(case.student.clone()));
    let stage = StageLoss::new(encoder, case.objectives.clone(), case.semantics, ProjectionSpec::PerLevel, Some(24));
    let mut parameters = Parameters::empty(&device);
    parameters.load(stage.encoder().slots(), &weights(&case.student, 2)).unwrap();
    let mut stream = Streams::new(3).stream("projection", &[]);
    let mut projections = Weights::new();
    for slot in stage.projection_slots() {
        let mut shape = slot.shape.clone();
        shape.reverse();
        let numbers = (0..slot.len()).map(|_| stream.normal() as f32 * 0.2).collect();
        projections.insert(slot.name, attar_model::Tensor::new(shape, numbers));
    }
    parameters.load(stage.projection_slots(), &projections).unwrap();

    let batch = batch(case.lengths);
    let input = match case.semantics {
        Semantics::Clean => Input::ragged(&batch, stage.encoder().config(), &device),
        Semantics::Reference => Input::padded(&batch, stage.encoder().config(), &device),
    };
    let trace = teacher.trace(&input, stage.keep(), None);
    let leaves = parameters.leaves(&input);
    let classes: Vec<i32> = (0..batch.len() as i32).map(|row| row % 3).collect();
    let gold = BatchLabels::Classes(Tensor::<1, Int>::from_data(TensorData::new(classes, [batch.len()]), &device));
    let streams = Streams::new(9);
    let dropout = case.dropout.then(|| Dropout::new(&streams, "dropout", [0, 1, 0]));
    let loss = stage.loss(&leaves, &input, Some((&trace).into()), Some(&gold), dropout).total;
    let gradients = Gradients::collect(leaves, input.ids(), loss.backward()).unwrap();
    let dense = gradients.into_dense(&parameters);
    let numbers = parameters
        .slots()
        .iter()
        .zip(dense)
        .map(|(slot, value)| (slot.name.clone(), value.to_vec().unwrap().into_iter().map(f64::from).collect()));
    (loss.into_scalar::<f32>().into(), numbers.collect())
}

fn compare(name: &str, case: &Case<'_>) {
    let (loss, fused) = outcome(case, false);
    let (composed_loss, composed) = outcome(case, true);
    // Sums in another order: some roundings of 6e-8 each.
    assert_close_relative(name, loss, composed_loss, 2e-5);
    let mut pairs = Vec::new();
    let largest = composed.iter().map(|(_, numbers)| max_abs(numbers)).fold(0.0, f64::max);
    for ((slot, fused), (_, composed)) in fused.iter().zip(&composed) {
        assert_close(&format!("{name}: {slot}"), fused, composed, 5e-5 * max_abs(composed) + 1e-6 * largest);
        pairs.push((fused.as_slice(), composed.as_slice()));
    }
    let difference = relative_norm(&pairs);
    assert!(difference <= 2e-5, "{name}: gradients differ by {difference:.2e} of their norm");
}

fn everything() -> Vec<Objective> {
    vec![
        Objective::from(Attention { weight: 0.7, map: LayerMap::default() }),
        Objective::from(Hidden { weight: 1.0, map: LayerMap::default() }),
        Objective::from(Embedding { weight: 1.0 }),
        Objective::from(Relation { weight: 0.5, heads: 2, layer: None }),
        Objective::from(Soft { weight: 1.0, temperature: 2.0 }),
        Objective::from(Gold { weight: 0.5 }),
    ]
}

#[test]
fn fused_equals_composed() {
    let ragged: &[u32] = &[7, 1, 33, 12];
    let equal: &[u32] = &[16, 16, 16];
    for activation in [Activation::Gelu, Activation::GeluNew, Activation::Relu] {
        for (hidden, heads, feed_forward) in [(12, 2, 30), (32, 4, 64), (52, 2, 100)] {
            for (lengths, semantics) in
                [(ragged, Semantics::Clean), (equal, Semantics::Clean), (ragged, Semantics::Reference)]
            {
                for dropout in [false, true] {
                    let student = config(hidden, heads, feed_forward, activation);
                    let name =
                        format!("{activation:?} {hidden}/{heads}/{feed_forward} {lengths:?} {semantics:?} {dropout}");
                    compare(&name, &Case { student, lengths, semantics, dropout, objectives: everything() });
                }
            }
        }
    }
}

#[test]
fn fused_equals_composed_with_a_bias_by_distance() {
    for (lengths, semantics) in [
        (&[7, 1, 33, 12][..], Semantics::Clean),
        (&[16, 16, 16], Semantics::Clean),
        (&[7, 1, 33, 12], Semantics::Reference),
    ] {
        for dropout in [false, true] {
            let base = config(32, 4, 64, Activation::Gelu);
            let student = EncoderConfig { family: Family::MpNet, types: 0, pad_id: 1, ..base };
            let name = format!("{lengths:?} {semantics:?} {dropout}");
            compare(&name, &Case { student, lengths, semantics, dropout, objectives: everything() });
        }
    }
}

/// Scores and states that one objective alone reaches, so that no gradients meet.
#[test]
fn single_objectives() {
    for objective in everything() {
        let name = objective.name();
        let student = config(12, 2, 30, Activation::Gelu);
        let lengths: &[u32] = &[5, 20, 1];
        for dropout in [false, true] {
            let objectives = vec![objective.clone()];
            let case = Case { student: student.clone(), lengths, semantics: Semantics::Clean, dropout, objectives };
            compare(name, &case);
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let lengths: Vec<u32> = (0..40).map(|i| 1 + i * 7 % 61).collect();
    let student = config(52, 2, 100, Activation::Gelu);
    let semantics = Semantics::Clean;
    let case = Case { student, lengths: &lengths, semantics, dropout: true, objectives: everything() };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| outcome(&case, false))
    };
    let one = with(1);
    for threads in [1, 2, 3] {
        assert!(one == with(threads), "{threads} threads");
    }
}
