//! Directories of sentence encoders: the model in a folder of its own, dense layers, prompts, poolings, limits.

use std::fs;

use attar_model::{Family, Head, Pooling, PoolingMode, Projection, ProjectionActivation, Prompts, Tensor};
use serde_json::json;

use super::paper::{Paper, WIDTH, answer, assert_numbers, forty_rows, mean, single};
use crate::common::{attar, fail, write};

const PIECES: [&str; 12] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "anna", "river", "stone", "query", ":", "cloud", "passage"];
const MPNET: [&str; 9] = ["<s>", "<pad>", "</s>", "[UNK]", "anna", "river", "stone", "cloud", "<mask>"];

/// The words of the tokenizer as its files have them.
fn settings(class: &str) -> serde_json::Value {
    json!({ "tokenizer_class": class })
}

#[test]
fn a_dense_layer_over_an_mpnet_in_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut paper = Paper::new(Family::MpNet, &MPNET, Head::None);
    let weight: Vec<f32> = (0..3 * WIDTH).map(|at| ((at * 5 % 11) as f32 - 5.0) / 8.0).collect();
    let bias = vec![0.25, -0.5, 0.125];
    let projection = Projection {
        normalized_input: true,
        weight: Tensor::new(vec![3, WIDTH], weight.clone()),
        bias: Some(Tensor::new(vec![3], bias.clone())),
        activation: ProjectionActivation::Relu,
    };
    paper.bundle.pooling = Some(Pooling { mode: PoolingMode::MeanSqrtLength, normalize: true });
    paper.bundle.projections = vec![projection];
    let outer = paper.write_vocabulary(folder, "model", settings("MPNetTokenizer"));
    let inner = outer.join("0_Transformer");
    fs::create_dir(&inner).unwrap();
    for name in ["config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json", "sentence_bert_config.json"]
    {
        fs::rename(outer.join(name), inner.join(name)).unwrap();
    }
    let modules = fs::read_to_string(outer.join("modules.json")).unwrap();
    fs::write(outer.join("modules.json"), modules.replacen("\"path\": \"\"", "\"path\": \"0_Transformer\"", 1))
        .unwrap();

    let states = paper.states(&single(&["<s>", "anna", "river", "</s>"]));
    // The mean times the root of the number of tokens, of length 1, through the layer, of length 1 again.
    let pooled = unit(&mean(&states).map(|x| x * 2.0));
    let rows = weight.chunks(WIDTH).zip(&bias);
    let dense =
        rows.map(|(row, &bias)| row.iter().zip(&pooled).map(|(w, x)| f64::from(*w) * x).sum::<f64>() + f64::from(bias));
    let dense: Vec<f64> = dense.map(|x| x.max(0.0)).collect();
    assert!(dense.iter().any(|x| *x > 0.0), "the layer says nothing");
    for model in ["model", "model/0_Transformer"] {
        assert_numbers(&answer(folder, &["embed", model, "Anna river"]), "vector", &unit(&dense));
    }
}

#[test]
fn prompts_of_a_model_stand_before_its_texts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for pooled in [true, false] {
        let mut paper = Paper::new(Family::DistilBert, &PIECES, Head::None);
        let named =
            [("query", "query: "), ("passage", "passage: ")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        paper.bundle.pooling = Some(Pooling { mode: PoolingMode::Mean, normalize: false });
        paper.bundle.prompts = Prompts { named: named.into(), default: Some("query".into()), pooled };
        let name = if pooled { "pooled" } else { "left-out" };
        paper.write_vocabulary(folder, name, settings("DistilBertTokenizer"));
        let vector = |pieces: &[&str], skipped: usize| {
            let states = paper.states(&single(pieces));
            mean(&states[if pooled { 0 } else { skipped }..])
        };
        let embed = |more: &[&str]| answer(folder, &[&["embed", name, "anna river"], more].concat());
        // Left out are the prompt's tokens and the special one before them.
        let query = vector(&["[CLS]", "query", ":", "anna", "river", "[SEP]"], 3);
        assert_numbers(&embed(&[]), "vector", &query);
        assert_numbers(&embed(&["--prompt", "query"]), "vector", &query);
        let passage = vector(&["[CLS]", "passage", ":", "anna", "river", "[SEP]"], 3);
        assert_numbers(&embed(&["--prompt", "passage"]), "vector", &passage);
        let stone = vector(&["[CLS]", "stone", "anna", "river", "[SEP]"], 2);
        assert_numbers(&embed(&["--prompt-text", "stone "]), "vector", &stone);
        let none = vector(&["[CLS]", "anna", "river", "[SEP]"], 1);
        assert_numbers(&embed(&["--prompt-text", ""]), "vector", &none);
        let complaint = fail(folder, &["embed", name, "anna", "--prompt", "document"]);
        assert!(complaint.contains("passage, query") && complaint.contains("--prompt-text"), "{complaint}");
    }
    let complaint = fail(folder, &["embed", "pooled", "anna", "--prompt", "query", "--prompt-text", "x"]);
    assert!(complaint.contains("cannot be used with"), "{complaint}");
}

#[test]
fn a_copy_of_a_model_keeps_its_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut paper = Paper::new(Family::DistilBert, &PIECES, Head::None);
    paper.bundle.pooling = Some(Pooling { mode: PoolingMode::Mean, normalize: true });
    paper.bundle.prompts =
        Prompts { named: [("q".into(), "query: ".into())].into(), default: Some("q".into()), pooled: false };
    paper.write_vocabulary(folder, "model", settings("DistilBertTokenizer"));
    write(folder, "text.txt", "anna river stone query : passage\n");
    crate::common::succeed(folder, &["vocab", "trim", "model", "--text", "text.txt", "--size", "11", "--out", "small"]);
    let [whole, small] = ["model", "small"].map(|model| answer(folder, &["embed", model, "anna stone"]));
    assert_eq!(whole["vector"], small["vector"]);
}

#[test]
fn a_training_says_that_it_reads_texts_without_a_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut paper = Paper::new(Family::DistilBert, &PIECES, Head::None);
    paper.bundle.pooling = Some(Pooling { mode: PoolingMode::Mean, normalize: true });
    paper.bundle.prompts =
        Prompts { named: [("q".into(), "query: ".into())].into(), default: Some("q".into()), pooled: true };
    paper.write_vocabulary(folder, "model", settings("DistilBertTokenizer"));
    write(folder, "rows.csv", &forty_rows(&["wet", "dry"]));
    let tune = ["finetune", "model", "--data", "rows.csv", "--steps", "1", "--energy", "off", "--out", "tuned"];
    let output = attar(folder, &tune).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("puts \"query: \" before texts"), "{said}");
}

#[test]
fn a_pooling_that_attar_lacks_is_refused_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut paper = Paper::new(Family::MpNet, &MPNET, Head::None);
    paper.bundle.pooling = Some(Pooling { mode: PoolingMode::Mean, normalize: true });
    let model = paper.write_vocabulary(folder, "model", settings("MPNetTokenizer"));
    fs::write(model.join("1_Pooling/config.json"), json!({"pooling_mode_weightedmean_tokens": true}).to_string())
        .unwrap();
    write(folder, "rows.csv", &forty_rows(&["a", "b"]));
    let commands: [&[&str]; 3] = [
        &["embed", "model", "anna"],
        &["finetune", "model", "--data", "rows.csv", "--epochs", "1", "--out", "f"],
        &["quantize", "model", "--data", "rows.csv", "--out", "q"],
    ];
    for command in commands {
        let complaint = fail(folder, command);
        assert!(complaint.contains("weightedmean") && complaint.contains("1_Pooling"), "{command:?}: {complaint}");
    }
}

#[test]
fn a_limit_under_a_family_s_name_cuts_texts_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut paper = Paper::new(Family::DistilBert, &PIECES, Head::None);
    paper.bundle.pooling = Some(Pooling { mode: PoolingMode::LastToken, normalize: false });
    let model = paper.write_vocabulary(folder, "model", settings("DistilBertTokenizer"));
    fs::remove_file(model.join("sentence_bert_config.json")).unwrap();
    fs::write(model.join("sentence_distilbert_config.json"), json!({"max_seq_length": 4}).to_string()).unwrap();
    let cut = paper.states(&single(&["[CLS]", "anna", "river", "[SEP]"]));
    let got = answer(folder, &["embed", "model", "anna river stone cloud"]);
    assert_numbers(&got, "vector", &cut[3]);
    assert_eq!(got["truncated"], true, "{got}");
    assert!(answer(folder, &["embed", "model", "anna river"])["truncated"].is_null());
}

/// Of length 1.
fn unit(vector: &[f64]) -> Vec<f64> {
    let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    vector.iter().map(|x| x / length).collect()
}
