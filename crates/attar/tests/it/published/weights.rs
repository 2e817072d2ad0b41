//! Weights: prefixes of wrappers, half precision, what overflowed, pointers in place of files, heads that are not there.

use std::fs;
use std::path::Path;

use attar_model::{Bundle, Family, Head, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;

use super::paper::{Paper, answer, assert_numbers, forty_rows, single};
use crate::common::{fail, succeed, write};

const PIECES: [&str; 9] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "anna", "river", "stone", "cloud"];
const MPNET: [&str; 9] = ["<s>", "<pad>", "</s>", "[UNK]", "anna", "river", "stone", "cloud", "<mask>"];

fn distilbert(folder: &Path) -> Paper {
    let paper = Paper::classifier(Family::DistilBert, &PIECES, &["still", "moving", "gone"]);
    paper.write_vocabulary(folder, "model", json!({"tokenizer_class": "DistilBertTokenizer"}));
    paper
}

/// A copy of a model directory whose tensors were changed: name, element type and bytes.
fn changed(folder: &Path, from: &str, to: &str, change: impl Fn(&str, &[u8]) -> (String, Dtype, Vec<u8>)) {
    let (from, to) = (folder.join(from), folder.join(to));
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(&from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
    let bytes = fs::read(from.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let changed: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = tensors
        .tensors()
        .into_iter()
        .map(|(name, tensor)| {
            let (name, dtype, data) = change(&name, tensor.data());
            (name, dtype, tensor.shape().to_vec(), data)
        })
        .collect();
    let views = changed
        .iter()
        .map(|(name, dtype, shape, data)| (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    fs::write(to.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

#[test]
fn electras_classifier_and_discriminator() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = Paper::classifier(Family::Electra, &PIECES, &["still", "moving", "gone"]);
    paper.write_vocabulary(folder, "model", json!({"tokenizer_class": "ElectraTokenizer"}));
    let pair = [("[CLS]", 0), ("anna", 0), ("[SEP]", 0), ("river", 1), ("[SEP]", 1)];
    assert_numbers(&answer(folder, &["predict", "model", "Anna", "--pair", "river"]), "logits", &paper.logits(&pair));
    // As google/electra-small-discriminator is published: the encoder under its prefix, and the head of its pre-training.
    let as_published = |name: &str, bytes: &[u8]| {
        let name = name.replace("classifier.dense", "discriminator_predictions.dense");
        (name.replace("classifier.out_proj", "discriminator_predictions.dense_prediction"), Dtype::F32, bytes.to_vec())
    };
    changed(folder, "model", "published", as_published);
    let mut config: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("published/config.json")).unwrap()).unwrap();
    for key in ["id2label", "label2id", "architectures"] {
        config.as_object_mut().unwrap().remove(key);
    }
    config["architectures"] = json!(["ElectraForPreTraining"]);
    config["summary_type"] = json!("first");
    write(folder, "published/config.json", &config.to_string());
    let states = paper.states(&single(&["[CLS]", "anna", "river", "[SEP]"]));
    let embed = ["embed", "published", "anna river", "--pooling", "mean"];
    assert_numbers(&answer(folder, &embed), "vector", &super::paper::mean(&states));
    let output = crate::common::attar(folder, &embed).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("discriminator_predictions.dense.bias"), "{said}");
}

#[test]
fn names_with_a_wrapper_s_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = Paper::classifier(Family::MpNet, &MPNET, &["still", "moving", "gone"]);
    paper.write_vocabulary(folder, "model", json!({"tokenizer_class": "MPNetTokenizer"}));
    let expected = paper.logits(&single(&["<s>", "anna", "river", "</s>"]));
    for prefix in ["module.", "_orig_mod.", "module._orig_mod."] {
        let name = format!("with-{}", prefix.replace('.', ""));
        changed(folder, "model", &name, |tensor, data| (format!("{prefix}{tensor}"), Dtype::F32, data.to_vec()));
        assert_numbers(&answer(folder, &["predict", &name, "anna river"]), "logits", &expected);
    }
}

#[test]
fn half_precision_holds_eighths_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = distilbert(folder);
    let expected = paper.logits(&single(&["[CLS]", "stone", "cloud", "[SEP]"]));
    // The upper half of a 32-bit float is a bfloat16.
    let brain = |data: &[u8]| data.chunks_exact(4).flat_map(|four| [four[2], four[3]]).collect();
    changed(folder, "model", "bf16", |name, data| (name.into(), Dtype::BF16, brain(data)));
    let half = |data: &[u8]| floats(data).into_iter().flat_map(|x| half_bits(x).to_le_bytes()).collect();
    changed(folder, "model", "f16", |name, data| (name.into(), Dtype::F16, half(data)));
    for model in ["model", "bf16", "f16"] {
        assert_numbers(&answer(folder, &["predict", model, "stone cloud"]), "logits", &expected);
    }
    // What is made of them is whole again.
    write(folder, "text.txt", "stone cloud anna river\n");
    succeed(folder, &["vocab", "trim", "f16", "--text", "text.txt", "--size", "9", "--out", "trimmed"]);
    assert_numbers(&answer(folder, &["predict", "trimmed", "stone cloud"]), "logits", &expected);
}

/// A number that a 16-bit float holds exactly, of a magnitude from 2^-14 on, or 0.
fn half_bits(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    if x == 0.0 {
        return sign;
    }
    assert_eq!(bits & 0x1fff, 0, "{x} has more digits than a 16-bit float");
    let exponent = i32::try_from(bits >> 23 & 0xff).unwrap() - 127 + 15;
    sign | u16::try_from(exponent).unwrap() << 10 | (bits >> 13 & 0x3ff) as u16
}

#[test]
fn what_overflowed_is_refused_by_every_command_with_tensor_and_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    distilbert(folder);
    changed(folder, "model", "overflowed", |name, data| {
        let mut numbers = floats(data);
        if name.ends_with("ffn.lin2.weight") {
            numbers[3] = f32::INFINITY;
        }
        (name.into(), Dtype::F32, numbers.iter().flat_map(|x| x.to_le_bytes()).collect())
    });
    write(folder, "rows.csv", &forty_rows(&["still", "moving", "gone"]));
    write(folder, "text.txt", "anna river\n");
    let commands: [&[&str]; 6] = [
        &["predict", "overflowed", "anna"],
        &["embed", "overflowed", "anna"],
        &["eval", "overflowed", "--data", "rows.csv", "--no-speed"],
        &["quantize", "overflowed", "--data", "rows.csv", "--out", "q"],
        &["finetune", "overflowed", "--data", "rows.csv", "--epochs", "1", "--out", "f"],
        &["vocab", "trim", "overflowed", "--text", "text.txt", "--size", "8", "--out", "t"],
    ];
    for command in commands {
        let complaint = fail(folder, command);
        let parts = ["model.safetensors", "lin2", "inf"];
        assert!(parts.iter().all(|part| complaint.contains(part)), "{command:?}: {complaint}");
    }
}

#[test]
fn a_pointer_of_git_lfs_is_no_model_to_any_command() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    distilbert(folder);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 267832558\n";
    fs::write(folder.join("model/model.safetensors"), pointer).unwrap();
    write(folder, "rows.csv", &forty_rows(&["still", "moving", "gone"]));
    write(folder, "text.txt", "anna river\n");
    let commands: [&[&str]; 6] = [
        &["embed", "model", "anna"],
        &["eval", "model", "--data", "rows.csv", "--no-speed"],
        &["quantize", "model", "--out", "q"],
        &["finetune", "model", "--data", "rows.csv", "--epochs", "1", "--out", "f"],
        &["pretrain", "model", "--corpus", "text.txt", "--steps", "1", "--out", "p"],
        &["vocab", "trim", "model", "--text", "text.txt", "--size", "8", "--out", "t"],
    ];
    for command in commands {
        let complaint = fail(folder, command);
        assert!(complaint.contains("git lfs pull"), "{command:?}: {complaint}");
    }
}

#[test]
fn a_head_that_is_not_there_is_never_a_random_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paper = distilbert(folder);
    // A configuration that promises classes over weights of the encoder alone.
    let bare = Bundle { config: paper.bundle.config.clone().with_head(Head::None), ..paper.bundle.clone() };
    let mut weights = bare.weights.clone();
    for name in ["classifier.weight", "classifier.bias", "pooler.dense.weight", "pooler.dense.bias"] {
        weights.remove(name);
    }
    let bare = Bundle { weights, ..bare };
    bare.write(&folder.join("bare"), attar_model::atomic::WriteMode::New).unwrap();
    fs::copy(folder.join("bare/model.safetensors"), folder.join("model/model.safetensors")).unwrap();
    write(folder, "rows.csv", &forty_rows(&["still", "moving", "gone"]));
    for command in [&["predict", "model", "anna"][..], &["eval", "model", "--data", "rows.csv", "--no-speed"]] {
        let complaint = fail(folder, command);
        assert!(complaint.contains("classifier"), "{command:?}: {complaint}");
    }
    // Its vectors need no head.
    answer(folder, &["embed", "model", "anna"]);
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut paper = distilbert(folder);
    paper.bundle.config.vocabulary += 1;
    let rows = paper.bundle.weights.get("embeddings.word_embeddings.weight").unwrap().data.len() / 8 + 1;
    paper.bundle.weights.insert("embeddings.word_embeddings.weight", Tensor::zeros(vec![rows, 8]));
    paper.write_vocabulary(folder, "larger", json!({"tokenizer_class": "DistilBertTokenizer"}));
    fs::copy(folder.join("larger/model.safetensors"), folder.join("model/model.safetensors")).unwrap();
    let complaint = fail(folder, &["embed", "model", "anna"]);
    assert!(complaint.contains("[10, 8]") && complaint.contains("[9, 8]"), "{complaint}");
}
