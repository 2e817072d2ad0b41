//! Texts come and answers go: at once, in bounded memory, and each in its place.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use attar_model::atomic::WriteMode;
use attar_model::{Bundle, Head, Target};

use crate::common::{attar, complaint, fail, json, succeed, workshop, write};

/// A program that answers lines as they come.
struct Answering {
    child: Child,
    lines: Receiver<String>,
}

impl Answering {
    fn start(arguments: &[&str]) -> Answering {
        let mut command = attar(workshop(), arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Answering { child, lines }
    }

    fn give(&mut self, text: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(text).unwrap();
    }

    /// The next line; a program that waits for the end of its input would never give one.
    fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(120)).expect("no answer before the input has ended")
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

/// What a program gives for this standard input.
fn answered(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = attar(workshop(), arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that refuses has closed its end.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> Vec<String> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_string).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn answers_do_not_wait_for_the_end_of_the_input() {
    for arguments in [&["predict", "teacher", "--json"][..], &["embed", "teacher", "--json"]] {
        let mut answering = Answering::start(arguments);
        for text in ["turn on the lights", "order two lamps"] {
            answering.give(format!("{text}\n").as_bytes());
            assert_eq!(json(&answering.line())["text"], text);
        }
        answering.end();
    }
    // A table, too, whose columns do not depend on what is still to come.
    let mut answering = Answering::start(&["predict", "teacher"]);
    answering.give(b"turn on the lights\n");
    assert!(answering.line().ends_with(" probability  text"));
    assert!(answering.line().ends_with("  turn on the lights"));
    let long = "lamp ".repeat(2000);
    answering.give(format!("{long}\norder two lamps\n").as_bytes());
    assert!(answering.line().ends_with(&long));
    assert!(answering.line().len() < 200, "padded to the longest");
    answering.end();
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_number_of_texts() {
    let peak = |texts: usize| -> u64 {
        let mut answering = Answering::start(&["predict", "teacher", "--json"]);
        let mut input = answering.child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || {
            let lines = "turn on the lights\n".repeat(1000);
            (0..texts / 1000).for_each(|_| input.write_all(lines.as_bytes()).unwrap());
            input
        });
        (0..texts).for_each(|_| _ = answering.line());
        let status = std::fs::read_to_string(format!("/proc/{}/status", answering.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        answering.child.stdin = Some(writer.join().unwrap());
        answering.end();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let (few, many) = (peak(5_000), peak(50_000));
    // Ten times as many answers with 18 probabilities each were 80 MB when all of them were kept.
    assert!(many < few + 16_000, "{few} kB for few texts, {many} kB for many");
}

#[test]
fn a_line_that_is_no_text_stops_or_is_skipped() {
    let input = b"turn on the lights\ncaf\xe9\norder two lamps\n";
    let stopped = answered(&["predict", "teacher", "--json"], input);
    assert!(!stopped.status.success());
    // What was answered before is there.
    let lines = stdout(&stopped);
    assert_eq!((lines.len(), &json(&lines[0])["text"]), (1, &"turn on the lights".into()));
    let told = complaint(&stopped);
    assert!(told.contains("line 2: not UTF-8 at its byte 4") && told.contains("--on-error skip"), "{told}");

    let skipped = answered(&["predict", "teacher", "--json", "--on-error", "skip"], input);
    assert!(skipped.status.success());
    let lines: Vec<_> = stdout(&skipped).iter().map(|line| json(line)).collect();
    assert_eq!((lines.len(), &lines[2]["text"]), (3, &"order two lamps".into()));
    assert_eq!(lines[1]["line"], 2);
    assert!(lines[1]["error"].as_str().unwrap().contains("not UTF-8"));
    assert!(stderr(&skipped).contains("warning: 1 of 3 texts were not answered; the first: line 2"));

    let table = stdout(&answered(&["predict", "teacher", "--on-error", "skip"], input));
    assert_eq!(table.len(), 4);
    assert!(table[2].contains('–') && table[2].contains("line 2: not UTF-8"), "{}", table[2]);
    // Vectors stay in the lines of their texts.
    let vectors = stdout(&answered(&["embed", "teacher", "--on-error", "skip"], input));
    assert_eq!((vectors.len(), vectors[1].as_str()), (3, ""));
    assert_eq!(vectors[2].split(' ').count(), 32);
    let told = complaint(&answered(&["embed", "teacher"], input));
    assert!(told.contains("line 2: not UTF-8"), "{told}");
    assert!(complaint(&answered(&["predict", "teacher"], b"")).contains("no texts"));
}

#[test]
fn rows_of_a_file_that_cannot_be_answered_stop_or_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let teacher = workshop().join("teacher").display().to_string();
    let rows = b"n,text\n1,turn on the lights\n2,caf\xe9\n3\n4,order two lamps\n";
    std::fs::write(folder.join("in.csv"), rows).unwrap();
    let told = fail(folder, &["predict", &teacher, "--data", "in.csv"]);
    assert!(told.contains("in.csv") && told.contains("line 3") && told.contains("--on-error skip"), "{told}");
    let skip = ["predict", &teacher, "--data", "in.csv", "--on-error", "skip"];
    let output = attar(folder, &skip).output().unwrap();
    assert!(output.status.success());
    let lines: Vec<&[u8]> = output.stdout.split(|&byte| byte == b'\n').collect();
    assert_eq!(
        (lines[0], lines[2], lines[3]),
        (&b"n,text,predicted_label,predicted_probability"[..], &b"2,caf\xe9,,"[..], &b"3,,"[..],)
    );
    assert!(lines[1].starts_with(b"1,turn on the lights,") && lines[4].starts_with(b"4,order two lamps,"));
    assert!(stderr(&output).contains("2 of 4 texts were not answered"), "{}", stderr(&output));
    // JSON that is none goes through as it is.
    write(folder, "in.jsonl", "{\"text\": \"turn on the lights\"}\n{\"text\": 5}\n[1\n");
    let skip = ["predict", &teacher, "--data", "in.jsonl", "--on-error", "skip"];
    let lines: Vec<String> = succeed(folder, &skip).lines().map(str::to_string).collect();
    assert!(json(&lines[0])["predicted_label"].is_string());
    assert_eq!(lines[1..], ["{\"text\": 5}", "[1"]);
}

#[test]
fn what_was_cut_is_told() {
    let long = "turn on the lights ".repeat(100);
    let output = attar(workshop(), &["predict", "teacher", "--json", "lights on", &long]).output().unwrap();
    let lines: Vec<_> = stdout(&output).iter().map(|line| json(line)).collect();
    assert!(lines[0]["truncated"].is_null());
    assert_eq!(lines[1]["truncated"], true);
    let told = stderr(&output);
    assert!(told.contains("1 of 2 texts were cut to the 32 tokens") && told.contains("argument 2"), "{told}");
    // As many tokens as there may be are not too many.
    let exact = "a ".repeat(30);
    let output = attar(workshop(), &["embed", "teacher", "--json", &exact]).output().unwrap();
    assert!(!stderr(&output).contains("cut") && json(&stdout(&output)[0])["truncated"].is_null());
    let output = attar(workshop(), &["embed", "teacher", "--json", &format!("{exact} a")]).output().unwrap();
    assert!(stderr(&output).contains("cut") && json(&stdout(&output)[0])["truncated"] == true);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "in.csv", &format!("text\nlights on\n{long}\n"));
    let teacher = workshop().join("teacher").display().to_string();
    let output = attar(folder.path(), &["predict", &teacher, "--data", "in.csv"]).output().unwrap();
    assert!(stderr(&output).contains("1 of 2 texts were cut"), "{}", stderr(&output));
    assert!(stderr(&output).contains("first: line 3"), "{}", stderr(&output));
}

/// A copy of the workshop's teacher whose record says whether it has learned from pairs.
fn copy_that_learned(folder: &Path, pairs: Option<bool>) -> String {
    let mut bundle = Bundle::read(&workshop().join("teacher/student")).unwrap();
    let made = bundle.provenance.as_mut().unwrap();
    assert_eq!(made["pairs"], false, "a run says what it has learned from");
    made["pairs"] = pairs.into();
    bundle.write(&folder.join("copy"), WriteMode::Replace).unwrap();
    folder.join("copy").display().to_string()
}

#[test]
fn pairs_are_for_models_that_have_learned_from_pairs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "in.csv", "text,other\nlights on,lamps\n");
    let model = copy_that_learned(folder, Some(true));
    assert!(fail(folder, &["predict", &model, "lights on"]).contains("as --pair"));
    assert!(fail(folder, &["predict", &model, "--data", "in.csv"]).contains("as --pair"));
    succeed(folder, &["predict", &model, "lights on", "--pair", "lamps"]);
    succeed(folder, &["predict", &model, "--data", "in.csv", "--pair", "other"]);
    // Rows to score by, too.
    write(folder, "scored.csv", "text,other,label\nlights on,lamps,lights_on\nlights off,lamps,lights_off\n");
    for call in [&["eval", &model, "--no-speed"][..], &["quantize", &model, "--out", "small"]] {
        let told = fail(folder, &[call, &["--data", "scored.csv", "--all-rows"]].concat());
        assert!(told.contains("has learned from pairs") && told.contains("with --pair"), "{told}");
    }
    succeed(folder, &["eval", &model, "--no-speed", "--data", "scored.csv", "--pair", "other", "--all-rows"]);
    let told = |model: &str| {
        let output = attar(folder, &["predict", model, "lights on", "--pair", "lamps"]).output().unwrap();
        assert!(output.status.success());
        stderr(&output)
    };
    assert!(!told(&model).contains("warning"));
    let model = copy_that_learned(folder, Some(false));
    assert!(told(&model).contains("warning: copy has learned from single texts"));
    // Of a model from elsewhere nothing is known.
    let model = copy_that_learned(folder, None);
    assert!(!told(&model).contains("warning"));
    succeed(folder, &["predict", &model, "lights on"]);
}

#[test]
fn classes_without_names_are_called_as_the_user_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut bundle = Bundle::read(&workshop().join("teacher/student")).unwrap();
    let named = bundle.config.head.labels().to_vec();
    let numbered = (0..named.len()).map(|class| format!("LABEL_{class}")).collect();
    bundle.config.head = Head::Classification { target: Target::Labels(numbered) };
    bundle.write(&folder.path().join("unnamed"), WriteMode::New).unwrap();
    let own = json(&succeed(workshop(), &["predict", "teacher", "turn on the lights", "--json"]));
    let call = ["predict", "unnamed", "turn on the lights", "--json", "--labels"];
    let called = json(&succeed(folder.path(), &[&call[..], &[&named.join(",")]].concat()));
    assert_eq!(called, own);
    let told = fail(folder.path(), &[&call[..], &["a,b"]].concat());
    assert!(told.contains("18 classes"), "{told}");
    write(folder.path(), "in.csv", "text\nturn on the lights\n");
    let file = ["predict", "unnamed", "--data", "in.csv", "--labels", &named.join(",")];
    assert!(succeed(folder.path(), &file).contains(own["label"].as_str().unwrap()));
}

#[test]
fn a_line_without_an_end_is_refused_in_bounded_memory() {
    let mut child = attar(workshop(), &["predict", "teacher", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let block = vec![b'x'; 1 << 20];
        // It ends by itself when the other side does.
        (0..40).all(|_| input.write_all(&block).is_ok())
    });
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(!child.wait().unwrap().success());
    writer.join().unwrap();
    assert!(told.contains("line 1: more than 16777216 bytes"), "{told}");
}
