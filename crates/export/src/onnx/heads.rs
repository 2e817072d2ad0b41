//! What follows the last states: the results of the graph.

use attar_model::{
    Activation, Bundle, ClassifierInput, Head, PoolerActivation, Pooling, PoolingMode, Projection,
    ProjectionActivation, Target,
};

use super::build::{Build, transposed};
use super::encoder::BY_TOKEN;
use super::graph::{Attribute, Dimension};

/// The name of the last states where they are a result.
pub(crate) const STATES: &str = "last_hidden_state";
/// The name of the vector of a text.
pub(crate) const VECTOR: &str = "sentence_embedding";
/// The name of what a classifier gives.
pub(crate) const LOGITS: &str = "logits";

const BATCH: Dimension = BY_TOKEN[0];
const TOKENS: Dimension = BY_TOKEN[1];
/// Less than any state, and not so small that a product with 0 were no number.
const LEAST: f32 = -1e30;
/// The least length that a vector is divided by.
const SHORTEST: f32 = 1e-12;

/// Whether the states are a result of a model with this head: for vectors they are.
pub(crate) fn gives_states(head: &Head, input: ClassifierInput) -> bool {
    match head {
        Head::None => true,
        Head::Classification { .. } => input == ClassifierInput::Cosine,
        Head::TokenClassification { .. } | Head::QuestionAnswering | Head::MaskedLm | Head::Pretraining => false,
    }
}

/// The pooling of a model for vectors: its own, that of a cosine of means, or none.
pub(crate) fn pooling_of(bundle: &Bundle) -> Option<Pooling> {
    if bundle.config.encodes_pairs_separately() {
        return Some(Pooling { mode: PoolingMode::Mean, normalize: true });
    }
    bundle.pooling.filter(|_| bundle.config.head == Head::None)
}

/// Builds the results of the states.
pub(crate) fn results(build: &mut Build<'_>, states: &str) {
    let config = build.config();
    let (h, k) = (config.hidden, config.outputs());
    if gives_states(&config.head, config.classifier_input) {
        build.graph.output(states, &[BATCH, TOKENS, Dimension::Fixed(h)]);
        if let Some(pooling) = pooling_of(build.bundle) {
            let width = vector(build, states, pooling);
            build.graph.output(VECTOR, &[BATCH, Dimension::Fixed(width)]);
        } else if config.pooler {
            pooled(build, states, "pooler_output");
            build.graph.output("pooler_output", &[BATCH, Dimension::Fixed(h)]);
        }
        return;
    }
    match &config.head {
        Head::Classification { target: Target::Labels(_) | Target::MultiLabel(_) | Target::Regression } => {
            let x = match config.classifier_input {
                ClassifierInput::FirstToken => pooled(build, states, "pooled"),
                ClassifierInput::Mean | ClassifierInput::Cosine => mean(build, states, "mean"),
            };
            build.dense(&x, "classifier", h, k, LOGITS);
            build.graph.output(LOGITS, &[BATCH, Dimension::Fixed(k)]);
        }
        Head::TokenClassification { .. } => {
            build.dense(states, "classifier", h, k, LOGITS);
            build.graph.output(LOGITS, &[BATCH, TOKENS, Dimension::Fixed(k)]);
        }
        Head::QuestionAnswering => {
            let both = build.dense(states, "classifier", h, k, "start_and_end");
            let [lengths, last] = [build.list("lengths.start_and_end", &[1, 1]), build.list("list_of_2", &[2])];
            let parts = ["start", "end"].map(|part| format!("{part}_logits.column"));
            let axis = Attribute::Integer("axis", 2);
            build.graph.apply_many("Split", &[&both, &lengths], &[&parts[0], &parts[1]], &[axis]);
            for (part, name) in parts.iter().zip(["start_logits", "end_logits"]) {
                build.graph.apply("Squeeze", &[part, &last], name, &[]);
                build.graph.output(name, &BY_TOKEN);
            }
        }
        Head::MaskedLm => masked_lm(build, states, LOGITS),
        Head::Pretraining => {
            masked_lm(build, states, "prediction_logits");
            let x = pooled(build, states, "pooled");
            build.dense(&x, "cls.seq_relationship", h, 2, "seq_relationship_logits");
            build.graph.output("seq_relationship_logits", &[BATCH, Dimension::Fixed(2)]);
        }
        Head::None => {}
    }
}

/// `act(pooler(h_0))`, `[B, H]`.
fn pooled(build: &mut Build<'_>, states: &str, to: &str) -> String {
    let h = build.config().hidden;
    let first = first_state(build, states);
    let dense = build.dense(&first, "pooler.dense", h, h, &format!("{to}.dense"));
    match build.config().pooler_activation() {
        PoolerActivation::Tanh => build.graph.apply("Tanh", &[&dense], to, &[]),
        PoolerActivation::Relu => build.activate(Activation::Relu, &dense, to),
        PoolerActivation::Gelu => build.activate(Activation::Gelu, &dense, to),
    }
}

fn first_state(build: &mut Build<'_>, states: &str) -> String {
    let zero = build.graph.integer("first", 0);
    build.graph.apply("Gather", &[states, &zero], "first_state", &[Attribute::Integer("axis", 1)])
}

/// `decoder(LayerNorm(act(transform(h_t))))`, `[B, T, V]`.
fn masked_lm(build: &mut Build<'_>, states: &str, to: &str) {
    let config = build.config();
    let (h, e, v) = (config.hidden, config.embedding_width(), config.vocabulary);
    let dense = build.dense(states, "cls.predictions.transform.dense", h, e, "transform");
    let active = build.activate(config.masked_lm_activation(), &dense, "transform.activated");
    let normal = build.norm(&active, "cls.predictions.transform.LayerNorm", "transform.norm");
    let words = transposed(&build.numbers("embeddings.word_embeddings.weight"), v, e);
    let decoder = build.graph.floats("cls.predictions.decoder.weight", &[e, v], &words);
    let bias = build.graph.floats("cls.predictions.bias", &[v], &build.numbers("cls.predictions.bias"));
    let product = build.graph.apply("MatMul", &[&normal, &decoder], &format!("{to}.product"), &[]);
    build.graph.apply("Add", &[&product, &bias], to, &[]);
    build.graph.output(to, &[BATCH, TOKENS, Dimension::Fixed(v)]);
}

/// The vector of a text, and its width.
fn vector(build: &mut Build<'_>, states: &str, pooling: Pooling) -> usize {
    let projections = build.bundle.projections.clone();
    let is_last = projections.is_empty() && !pooling.normalize;
    let mut x = pool(build, states, pooling.mode, if is_last { VECTOR } else { "pooled" });
    let mut width = build.config().hidden;
    for (number, projection) in projections.iter().enumerate() {
        if projection.normalized_input {
            x = normalized(build, &x, &format!("{x}.normalized"));
        }
        let is_last = number + 1 == projections.len() && !pooling.normalize;
        let to = if is_last { VECTOR.to_owned() } else { format!("projection.{number}") };
        x = project(build, &x, projection, number, &to);
        width = projection.outputs();
    }
    if pooling.normalize {
        normalized(build, &x, VECTOR);
    }
    width
}

fn project(build: &mut Build<'_>, x: &str, projection: &Projection, number: usize, to: &str) -> String {
    let (inputs, outputs) = (projection.inputs(), projection.outputs());
    let at = |part: &str| format!("projections.{number}.{part}");
    let weight = transposed(&projection.weight.data, outputs, inputs);
    let weight = build.graph.floats(&at("weight"), &[inputs, outputs], &weight);
    let zeros = vec![0.0; outputs];
    let bias = projection.bias.as_ref().map_or(&zeros, |bias| &bias.data);
    let bias = build.graph.floats(&at("bias"), &[outputs], bias);
    let product = build.graph.apply("MatMul", &[x, &weight], &at("product"), &[]);
    let activation = match projection.activation {
        ProjectionActivation::Identity => return build.graph.apply("Add", &[&product, &bias], to, &[]),
        ProjectionActivation::Tanh => "Tanh",
        ProjectionActivation::Relu => "Relu",
    };
    let sum = build.graph.apply("Add", &[&product, &bias], &at("sum"), &[]);
    build.graph.apply(activation, &[&sum], to, &[])
}

/// The states of real tokens as one vector, `[B, H]`.
fn pool(build: &mut Build<'_>, states: &str, mode: PoolingMode, to: &str) -> String {
    let one = build.list("list_of_1", &[1]);
    match mode {
        PoolingMode::Cls => {
            let zero = build.graph.integer("first", 0);
            build.graph.apply("Gather", &[states, &zero], to, &[Attribute::Integer("axis", 1)])
        }
        PoolingMode::Mean => mean(build, states, to),
        PoolingMode::MeanSqrtLength => {
            let [sum, count] = sum_and_count(build, states);
            let root = build.graph.apply("Sqrt", &[&count], "pool.root", &[]);
            build.graph.apply("Div", &[&sum, &root], to, &[])
        }
        PoolingMode::Max => {
            let real = real_by_token(build);
            let [whole, least] = [build.number("one", 1.0), build.number("pool.least", LEAST)];
            let padding = build.graph.apply("Sub", &[&whole, &real], "pool.padding", &[]);
            let padding = build.graph.apply("Mul", &[&padding, &least], "pool.below", &[]);
            let states = build.graph.apply("Add", &[states, &padding], "pool.states", &[]);
            // The axes are an attribute before version 18, an input from there on.
            let keep = Attribute::Integer("keepdims", 0);
            if build.graph.opset < 18 {
                build.graph.apply("ReduceMax", &[&states], to, &[Attribute::Integers("axes", &[1]), keep])
            } else {
                build.graph.apply("ReduceMax", &[&states, &one], to, &[keep])
            }
        }
        PoolingMode::LastToken => {
            let axis = build.graph.integer("pool.axis", 1);
            let count = build.graph.apply("CumSum", &["attention_mask", &axis], "pool.counted", &[]);
            let count = build.graph.apply("Mul", &[&count, "attention_mask"], "pool.place", &[]);
            let keep = Attribute::Integer("keepdims", 1);
            let last = build.graph.apply("ReduceSum", &["attention_mask", &one], "pool.tokens", &[keep]);
            let is_last = build.graph.apply("Equal", &[&count, &last], "pool.is_last", &[]);
            let share = build.as_floats(&is_last, "pool.share");
            let two = build.list("list_of_2", &[2]);
            let share = build.graph.apply("Unsqueeze", &[&share, &two], "pool.share_of_states", &[]);
            let states = build.graph.apply("Mul", &[states, &share], "pool.states", &[]);
            build.graph.apply("ReduceSum", &[&states, &one], to, &[Attribute::Integer("keepdims", 0)])
        }
    }
}

/// The mean over real tokens, `[B, H]`.
fn mean(build: &mut Build<'_>, states: &str, to: &str) -> String {
    let [sum, count] = sum_and_count(build, states);
    build.graph.apply("Div", &[&sum, &count], to, &[])
}

/// The sum over real tokens, `[B, H]`, and their number, `[B, 1]`, at least 1.
fn sum_and_count(build: &mut Build<'_>, states: &str) -> [String; 2] {
    let [one, least] = [build.list("list_of_1", &[1]), build.number("one", 1.0)];
    let real = real_by_token(build);
    let keep = Attribute::Integer("keepdims", 0);
    let states = build.graph.apply("Mul", &[states, &real], "pool.real_states", &[]);
    let sum = build.graph.apply("ReduceSum", &[&states, &one], "pool.sum", &[keep]);
    let count = build.graph.apply("ReduceSum", &[&real, &one], "pool.count", &[keep]);
    let count = build.graph.apply("Max", &[&count, &least], "pool.count_from_1", &[]);
    [sum, count]
}

/// 1 for each real token and 0 for padding, `[B, T, 1]`.
fn real_by_token(build: &mut Build<'_>) -> String {
    let two = build.list("list_of_2", &[2]);
    let real = build.graph.apply("Unsqueeze", &["attention_mask", &two], "pool.mask", &[]);
    build.as_floats(&real, "pool.real")
}

/// Vectors divided by their Euclidean norms.
fn normalized(build: &mut Build<'_>, x: &str, to: &str) -> String {
    let at = |part: &str| format!("{to}.{part}");
    let [one, least] = [build.list("list_of_1", &[1]), build.number("shortest", SHORTEST)];
    let square = build.graph.apply("Mul", &[x, x], &at("squares"), &[]);
    let sum = build.graph.apply("ReduceSum", &[&square, &one], &at("square"), &[Attribute::Integer("keepdims", 1)]);
    let length = build.graph.apply("Sqrt", &[&sum], &at("length"), &[]);
    let length = build.graph.apply("Max", &[&length, &least], &at("divisor"), &[]);
    build.graph.apply("Div", &[x, &length], to, &[])
}
