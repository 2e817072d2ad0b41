//! `attar quantize`: what it keeps, what it says, what it refuses.

use std::path::Path;

use attar_model::atomic::WriteMode;
use attar_model::{Bundle, Head, ReadWeights};
use attar_runtime::{Options, Precision, Session, Text};
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use serde_json::Value;

use crate::common::{fail, json, succeed, workshop, write};

/// The layer that [`fragile`] makes.
const FRAGILE: &str = "encoder.layer.1.intermediate.dense";

/// Rows that the workshop's teacher was not trained on.
fn rows(folder: &Path) {
    let data = synthetic::generate(&Streams::new(9), 120, Split::Test);
    let names = &data.target.labels().unwrap().names;
    let classes = data.classes().unwrap();
    let lines = data.examples.iter().zip(classes).map(|(e, class)| format!("{}\t{}\n", e.text, names[class as usize]));
    write(folder, "rows.tsv", &format!("text\tlabel\n{}", lines.collect::<String>()));
}

/// The workshop's teacher with a layer that computes the same in floats and nothing in bytes.
///
/// What goes into it is `gain z + bias` with `Σ z = 0`. So a weight gains `offset / gain` in each column without any
/// change but a constant, which its bias takes back; the steps of its bytes are as wide as all it had been.
fn fragile(folder: &Path, offset: f32) {
    let mut bundle = Bundle::read(&workshop().join("teacher/student")).unwrap();
    let norm = |part: &str| bundle.weights.get(&format!("encoder.layer.1.attention.output.LayerNorm.{part}")).unwrap();
    let (gain, bias) = (norm("weight").data.clone(), norm("bias").data.clone());
    let columns: Vec<f32> = gain.iter().map(|gain| offset / gain).collect();
    let constant: f64 = columns.iter().zip(&bias).map(|(&c, &b)| f64::from(c) * f64::from(b)).sum();
    let weight = bundle.weights.get_mut(&format!("{FRAGILE}.weight")).unwrap();
    for row in weight.data.chunks_exact_mut(columns.len()) {
        row.iter_mut().zip(&columns).for_each(|(w, c)| *w += c);
    }
    for b in &mut bundle.weights.get_mut(&format!("{FRAGILE}.bias")).unwrap().data {
        *b = (f64::from(*b) - constant) as f32;
    }
    let path = folder.join("fragile");
    bundle.write(&path, WriteMode::New).unwrap();

    // The teacher has hardly learned anything: less their mean, its logits tell texts apart all the same. Its own
    // answers are the labels then, so that whatever changes them is a loss.
    let data = synthetic::generate(&Streams::new(9), 120, Split::Test);
    let texts: Vec<Text<'_>> = data.examples.iter().map(|example| (example.text.as_str(), None)).collect();
    let options = Options::new(Precision::F32, 1);
    let logits = Session::load(&path, &options).unwrap().logits(&texts, |_| ()).unwrap();
    for (class, b) in bundle.weights.get_mut("classifier.bias").unwrap().data.iter_mut().enumerate() {
        *b -= logits.iter().map(|row| row[class]).sum::<f32>() / texts.len() as f32;
    }
    bundle.write(&path, WriteMode::Replace).unwrap();
    let logits = Session::load(&path, &options).unwrap().logits(&texts, |_| ()).unwrap();
    let names = bundle.config.head.labels();
    let lines = texts.iter().zip(&logits).map(|((text, _), row)| {
        let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        format!("{text}\t{}\n", names[best])
    });
    write(folder, "rows.tsv", &format!("text\tlabel\n{}", lines.collect::<String>()));
}

fn part<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["parts"].as_array().unwrap().iter().find(|part| part["name"] == name).unwrap()
}

fn accuracy(scores: &Value) -> f64 {
    scores[0]["value"].as_f64().unwrap()
}

#[test]
fn a_layer_that_hurts_stays_exact() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fragile(folder, 300.0);
    // Eighteen classes a hair apart: all other layers together change some answers too.
    let quantize = |out: &str, more: &[&str]| {
        let base = ["quantize", "fragile", "--out", out, "--data", "rows.tsv", "--max-loss", "35"];
        succeed(folder, &[&base[..], more].concat())
    };
    let report = json(&quantize("gated", &["--json"]));
    let gate = &report["gate"];
    assert_eq!(gate["f32"][0]["rows"], 120);
    assert_eq!(accuracy(&gate["f32"]), 1.0, "{report}");
    assert!(gate["loss_without_floats"].as_f64().unwrap() > 40.0, "the layer should hurt: {report}");
    assert!(gate["loss"].as_f64().unwrap() <= 35.0 + 1e-9, "{report}");
    let lost = 100.0 * (accuracy(&gate["f32"]) - accuracy(&gate["quantized"]));
    assert!((lost - gate["loss"].as_f64().unwrap()).abs() < 1e-9, "{report}");
    assert_eq!(part(&report, FRAGILE)["stored_as"], "f32", "{report}");
    assert_eq!(part(&report, FRAGILE)["why"], "hurts the score");
    assert_eq!(part(&report, "encoder.layer.0.attention.self")["stored_as"], "int8", "{report}");
    // The layer is the worst of all, and no other had to stay.
    let parts = report["parts"].as_array().unwrap();
    let error = |part: &Value| part["error_alone"].as_f64().unwrap();
    assert!(parts.iter().all(|p| error(p) <= error(part(&report, FRAGILE))), "{report}");
    assert_eq!(parts.iter().filter(|p| p["stored_as"] == "f32").count(), 1, "{report}");

    // The file is what was scored and says so.
    let bundle = Bundle::read(&folder.join("gated")).unwrap();
    let quantized = bundle.quantized.as_ref().unwrap();
    assert_eq!(Some(quantized.fingerprint(&bundle.config).as_str()), report["fingerprint"].as_str());
    assert!(quantized.floats(&format!("{FRAGILE}.weight")).is_some());
    let made = bundle.provenance.unwrap();
    assert_eq!(made["quantized"]["gate"], *gate);
    assert_eq!(made["seed"], 1, "what was known of its making is kept");
    let on_disk = std::fs::metadata(folder.join("gated/model.int8.safetensors")).unwrap().len();
    assert_eq!(report["bytes_quantized"].as_u64(), Some(on_disk));
    let card = bundle.card.unwrap();
    assert!(card.contains("Quantized from fragile.") && card.contains("## What training cost"), "{card}");
    let score = format!("| rows | accuracy | {:.4}", accuracy(&gate["quantized"]));
    assert!(card.contains(score.trim_end_matches('0').trim_end_matches('.')), "{score} is not in {card}");

    // Whoever allows any loss gets all of it.
    let any = ["quantize", "fragile", "--out", "any", "--data", "rows.tsv", "--max-loss", "100", "--json"];
    let report = json(&succeed(folder, &any));
    assert_eq!(part(&report, FRAGILE)["stored_as"], "int8", "{report}");
    assert_eq!(part(&report, "embeddings.word_embeddings")["stored_as"], "int4", "{report}");
    let text = quantize("shown", &[]);
    assert!(text.contains("kept in f32") && text.contains(FRAGILE) && text.contains("times smaller"), "{text}");
}

#[test]
fn without_data_nothing_is_gated_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let teacher = workshop().join("teacher").display().to_string();
    let base = ["quantize", &teacher, "--out"];
    let text = succeed(folder, &[&base[..], &["small", "--without-f32", "--embeddings", "int4"]].concat());
    assert!(text.contains("not scored") && text.contains("int4"), "{text}");
    assert!(!folder.join("small/model.safetensors").exists());
    assert!(Bundle::read_with(&folder.join("small"), ReadWeights::Quantized).is_ok());
    // The smallest directory can be looked into.
    let inspection = json(&succeed(folder, &["inspect", "small", "--json"]));
    let on_disk = std::fs::metadata(folder.join("small/model.int8.safetensors")).unwrap().len();
    assert_eq!(inspection["quantized"]["bytes"].as_u64(), Some(on_disk));
    assert_eq!(inspection["quantized"]["stored"]["int4"], 1);
    assert!(inspection["fingerprint"].is_null());
    let shown = succeed(folder, &["inspect", "small"]);
    assert!(shown.contains("model.int8.safetensors") && shown.contains("1 tensors as int4"), "{shown}");

    let kept = ["kept", "--keep", "pooler.dense", "--embeddings", "f32", "--json"];
    let report = json(&succeed(folder, &[&base[..], &kept].concat()));
    for name in ["pooler.dense", "embeddings.word_embeddings", "embeddings.position_embeddings"] {
        assert_eq!(part(&report, name)["stored_as"], "f32", "{report}");
        assert_eq!(part(&report, name)["why"], "as asked");
    }
    assert!(report["gate"].is_null());
    let shown = succeed(folder, &["inspect", "kept"]);
    assert!(shown.contains("made from the weights beside it"), "{shown}");
}

/// An input that is always large, which takes the levels of all others: what some columns of trained models are.
#[test]
fn scales_of_columns_save_a_layer_with_an_outlier() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut bundle = Bundle::read(&workshop().join("teacher/student")).unwrap();
    let layer = "encoder.layer.1.attention.output";
    bundle.weights.get_mut(&format!("{layer}.LayerNorm.bias")).unwrap().data[3] += 500.0;
    let weight = bundle.weights.get_mut("encoder.layer.1.intermediate.dense.weight").unwrap();
    let inputs = weight.shape[1];
    for row in weight.data.chunks_exact_mut(inputs) {
        row[3] *= 0.001;
    }
    bundle.write(&folder.join("outlier"), WriteMode::New).unwrap();
    let texts: Vec<String> = (0..20).map(|number| format!("lights {number} on in the kitchen\n")).collect();
    write(folder, "texts.txt", &texts.concat());
    // That layer alone as integers, so that nothing else is seen.
    let layer = "encoder.layer.1.intermediate.dense";
    let parts = json(&succeed(folder, &["quantize", "outlier", "--out", "all", "--json"]));
    let names = parts["parts"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap());
    let kept: Vec<&str> = names.filter(|name| *name != layer).flat_map(|name| ["--keep", name]).collect();
    let quantize = |out: &str, more: &[&str]| {
        let base = ["quantize", "outlier", "--out", out, "--json"];
        json(&succeed(folder, &[&base[..], &kept, more].concat()))
    };
    let report = quantize("scaled", &["--texts", "texts.txt"]);
    assert!(part(&report, layer)["scales"].as_str().unwrap().contains("columns"), "{report}");
    assert!(report["calibration"].as_str().unwrap().starts_with("20 of 20 texts of texts.txt"), "{report}");
    assert!(report["gate"].is_null() && quantize("plain", &[])["calibration"].is_null());
    let bundle = Bundle::read(&folder.join("scaled")).unwrap();
    let matrix = bundle.quantized.as_ref().unwrap().int8("encoder.layer.1.intermediate.dense.weight").unwrap();
    assert_eq!(matrix.column_scales().len(), inputs);

    // What it is for: the answers come nearer.
    let rows: Vec<Text<'_>> = texts.iter().map(|text| (text.trim(), None)).collect();
    let logits = |path: &str, precision| {
        let mut session = Session::load(&folder.join(path), &Options::new(precision, 1)).unwrap();
        session.logits(&rows, |_| ()).unwrap().concat()
    };
    let exact = logits("outlier", Precision::F32);
    let error = |path: &str| {
        let got = logits(path, Precision::Int8);
        exact.iter().zip(&got).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    };
    let (plain, scaled) = (error("plain"), error("scaled"));
    assert!(scaled < 0.2 * plain, "{scaled} of {plain}");
    // And the graph for other programs computes the same.
    succeed(folder, &["export", "onnx", "scaled", "--precision", "int8", "--out", "graph"]);

    let refused = fail(folder, &["quantize", "outlier", "--out", "x", "--texts", "nowhere.txt"]);
    assert!(refused.contains("nowhere.txt"), "{refused}");
    write(folder, "rows.tsv", "text\tlabel\na\tb\n");
    let both = ["quantize", "outlier", "--out", "x", "--texts", "texts.txt", "--data", "rows.tsv"];
    assert!(fail(folder, &both).contains("cannot be used with"));
}

#[test]
fn what_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder);
    let teacher = workshop().join("teacher").display().to_string();
    let refused = |model: &str, more: &[&str], parts: &[&str]| {
        let complaint = fail(folder, &[&["quantize", model, "--out", "out"], more].concat());
        for part in parts {
            assert!(complaint.contains(part), "expected `{part}` in:\n{complaint}");
        }
        assert!(!folder.join("out").exists(), "a refusal leaves nothing");
    };
    refused(&teacher, &["--keep", "encoder.layer.9"], &["encoder.layer.9", "encoder.layer.0.attention.self"]);
    refused(&teacher, &["--data", "rows.tsv", "--max-loss=-1"], &["--max-loss", "from 0"]);
    refused(&teacher, &["--data", "rows.tsv", "--metric", "spearman"], &["spearman", "--metric"]);
    refused(&teacher, &["--data", "nowhere.tsv"], &["nowhere.tsv"]);
    write(folder, "other.tsv", "text\tlabel\nlights on\tmaybe\n");
    refused(&teacher, &["--data", "other.tsv"], &["maybe"]);
    std::fs::create_dir(folder.join("there")).unwrap();
    assert!(fail(folder, &["quantize", &teacher, "--out", "there"]).contains("is there already"));

    let mut bundle = Bundle::read(&workshop().join("teacher/student")).unwrap();
    bundle.config = bundle.config.with_head(Head::None);
    bundle.weights.remove("classifier.weight");
    bundle.weights.remove("classifier.bias");
    bundle.write(&folder.join("bare"), WriteMode::New).unwrap();
    refused("bare", &["--data", "rows.tsv"], &["a head of classes, scores, tags or answers", "leave out the rows"]);

    succeed(folder, &["quantize", &teacher, "--out", "small", "--without-f32"]);
    refused("small", &[], &["expected the f32 weights", "quantize the model that it comes from"]);

    // The rows that a model was trained on say nothing.
    let mut bundle = Bundle::read(&workshop().join("teacher/student")).unwrap();
    let data = attar_text::labeled::load(&attar_text::labeled::LabeledSpec {
        table: attar_distill::data::table(&folder.join("rows.tsv"), attar_distill::recipe::TableFormat::default()),
        text: "text".parse().unwrap(),
        pair: None,
        label: Some("label".parse().unwrap()),
        target: attar_text::labeled::TargetSpec::Named(bundle.config.head.labels().to_vec()),
    })
    .unwrap();
    bundle.provenance.as_mut().unwrap()["manifest"]["train"]["sha256"] = data.content_hash().into();
    bundle.write(&folder.join("seen"), WriteMode::New).unwrap();
    refused("seen", &["--data", "rows.tsv"], &["was trained on rows of", "not seen"]);
}
