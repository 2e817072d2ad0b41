//! `predict` and `embed` between other programs: files of numpy, tables from pipes, readers that leave, exit codes.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Output, Stdio};

use attar_model::atomic::WriteMode;
use attar_model::{Bundle, Head, Tensor, Weights, expected_shapes};
use serde_json::Value;

use crate::common::{attar, fail, json, succeed, workshop, write};

fn teacher() -> String {
    workshop().join("teacher").display().to_string()
}

/// What a call in a folder gives for this standard input.
fn piped(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = attar(folder, arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// Rows of a file of numpy.
fn rows(path: &Path) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(path).unwrap();
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert!((10 + length).is_multiple_of(64) && header.contains("'<f4'") && header.contains("False"), "{header}");
    let shape = header.split("'shape': (").nth(1).unwrap().split(')').next().unwrap();
    let [count, width] = shape.split(", ").map(|n| n.parse::<usize>().unwrap()).collect::<Vec<_>>()[..] else {
        panic!("{header}")
    };
    let numbers: Vec<f32> = bytes[10 + length..].as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    assert_eq!(numbers.len(), count * width);
    numbers.chunks(width).map(<[f32]>::to_vec).collect()
}

/// The vector that a text has alone.
fn vector(text: &str) -> Vec<f32> {
    let answer = json(&succeed(workshop(), &["embed", "teacher", "--json", text]));
    answer["vector"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

#[test]
fn vectors_become_a_file_of_numpy() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let out = folder.join("v.npy");
    let lines = b"turn on the lights\ncaf\xe9\norder two lamps\n";
    let call = ["embed", &teacher(), "--out", "v.npy"];
    assert!(!piped(folder, &call, lines).status.success());
    assert!(!out.exists(), "a failure leaves nothing");
    let output = piped(folder, &[&call[..], &["--on-error", "skip"]].concat(), lines);
    assert!(output.status.success() && output.stdout.is_empty());
    let all = rows(&out);
    assert_eq!((all.len(), &all[0], &all[2]), (3, &vector("turn on the lights"), &vector("order two lamps")));
    assert!(all[1].iter().all(|number| number.is_nan()));

    write(folder, "in.csv", "n,title\n1,\"turn on, the\nlights\"\n2,order two lamps\n");
    succeed(folder, &["embed", &teacher(), "--data", "in.csv", "--text", "title", "--out", "v.npy"]);
    assert_eq!(rows(&out), [vector("turn on, the\nlights"), vector("order two lamps")]);
    // Labels are no vectors.
    write(folder, "t.csv", "text\norder two lamps\n");
    let told = fail(folder, &["predict", &teacher(), "--data", "t.csv", "--out", "labels.npy"]);
    assert!(told.contains(".npy files hold vectors") && told.contains(".csv"), "{told}");
    let told = fail(folder, &["embed", &teacher(), "a", "--out", "v.csv"]);
    assert!(told.contains("only a .npy file") && told.contains("redirect"), "{told}");
}

#[test]
fn rows_get_vectors_as_columns_and_keys() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "in.csv", "text;n\r\norder two lamps;1\r\n");
    let out = succeed(folder, &["embed", &teacher(), "--data", "in.csv", "--delimiter", ";"]);
    let numbers: Vec<String> = vector("order two lamps").iter().map(f32::to_string).collect();
    assert_eq!(out, format!("text;n;vector\r\norder two lamps;1;{}\r\n", numbers.join(" ")));
    write(folder, "in.jsonl", "{\"text\": \"order two lamps\"}\n");
    let out = succeed(folder, &["embed", &teacher(), "--data", "in.jsonl"]);
    assert!(out.starts_with("{\"text\": \"order two lamps\",\"vector\":["), "{out}");
    // No more digits than a 32-bit float has.
    assert!(out.contains(&numbers[0]) && out.contains(&numbers[31]), "{out}");
    write(folder, "again.jsonl", "{\"text\": \"a\", \"vector\": 1}\n");
    assert!(fail(folder, &["embed", &teacher(), "--data", "again.jsonl"]).contains("key `vector` already"));
}

#[test]
fn tables_come_through_pipes_and_become_objects() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let input = "\u{feff}id,text\n1,\"turn on, the \"\"lights\"\"\nnow\"\n\n2,order two lamps\n";
    write(folder, "in.csv", input);
    let expected = succeed(folder, &["predict", &teacher(), "--data", "in.csv"]);
    let output = piped(folder, &["predict", &teacher(), "--data", "-", "--format", "csv"], input.as_bytes());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    let output = piped(folder, &["predict", &teacher(), "--data", "-"], input.as_bytes());
    assert!(String::from_utf8_lossy(&output.stderr).contains("state it with --format"));

    succeed(folder, &["predict", &teacher(), "--data", "in.csv", "--out", "out.jsonl"]);
    let out = std::fs::read_to_string(folder.join("out.jsonl")).unwrap();
    let objects: Vec<Value> = out.lines().map(json).collect();
    assert_eq!((objects.len(), &objects[0]["id"]), (2, &"1".into()));
    assert_eq!(objects[0]["text"], "turn on, the \"lights\"\nnow");
    assert!(objects[1]["predicted_label"].is_string() && objects[1]["predicted_probability"].is_f64());
    // Without a header columns go by their numbers, and a row without an answer keeps its line.
    write(folder, "bare.tsv", "order two lamps\t7\n\u{1}\n");
    let bare = ["predict", &teacher(), "--data", "bare.tsv", "--text", "1", "--pair", "2", "--out", "bare.jsonl"];
    succeed(folder, &[&bare[..], &["--on-error", "skip"]].concat());
    let out = std::fs::read_to_string(folder.join("bare.jsonl")).unwrap();
    let objects: Vec<Value> = out.lines().map(json).collect();
    assert_eq!((objects.len(), &objects[0]["2"], &objects[1]["predicted_label"]), (2, &"7".into(), &Value::Null));
    write(folder, "in.jsonl", "{\"text\": \"a\"}\n");
    let told = fail(folder, &["predict", &teacher(), "--data", "in.jsonl", "--out", "out.csv"]);
    assert!(told.contains("objects have no columns") && told.contains(".jsonl"), "{told}");
}

/// The workshop's encoder with a head over its tokens.
fn with_head(folder: &Path, head: Head) -> String {
    let mut bundle = Bundle::read(&workshop().join("teacher/student")).unwrap();
    bundle.config = bundle.config.with_head(head);
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let count: usize = shape.iter().product();
        let fresh = || Tensor::new(shape, (0..count).map(|i| ((i * 37) % 101) as f32 / 101.0 - 0.5).collect());
        let kept = bundle.weights.get(&name).filter(|_| !name.starts_with("classifier")).cloned();
        (name, kept.unwrap_or_else(fresh))
    };
    bundle.weights = expected_shapes(&bundle.config).into_iter().map(tensor).collect::<Weights>();
    (bundle.provenance, bundle.quantized, bundle.pooling) = (None, None, None);
    bundle.write(&folder.join("model"), WriteMode::Replace).unwrap();
    folder.join("model").display().to_string()
}

#[test]
fn tags_and_answers_are_columns_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let labels = ["O", "B-thing", "I-thing"].map(str::to_owned).to_vec();
    let tagger = with_head(folder, Head::TokenClassification { labels });
    let text = "turn on the lights now";
    let alone = json(&succeed(folder, &["tag", &tagger, "--json", text]));
    write(folder, "in.csv", &format!("n,text\n1,{text}\n"));
    let out = succeed(folder, &["tag", &tagger, "--data", "in.csv"]);
    let cell = out.lines().nth(1).unwrap().strip_prefix(&format!("1,{text},")).unwrap();
    let cell = if cell.starts_with('"') { cell[1..cell.len() - 1].replace("\"\"", "\"") } else { cell.to_owned() };
    let entities = |list: &Value| -> Vec<(String, u64)> {
        let all = list.as_array().unwrap().iter();
        all.map(|e| (e["text"].as_str().unwrap().to_owned(), e["start"].as_u64().unwrap())).collect()
    };
    assert_eq!(entities(&json(&cell)), entities(&alone["entities"]));
    write(folder, "in.jsonl", &format!("{{\"text\": \"{text}\"}}\n"));
    let out = json(&succeed(folder, &["tag", &tagger, "--data", "in.jsonl"]));
    assert_eq!(entities(&out["predicted_entities"]), entities(&alone["entities"]));

    let reader = with_head(folder, Head::QuestionAnswering);
    let context = "order two lamps today";
    let alone = json(&succeed(folder, &["predict", &reader, "--json", "what?", "--pair", context]));
    write(folder, "in.csv", &format!("text,context\nwhat?,{context}\n"));
    let ask = ["predict", &reader, "--data", "in.csv"];
    let out = succeed(folder, &[&ask[..], &["--text", "text", "--pair", "context"]].concat());
    let answer = alone["answer"].as_str().unwrap();
    let places = format!(",{},{}\n", alone["start"], alone["end"]);
    assert!(!answer.is_empty() && out.contains(&format!("what?,{context},{answer},0.")), "{out}");
    assert!(out.ends_with(&places), "{out}{places}");
    // The columns of questions have names of their own.
    assert!(fail(folder, &ask).contains("no column question: there are text, context"));
    write(folder, "in.jsonl", &format!("{{\"question\": \"what?\", \"context\": \"{context}\"}}\n"));
    let row = json(&succeed(folder, &["predict", &reader, "--data", "in.jsonl"]));
    assert_eq!((&row["predicted_answer"], &row["predicted_start"]), (&alone["answer"], &alone["start"]), "{row}");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    for arguments in [&["predict", "teacher", "--json"][..], &["embed", "teacher"], &["predict", "teacher"]] {
        let mut command = attar(workshop(), arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || {
            // More than any pipe holds; it ends by itself when the other side does.
            (0..200_000).all(|_| input.write_all(b"turn on the lights\n").is_ok())
        });
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        drop(output);
        let mut told = String::new();
        child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}: {told}");
        assert!(!writer.join().unwrap(), "all was read");
        assert!(!told.contains("error") && !told.contains("panicked"), "{told}");
    }
}

#[test]
fn exit_codes_are_those_of_the_documentation() {
    let documented = include_str!("../../../../docs/exit-codes.md");
    let is_documented = |code: &str| documented.lines().any(|line| line.starts_with(&format!("| {code} |")));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "in.csv", "n\n1\n");
    let code = |arguments: &[&str]| attar(folder, arguments).output().unwrap().status.code();
    let fixed = ["--source", "fixed", "--watts", "100"];
    let run = |more: &[&str]| code(&[&["energy", "run"], &fixed[..], more].concat());
    let teacher = teacher();
    for (expected, documented, got) in [
        (0, "0", code(&["predict", &teacher, "turn on the lights"])),
        (1, "1", code(&["predict", "missing", "text"])),
        (1, "1", code(&["predict", &teacher, "--data", "in.csv"])),
        (2, "2", code(&["predict"])),
        (2, "2", code(&["predict", &teacher, "--precision", "int3", "text"])),
        (127, "126, 127", run(&["--", "no-program-of-this-name"])),
        (5, "0", run(&["--", "sh", "-c", "exit 5"])),
    ] {
        assert!(is_documented(documented), "{documented}");
        assert_eq!(got, Some(expected));
    }
    for rest in ["3", "128 + n"] {
        assert!(is_documented(rest), "{rest}");
    }
}
