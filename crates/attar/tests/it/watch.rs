//! `attar watch` on a finished run and on one that is still going.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::common::{attar, fail, succeed, workshop, write};

#[test]
fn a_finished_run_is_shown_and_left() {
    let shown = succeed(workshop(), &["watch", "teacher"]);
    // One line: what there was when it was looked at.
    assert_eq!(shown.lines().count(), 1, "{shown}");
    for part in ["stage 1 of 1, teacher: update 30 of 30", "loss ", "accuracy ", " so far", "the run has ended"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(fail(folder.path(), &["watch", "."]).contains("holds no events.jsonl"));
    assert!(fail(folder.path(), &["watch", "nothing"]).contains("does not exist"));
}

#[test]
fn events_are_followed_as_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let written = std::fs::read_to_string(workshop().join("teacher/events.jsonl")).unwrap();
    let (first, rest) = written.split_at(written.len() / 2);
    let path = write(folder.path(), "events.jsonl", first);
    assert!(!succeed(folder.path(), &["watch", ".", "--once"]).contains("the run has ended"));
    let watching = attar(folder.path(), &["watch", ".", "--interval", "50ms"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(rest.as_bytes()).unwrap();
    // It ends by itself when the run has.
    let output = watching.wait_with_output().unwrap();
    assert!(output.status.success());
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.lines().last().unwrap().contains("the run has ended"), "{shown}");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_view() {
    let folder = tempfile::tempdir().unwrap();
    let written = std::fs::read_to_string(workshop().join("teacher/events.jsonl")).unwrap();
    write(folder.path(), "events.jsonl", &written[..written.len() / 2]);
    let mut watching = attar(folder.path(), &["watch", "."]).stdout(Stdio::piped()).spawn().unwrap();
    // Its first line tells that it listens. The other signal may be ignored, as it is of a test in the background.
    let mut line = String::new();
    BufReader::new(watching.stdout.take().unwrap()).read_line(&mut line).unwrap();
    std::process::Command::new("kill").args(["-TERM", &watching.id().to_string()]).status().unwrap();
    let status = watching.wait().unwrap();
    assert!(status.success(), "{status}: {line}");
}
