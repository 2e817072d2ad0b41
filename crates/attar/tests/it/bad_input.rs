//! Bad input: one clear error each, with the way out, and nothing lost.

use std::path::Path;
use std::process::Command;

use crate::common::{attar, complaint, fail, student_recipe, succeed, workshop, write};

/// Asserts that a complaint names all of these.
#[track_caller]
fn names(complaint: &str, parts: &[&str]) {
    for part in parts {
        assert!(complaint.contains(part), "expected `{part}` in:\n{complaint}");
    }
}

/// A copy of the workshop's teacher with one file changed.
fn broken_teacher(folder: &Path, file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let copy = folder.join("model");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(workshop().join("teacher/student")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }
    let path = copy.join(file);
    std::fs::write(&path, change(std::fs::read(&path).unwrap())).unwrap();
    copy.display().to_string()
}

fn edited(from: &'static str, to: &'static str) -> impl FnOnce(Vec<u8>) -> Vec<u8> {
    move |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        text.replace(from, to).into_bytes()
    }
}

#[test]
fn missing_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let missing = ["nowhere", "no such folder", "`hf:OWNER/MODEL`", "attar finetune"];
    write(folder, "some.csv", "text,label\na,x\nb,y\n");
    names(&fail(folder, &["inspect", "nowhere"]), &missing);
    names(&fail(folder, &["predict", "nowhere", "text"]), &missing);
    names(&fail(folder, &["quantize", "nowhere", "--out", "small"]), &missing);
    names(&fail(folder, &["bench", "nowhere"]), &missing);
    names(&fail(folder, &["finetune", "nowhere", "--data", "some.csv"]), &missing);
    names(&fail(folder, &["distill", "--teacher", "nowhere", "--data", "some.csv"]), &missing);
    std::fs::create_dir(folder.join("empty")).unwrap();
    names(&fail(folder, &["inspect", "empty"]), &["empty", "config.json"]);
    names(&fail(folder, &["plan", "nowhere.toml"]), &["nowhere.toml", "No such file"]);
    let teacher = workshop().join("teacher").display().to_string();
    names(&fail(folder, &["distill", "--teacher", &teacher, "--data", "rows.tsv", "--out", "run"]), &["rows.tsv"]);
    assert!(!folder.join("run").exists(), "a refused recipe leaves no run");
}

#[test]
fn class_weights_that_weigh_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rows: String =
        (0..40).map(|row| format!("text {row},{}\n", if row % 8 == 0 { "rare" } else { "usual" })).collect();
    write(folder, "rows.csv", &format!("text,label\n{rows}"));
    let teacher = workshop().join("teacher").display().to_string();
    let tune = |weights: &str| {
        let call =
            ["finetune", &teacher, "--new-head", "--data", "rows.csv", "--out", "run", "--class-weights", weights];
        fail(folder, &call)
    };
    names(&tune("rar=5"), &["nothing was computed", "class-weights", "rare, usual", "\"rar\""]);
    names(&tune("rare=0"), &["nothing was computed", "a weight from 1e-6 to 1e6 for the class \"rare\""]);
    names(&tune("balance"), &["--class-weights", "`balanced` or weights"]);
    assert!(!folder.join("run").exists(), "a refused recipe leaves no run");
    let distill = ["distill", "--teacher", &teacher, "--data", "rows.csv", "--class-weights", "balanced"];
    names(&fail(folder, &distill), &["--class-weights", "answers of", "--gold-only", "attar finetune"]);
}

#[test]
fn wrong_columns_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let teacher = workshop().join("teacher").display().to_string();
    let distill = |data: &str, more: &[&str]| {
        let base = ["distill", "--teacher", &teacher, "--data", data, "--out", "run", "--heads", "4", "--hidden", "16"];
        fail(folder, &[&base[..], more].concat())
    };
    write(folder, "rows.tsv", "sentence\tlabel\nlights on\tlights_on\nlights off\tlights_off\n");
    names(&distill("rows.tsv", &["--text", "sentense"]), &["rows.tsv", "sentense", "sentence"]);
    names(&distill("rows.tsv", &["--text", "5", "--header", "true"]), &["rows.tsv", "5"]);
    names(
        &distill("rows.tsv", &["--text", "sentence", "--labels", "lights_on,lights_of"]),
        &["line 3", "lights_off", "lights_of"],
    );
    // Two labels for a teacher of eighteen.
    write(folder, "dev.tsv", "sentence\tlabel\nlights on\tlights_on\n");
    names(&distill("rows.tsv", &["--text", "sentence", "--dev", "dev.tsv"]), &["2 classes", "attar finetune"]);
    write(folder, "narrow.tsv", "sentence\tlabel\nlights on\n");
    names(&distill("narrow.tsv", &["--text", "sentence"]), &["narrow.tsv", "line 2"]);
    names(
        &distill("rows.tsv", &["--text", "sentence", "--label", "sentence", "--regression", "0", "5"]),
        &["lights on"],
    );
}

#[test]
fn damaged_models() {
    let folder = || tempfile::tempdir().unwrap();
    let predict = |folder: &Path, model: &str| fail(folder, &["predict", model, "lights on"]);

    let a = folder();
    let model = broken_teacher(a.path(), "model.safetensors", |bytes| bytes[..bytes.len() / 2].to_vec());
    names(&predict(a.path(), &model), &["model.safetensors", "download it again"]);

    let b = folder();
    let model = broken_teacher(b.path(), "config.json", edited("\"hidden_size\": 32", "\"hidden_size\": 36"));
    names(&predict(b.path(), &model), &["model.safetensors", "has shape [32]", "config.json says [36]"]);

    let c = folder();
    let model =
        broken_teacher(c.path(), "config.json", edited("\"num_attention_heads\": 4", "\"num_attention_heads\": 5"));
    names(&predict(c.path(), &model), &["config.json", "5 heads do not divide", "32"]);

    // More tokens than rows in the embedding table.
    let d = folder();
    let model = broken_teacher(d.path(), "tokenizer.json", |bytes| {
        let mut json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let vocabulary = json["model"]["vocab"].as_object_mut().unwrap();
        let next = vocabulary.len();
        vocabulary.insert("zyzzyva".into(), next.into());
        serde_json::to_vec(&json).unwrap()
    });
    names(&predict(d.path(), &model), &["vocabulary", "use the tokenizer that belongs to the model"]);

    let e = folder();
    let model = broken_teacher(e.path(), "config.json", |_| b"{\"model_type\": \"gpt2\"}".to_vec());
    names(&predict(e.path(), &model), &["gpt2", "bert, distilbert, roberta, mpnet and electra"]);
}

#[test]
fn recipes_that_do_not_fit() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("rate = 1e-3", "rait = 1e-3", &["student.toml", "rait", "did you mean `rate`"]),
        ("heads = 4", "heads = 2", &["intermediate", "attention", "4 heads", "relation"]),
        ("hidden = 16", "hidden = 18", &["18", "heads", "set the hidden width to 16 or 20", "heads to 3"]),
        ("{ kind = \"hidden\" }", "{ kind = \"hidden\", map = [[1, 9]] }", &["[1, 9]", "1 to 2"]),
        ("steps", "steps", &[]),
        ("every = 5", "every = 0", &["checkpoint", "at least 1"]),
        ("watts = 10.0", "", &["watts"]),
        ("source = \"fixed\"", "source = \"fixed\"\nregion = \"Germny\"", &["Germny", "Germany"]),
        ("seed = 1", "seed = 1\ndevice = \"cuda\"", &["cuda", "--features cuda"]),
        // More than any machine has.
        (
            "layers = 1\nhidden = 16",
            "layers = 900\nhidden = 131072",
            &["memory of the student", "parameters", "choose a smaller student"],
        ),
    ];
    for (from, to, parts) in cases {
        if parts.is_empty() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        student_recipe(folder.path(), &[(from, to)]);
        names(&fail(folder.path(), &["distill", "--recipe", "student.toml", "--out", "run"]), parts);
        assert!(!folder.path().join("run").exists(), "{to}: a refused recipe leaves no run");
    }
}

#[test]
fn a_loss_that_explodes_stops_the_run_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The first stage is sound; the second one leaves the range of numbers at once.
    let wild = "name = \"prediction\"\nclip = 0.0\nwarmup = 0.0";
    student_recipe(
        folder,
        &[("name = \"prediction\"", wild), ("batch-rows = 16\nrate = 1e-3", "batch-rows = 16\nrate = 1e30")],
    );
    let complaint = fail(folder, &["distill", "--recipe", "student.toml", "--out", "run"]);
    names(&complaint, &["stage prediction", "step", "lower `rate`", "checkpoints are intact"]);
    let checkpoints: Vec<_> = std::fs::read_dir(folder.join("run/checkpoints")).unwrap().collect();
    assert!(!checkpoints.is_empty());
    // They are: the same run begins where it was, and stops there again.
    names(&fail(folder, &["distill", "--recipe", "student.toml", "--out", "run"]), &["stage prediction"]);
    let events = std::fs::read_to_string(folder.join("run/events.jsonl")).unwrap();
    let began: Vec<&str> = events.lines().filter(|line| line.contains("\"began\"")).collect();
    assert!(began.len() == 2 && began[1].contains("\"stage\":1"), "{began:?}");
}

#[test]
#[cfg(unix)]
fn a_full_disk_stops_the_run_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    student_recipe(folder, &[]);
    let run = ["distill", "--recipe", "student.toml", "--out", "run"];
    // The first checkpoints fit.
    let mut child = attar(folder, &run).spawn().unwrap();
    while !std::fs::read_dir(folder.join("run/checkpoints")).is_ok_and(|mut entries| entries.next().is_some()) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = checkpoints(folder);

    // A limit on the size of files stands in for a full disk: the write fails in its midst.
    let program = attar(folder, &run);
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$@\"";
    let mut limited = Command::new("sh");
    limited.args(["-c", script, "sh"]).arg(program.get_program()).args(program.get_args()).current_dir(folder);
    let output = limited.output().unwrap();
    assert!(!output.status.success());
    names(
        &complaint(&output),
        &["the run stopped", "checkpoint", "File too large", "resumes from the last checkpoint"],
    );
    assert_eq!(checkpoints(folder), before, "earlier checkpoints are intact");
    succeed(folder, &run);
}

fn checkpoints(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder.join("run/checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("stage-") {
            all.push((name, std::fs::read(path.join("parameters.safetensors")).unwrap()));
        }
    }
    all.sort();
    all
}
