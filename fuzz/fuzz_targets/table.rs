//! Any bytes after the first four, which say how, as a table of labeled text, in any format and encoding: rows or an error.

#![no_main]

use std::io::Write;

use attar_text::labeled::{LabeledSpec, TargetSpec, read};
use attar_text::table::{Format, Header, Quoting, TableSpec, TextEncoding};
use libfuzzer_sys::fuzz_target;

const FORMATS: [Format; 6] =
    [Format::Tsv, Format::Csv, Format::Jsonl, Format::Lines, Format::LabelFirst, Format::FastText];
const ENCODINGS: [TextEncoding; 4] =
    [TextEncoding::Auto, TextEncoding::Utf8, TextEncoding::Utf16, TextEncoding::Latin1];

fuzz_target!(|bytes: &[u8]| {
    let Some((&[format, encoding, header, quoting], bytes)) = bytes.split_first_chunk() else { return };
    let (has_header, is_quoted) = (header % 2 == 1, quoting % 2 == 1);
    let mut file = tempfile::NamedTempFile::new().expect("the folder of temporary files is writable");
    file.write_all(bytes).expect("the disk has room");
    let table = TableSpec {
        format: FORMATS[usize::from(format) % FORMATS.len()],
        encoding: ENCODINGS[usize::from(encoding) % ENCODINGS.len()],
        header: if has_header { Header::Present } else { Header::Absent },
        quoting: if is_quoted { Quoting::On } else { Quoting::Off },
        ..TableSpec::new(file.path())
    };
    let column = |name: &str, number: &str| {
        let given = if has_header { name } else { number };
        given.parse().expect("a name or a number")
    };
    let spec = LabeledSpec {
        table,
        text: column("text", "1"),
        pair: None,
        label: Some(column("label", "2")),
        target: TargetSpec::Discover,
    };
    if let Ok(loaded) = read(&spec) {
        // A small packed file may hold a lot.
        let is_packed = matches!(bytes, [0x1f, 0x8b, ..] | [_, 0xb5, 0x2f, 0xfd, ..] | [_, 0x2a, 0x4d, 0x18, ..]);
        assert!(is_packed || loaded.data.len() <= bytes.len());
    }
});
