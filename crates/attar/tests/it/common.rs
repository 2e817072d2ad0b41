//! A tiny teacher and recipes for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use attar_text::tokenizer::{TrainOptions, train_wordpiece};
use serde_json::Value;
use tempfile::TempDir;

/// `attar` with these arguments in a folder of its own; one thread if they say nothing else.
pub(crate) fn attar(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attar"));
    if !arguments.contains(&"--threads") {
        command.args(["--threads", "1"]);
    }
    command.current_dir(folder).args(arguments);
    command
}

/// The output of a call that has to succeed.
pub(crate) fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = attar(folder, arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "attar {arguments:?} failed:\n{text}{}", errors(&output));
    text
}

/// The complaint of a call that has to fail: a single line.
pub(crate) fn fail(folder: &Path, arguments: &[&str]) -> String {
    let output = attar(folder, arguments).output().unwrap();
    assert!(!output.status.success(), "attar {arguments:?} should have failed");
    complaint(&output)
}

/// What a failed call says on standard error beside its notes.
pub(crate) fn complaint(output: &Output) -> String {
    let errors = errors(output);
    assert!(!errors.contains("panicked"), "{errors}");
    let complaints: Vec<&str> = errors.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(complaints.len(), 1, "one error each, got:\n{errors}");
    // An error of several lines, as of a recipe with its place, belongs together.
    errors[errors.find("error: ").unwrap()..].to_string()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder that holds `tokenizer/` and the run `teacher/` of a tiny model on the embedded data.
pub(crate) fn workshop() -> &'static Path {
    static WORKSHOP: OnceLock<TempDir> = OnceLock::new();
    WORKSHOP
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let data = synthetic::generate(&Streams::new(1), 200, Split::Train);
            let texts = data.examples.iter().map(|example| example.text.as_str());
            let tokenizer = folder.path().join("tokenizer");
            std::fs::create_dir(&tokenizer).unwrap();
            train_wordpiece(texts, TrainOptions::new(300)).unwrap().save(&tokenizer).unwrap();
            write(folder.path(), "teacher.toml", TEACHER);
            succeed(folder.path(), &["finetune", "--recipe", "teacher.toml", "--out", "teacher"]);
            folder
        })
        .path()
}

/// A copy of the workshop's recipe for a student, with replacements, in a folder of its own.
pub(crate) fn student_recipe(folder: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let mut text = STUDENT.replace("WORKSHOP", &workshop().display().to_string());
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not in the recipe");
        text = text.replace(from, to);
    }
    write(folder, "student.toml", &text)
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}:\n{text}"))
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

const TEACHER: &str = r#"
seed = 1

[data]
kind = "embedded"
rows = 200
dev-rows = 60

[student]
from = "shape"
layers = 2
hidden = 32
heads = 4
feed-forward = 64
tokenizer = "tokenizer"

[[stage]]
name = "teacher"
length = { steps = 30 }
rate = 1e-3
objective = [{ kind = "gold" }]

[energy]
source = "fixed"
watts = 10.0
"#;

const STUDENT: &str = r#"
seed = 1

[data]
kind = "embedded"
rows = 200
dev-rows = 60

[teacher]
path = "WORKSHOP/teacher"
trace-cache = 10_000_000

[student]
from = "shape"
layers = 1
hidden = 16
heads = 4
feed-forward = 32

[checkpoint]
every = 5

[[stage]]
name = "intermediate"
length = { epochs = 6 }
rate = 1e-3
objective = [{ kind = "embedding" }, { kind = "hidden" }, { kind = "attention" }]

[[stage]]
name = "prediction"
length = { epochs = 6 }
accumulate = 2
batch-rows = 16
rate = 1e-3
objective = [{ kind = "soft" }, { kind = "gold", weight = 0.5 }]

[energy]
source = "fixed"
watts = 10.0
"#;
