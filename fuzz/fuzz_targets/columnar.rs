//! Any bytes as a Parquet or Arrow file: rows, lines of JSON, or an error.

#![no_main]

use std::io::{BufRead, Write};

use attar_text::labeled::{LabeledSpec, TargetSpec, read};
use attar_text::table::{Format, TableSpec, as_json_lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("the folder of temporary files is writable");
    file.write_all(bytes).expect("the disk has room");
    for format in [Format::Parquet, Format::Arrow] {
        let table = TableSpec { format, ..TableSpec::new(file.path()) };
        let [text, label] = ["text", "label"].map(|name| name.parse().expect("a name"));
        let spec = LabeledSpec { table, text, pair: None, label: Some(label), target: TargetSpec::Discover };
        _ = read(&spec);
        if let Ok(Some(lines)) = as_json_lines(file.path(), format) {
            // A small packed file may hold a lot: the first rows will do.
            for line in lines.lines().map_while(Result::ok).take(10_000) {
                serde_json::from_str::<serde_json::Value>(&line).expect("a row is JSON");
            }
        }
    }
});
