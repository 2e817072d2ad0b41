//! `attar bench` from outside: its three forms and what it refuses. No time is asserted.

use std::path::Path;

use serde_json::Value;

use crate::common::{attar, fail, json, succeed, workshop, write};

/// As little as can be measured.
const LITTLE: [&str; 12] =
    ["--rounds", "2", "--seconds", "0.005", "--lengths", "8", "--batch", "1,4", "--energy", "fixed", "--watts", "10"];

fn bench<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["bench"], &LITTLE[..], more].concat()
}

fn texts(folder: &Path) -> String {
    let lines = "turn on the lights\norder two lamps\n\nplease turn the heating down in the bedroom\n";
    write(folder, "texts.txt", lines).display().to_string()
}

#[track_caller]
fn positive(value: &Value) -> f64 {
    let number = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!(number > 0.0 && number.is_finite(), "{number}");
    number
}

/// Asserts that percentiles are in order.
#[track_caller]
fn latency(of: &Value) {
    let [least, p50, p95, p99] = ["least_ms", "p50_ms", "p95_ms", "p99_ms"].map(|key| positive(&of[key]));
    assert!(least <= p50 && p50 <= p95 && p95 <= p99, "{of}");
    assert!(of["calls"].as_u64().unwrap() >= 6, "two rounds of three calls: {of}");
    assert!(of["spread"].as_f64().unwrap() >= 0.0, "{of}");
}

/// Asserts that a rate of arithmetic is one that the machine can have, and its share one of the peak it names.
#[track_caller]
fn rate(of: &Value, row: &Value, report: &Value) {
    let peaks = report["machine"]["peaks"].as_array().unwrap();
    let peak = peaks.iter().find(|peak| peak["threads"] == row["threads"]).unwrap();
    let peak = positive(&peak[if row["precision"] == "f32" { "f32_gflops" } else { "int8_gops" }]);
    let share = positive(&of["share_of_peak"]);
    // A quotient of rounded doubles.
    assert!((share * peak / positive(&of["gflops"]) - 1.0).abs() < 1e-9, "{of}");
    // Layers this narrow are far from it; operations that are counted twice would not be.
    // A peak that was read while the machine was busy may be several times too low; a share of a hundred is a fault.
    assert!(share < 100.0, "{of}");
}

#[test]
fn every_figure_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = texts(folder.path());
    let arguments =
        bench(&["teacher", "teacher/student", "--lines", &file, "--starts", "1", "--threads", "1,2", "--json"]);
    let report = json(&succeed(workshop(), &arguments));
    let machine = &report["machine"];
    assert!(machine["instructions"].is_string() && machine["processors"].as_u64() > Some(0), "{machine}");
    let peaks = machine["peaks"].as_array().unwrap();
    assert_eq!(peaks.iter().map(|peak| peak["threads"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    for peak in peaks {
        for key in ["f32_gflops", "int8_gops", "memory_gb_per_s"] {
            positive(&peak[key]);
        }
    }
    let limit = report["limit"].as_str().unwrap();
    assert!(limit.starts_with("teacher is fastest in ") && limit.contains(" limits it, "), "{limit}");
    // The empty line is no text.
    assert_eq!(report["texts"]["rows"], 3);

    let results = report["results"].as_array().unwrap();
    let key = |row: &Value| {
        let [model, precision] = ["model", "precision"].map(|key| row[key].as_str().unwrap().to_owned());
        (model, precision, row["threads"].as_u64().unwrap())
    };
    let keys: Vec<_> = results.iter().map(key).collect();
    assert_eq!(keys.len(), 8, "two models, two precisions, two numbers of threads: {keys:?}");
    for (index, row) in results.iter().enumerate() {
        assert!(!keys[..index].contains(&keys[index]), "{keys:?}");
        assert_eq!(row["answers"], "logits");
        positive(&row["bytes_on_disk"]);
        positive(&row["bytes_in_memory"]);
        let shapes = row["shapes"].as_array().unwrap();
        assert_eq!(shapes.iter().map(|shape| &shape["batch"]).collect::<Vec<_>>(), [1, 4]);
        for of in shapes {
            assert_eq!(of["length"], 8);
            latency(of);
            rate(of, row, &report);
            against(of, row, results);
        }
        let of = &row["texts"];
        latency(&of["single"]);
        rate(of, row, &report);
        against(of, row, results);
        against(&of["single_against"], row, results);
        let per_text = positive(&of["tokens_per_second"]) / positive(&of["texts_per_second"]);
        // The same seconds divide both.
        assert!((per_text - positive(&of["tokens"])).abs() < 1e-9 * per_text, "{of}");
        let joules = &of["joules_per_thousand"];
        let [low, value, high] = ["low", "value", "high"].map(|key| positive(&joules[key]));
        assert!(low <= value && value <= high, "{joules}");
        assert_eq!(of["energy_method"], "modeled");
        let start = &row["start"];
        assert!(positive(&start["first_answer_ms"]) <= positive(&start["process_ms"]), "{start}");
        if cfg!(target_os = "linux") {
            positive(&start["peak_rss_bytes"]);
        }
    }
    // Bytes take less room than floats.
    let bytes =
        |precision: &str| results.iter().find(|row| row["precision"] == precision).unwrap()["bytes_in_memory"].as_u64();
    assert!(bytes("int8") < bytes("f32"));
}

/// Asserts that there are ratios exactly where there is something to compare with.
#[track_caller]
fn against(of: &Value, row: &Value, results: &[Value]) {
    let is_first = (&row["model"], &row["precision"]) == (&results[0]["model"], &results[0]["precision"]);
    for (key, alone) in [("than_first", is_first), ("than_fewest_threads", row["threads"] == 1)] {
        assert_eq!(of[key].is_null(), alone, "{key} of {row}");
        if !alone {
            let [low, value, high] = ["low", "value", "high"].map(|bound| positive(&of[key][bound]));
            assert!(low <= value && value <= high, "{of}");
        }
    }
}

#[test]
fn tables_for_people_and_for_documents() {
    let folder = tempfile::tempdir().unwrap();
    let file = texts(folder.path());
    let base = bench(&["teacher", "--lines", &file, "--precision", "f32", "--starts", "0"]);
    let table = succeed(workshop(), &base);
    for word in ["measured peaks", "first answer", "batch x tokens", "4x8", "3 texts of", "modeled", "limits it, "] {
        assert!(table.contains(word), "`{word}` is not in:\n{table}");
    }
    let markdown = succeed(workshop(), &[&base[..], &["--as", "markdown"]].concat());
    let cells = |line: &str| line.matches('|').count();
    let tables: Vec<&str> = markdown.split("\n\n").filter(|part| part.starts_with('|')).collect();
    assert_eq!(tables.len(), 4, "{markdown}");
    for table in tables {
        let mut lines = table.lines();
        let head = cells(lines.next().unwrap());
        assert!(lines.next().unwrap().starts_with("| --- | "), "{table}");
        assert!(lines.all(|line| cells(line) == head), "{table}");
    }
}

#[test]
fn a_model_without_a_classifier_is_measured_by_its_vectors() {
    let folder = tempfile::tempdir().unwrap();
    // The bare encoder of the workshop's teacher: its weights are those that an encoder has, and more.
    let model = folder.path().join("bare");
    std::fs::create_dir(&model).unwrap();
    for entry in std::fs::read_dir(workshop().join("teacher/student")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, model.join(path.file_name().unwrap())).unwrap();
    }
    let config = std::fs::read_to_string(model.join("config.json")).unwrap();
    assert!(config.contains("BertForSequenceClassification"));
    std::fs::write(model.join("config.json"), config.replace("BertForSequenceClassification", "BertModel")).unwrap();
    let name = model.display().to_string();
    let report =
        json(&succeed(workshop(), &bench(&[&name, "--texts", "4", "--precision", "int8", "--starts", "0", "--json"])));
    let row = &report["results"][0];
    assert_eq!((&row["answers"], &row["model"]), (&"vectors".into(), &"bare".into()));
    assert_eq!(report["texts"]["rows"], 4);
    rate(&row["texts"], row, &report);
}

#[test]
fn bad_input_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let empty = write(folder.path(), "empty.txt", "\n \n").display().to_string();
    let table = write(folder.path(), "rows.tsv", "sentence\tlabel\na\tb\n").display().to_string();
    let binary = folder.path().join("binary.txt");
    std::fs::write(&binary, b"\xff\xfe\x00").unwrap();
    let binary = binary.display().to_string();
    let teacher = "teacher";
    let refused: [(&[&str], &[&str]); 15] = [
        (&["nowhere"], &["nowhere", "no such folder"]),
        (&[teacher, "--lines", &empty], &["empty.txt", "no text", "--data"]),
        (&[teacher, "--lines", "nowhere.txt"], &["nowhere.txt", "No such file"]),
        (&[teacher, "--lines", &binary], &["binary.txt", "text"]),
        (&[teacher, "--data", &table], &["rows.tsv", "text", "sentence"]),
        (&[teacher, "--batch", "1,0"], &["--batch", "0"]),
        (&[teacher, "--lengths", "0"], &["--lengths", "0"]),
        (&[teacher, "--lengths", "8,10000"], &["--lengths", "10000", "positions"]),
        (&[teacher, "--batch", "18446744073709551615", "--lengths", "2"], &["--batch", "1048576 tokens"]),
        (&[teacher, "--rounds", "0"], &["--rounds"]),
        (&[teacher, "--seconds", "nan"], &["--seconds"]),
        (&[teacher, "--texts", "0"], &["--texts"]),
        (&[teacher, "--precision", "int4"], &["int4", "f32, int8"]),
        (&[teacher, "--threads", "1,0"], &["0", "at least 1"]),
        (&[teacher, "--energy", "perhaps"], &["--energy", "perhaps"]),
    ];
    for (arguments, parts) in refused {
        let complaint = fail(workshop(), &[&["bench"], arguments].concat());
        for part in parts {
            assert!(complaint.contains(part), "expected `{part}` in:\n{complaint}");
        }
    }
    // Several numbers of threads are for this command alone.
    let complaint = fail(workshop(), &["inspect", teacher, "--threads", "1,2"]);
    assert!(complaint.contains("attar bench"), "{complaint}");
}

#[test]
fn nothing_but_the_result_on_standard_output() {
    let output =
        attar(workshop(), &bench(&["teacher", "--texts", "2", "--precision", "int8", "--starts", "0", "--json"]))
            .output()
            .unwrap();
    assert!(output.status.success());
    let report = json(&String::from_utf8(output.stdout).unwrap());
    let errors = String::from_utf8(output.stderr).unwrap();
    // Every warning is on standard error too, and nothing else is: no progress where there is no terminal.
    let notes: Vec<&str> = errors.lines().map(|line| line.strip_prefix("note: ").unwrap()).collect();
    let warnings: Vec<&str> =
        report["warnings"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(notes, warnings);
}
