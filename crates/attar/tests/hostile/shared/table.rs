//! A table of labeled text: rows or an error. The first four bytes choose format, encoding, header and quoting.

use std::path::Path;

use attar_text::labeled::{LabeledSpec, TargetSpec, read};
use attar_text::table::{Format, Header, Quoting, TableSpec, TextEncoding};

const FORMATS: [Format; 6] =
    [Format::Tsv, Format::Csv, Format::Jsonl, Format::Lines, Format::LabelFirst, Format::FastText];
const ENCODINGS: [TextEncoding; 4] =
    [TextEncoding::Auto, TextEncoding::Utf8, TextEncoding::Utf16, TextEncoding::Latin1];

/// Reads these bytes as a file of this folder.
pub(crate) fn read_table(bytes: &[u8], folder: &Path) {
    let Some((&[format, encoding, header, quoting], bytes)) = bytes.split_first_chunk() else { return };
    let path = folder.join("table");
    std::fs::write(&path, bytes).expect("the disk has room");
    let has_header = header % 2 == 1;
    let table = TableSpec {
        format: FORMATS[usize::from(format) % FORMATS.len()],
        encoding: ENCODINGS[usize::from(encoding) % ENCODINGS.len()],
        header: if has_header { Header::Present } else { Header::Absent },
        quoting: if quoting % 2 == 1 { Quoting::On } else { Quoting::Off },
        ..TableSpec::new(&path)
    };
    let column = |name: &str, number: &str| {
        let given = if has_header { name } else { number };
        given.parse().expect("a name or a number")
    };
    let (text, label) = (column("text", "1"), Some(column("label", "2")));
    let spec = LabeledSpec { table, text, pair: None, label, target: TargetSpec::Discover };
    if let Ok(loaded) = read(&spec) {
        // A small compressed file can hold many rows.
        let is_compressed = matches!(bytes, [0x1f, 0x8b, ..] | [_, 0xb5, 0x2f, 0xfd, ..] | [_, 0x2a, 0x4d, 0x18, ..]);
        assert!(is_compressed || loaded.data.len() <= bytes.len());
    }
}
