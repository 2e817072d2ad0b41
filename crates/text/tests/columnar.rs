//! Parquet and Arrow files as tables.
#![cfg(feature = "parquet")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float32Array, Int64Array, RecordBatch, StringArray,
    StringViewArray,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use attar_text::labeled::{Label, LabeledSpec, Target, TargetSpec, load, read_tagged};
use attar_text::random::Streams;
use attar_text::table::{Column, Format, TableError, TableSpec, as_json_lines, read};
use attar_text::unlabeled::{self, UnlabeledSpec};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

/// More than a batch of the reader.
const ROWS: usize = 2500;

fn name(name: &str) -> Column {
    Column::Name(name.to_owned())
}

fn strings(make: impl Fn(usize) -> String) -> ArrayRef {
    Arc::new((0..ROWS).map(|row| Some(make(row))).collect::<StringArray>())
}

/// Columns of every kind that is read, and one of a kind that is not.
fn batch() -> RecordBatch {
    let label: DictionaryArray<Int32Type> = (0..ROWS).map(|row| ["no", "yes"][row % 2]).collect();
    let view: StringViewArray = (0..ROWS).map(|row| Some(format!("a second text, {row}"))).collect();
    let mut labels = ListBuilder::new(StringBuilder::new());
    for row in 0..ROWS {
        labels.append_value(["bug", "ui"][..row % 3].iter().map(|&label| Some(label)));
    }
    let columns: [(&str, ArrayRef); 8] = [
        ("text", strings(|row| format!("text \"{row}\"\nof two lines"))),
        ("pair", Arc::new(view)),
        ("label", Arc::new(label)),
        ("labels", Arc::new(labels.finish())),
        ("number", Arc::new((0..ROWS as i64).collect::<Int64Array>())),
        ("score", Arc::new((0..ROWS).map(|row| Some(row as f32 / 2.0)).collect::<Float32Array>())),
        ("flag", Arc::new((0..ROWS).map(|row| Some(row % 2 == 1)).collect::<BooleanArray>())),
        ("day", Arc::new((0..ROWS as i32).map(Some).collect::<Date32Array>())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn parquet(folder: &Path, file: &str, compression: Compression, batch: &RecordBatch) -> PathBuf {
    let path = folder.join(file);
    // Groups end elsewhere than batches do.
    let properties = WriterProperties::builder().set_compression(compression).set_max_row_group_row_count(Some(700));
    let file = File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    path
}

fn arrow(folder: &Path, file: &str, compression: Option<CompressionType>, batch: &RecordBatch) -> PathBuf {
    let path = folder.join(file);
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let file = File::create(&path).unwrap();
    let mut writer = FileWriter::try_new_with_options(file, &batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    path
}

fn stream(folder: &Path, file: &str, batch: &RecordBatch) -> PathBuf {
    let path = folder.join(file);
    let mut writer = StreamWriter::try_new(File::create(&path).unwrap(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    path
}

/// The same rows in every format and compression.
fn all(folder: &Path) -> Vec<PathBuf> {
    let batch = batch();
    let zstd = Compression::ZSTD(ZstdLevel::default());
    vec![
        parquet(folder, "plain.parquet", Compression::UNCOMPRESSED, &batch),
        parquet(folder, "snappy.pq", Compression::SNAPPY, &batch),
        parquet(folder, "zstd.PARQUET", zstd, &batch),
        parquet(folder, "lz4.parquet", Compression::LZ4_RAW, &batch),
        parquet(folder, "gzip.parquet", Compression::GZIP(Default::default()), &batch),
        arrow(folder, "plain.arrow", None, &batch),
        arrow(folder, "lz4.feather", Some(CompressionType::LZ4_FRAME), &batch),
        arrow(folder, "zstd.ipc", Some(CompressionType::ZSTD), &batch),
        stream(folder, "data-00000-of-00001.arrow", &batch),
    ]
}

#[test]
fn columns_come_by_name_or_number() {
    let folder = tempfile::tempdir().unwrap();
    let columns = [name("score"), name("text"), Column::Number(3), name("number"), name("flag"), name("pair")];
    for path in all(folder.path()) {
        let table = read(&TableSpec::new(&path), &columns).unwrap();
        assert_eq!((table.rows.len(), table.sha256.len()), (ROWS, 64), "{}", path.display());
        for (index, row) in table.rows.iter().enumerate() {
            let score = index as f32 / 2.0;
            assert_eq!((row.line, row.values[0].parse::<f32>()), (index + 1, Ok(score)), "{}", path.display());
            let expected = [
                format!("text \"{index}\"\nof two lines"),
                ["no", "yes"][index % 2].to_owned(),
                index.to_string(),
                (index % 2 == 1).to_string(),
                format!("a second text, {index}"),
            ];
            assert_eq!(row.values[1..], expected);
        }
        // Stated rather than told from the extension.
        let format = if path.to_string_lossy().to_lowercase().contains(".p") { Format::Parquet } else { Format::Arrow };
        let copy = folder.path().join("unknown.bin");
        std::fs::copy(&path, &copy).unwrap();
        let stated = TableSpec { format, ..TableSpec::new(&copy) };
        assert_eq!(read(&stated, &columns).unwrap(), table);
    }
}

fn refused(path: &Path, columns: &[Column]) -> String {
    read(&TableSpec::new(path), columns).unwrap_err().to_string()
}

#[test]
fn columns_that_are_not_there_or_no_text_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = parquet(folder.path(), "rows.parquet", Compression::SNAPPY, &batch());
    assert!(refused(&path, &[name("txt")]).contains("no column \"txt\", the nearest is \"text\""));
    assert!(refused(&path, &[Column::Number(9)]).contains("no column 9, there are 8"));
    let day = refused(&path, &[name("day")]);
    assert!(day.contains("\"day\"") && day.contains("Date32") && day.contains("convert it"), "{day}");
    assert!(refused(&path, &[name("labels")]).contains("lists of strings for several labels"));
    let two = RecordBatch::try_from_iter([("text", strings(|_| "a".into())), ("text", strings(|_| "b".into()))]);
    let path = arrow(folder.path(), "twice.arrow", None, &two.unwrap());
    let expected = "columns 1 and 2 are both named \"text\"; rename one";
    for column in [name("text"), Column::Number(2)] {
        let told = refused(&path, &[column]);
        assert!(told.contains(expected), "{told}");
    }
    let told = as_json_lines(&path, Format::Auto).map(|_| ()).unwrap_err().to_string();
    assert!(told.contains(expected), "{told}");
}

#[test]
fn a_compressed_column_of_more_than_two_gibibytes_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = "turn on the lights ".repeat(1000);
    let batch = RecordBatch::try_from_iter([("text", Arc::new(StringArray::from(vec![text.clone()])) as ArrayRef)]);
    let path = arrow(folder.path(), "rows.arrow", Some(CompressionType::ZSTD), &batch.unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    // A compressed buffer begins with its length before compression.
    let length = (text.len() as u64).to_le_bytes();
    let places: Vec<usize> = (0..bytes.len() - 8).filter(|&place| bytes[place..place + 8] == length).collect();
    assert_eq!(places.len(), 1);
    bytes[places[0]..places[0] + 8].copy_from_slice(&(3_u64 << 30).to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let told = refused(&path, &[name("text")]);
    assert!(told.contains("more than 2 GiB in one batch: write smaller batches"), "{told}");
}

#[test]
fn nulls_are_refused_with_their_row() {
    let folder = tempfile::tempdir().unwrap();
    let text: StringArray = (0..ROWS).map(|row| (row != 1499).then(|| row.to_string())).collect();
    let label: DictionaryArray<Int32Type> = (0..ROWS).map(|row| (row != 2100).then_some("yes")).collect();
    let columns: [(&str, ArrayRef); 2] = [("text", Arc::new(text)), ("label", Arc::new(label))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    for path in [
        parquet(folder.path(), "rows.parquet", Compression::SNAPPY, &batch),
        arrow(folder.path(), "rows.arrow", None, &batch),
    ] {
        let told = refused(&path, &[name("label"), name("text")]);
        assert!(told.contains("row 1500: \"text\" is null; drop"), "{told}");
        let told = refused(&path, &[name("label")]);
        assert!(told.contains("row 2101: \"label\" is null"), "{told}");
    }
}

fn labeled(path: &Path, label: &str, target: TargetSpec) -> LabeledSpec {
    LabeledSpec { table: TableSpec::new(path), text: name("text"), pair: None, label: Some(name(label)), target }
}

#[test]
fn labels_are_classes_scores_or_lists() {
    let folder = tempfile::tempdir().unwrap();
    for path in all(folder.path()) {
        let classes = load(&labeled(&path, "label", TargetSpec::Discover)).unwrap();
        assert!(matches!(&classes.target, Target::Classes(labels) if labels.names == ["no", "yes"]));
        let scores = load(&labeled(&path, "score", TargetSpec::Regression { low: 0.0, high: 1250.0 })).unwrap();
        assert_eq!(scores.examples[3].label, Label::Score(1.5));
        let several = load(&labeled(&path, "labels", TargetSpec::Discover)).unwrap();
        assert!(matches!(&several.target, Target::MultiLabel(labels) if labels.names == ["bug", "ui"]));
        let first: Vec<&Label> = several.examples[..3].iter().map(|example| &example.label).collect();
        let expected = [vec![], vec![0], vec![0, 1]].map(Label::MultiLabel);
        assert_eq!(first, expected.iter().collect::<Vec<_>>());
        // A number for a column leaves no header open.
        let by_number = LabeledSpec { label: Some(Column::Number(3)), ..labeled(&path, "label", TargetSpec::Discover) };
        assert_eq!(load(&by_number).unwrap().examples.len(), ROWS);
    }
}

#[test]
fn other_readers_take_them_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = parquet(folder.path(), "rows.parquet", Compression::SNAPPY, &batch());
    let spec = UnlabeledSpec { text: Some(name("pair")), ..UnlabeledSpec::new(&path) };
    assert_eq!(unlabeled::read(&spec, &[], &Streams::new(1)).unwrap().examples.len(), ROWS);
    let no_column = unlabeled::read(&UnlabeledSpec::new(&path), &[], &Streams::new(1)).unwrap_err();
    assert!(no_column.to_string().contains("name the column"), "{no_column}");
    let mut lines = String::new();
    as_json_lines(&path, Format::Auto).unwrap().unwrap().read_to_string(&mut lines).unwrap();
    let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((lines.lines().count(), &last["number"]), (ROWS, &(ROWS - 1).into()));
    assert_eq!(last["day"], "1976-11-04");
    assert!(as_json_lines(Path::new("rows.csv"), Format::Auto).unwrap().is_none());

    let mut words = ListBuilder::new(StringBuilder::new());
    let mut tags = ListBuilder::new(StringBuilder::new());
    words.append_value([Some("order"), Some("lamps")]);
    tags.append_value([Some("O"), Some("B-thing")]);
    let columns: [(&str, ArrayRef); 2] = [("tokens", Arc::new(words.finish())), ("tags", Arc::new(tags.finish()))];
    let path = arrow(folder.path(), "tagged.arrow", None, &RecordBatch::try_from_iter(columns).unwrap());
    let tagged = read_tagged(&path, None).unwrap();
    assert_eq!(tagged.examples[0].text, "order lamps");
}

#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    for path in all(folder.path()) {
        let whole = std::fs::read(&path).unwrap();
        let copy = folder.path().join(format!("damaged-{}", path.file_name().unwrap().to_str().unwrap()));
        for length in [0, 3, 8, whole.len() / 2, whole.len() - 9] {
            std::fs::write(&copy, &whole[..length]).unwrap();
            // A stream has no footer: without its end marker alone it is whole.
            let is_stream = path.to_string_lossy().contains("of-00001");
            match read(&TableSpec::new(&copy), &[name("text")]) {
                Err(TableError::Columnar { .. }) => {}
                Ok(table) => assert!(is_stream && table.rows.len() == ROWS && length == whole.len() - 9, "{length}"),
                Err(other) => panic!("{other}"),
            }
        }
    }
    std::fs::write(folder.path().join("table.parquet"), "text,label\na,b\n").unwrap();
    let told = refused(&folder.path().join("table.parquet"), &[name("text")]);
    assert!(told.contains("cannot be read as Parquet") && told.contains("state its format"), "{told}");
}

/// What pyarrow and pandas write by default, and with their other options.
#[test]
#[ignore = "needs a Python with pyarrow in ATTAR_PYTHON"]
fn files_of_pyarrow_are_read() {
    let Ok(python) = std::env::var("ATTAR_PYTHON") else { return };
    let folder: TempDir = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/write_tables.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files: Vec<PathBuf> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 10, "{files:?}");
    for path in files {
        let columns = [name("text"), name("label"), name("number"), name("score"), name("flag")];
        let table = read(&TableSpec::new(&path), &columns).unwrap();
        assert_eq!(table.rows.len(), 3000, "{}", path.display());
        for (index, row) in table.rows.iter().enumerate() {
            assert_eq!(row.values[0], format!("text {index} é"), "{}", path.display());
            assert_eq!(row.values[1], ["no", "yes"][index % 2]);
            assert_eq!((row.values[2].parse(), row.values[3].parse()), (Ok(index), Ok(index as f64 / 4.0)));
            assert_eq!(row.values[4], (index % 2 == 1).to_string());
        }
        let several = load(&labeled(&path, "labels", TargetSpec::Discover)).unwrap();
        assert_eq!(several.examples[2].label, Label::MultiLabel(vec![0, 1]));
    }
}

/// Seeds of the fuzzed readers with large numbers at many places, one after the other.
#[test]
fn claims_of_lengths_are_checked() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/columnar");
    let folder = tempfile::tempdir().unwrap();
    let mut tried = 0;
    for entry in std::fs::read_dir(seeds).unwrap() {
        let seed = entry.unwrap().path();
        let whole = std::fs::read(&seed).unwrap();
        let copy = folder.path().join(seed.file_name().unwrap());
        let changes: [&[u8]; 2] = [&[0xff, 0xff, 0xff, 0x7f], &[0, 0, 0, 0, 0x7f]];
        for place in (0..whole.len()).step_by(4) {
            for change in changes {
                let mut bytes = whole.clone();
                bytes.splice(place..(place + change.len()).min(whole.len()), change.iter().copied());
                std::fs::write(&copy, &bytes).unwrap();
                // Rows or an error; what would be wrong is a panic, or memory that is not there.
                _ = read(&TableSpec::new(&copy), &[name("text")]);
                tried += 1;
            }
        }
    }
    assert!(tried > 3_000, "{tried}");
}
