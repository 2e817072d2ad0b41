//! A run that is killed at any moment goes on to the same bytes.

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
        // The ledger of a killed run can be read, and nothing that a crash leaves is in the way.
        succeed(folder, &["inspect", "killed"]);
    }
    assert!(interrupted > 0, "no run was killed after it had begun");
}

/// Everything in a student that is decided by recipe and data; energy and times differ by nature.
fn student(run: &Path) -> Vec<Vec<u8>> {
    let files = ["model.safetensors", "config.json", "tokenizer.json", "vocab.txt", "tokenizer_config.json"];
    files.map(|name| std::fs::read(run.join("student").join(name)).unwrap()).into()
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
        complaint.contains("holds another run: recipe was") && complaint.contains("choose another folder"),
        "{complaint}"
    );
    assert!(student(&folder.join("run")) == bytes);
}
