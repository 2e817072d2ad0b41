//! `attar inspect`: what a model directory holds.

use std::collections::BTreeMap;
use std::path::Path;

use attar_distill::model_directory;
use attar_model::quantized::{QUANTIZED_FILE, QuantizedWeights};
use attar_model::{Bundle, EncoderConfig, Flops, Head, ReadWeights, Size, checkpoint, flops};
use serde::Serialize;
use serde_json::Value;

use crate::cli::InspectArgs;
use crate::{console, tables};

/// Everything that is shown.
#[derive(Serialize)]
struct Inspection {
    directory: String,
    family: String,
    head: String,
    labels: Vec<String>,
    layers: usize,
    hidden: usize,
    /// Width of the embeddings: another one than the hidden width where they are factorized.
    embedding: usize,
    heads: usize,
    feed_forward: usize,
    vocabulary: usize,
    positions: usize,
    parameters: Vec<(&'static str, usize)>,
    total_parameters: usize,
    bytes_f32: usize,
    bytes_f16: usize,
    bytes_int8: usize,
    flops_tokens: usize,
    flops: Vec<(&'static str, f64)>,
    total_flops: f64,
    sources: Vec<SourceFile>,
    quantized: Option<QuantizedFile>,
    missing: Vec<String>,
    ignored: Vec<String>,
    unexpected: Vec<String>,
    /// Of the weights in f32; none where there are only quantized ones.
    fingerprint: Option<String>,
    provenance: Option<Value>,
}

#[derive(Serialize)]
struct SourceFile {
    path: String,
    bytes: usize,
    sha256: String,
}

/// The file of small integers.
#[derive(Serialize)]
struct QuantizedFile {
    path: String,
    bytes: usize,
    fingerprint: String,
    /// Fingerprint of the weights it was made from.
    source: String,
    /// How many tensors are stored how.
    stored: BTreeMap<String, usize>,
}

/// What the weights of a directory say.
struct Found {
    config: EncoderConfig,
    quantized: Option<QuantizedFile>,
    /// None where there are only quantized ones.
    floats: Option<checkpoint::Loaded>,
}

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let directory = model_directory::existing(&args.model)?;
    let Found { config, quantized, floats } = find(&directory)?;
    let config = &config;
    let size = Size::of(config);
    let mut provenance: Option<Value> =
        std::fs::read(directory.join("attar.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(Value::Object(made)) = &mut provenance {
        // Thousands of hashes, which say nothing to people.
        made.remove(attar_distill::ROWS_KEY);
    }
    // Of a trimmed model nothing else is known.
    let provenance = provenance.filter(|made| made.as_object().is_none_or(|made| !made.is_empty()));
    let inspection = Inspection {
        directory: directory.display().to_string(),
        family: format!("{:?}", config.family),
        head: head(&config.head).into(),
        labels: config.head.labels().to_vec(),
        layers: config.layers,
        hidden: config.hidden,
        embedding: config.embedding_width(),
        heads: config.heads,
        feed_forward: config.feed_forward,
        vocabulary: config.vocabulary,
        positions: config.positions,
        parameters: groups(&size),
        total_parameters: size.parameters(),
        bytes_f32: size.bytes_f32(),
        bytes_f16: size.bytes_f16(),
        bytes_int8: size.bytes_int8(),
        flops_tokens: args.tokens,
        flops: parts(&flops(config, args.tokens)),
        total_flops: flops(config, args.tokens).total(),
        sources: floats
            .iter()
            .flat_map(|loaded| &loaded.sources)
            .map(|s| SourceFile { path: s.path.display().to_string(), bytes: s.length, sha256: s.sha256.clone() })
            .collect(),
        quantized,
        fingerprint: floats.as_ref().map(|loaded| attar_model::fingerprint(config, &loaded.weights)),
        missing: floats.as_ref().map_or(Vec::new(), |loaded| loaded.missing.clone()),
        ignored: floats.as_ref().map_or(Vec::new(), |loaded| loaded.ignored.clone()),
        unexpected: floats.as_ref().map_or(Vec::new(), |loaded| loaded.unexpected.clone()),
        provenance,
    };
    if args.json {
        return console::json(&inspection);
    }
    print(&inspection)?;
    Ok(())
}

/// Reads all weights there are.
fn find(directory: &Path) -> anyhow::Result<Found> {
    let path = directory.join(QUANTIZED_FILE);
    let describe = |config: &EncoderConfig, weights: &QuantizedWeights| -> anyhow::Result<QuantizedFile> {
        let mut stored = BTreeMap::new();
        for (_, tensor) in weights.iter() {
            *stored.entry(tensor.storage().to_string()).or_insert(0) += 1;
        }
        Ok(QuantizedFile {
            path: path.display().to_string(),
            bytes: usize::try_from(std::fs::metadata(&path)?.len())?,
            fingerprint: weights.fingerprint(config),
            source: weights.source().to_string(),
            stored,
        })
    };
    // A sentence encoder may name the class of a language model whose head it does not have.
    let read = match Bundle::read_config(directory) {
        Ok(config) => checkpoint::load_as(directory, config.head),
        Err(_) => checkpoint::load(directory),
    };
    match read {
        Ok(loaded) => {
            let config = loaded.config.clone();
            let quantized = match path.exists() {
                true => Some(describe(&config, &QuantizedWeights::read(&path, &config)?)?),
                false => None,
            };
            Ok(Found { config, quantized, floats: Some(loaded) })
        }
        Err(attar_model::Error::NoWeights { .. }) if path.exists() => {
            let bundle = Bundle::read_with(directory, ReadWeights::Quantized)?;
            let quantized = bundle.quantized.as_ref().map(|weights| describe(&bundle.config, weights)).transpose()?;
            Ok(Found { config: bundle.config, quantized, floats: None })
        }
        Err(error) => Err(error.into()),
    }
}

fn print(i: &Inspection) -> std::io::Result<()> {
    console::say(&i.directory)?;
    let embedding = if i.embedding == i.hidden { String::new() } else { format!(" {} embedding,", i.embedding) };
    console::say(format!(
        "{}, {}: {} layers, {} hidden,{embedding} {} heads, {} feed-forward, {} tokens, {} positions",
        i.family,
        i.head,
        i.layers,
        i.hidden,
        i.heads,
        i.feed_forward,
        tables::count(i.vocabulary as u64),
        i.positions
    ))?;
    if !i.labels.is_empty() {
        console::say(format!("labels: {}", i.labels.join(", ")))?;
    }
    let mut table = tables::table(&["parameters", "number", "share"]);
    for (name, number) in &i.parameters {
        let share = 100.0 * *number as f64 / i.total_parameters.max(1) as f64;
        table.add_row([name.to_string(), tables::count(*number as u64), format!("{share:.1} %")]);
    }
    table.add_row(["total".to_string(), tables::count(i.total_parameters as u64), "100.0 %".into()]);
    console::say(format!("\n{table}"))?;
    let sizes = [i.bytes_f32, i.bytes_f16, i.bytes_int8].map(|bytes| tables::bytes(bytes as u64));
    console::say(format!("bytes: {} as f32, {} as f16, {} as int8", sizes[0], sizes[1], sizes[2]))?;
    let mut table = tables::table(&["FLOPs", &format!("{} tokens", i.flops_tokens)]);
    for (name, flops) in &i.flops {
        table.add_row([name.to_string(), tables::flops(*flops)]);
    }
    table.add_row(["total".to_string(), tables::flops(i.total_flops)]);
    console::say(format!("\n{table}"))?;
    for source in &i.sources {
        console::say(format!(
            "\nfrom {} ({}, sha256 {})",
            source.path,
            tables::bytes(source.bytes as u64),
            source.sha256
        ))?;
    }
    for (what, names) in [("missing", &i.missing), ("unexpected", &i.unexpected), ("ignored", &i.ignored)] {
        if !names.is_empty() {
            console::say(format!("{what}: {}", names.join(", ")))?;
        }
    }
    if let Some(quantized) = &i.quantized {
        let stored = quantized.stored.iter().map(|(storage, tensors)| format!("{tensors} tensors as {storage}"));
        let stored = stored.collect::<Vec<_>>().join(", ");
        console::say(format!("\nquantized {} ({}: {stored})", quantized.path, tables::bytes(quantized.bytes as u64)))?;
        console::say(match &i.fingerprint {
            Some(floats) if *floats == quantized.source => "made from the weights beside it".to_string(),
            Some(_) => "made from other weights than those beside it: quantize again".to_string(),
            None => format!("fingerprint {}, made from {}", quantized.fingerprint, quantized.source),
        })?;
    }
    if let Some(fingerprint) = &i.fingerprint {
        console::say(format!("fingerprint {fingerprint}"))?;
    }
    if let Some(provenance) = &i.provenance {
        let made = |key: &str| provenance.pointer(key).map_or("unknown".into(), Value::to_string);
        console::say(format!(
            "made by attar {} from {} ({} rows), seed {}, recipe {:.14}",
            made("/attar"),
            made("/manifest/train/name"),
            made("/manifest/train/rows"),
            made("/seed"),
            made("/manifest/recipe"),
        ))?;
    }
    Ok(())
}

fn head(head: &Head) -> &'static str {
    match head {
        Head::None => "no head",
        Head::Classification { target: attar_model::Target::Labels(_) } => "classification",
        Head::Classification { target: attar_model::Target::MultiLabel(_) } => "classification, several labels a text",
        Head::Classification { target: attar_model::Target::Regression } => "regression",
        Head::TokenClassification { .. } => "token classification",
        Head::QuestionAnswering => "question answering",
        Head::MaskedLm => "masked language model",
        Head::Pretraining => "masked language model and next sentence",
    }
}

fn groups(size: &Size) -> Vec<(&'static str, usize)> {
    let tables =
        [("word embeddings", size.word_embeddings), ("position and type embeddings", size.position_embeddings)];
    let map = (size.embedding_projection > 0).then_some(("map of embeddings", size.embedding_projection));
    let rest = [
        ("attention", size.attention),
        ("feed-forward", size.feed_forward),
        ("layer norms", size.layer_norm),
        ("pooler", size.pooler),
        ("head", size.head),
    ];
    tables.into_iter().chain(map).chain(rest).collect()
}

fn parts(flops: &Flops) -> Vec<(&'static str, f64)> {
    let map = (flops.embedding_projection > 0.0).then_some(("map of embeddings", flops.embedding_projection));
    let rest = [
        ("attention projections", flops.attention_projections),
        ("attention scores", flops.attention_scores),
        ("attention values", flops.attention_values),
        ("feed-forward", flops.feed_forward),
        ("pooler", flops.pooler),
        ("head", flops.head),
    ];
    map.into_iter().chain(rest).collect()
}
