//! A run killed at any moment resumes to the same bytes, and only one process can work on it at a time.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use attar_text::random::Streams;

use crate::common::{attar, student_recipe, succeed};

/// Moments at which a run is killed.
const KILLS: usize = 5;

#[test]
fn killed_runs_end_in_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    student_recipe(folder, &[]);
    let run = |out: &'static str| ["distill", "--recipe", "student.toml", "--out", out];

    let start = Instant::now();
    succeed(folder, &run("whole"));
    let whole = start.elapsed();
    let expected = student(&folder.join("whole"));

    let mut moments = Streams::new(u64::from(std::process::id())).stream("kill", &[]);
    let mut interrupted = 0;
    for _ in 0..KILLS {
        let out = folder.join("killed");
        let _ = std::fs::remove_dir_all(&out);
        // Killed again and again until the run ends by itself.
        for attempt in 0.. {
            let mut child = attar(folder, &run("killed")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            // Later attempts run to the end, so that the test does.
            let share = if attempt < 2 { moments.uniform() } else { 1000.0 };
            let deadline = Instant::now() + Duration::from_secs_f64(whole.as_secs_f64() * share);
            let status = loop {
                if let Some(status) = child.try_wait().unwrap() {
                    break Some(status);
                }
                if Instant::now() > deadline {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
                std::thread::sleep(Duration::from_millis(2));
            };
            match status {
                Some(status) => {
                    assert!(status.success(), "attempt {attempt} failed");
                    break;
                }
                None => interrupted += usize::from(out.join("events.jsonl").exists()),
            }
        }
        assert!(student(&out) == expected, "the student of a killed run differs");
        // The ledger of a killed run can be read, and nothing that a crash leaves is in the way or stays.
        succeed(folder, &["inspect", "killed"]);
        let mut left: Vec<String> = std::fs::read_dir(&out).unwrap().map(name_of).collect();
        left.sort();
        let curves = "events.out.tfevents.attar";
        let others = ["ledger.jsonl", "manifest.json", "recipe.toml", "result.json", "small", "student"];
        assert_eq!(left, [&["events.jsonl", curves][..], &others].concat());
    }
    assert!(interrupted > 0, "no run was killed after it had begun");
}

/// Everything in a student that is decided by recipe and data; energy and times differ by nature.
fn student(run: &Path) -> Vec<Vec<u8>> {
    let files = ["model.safetensors", "config.json", "tokenizer.json", "vocab.txt", "tokenizer_config.json"];
    files.map(|name| std::fs::read(run.join("student").join(name)).unwrap()).into()
}

fn name_of(entry: std::io::Result<std::fs::DirEntry>) -> String {
    entry.unwrap().file_name().to_string_lossy().into_owned()
}

#[test]
fn a_second_process_is_told_who_runs_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    student_recipe(folder, &[("epochs = 6", "steps = 3")]);
    std::fs::rename(folder.join("student.toml"), folder.join("short.toml")).unwrap();
    student_recipe(folder, &[("epochs = 6", "steps = 5000")]);
    let run = |recipe: &'static str| ["distill", "--recipe", recipe, "--out", "run"];
    let mut first = attar(folder, &run("student.toml")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !std::fs::read_to_string(folder.join("run/.lock")).is_ok_and(|text| text.ends_with('\n')) {
        assert!(first.try_wait().unwrap().is_none(), "the first run ended before it had begun");
        std::thread::sleep(Duration::from_millis(2));
    }
    for recipe in ["short.toml", "student.toml"] {
        let complaint = crate::common::fail(folder, &run(recipe));
        let holder = format!("process {}", first.id());
        assert!(complaint.contains(&holder) && complaint.contains("choose another folder"), "{complaint}");
    }
    // Whoever is killed holds nothing any more.
    first.kill().unwrap();
    first.wait().unwrap();
    std::fs::remove_dir_all(folder.join("run/checkpoints")).ok();
    let complaint = std::fs::metadata(folder.join("run/manifest.json"))
        .is_ok()
        .then(|| crate::common::fail(folder, &run("short.toml")));
    assert!(complaint.is_none_or(|complaint| complaint.contains("holds another run")));
    std::fs::remove_dir_all(folder.join("run")).unwrap();
    succeed(folder, &run("short.toml"));
    assert!(!folder.join("run/.lock").exists());
}

#[test]
fn of_two_that_start_at_once_one_runs_and_its_student_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let recipes = ["3", "4"].map(|steps| {
        student_recipe(folder, &[("epochs = 6", &format!("steps = {steps}")), ("every = 5", "every = 1")]);
        let name = format!("{steps}.toml");
        std::fs::rename(folder.join("student.toml"), folder.join(&name)).unwrap();
        name
    });
    let expected = recipes.each_ref().map(|recipe| {
        let out = format!("expected-{recipe}");
        succeed(folder, &["distill", "--recipe", recipe, "--out", &out]);
        student(&folder.join(out))
    });
    for round in 0..3 {
        let out = format!("run-{round}");
        let children = recipes.each_ref().map(|recipe| {
            let mut command = attar(folder, &["distill", "--recipe", recipe, "--out", &out]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        });
        let succeeded = children.map(|mut child| child.wait().unwrap().success());
        let winners: Vec<usize> = (0..2).filter(|&index| succeeded[index]).collect();
        let [winner] = winners[..] else { panic!("both or none have succeeded: {succeeded:?}") };
        assert!(student(&folder.join(out)) == expected[winner], "the student is of another recipe");
    }
}

#[test]
fn another_recipe_is_kept_out_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    student_recipe(folder, &[("epochs = 6", "steps = 3")]);
    let run = ["distill", "--recipe", "student.toml", "--out", "run"];
    succeed(folder, &run);
    let bytes = student(&folder.join("run"));
    // The same again is finished already and changes nothing.
    succeed(folder, &run);
    assert!(student(&folder.join("run")) == bytes);
    student_recipe(folder, &[("epochs = 6", "steps = 4")]);
    let complaint = crate::common::fail(folder, &run);
    assert!(
        complaint.contains("holds another run: recipe was") && complaint.contains("length.steps: 3, now 4"),
        "{complaint}"
    );
    assert!(student(&folder.join("run")) == bytes);
}
