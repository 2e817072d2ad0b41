//! What the commands print.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use attar_model::atomic::WriteMode;
use attar_model::{Bundle, Head, Tensor};
use serde_json::Value;

use crate::common::{attar, fail, json, student_recipe, succeed, workshop, write};

#[test]
fn help_names_every_command() {
    let help = succeed(workshop(), &["--help"]);
    assert_eq!(help.trim_end(), include_str!("help.txt").trim_end());
}

#[test]
fn inspect_counts() {
    let inspection = json(&succeed(workshop(), &["inspect", "teacher", "--json"]));
    let parameters = inspection["parameters"].as_array().unwrap();
    let sum: u64 = parameters.iter().map(|group| group[1].as_u64().unwrap()).sum();
    assert_eq!(inspection["total_parameters"].as_u64(), Some(sum));
    assert_eq!(inspection["labels"].as_array().unwrap().len(), 18);
    assert_eq!(inspection["provenance"]["seed"], 1);
    assert!(inspection["provenance"]["rows"].is_null(), "hashes of rows are for programs");
    let shown = succeed(workshop(), &["inspect", "teacher"]);
    assert!(shown.contains("word embeddings") && shown.contains("classification: 2 layers, 32 hidden"), "{shown}");
}

#[test]
fn predict_reads_arguments_and_lines() {
    let lines = succeed(workshop(), &["predict", "teacher", "--json", "turn on the lights", "order two lamps"]);
    let answers: Vec<Value> = lines.lines().map(json).collect();
    assert_eq!(answers.len(), 2);
    for answer in &answers {
        let sum: f64 = answer["probabilities"].as_array().unwrap().iter().map(|p| p[1].as_f64().unwrap()).sum();
        // Eighteen rounded doubles.
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    }
    let mut child = attar(workshop(), &["predict", "teacher", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"turn on the lights\norder two lamps\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), lines);
}

/// The workshop's teacher with an untrained head over tokens.
fn with_head_over_tokens(folder: &Path, name: &str, head: Head) {
    let mut bundle = Bundle::read(&workshop().join("teacher/student")).unwrap();
    let of_encoder = |name: &str| name.starts_with("embeddings.") || name.starts_with("encoder.");
    let kept = bundle.weights.iter().filter(|(name, _)| of_encoder(name));
    bundle.weights = kept.map(|(name, tensor)| (name.to_string(), tensor.clone())).collect();
    bundle.config = bundle.config.with_head(head);
    let (outputs, hidden) = (bundle.config.outputs(), bundle.config.hidden);
    let weight = (0..outputs * hidden).map(|i| (i as f32 * 0.7).sin()).collect();
    bundle.weights.insert("classifier.weight", Tensor::new(vec![outputs, hidden], weight));
    bundle.weights.insert("classifier.bias", Tensor::new(vec![outputs], vec![0.0; outputs]));
    bundle.write(&folder.join(name), WriteMode::New).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"] {
        let from = workshop().join("teacher/student").join(file);
        if from.exists() {
            std::fs::copy(from, folder.join(name).join(file)).unwrap();
        }
    }
}

#[test]
fn predict_tags_words_and_answers_questions() {
    let folder = tempfile::tempdir().unwrap();
    let labels = ["O", "B-LIGHT", "I-LIGHT"].map(String::from).to_vec();
    with_head_over_tokens(folder.path(), "tagger", Head::TokenClassification { labels });
    let text = "é turn on the lights";
    let tagged = json(&succeed(folder.path(), &["predict", "tagger", "--json", text]));
    let words = tagged["words"].as_array().unwrap();
    assert_eq!(words.iter().map(|word| word["text"].as_str().unwrap()).collect::<Vec<_>>().join(" "), text);
    // Characters, not bytes.
    assert_eq!((&words[1]["start"], &words[1]["end"]), (&Value::from(2), &Value::from(6)));
    assert!(words.iter().all(|word| word["label"].is_string() && word["probability"].is_number()));
    assert!(succeed(folder.path(), &["predict", "tagger", text]).contains("label"));
    assert!(fail(folder.path(), &["predict", "tagger", text, "--pair", "x"]).contains("--pair"));

    with_head_over_tokens(folder.path(), "reader", Head::QuestionAnswering);
    let ask = ["predict", "reader", "--json", "turn what on", "where", "--pair", text];
    let answers: Vec<Value> = succeed(folder.path(), &ask).lines().map(json).collect();
    assert_eq!(answers.len(), 2);
    for answer in &answers {
        let [start, end] = ["start", "end"].map(|key| answer[key].as_u64().unwrap() as usize);
        let span: String = text.chars().skip(start).take(end - start).collect();
        assert_eq!(answer["answer"], span);
    }
    assert!(fail(folder.path(), &["predict", "reader", "where"]).contains("--pair"));
}

#[test]
fn embed_pools_as_it_is_told() {
    let vector = |arguments: &[&str]| -> Vec<f64> {
        let base = ["embed", "teacher", "turn on the lights"];
        let text = succeed(workshop(), &[&base[..], arguments].concat());
        text.split_whitespace().map(|number| number.parse().unwrap()).collect()
    };
    let mean = vector(&[]);
    assert_eq!(mean.len(), 32);
    let unit = vector(&["--normalize", "true"]);
    let length: f64 = unit.iter().map(|x| x * x).sum::<f64>().sqrt();
    // Thirty-two 32-bit floats.
    assert!((length - 1.0).abs() < 1e-6, "{length}");
    assert_ne!(mean, vector(&["--pooling", "cls"]));
}

#[test]
fn plan_counts_and_probes() {
    let folder = tempfile::tempdir().unwrap();
    student_recipe(folder.path(), &[]);
    let plan = json(&succeed(folder.path(), &["plan", "student.toml", "--probe", "2", "--json"]));
    let stages = plan["cost"]["stages"].as_array().unwrap();
    // 200 rows in batches of 32, six times; of 16 by twos, six times.
    assert_eq!(stages[0]["steps"], 42);
    assert_eq!(stages[1]["steps"], 42);
    assert_eq!(stages[0]["rows"], 1200);
    let estimate = &plan["estimate"];
    let [low, value, high] = [&estimate["seconds_range"][0], &estimate["seconds"], &estimate["seconds_range"][1]]
        .map(|v| v.as_f64().unwrap());
    assert!(low > 0.0 && low <= value && value <= high, "{estimate}");
    assert_eq!(estimate["bill"]["total"]["method"], "modeled");
    let shown = succeed(folder.path(), &["plan", "student.toml", "--probe", "0"]);
    assert!(shown.contains("times smaller"), "{shown}");
    assert!(shown.contains("memory at the peak") && shown.contains("together"), "{shown}");
}

#[test]
fn plan_tells_the_memory_of_the_run_by_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let parts = |changes: &[(&str, &str)]| {
        student_recipe(folder.path(), changes);
        let plan = json(&succeed(folder.path(), &["plan", "student.toml", "--probe", "0", "--json"]));
        let needed = &plan["memory"]["needed"];
        let parts = needed["parts"].as_array().unwrap();
        let sum: u64 = parts.iter().map(|part| part["bytes"].as_u64().unwrap()).sum();
        assert_eq!(needed["bytes"].as_u64(), Some(sum));
        assert_eq!(plan["memory"]["free"].is_null(), !cfg!(target_os = "linux"));
        let bytes = |name: &str| {
            let part = parts.iter().find(|part| part["name"] == name).unwrap_or_else(|| panic!("{name} in {needed}"));
            part["bytes"].as_f64().unwrap()
        };
        ["the student", "the teacher", "activations of the largest batch"].map(bytes)
    };
    let plain = parts(&[]);
    // Of all rows in one batch a pass keeps several times as much, and the models are what they were.
    let large = parts(&[("batch-rows = 16\n", ""), ("epochs = 6 }", "epochs = 6 }\nbatch-rows = 200")]);
    assert_eq!(plain[..2], large[..2]);
    assert!(large[2] > 3.0 * plain[2], "{plain:?} {large:?}");
}

#[test]
fn eval_compares_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    student_recipe(folder, &[("epochs = 6", "steps = 5")]);
    let exported = json(&succeed(folder, &["distill", "--recipe", "student.toml", "--out", "run", "--json"]));
    assert_eq!(exported["scores"]["student"][0]["rows"], 60);
    assert!(exported["bill"]["total"]["energy_kwh"]["value"].as_f64().unwrap() > 0.0);

    let data =
        attar_text::synthetic::generate(&attar_text::random::Streams::new(9), 40, attar_text::layout::Split::Test);
    let labels = &data.target.labels().unwrap().names;
    let classes = data.classes().unwrap();
    let rows: String = data
        .examples
        .iter()
        .zip(classes)
        .map(|(e, class)| format!("{}\t{}\n", e.text, labels[class as usize]))
        .collect();
    write(folder, "rows.tsv", &format!("text\tlabel\n{rows}"));
    let teacher = workshop().join("teacher").display().to_string();
    let arguments = ["eval", &teacher, "run", "--data", "rows.tsv", "--energy", "fixed", "--watts", "10", "--json"];
    let comparison = json(&succeed(folder, &arguments));
    let models = comparison["models"].as_array().unwrap();
    assert_eq!((models[0]["name"].as_str(), models[1]["name"].as_str()), (Some("teacher"), Some("run")));
    assert!(models[0]["agreement"].is_null() && models[1]["agreement"]["rows"] == 40);
    for model in models {
        assert!(model["speed"]["micros"].as_f64().unwrap() > 0.0);
        assert!(model["speed"]["joules_per_thousand"]["value"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn flags_print_their_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rows = |count: usize| (0..count).map(|i| format!("some text {i},{}\n", ["x", "y"][i % 2])).collect::<String>();
    write(folder, "rows.csv", &format!("text,label\n{}", rows(40)));
    let teacher = workshop().join("teacher").display().to_string();
    let recipe = succeed(
        folder,
        &[
            "distill",
            "--teacher",
            &teacher,
            "--data",
            "rows.csv",
            "--layers",
            "1",
            "--init",
            "random",
            "--print-recipe",
        ],
    );
    assert!(!folder.join("runs").exists());
    // The rules wrote down what they made of the data.
    for line in ["noisy-copies = 40", "layers = 1", "name = \"states\"", "name = \"answers\""] {
        assert!(recipe.contains(line), "expected `{line}` in\n{recipe}");
    }
    std::fs::create_dir(folder.join("elsewhere")).unwrap();
    write(&folder.join("elsewhere"), "printed.toml", &recipe);
    // What is printed can be read again, wherever it is put; the teacher knows other classes.
    let complaint = crate::common::fail(folder, &["plan", "elsewhere/printed.toml"]);
    assert!(
        complaint.contains("rows.csv") || complaint.contains("classes") || complaint.contains("share"),
        "{complaint}"
    );
    assert!(!complaint.contains("No such file"), "{complaint}");
}

#[test]
fn eval_sets_a_frozen_encoder_beside_the_models() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let streams = attar_text::random::Streams::new(9);
    let mut largest = 0;
    for (name, split, count) in
        [("train.tsv", attar_text::layout::Split::Train, 400), ("test.tsv", attar_text::layout::Split::Test, 100)]
    {
        let data = attar_text::synthetic::generate(&streams, count, split);
        let labels = &data.target.labels().unwrap().names;
        let rows = data.examples.iter().zip(data.classes().unwrap());
        let rows: String = rows.map(|(e, class)| format!("{}\t{}\n", e.text, labels[class as usize])).collect();
        write(folder, name, &format!("text\tlabel\n{rows}"));
        largest = *data.class_counts().iter().max().unwrap();
    }
    let teacher = workshop().join("teacher").display().to_string();
    let arguments =
        ["eval", &teacher, "--data", "test.tsv", "--train", "train.tsv", "--baseline", "--no-speed", "--json"];
    let comparison = json(&succeed(folder, &[&arguments[..], &["--encoder", &teacher]].concat()));
    let models = comparison["models"].as_array().unwrap();
    assert_eq!(models[2]["name"], "teacher, frozen");
    // The vectors of a model that knows the classes tell them apart.
    let score = models[2]["scores"][0]["value"].as_f64().unwrap();
    assert!(score > largest as f64 / 100.0 + 0.2, "{score}, the largest class has {largest} of 100");
    assert_eq!(models[2]["parameters"], models[0]["parameters"]);
    let complaint = crate::common::fail(folder, &["eval", &teacher, "--data", "test.tsv", "--encoder", &teacher]);
    assert!(complaint.contains("--baseline"), "{complaint}");
}

#[test]
fn an_encoder_and_rows_become_a_teacher_and_a_small_student() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let teacher = attar_model::Bundle::read_headless(&workshop().join("teacher/student")).unwrap();
    attar_model::Bundle { provenance: None, ..teacher }
        .write(&folder.join("encoder"), attar_model::atomic::WriteMode::New)
        .unwrap();
    let streams = attar_text::random::Streams::new(3);
    let data = attar_text::synthetic::generate(&streams, 300, attar_text::layout::Split::Train);
    let labels = &data.target.labels().unwrap().names;
    let rows = data.examples.iter().zip(data.classes().unwrap());
    let rows: String = rows.map(|(e, class)| format!("{}\t{}\n", e.text, labels[class as usize])).collect();
    write(folder, "rows.tsv", &format!("text\tlabel\n{rows}"));
    let arguments = [
        "distill",
        "--teacher",
        "encoder",
        "--data",
        "rows.tsv",
        "--max-tokens",
        "24",
        "--noisy-copies",
        "1",
        "--steps",
        "4",
        "--max-bytes",
        "20MB",
        "--out",
        "run",
        "--json",
    ];
    let whole = json(&succeed(folder, &arguments));
    assert!(folder.join("run/teacher/student/config.json").exists());
    assert!(folder.join("run/small/model.int8.safetensors").exists());
    assert!(!folder.join("run/small/model.safetensors").exists());
    let bytes: u64 = std::fs::read_dir(folder.join("run/small"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    let shipped = whole["small"]["bytes"].as_u64().unwrap();
    // The card and attar's own record are not needed to answer.
    assert!(shipped > 0 && shipped <= bytes, "{shipped} of {bytes}");
    let answer = succeed(folder, &["predict", "run/small", "lights on please"]);
    assert!(labels.iter().any(|label| answer.contains(label)), "{answer}");
    // Asked again, nothing is made again.
    let again = json(&succeed(folder, &arguments));
    assert_eq!(again["fingerprint"], whole["fingerprint"]);
    assert_eq!(again["bill"], whole["bill"]);
}
