//! SNIPS (two files of lines), CLINC150 (one JSON file) and AG News (tab-separated, no header).

use std::collections::HashMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Layout, Split};
use crate::files;
use crate::labeled::{self, DataError, Dataset, LabeledSpec, RawRow, TargetSpec, from_rows};
use crate::table::{Column, ExtraColumns, Format, Header, Quoting, TableError, TableSpec, hexadecimal};

pub(super) fn detect(dir: &Path) -> Option<Layout> {
    if dir.join("train").join("seq.in").exists() {
        return Some(Layout::Snips);
    }
    if dir.join(CLINC_FILE).exists() {
        return Some(Layout::Clinc150);
    }
    let bytes = files::read(&dir.join("dev.tsv"), files::MOST_TABLE_BYTES).ok()?;
    let first = String::from_utf8_lossy(files::lines(&bytes).next()?).into_owned();
    let topic = first.split('\t').collect::<Vec<_>>();
    matches!(topic[..], [_, topic] if AG_NEWS_TOPICS.contains(&topic)).then_some(Layout::AgNews)
}

const CLINC_FILE: &str = "data_full.json";

/// The files of three sets by part; they have no part of other genres.
pub(super) fn snips_file(split: Split) -> Option<&'static str> {
    by_part(split, ["train/seq.in", "valid/seq.in", "test/seq.in"])
}

pub(super) fn clinc_file(split: Split) -> Option<&'static str> {
    by_part(split, [CLINC_FILE; 3])
}

pub(super) fn ag_news_file(split: Split) -> Option<&'static str> {
    by_part(split, ["train.tsv", "dev.tsv", "test.tsv"])
}

fn by_part(split: Split, [train, dev, test]: [&'static str; 3]) -> Option<&'static str> {
    match split {
        Split::Train => Some(train),
        Split::Dev => Some(dev),
        Split::Test | Split::TestLabeled => Some(test),
        Split::DevMismatched | Split::TestMismatched => None,
    }
}

/// Utterances line by line beside their intents. Words are separated by runs of white space, which
/// become single spaces, so that words and slot tags stay in step.
pub(super) fn snips(text_path: &Path) -> Result<Dataset, DataError> {
    let text_path = text_path.to_owned();
    let label_path = text_path.with_file_name("label");
    let (texts, labels) = (read(&text_path)?, read(&label_path)?);
    let lines = |bytes: &[u8], path: &Path| -> Result<Vec<String>, DataError> {
        let line = |(index, line): (usize, &[u8])| match std::str::from_utf8(line) {
            Ok(line) => Ok(line.to_owned()),
            Err(_) => Err(TableError::NotUtf8 { path: path.to_owned(), line: index + 1 }.into()),
        };
        files::lines(bytes).enumerate().map(line).collect()
    };
    let mut hash = Sha256::new();
    hash.update(&texts);
    hash.update(&labels);
    let (texts, labels) = (lines(&texts, &text_path)?, lines(&labels, &label_path)?);
    if texts.len() != labels.len() {
        return Err(DataError::LineCounts { text_path, texts: texts.len(), label_path, labels: labels.len() });
    }
    let rows = texts.iter().zip(labels).enumerate().map(|(index, (text, label))| RawRow {
        line: index + 1,
        text: text.split_whitespace().collect::<Vec<_>>().join(" "),
        pair: None,
        label: Some(label),
    });
    let target = TargetSpec::Named(SNIPS_INTENTS.map(str::to_owned).to_vec());
    from_rows(rows.collect(), &target, String::new(), hexadecimal(&hash.finalize()), label_path)
        .map(|dataset| Dataset { path: Some(text_path), ..dataset })
}

/// Lists of text and intent by the name of the part.
pub(super) fn clinc(path: &Path, split: Split) -> Result<Dataset, DataError> {
    let path = path.to_owned();
    let bytes = read(&path)?;
    let wrong = |reason: String| DataError::Json { path: path.clone(), reason };
    let mut parts: HashMap<String, Vec<(String, String)>> =
        serde_json::from_slice(&bytes).map_err(|e| wrong(format!("expected lists of [text, intent]: {e}")))?;
    let key = match split {
        Split::Train => "train",
        Split::Dev | Split::DevMismatched => "val",
        Split::Test | Split::TestMismatched | Split::TestLabeled => "test",
    };
    let rows = parts.remove(key).ok_or_else(|| wrong(format!("expected a list {key:?}, found none")))?;
    if let Some(row) = rows.iter().position(|(_, intent)| intent.trim().is_empty()) {
        return Err(wrong(format!("row {row} of {key:?}, counted from 0, has an empty intent")));
    }
    let row = |(index, (text, label))| RawRow { line: index + 1, text, pair: None, label: Some(label) };
    let rows: Vec<RawRow> = rows.into_iter().enumerate().map(row).collect();
    from_rows(rows, &TargetSpec::Discover, String::new(), hexadecimal(&Sha256::digest(&bytes)), path.clone())
}

pub(super) fn ag_news(path: &Path) -> Result<Dataset, DataError> {
    labeled::load(&LabeledSpec {
        table: TableSpec {
            format: Format::Tsv,
            header: Header::Absent,
            quoting: Quoting::Off,
            extra_columns: ExtraColumns::Refused,
            ..TableSpec::new(path)
        },
        text: Column::Number(1),
        pair: None,
        label: Some(Column::Number(2)),
        target: TargetSpec::Named(AG_NEWS_TOPICS.map(str::to_owned).to_vec()),
    })
}

const SNIPS_INTENTS: [&str; 7] = [
    "AddToPlaylist",
    "BookRestaurant",
    "GetWeather",
    "PlayMusic",
    "RateBook",
    "SearchCreativeWork",
    "SearchScreeningEvent",
];

const AG_NEWS_TOPICS: [&str; 4] = ["World", "Sports", "Business", "Sci/Tech"];

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    files::read(path, files::MOST_TABLE_BYTES).map_err(|source| DataError::Io { path: path.to_owned(), source })
}
