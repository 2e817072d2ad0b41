//! How a run ends: by itself, by a signal, asked again; and what it leaves.

use std::path::Path;

use crate::common::{attar, json, student_recipe, succeed, workshop};

const RUN: [&str; 5] = ["distill", "--recipe", "student.toml", "--out", "run"];

/// All files of a folder and the folders in it, with their bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn a_finished_run_asked_again_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    student_recipe(folder, &[("epochs = 6", "steps = 3")]);
    let first = json(&succeed(folder, &[&RUN[..], &["--json"]].concat()));
    // What nobody needs any more is gone, and that is said.
    assert!(!folder.join("run/checkpoints").exists());
    assert!(first["removed"]["bytes"].as_u64().unwrap() > 1000, "{first}");
    let before = files(&folder.join("run"));
    let output = attar(folder, &[&RUN[..], &["--json"]].concat()).output().unwrap();
    let again = json(&String::from_utf8(output.stdout).unwrap());
    assert!(String::from_utf8_lossy(&output.stderr).contains("had ended before"));
    for key in ["student", "fingerprint", "parameters", "scores", "bill", "notes"] {
        assert_eq!(again[key], first[key], "{key}");
    }
    assert!(files(&folder.join("run")) == before, "a file of the run changed");
    let shown = succeed(folder, &RUN);
    assert!(shown.contains("keeps") && shown.contains("of the teacher's accuracy"), "{shown}");
    assert!(shown.contains("they agree on"), "{shown}");
}

#[test]
fn a_run_within_a_time_keeps_its_updates_whatever_path_names_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder);
    let teacher = workshop().join("teacher").display().to_string();
    let run = |time: &str, data: &str| {
        let data = ["finetune", &teacher, "--new-head", "--data", data, "--dev", "dev.tsv", "--energy", "off"];
        attar(folder, &[&data[..], &["--within", time, "--out", "run"]].concat()).output().unwrap()
    };
    assert!(run("300ms", "rows.tsv").status.success());
    let before = files(&folder.join("run"));
    // Another time gives other updates, as another speed of the machine does; and a file may be named by another path.
    let again = run("10ms", &folder.join("rows.tsv").display().to_string());
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && said.contains("keeps its updates"), "{said}");
    assert!(files(&folder.join("run")) == before, "a file of the run changed");
}

#[test]
fn checkpoints_stay_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    student_recipe(folder, &[("epochs = 6", "steps = 3"), ("every = 5", "every = 2\nclean = false")]);
    let exported = json(&succeed(folder, &[&RUN[..], &["--json"]].concat()));
    assert!(exported["removed"].is_null(), "{exported}");
    assert!(folder.join("run/checkpoints").exists());
}

#[test]
fn no_byte_depends_on_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    student_recipe(folder, &[("epochs = 6", "steps = 6")]);
    let weights = |threads: &str, out: &str| {
        let run = ["distill", "--recipe", "student.toml", "--threads", threads, "--out", out];
        succeed(folder, &run);
        std::fs::read(folder.join(out).join("student/model.safetensors")).unwrap()
    };
    let one = weights("1", "one");
    assert!(one == weights("2", "two") && one == weights("3", "three"), "weights depend on threads");
    // A head that begins as a linear model over the frozen encoder, too.
    let teacher = workshop().join("teacher").display().to_string();
    rows(folder);
    let tuned = |threads: &str, out: &str| {
        let data = ["finetune", &teacher, "--new-head", "--data", "rows.tsv", "--dev", "dev.tsv", "--energy", "off"];
        succeed(folder, &[&data[..], &["--steps", "2", "--threads", threads, "--out", out]].concat());
        std::fs::read(folder.join(out).join("student/model.safetensors")).unwrap()
    };
    assert!(tuned("1", "tuned-one") == tuned("2", "tuned-two"), "a fine-tuned model depends on threads");
}

/// Rows of two classes, and others to choose by.
fn rows(folder: &Path) {
    let things = ["lights", "heating", "lamp", "fan", "sun", "radio"];
    let lines: String = things.iter().map(|thing| format!("{thing} on\ta\n{thing} off\tb\n")).collect();
    std::fs::write(folder.join("rows.tsv"), format!("text\tlabel\n{lines}")).unwrap();
    std::fs::write(folder.join("dev.tsv"), "text\tlabel\ndoor on\ta\ndoor off\tb\n").unwrap();
}

/// Whether this process was told to ignore SIGINT, which is 2.
#[cfg(unix)]
fn ignores_interrupts() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> 1 & 1 == 1)
}

#[cfg(unix)]
#[test]
fn a_signal_stops_a_run_at_a_checkpoint_and_it_goes_on_with_other_threads() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Checkpoints are far apart: what is there comes of the signal.
    student_recipe(folder, &[("every = 5", "every = 100000"), ("epochs = 6", "epochs = 60")]);
    succeed(folder, &["distill", "--recipe", "student.toml", "--out", "whole"]);
    // A shell's background process ignores the first, and so do its children.
    let first = if ignores_interrupts() { ("TERM", 143) } else { ("INT", 130) };
    for (before, (signal, code)) in [first, ("TERM", 143)].into_iter().enumerate() {
        let mut child = attar(folder, &RUN)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Signals are handled once the log says that the run begins or resumes.
        let log = || std::fs::read_to_string(folder.join("run/events.jsonl")).unwrap_or_default();
        while log().matches("\"began\"").count() <= before {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let status = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let status = child.wait().unwrap();
        let mut errors = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut errors).unwrap();
        assert_eq!(status.code(), Some(code), "{errors}");
        assert!(errors.contains("the same command resumes") && errors.contains("wrote a checkpoint"), "{errors}");
        let checkpoints = std::fs::read_dir(folder.join("run/checkpoints")).unwrap();
        assert!(checkpoints.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("stage-")));
    }
    succeed(folder, &["distill", "--recipe", "student.toml", "--out", "run", "--threads", "2"]);
    let weights = |run: &str| std::fs::read(folder.join(run).join("student/model.safetensors")).unwrap();
    assert!(weights("run") == weights("whole"), "a stopped run ends in other bytes");
}

#[test]
fn cards_say_how_a_model_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    student_recipe(folder, &[("epochs = 6", "steps = 3")]);
    succeed(folder, &RUN);
    let card = std::fs::read_to_string(folder.join("run/student/README.md")).unwrap();
    assert!(card.contains("\nDistilled from teacher.\n") && card.contains("base_model: \"teacher\""), "{card}");
    let card = std::fs::read_to_string(workshop().join("teacher/student/README.md")).unwrap();
    assert!(card.contains("An encoder trained on") && !card.contains("istilled"), "{card}");
    let tuned = ["--steps", "2", "--checkpoint-every", "1", "--energy", "off", "--out", "tuned"];
    rows(folder);
    let teacher = workshop().join("teacher").display().to_string();
    // Two classes instead of eighteen.
    let data = ["finetune", &teacher, "--new-head", "--data", "rows.tsv", "--dev", "dev.tsv"];
    succeed(folder, &[&data[..], &tuned].concat());
    let card = std::fs::read_to_string(folder.join("tuned/student/README.md")).unwrap();
    assert!(card.contains("\nFine-tuned from teacher.\n") && !card.contains("istilled"), "{card}");
}
