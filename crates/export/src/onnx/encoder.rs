//! The encoder as operations of ONNX: embeddings, layers.
//!
//! Shapes: `B` texts, `T` tokens of the longest, `H` hidden, `E` embedding, `A` heads, `D = H / A`. Operations stand in the order in
//! which runtimes look for attention and its parts, so that they put their own fused ones in their place.

use attar_model::{EMBEDDING_PROJECTION, RELATIVE_BIAS, bias_by_distance};

use super::build::Build;
use super::graph::{Attribute, Dimension};
use super::int8::Input;

const WORDS: &str = "embeddings.word_embeddings.weight";
const POSITIONS: &str = "embeddings.position_embeddings.weight";
const TYPES: &str = "embeddings.token_type_embeddings.weight";
/// Added to the scores of padding: `e` to this power is 0 in 32-bit floats.
const MASKED: f32 = -10_000.0;

/// Dimensions of all inputs: `[B, T]`.
pub(crate) const BY_TOKEN: [Dimension; 2] = [Dimension::Named("batch"), Dimension::Named("tokens")];

/// Builds the encoder and returns the name of its last states, `[B, T, H]`.
pub(crate) fn states(build: &mut Build<'_>, last: &str) -> String {
    let config = build.config();
    build.graph.input("input_ids", &BY_TOKEN);
    build.graph.input("attention_mask", &BY_TOKEN);
    let embedded = embeddings(build, if config.layers == 0 { last } else { "embeddings" });
    let bias = score_bias(build);
    (0..config.layers).fold(embedded, |x, index| {
        let to = if index + 1 == config.layers { last.to_owned() } else { format!("layer.{index}") };
        layer(build, index, &x, &bias, &to)
    })
}

/// `LayerNorm(words + positions + types)`, through the map of factorized embeddings where there is one, `[B, T, H]`.
fn embeddings(build: &mut Build<'_>, to: &str) -> String {
    let config = build.config();
    let (h, e) = (config.hidden, config.embedding_width());
    let words = words(build);
    let positions = positions(build);
    let mut sum = build.graph.apply("Add", &[&words, &positions], "embeddings.with_positions", &[]);
    if config.family.has_token_types() {
        let table = build.graph.floats(TYPES, &[config.types, e], &build.numbers(TYPES));
        let types = if config.types == 1 {
            // The one row, for every token; nobody has to say so.
            table
        } else {
            let ids = build.graph.input("token_type_ids", &BY_TOKEN);
            build.graph.apply("Gather", &[&table, &ids], "embeddings.types", &[])
        };
        sum = build.graph.apply("Add", &[&sum, &types], "embeddings.with_types", &[]);
    }
    if config.embedding.is_none() {
        return build.norm(&sum, "embeddings.LayerNorm", to);
    }
    let narrow = build.norm(&sum, "embeddings.LayerNorm", "embeddings.normalized");
    build.linear(Input::Normalized(&narrow), EMBEDDING_PROJECTION, e, h, to)
}

fn words(build: &mut Build<'_>) -> String {
    let config = build.config();
    let (v, e) = (config.vocabulary, config.embedding_width());
    match build.int8_table(WORDS) {
        None => {
            let table = build.graph.floats(WORDS, &[v, e], &build.numbers(WORDS));
            build.graph.apply("Gather", &[&table, "input_ids"], "embeddings.words", &[])
        }
        // Rows are found as integers and only then become floats.
        Some(matrix) => {
            let values = build.graph.bytes(&format!("{WORDS}.values"), &[v, e], matrix.values());
            let scales = build.graph.floats(&format!("{WORDS}.scales"), &[v, 1], matrix.scales());
            let rows = build.graph.apply("Gather", &[&values, "input_ids"], "embeddings.words.values", &[]);
            let rows = build.as_floats(&rows, "embeddings.words.unscaled");
            let scales = build.graph.apply("Gather", &[&scales, "input_ids"], "embeddings.words.scales", &[]);
            build.graph.apply("Mul", &[&rows, &scales], "embeddings.words", &[])
        }
    }
}

/// Vectors of positions: `[T, E]`, or `[B, T, E]` where they are counted by the mask.
fn positions(build: &mut Build<'_>) -> String {
    let config = build.config();
    let shape = [config.positions, config.embedding_width()];
    let table = build.graph.floats(POSITIONS, &shape, &build.numbers(POSITIONS));
    if config.family.counts_positions_from_padding() {
        // The padding id, and one more with each token that is none.
        let axis = build.graph.integer("embeddings.axis", 1);
        let count = build.graph.apply("CumSum", &["attention_mask", &axis], "embeddings.count", &[]);
        let count = build.graph.apply("Mul", &[&count, "attention_mask"], "embeddings.real_count", &[]);
        let pad = build.graph.integer("embeddings.pad", i64::from(config.pad_id));
        let ids = build.graph.apply("Add", &[&count, &pad], "embeddings.position_ids", &[]);
        return build.graph.apply("Gather", &[&table, &ids], "embeddings.positions", &[]);
    }
    let [zero, tokens] = [build.list("list_of_0", &[0]), tokens(build)];
    build.graph.apply("Slice", &[&table, &zero, &tokens, &zero], "embeddings.positions", &[])
}

/// T, as a list of one number.
fn tokens(build: &mut Build<'_>) -> String {
    if build.graph.has("tokens") {
        return "tokens".to_owned();
    }
    let shape = build.graph.apply("Shape", &["input_ids"], "shape", &[]);
    let one = build.list("list_of_1", &[1]);
    build.graph.apply("Gather", &[&shape, &one], "tokens", &[Attribute::Integer("axis", 0)])
}

/// What is added to attention scores, `[B, 1, 1, T]` or `[B, A, T, T]`: much less than nothing where a key is padding, and
/// MPNet's bias by distance.
fn score_bias(build: &mut Build<'_>) -> String {
    let config = build.config();
    let [one, two] = [build.list("list_of_1", &[1]), build.list("list_of_2", &[2])];
    let mask = build.graph.apply("Unsqueeze", &["attention_mask", &one], "mask.by_head", &[]);
    let mask = build.graph.apply("Unsqueeze", &[&mask, &two], "mask.by_query", &[]);
    let mask = build.as_floats(&mask, "mask.real");
    let [whole, masked] = [build.number("one", 1.0), build.number("masked", MASKED)];
    let mask = build.graph.apply("Sub", &[&whole, &mask], "mask.padding", &[]);
    let mask = build.graph.apply("Mul", &[&mask, &masked], "mask", &[]);
    if !config.family.has_relative_bias() {
        return mask;
    }
    let longest = config.usable_positions();
    let table = bias_by_distance(&build.numbers(RELATIVE_BIAS), config.heads, longest);
    let table = build.graph.floats("bias.by_distance", &[config.heads, table.len() / config.heads], &table);
    let [count, zero] = [tokens(build), build.list("list_of_0", &[0])];
    let [first, step] = [("bias.first", 0), ("bias.step", 1)].map(|(name, value)| build.graph.integer(name, value));
    let count = build.graph.apply("Squeeze", &[&count, &zero], "bias.tokens", &[]);
    let range = build.graph.apply("Range", &[&first, &count, &step], "bias.range", &[]);
    let keys = build.graph.apply("Unsqueeze", &[&range, &zero], "bias.keys", &[]);
    let queries = build.graph.apply("Unsqueeze", &[&range, &one], "bias.queries", &[]);
    let distance = build.graph.apply("Sub", &[&keys, &queries], "bias.distance", &[]);
    let farthest = build.graph.integer("bias.farthest", longest.saturating_sub(1) as i64);
    let column = build.graph.apply("Add", &[&distance, &farthest], "bias.column", &[]);
    let bias = build.graph.apply("Gather", &[&table, &column], "bias", &[Attribute::Integer("axis", 1)]);
    build.graph.apply("Add", &[&mask, &bias], "mask_and_bias", &[])
}

/// A layer: attention and feed-forward, each with its residual and normalization.
fn layer(build: &mut Build<'_>, index: usize, x: &str, bias: &str, to: &str) -> String {
    let config = build.config();
    let (h, f) = (config.hidden, config.feed_forward);
    let weights = |part: &str| format!("encoder.layer.{index}.{part}");
    let at = |part: &str| format!("layer.{index}.{part}");
    let context = attention(build, index, x, bias);
    let dense = build.linear(Input::Normalized(&context), &weights("attention.output.dense"), h, h, &at("attention"));
    let sum = build.graph.apply("Add", &[&dense, x], &at("attention.sum"), &[]);
    let middle = build.norm(&sum, &weights("attention.output.LayerNorm"), &at("attention.norm"));
    let inner = build.linear(Input::Normalized(&middle), &weights("intermediate.dense"), h, f, &at("inner"));
    let inner = build.activate(config.activation, &inner, &at("inner.activated"));
    let outer = build.linear(Input::Activated(&inner), &weights("output.dense"), f, h, &at("outer"));
    let sum = build.graph.apply("Add", &[&outer, &middle], &at("outer.sum"), &[]);
    build.norm(&sum, &weights("output.LayerNorm"), to)
}

/// The heads' contexts side by side, `[B, T, H]`.
fn attention(build: &mut Build<'_>, index: usize, x: &str, bias: &str) -> String {
    let config = build.config();
    let (h, a, d) = (config.hidden, config.heads, config.head_width());
    let at = |part: &str| format!("layer.{index}.{part}");
    let parts = ["query", "key", "value"];
    let names = parts.map(|part| format!("encoder.layer.{index}.attention.self.{part}"));
    let projected = parts.map(at);
    build.projections(x, &names, h, [&projected[0], &projected[1], &projected[2]]);
    // `[B, T, H]` to `[B, A, T, D]`, the keys to `[B, A, D, T]`.
    let by_head = build.list("shape.by_head", &[0, 0, a as i64, d as i64]);
    let orders: [&[i64]; 3] = [&[0, 2, 1, 3], &[0, 2, 3, 1], &[0, 2, 1, 3]];
    let mut turned = projected.iter().zip(orders).map(|(name, order)| {
        let split = build.graph.apply("Reshape", &[name, &by_head], &format!("{name}.split"), &[]);
        build.graph.apply("Transpose", &[&split], &format!("{name}.turned"), &[Attribute::Integers("perm", order)])
    });
    let [Some(queries), Some(keys), Some(values)] = [turned.next(), turned.next(), turned.next()] else {
        unreachable!("three parts")
    };
    drop(turned);
    let root = build.number("root_of_head_width", (d as f32).sqrt());
    let scores = build.graph.apply("MatMul", &[&queries, &keys], &at("products"), &[]);
    let scores = build.graph.apply("Div", &[&scores, &root], &at("scores"), &[]);
    let scores = build.graph.apply("Add", &[&scores, bias], &at("scores.masked"), &[]);
    let shares = build.graph.apply("Softmax", &[&scores], &at("shares"), &[Attribute::Integer("axis", -1)]);
    let context = build.graph.apply("MatMul", &[&shares, &values], &at("context.by_head"), &[]);
    let perm = Attribute::Integers("perm", &[0, 2, 1, 3]);
    let context = build.graph.apply("Transpose", &[&context], &at("context.turned"), &[perm]);
    let side_by_side = build.list("shape.side_by_side", &[0, 0, h as i64]);
    build.graph.apply("Reshape", &[&context, &side_by_side], &at("context"), &[])
}
