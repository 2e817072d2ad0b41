//! A Parquet or Arrow file: rows, lines of JSON, or an error.

use std::io::BufRead;
use std::path::Path;

use attar_text::labeled::{LabeledSpec, TargetSpec, read};
use attar_text::table::{Format, TableSpec, as_json_lines};

/// Reads these bytes as a file of this folder.
pub(crate) fn read_columns(bytes: &[u8], folder: &Path) {
    let path = folder.join("columns");
    std::fs::write(&path, bytes).expect("the disk has room");
    for format in [Format::Parquet, Format::Arrow] {
        let table = TableSpec { format, ..TableSpec::new(&path) };
        let [text, label] = ["text", "label"].map(|name| name.parse().expect("a name"));
        let spec = LabeledSpec { table, text, pair: None, label: Some(label), target: TargetSpec::Discover };
        _ = read(&spec);
        if let Ok(Some(lines)) = as_json_lines(&path, format) {
            // A small compressed file can hold many rows: the first are enough.
            for line in lines.lines().map_while(Result::ok).take(10_000) {
                serde_json::from_str::<serde_json::Value>(&line).expect("a row is JSON");
            }
        }
    }
}
