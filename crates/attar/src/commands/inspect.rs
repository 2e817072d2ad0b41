//! `attar inspect`: what a model directory holds.

use attar_distill::model_directory;
use attar_model::{Flops, Head, Size, checkpoint, flops};
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
    missing: Vec<String>,
    ignored: Vec<String>,
    unexpected: Vec<String>,
    fingerprint: String,
    provenance: Option<Value>,
}

#[derive(Serialize)]
struct SourceFile {
    path: String,
    bytes: usize,
    sha256: String,
}

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let directory = model_directory::locate(&args.model);
    let loaded = checkpoint::load(&directory)?;
    let config = &loaded.config;
    let size = Size::of(config);
    let provenance =
        std::fs::read(directory.join("attar.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let inspection = Inspection {
        directory: directory.display().to_string(),
        family: format!("{:?}", config.family),
        head: head(&config.head).into(),
        labels: config.head.labels().to_vec(),
        layers: config.layers,
        hidden: config.hidden,
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
        sources: loaded
            .sources
            .iter()
            .map(|s| SourceFile { path: s.path.display().to_string(), bytes: s.length, sha256: s.sha256.clone() })
            .collect(),
        fingerprint: attar_model::fingerprint(config, &loaded.weights),
        missing: loaded.missing.clone(),
        ignored: loaded.ignored.clone(),
        unexpected: loaded.unexpected.clone(),
        provenance,
    };
    if args.json {
        return console::json(&inspection);
    }
    print(&inspection)?;
    Ok(())
}

fn print(i: &Inspection) -> std::io::Result<()> {
    console::say(&i.directory)?;
    console::say(format!(
        "{}, {}: {} layers, {} hidden, {} heads, {} feed-forward, {} tokens, {} positions",
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
    let sizes = [i.bytes_f32, i.bytes_f16, i.bytes_int8].map(tables::bytes);
    console::say(format!("bytes: {} as f32, {} as f16, {} as int8", sizes[0], sizes[1], sizes[2]))?;
    let mut table = tables::table(&["FLOPs", &format!("{} tokens", i.flops_tokens)]);
    for (name, flops) in &i.flops {
        table.add_row([name.to_string(), tables::flops(*flops)]);
    }
    table.add_row(["total".to_string(), tables::flops(i.total_flops)]);
    console::say(format!("\n{table}"))?;
    for source in &i.sources {
        console::say(format!("\nfrom {} ({}, sha256 {})", source.path, tables::bytes(source.bytes), source.sha256))?;
    }
    for (what, names) in [("missing", &i.missing), ("unexpected", &i.unexpected), ("ignored", &i.ignored)] {
        if !names.is_empty() {
            console::say(format!("{what}: {}", names.join(", ")))?;
        }
    }
    console::say(format!("fingerprint {}", i.fingerprint))?;
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
        Head::Classification { target: attar_model::Target::Regression } => "regression",
        Head::TokenClassification { .. } => "token classification",
        Head::MaskedLm => "masked language model",
        Head::Pretraining => "masked language model and next sentence",
    }
}

fn groups(size: &Size) -> Vec<(&'static str, usize)> {
    vec![
        ("word embeddings", size.word_embeddings),
        ("position and type embeddings", size.position_embeddings),
        ("attention", size.attention),
        ("feed-forward", size.feed_forward),
        ("layer norms", size.layer_norm),
        ("pooler", size.pooler),
        ("head", size.head),
    ]
}

fn parts(flops: &Flops) -> Vec<(&'static str, f64)> {
    vec![
        ("attention projections", flops.attention_projections),
        ("attention scores", flops.attention_scores),
        ("attention values", flops.attention_values),
        ("feed-forward", flops.feed_forward),
        ("pooler", flops.pooler),
        ("head", flops.head),
    ]
}
