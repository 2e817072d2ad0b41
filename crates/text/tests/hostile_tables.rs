//! Tables from anywhere: whatever bytes a file holds, reading it gives rows or an error.

use attar_text::labeled::{LabeledSpec, TargetSpec, read};
use attar_text::table::{Format, Header, Quoting, TableSpec, TextEncoding};
use proptest::prelude::*;

/// Pieces that mean something in one of the formats, and what often goes wrong beside them.
const PIECES: [&[u8]; 24] = [
    b"text",
    b"label",
    b"\t",
    b",",
    b";",
    b":",
    b"\n",
    b"\r\n",
    b"\r",
    b"\"",
    b"\"\"",
    b"{\"text\": \"a\", ",
    b"\"label\": 1}",
    b"[\"a\", \"b\"]",
    b"__label__a ",
    b" ",
    b"\xEF\xBB\xBF",
    b"\xFF\xFE",
    b"\xFE\xFF",
    b"\xC3",
    b"\0",
    b"\\u0000",
    "Straße".as_bytes(),
    b"1e999",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => (0..PIECES.len()).prop_map(|piece| PIECES[piece].to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn table() -> impl Strategy<Value = TableSpec> {
    let format = prop_oneof![
        Just(Format::Tsv),
        Just(Format::Csv),
        Just(Format::Jsonl),
        Just(Format::Lines),
        Just(Format::LabelFirst),
        Just(Format::FastText),
    ];
    let encoding = prop_oneof![
        Just(TextEncoding::Auto),
        Just(TextEncoding::Utf8),
        Just(TextEncoding::Utf16),
        Just(TextEncoding::Latin1)
    ];
    let header = prop_oneof![Just(Header::Auto), Just(Header::Present), Just(Header::Absent)];
    let quoting = prop_oneof![Just(Quoting::Auto), Just(Quoting::On), Just(Quoting::Off)];
    (format, encoding, header, quoting).prop_map(|(format, encoding, header, quoting)| TableSpec {
        format,
        encoding,
        header,
        quoting,
        ..TableSpec::new("replaced")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_bytes_are_rows_or_an_error(bytes in bytes(), table in table(), by_name in any::<bool>(), what in 0..3) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.rows");
        std::fs::write(&path, &bytes).unwrap();
        let target = match what {
            0 => TargetSpec::Discover,
            1 => TargetSpec::Named(vec!["a".into(), "b".into()]),
            _ => TargetSpec::MultiLabel { separator: Some(";".into()), names: None },
        };
        let column = |name: &str, number: &str| (if by_name { name } else { number }).parse().unwrap();
        let spec = LabeledSpec {
            table: TableSpec { path: path.clone(), ..table },
            text: column("text", "1"),
            pair: None,
            label: Some(column("label", "2")),
            target,
        };
        match read(&spec) {
            // A row takes a byte at least.
            Ok(loaded) => prop_assert!(loaded.data.len() <= bytes.len()),
            Err(error) => prop_assert!(error.to_string().contains("in.rows"), "{}", error),
        }
    }
}
