//! Which rows a model was trained on and which were held out, by hash.
//!
//! A run scores its student on rows that it held out. Scoring the student again on the same file would mostly score
//! rows that it was trained on. So the student carries the hashes of its held-out rows, all of them, and of a
//! sample of the others; [`RowRecord::overlap`] holds a data set against them.

use std::path::Path;

use attar_model::{Bundle, ModelFiles};
use attar_text::labeled::{Dataset, Example};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;

/// Most hashes of trained rows that are kept.
const SAMPLE: usize = 2000;

/// Key in what a model directory says of its making.
pub const ROWS_KEY: &str = "rows";

/// The rows of a run by the first 64 bits of the SHA-256 of their texts. Labels do not matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRecord {
    /// All held-out rows, ascending.
    #[serde(with = "words")]
    held_out: Vec<u64>,
    /// The smallest hashes of the trained rows, ascending: a sample that another data set can be held against, because
    /// a hash is the same on every machine.
    #[serde(with = "words")]
    trained: Vec<u64>,
    /// Number of all trained rows.
    trained_rows: usize,
}

/// How a data set stands to the rows of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlap {
    /// Rows of the data set that the run held out, by position.
    pub held_out: Vec<usize>,
    /// Rows of the data set that the run was trained on and did not hold out too: a share, estimated from the sample
    /// where there were more than 2,000.
    pub trained: f64,
}

impl RowRecord {
    /// The record of a run.
    pub fn new(train: &Dataset, held_out: &Dataset) -> RowRecord {
        let hashes = |data: &Dataset| {
            let mut all: Vec<u64> = data.examples.iter().map(hash).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let mut trained = hashes(train);
        let trained_rows = trained.len();
        trained.truncate(SAMPLE);
        RowRecord { held_out: hashes(held_out), trained, trained_rows }
    }

    /// The record that a model directory carries; `None` where it says nothing of rows.
    ///
    /// # Errors
    /// If `attar.json` cannot be read or is not what attar writes.
    pub fn read(dir: &Path) -> Result<Option<RowRecord>, Error> {
        match ModelFiles::open(dir)?.provenance()? {
            Some(provenance) => RowRecord::in_provenance(&dir.join("attar.json"), &provenance),
            None => Ok(None),
        }
    }

    /// The record that a model in memory carries; `None` where it says nothing of rows.
    ///
    /// # Errors
    /// If what it carries is not what attar writes.
    pub fn of(bundle: &Bundle) -> Result<Option<RowRecord>, Error> {
        match &bundle.provenance {
            Some(provenance) => RowRecord::in_provenance(Path::new("attar.json"), provenance),
            None => Ok(None),
        }
    }

    fn in_provenance(path: &Path, provenance: &serde_json::Value) -> Result<Option<RowRecord>, Error> {
        let rows = provenance.get(ROWS_KEY);
        rows.map(|rows| RowRecord::deserialize(rows).map_err(|e| damaged(path, e))).transpose()
    }

    /// Holds a data set against the record.
    pub fn overlap(&self, data: &Dataset) -> Overlap {
        // Beyond the largest hash of a sample nothing is known.
        let is_whole = self.trained.len() == self.trained_rows;
        let largest = if is_whole { u64::MAX } else { self.trained.last().copied().unwrap_or(0) };
        let has = |known: &[u64], hash: u64| known.binary_search(&hash).is_ok();
        let (mut held_out, mut looked_at, mut met) = (Vec::new(), 0usize, 0usize);
        for (row, example) in data.examples.iter().enumerate() {
            let hash = hash(example);
            let is_held_out = has(&self.held_out, hash);
            if is_held_out {
                held_out.push(row);
            }
            if hash <= largest {
                looked_at += 1;
                met += usize::from(!is_held_out && has(&self.trained, hash));
            }
        }
        Overlap { held_out, trained: met as f64 / looked_at.max(1) as f64 }
    }
}

fn damaged(path: &Path, error: serde_json::Error) -> Error {
    Error::RunFile {
        path: path.into(),
        problem: format!("not what attar writes: {error}"),
        way_out: "remove the file".into(),
    }
}

/// A row by its texts.
pub(crate) fn hash(example: &Example) -> u64 {
    let mut hash = Sha256::new();
    hash.update((example.text.len() as u64).to_le_bytes());
    hash.update(&example.text);
    if let Some(pair) = &example.pair {
        hash.update(pair);
    }
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash.finalize());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Numbers as one string of hexadecimal words: a line of a file rather than thousands.
mod words {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(all: &[u64], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&all.iter().map(|word| format!("{word:016x}")).collect::<Vec<_>>().join(" "))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
        let text = String::deserialize(from)?;
        let words = text.split_ascii_whitespace().map(|word| u64::from_str_radix(word, 16));
        let mut all = words.collect::<Result<Vec<u64>, _>>().map_err(D::Error::custom)?;
        all.sort_unstable();
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_text::labeled::{Label, LabelSet, Target};

    fn data(texts: impl IntoIterator<Item = String>) -> Dataset {
        let example = |text| Example { text, pair: None, label: Label::Absent };
        Dataset {
            examples: texts.into_iter().map(example).collect(),
            target: Target::Classes(LabelSet { names: Vec::new() }),
            name: "test".into(),
            sha256: String::new(),
            path: None,
        }
    }

    fn rows(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
        range.map(|row| format!("row {row}"))
    }

    #[test]
    fn held_out_rows_are_known_again() {
        let record = RowRecord::new(&data(rows(0..90)), &data(rows(90..100)));
        let overlap = record.overlap(&data(rows(0..100)));
        assert_eq!(overlap.held_out, (90..100).collect::<Vec<_>>());
        assert_eq!(overlap.trained, 0.9);
        let other = record.overlap(&data(rows(1000..1010)));
        assert_eq!((other.held_out.len(), other.trained), (0, 0.0));
        assert_eq!(record.overlap(&data(rows(80..100))).trained, 0.5);
    }

    #[test]
    fn of_many_rows_a_share_is_estimated() {
        let record = RowRecord::new(&data(rows(0..20_000)), &data(rows(20_000..20_500)));
        assert_eq!((record.trained.len(), record.trained_rows), (SAMPLE, 20_000));
        // Half of these were trained on. About 300 are looked at: four standard errors are 0.12.
        let share = record.overlap(&data(rows(0..1500).chain(rows(50_000..51_500)))).trained;
        assert!((share - 0.5).abs() < 0.12, "{share}");
    }

    #[test]
    fn texts_and_pairs_are_told_apart() {
        let example = |text: &str, pair: Option<&str>| {
            hash(&Example { text: text.into(), pair: pair.map(str::to_owned), label: Label::Absent })
        };
        assert_ne!(example("a", Some("bc")), example("ab", Some("c")));
        assert_ne!(example("ab", None), example("a", Some("b")));
        assert_eq!(example("ab", None), example("ab", None));
    }

    #[test]
    fn a_record_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(RowRecord::read(folder.path()).unwrap(), None);
        let record = RowRecord::new(&data(rows(0..9)), &data(rows(9..12)));
        let write = |text: String| std::fs::write(folder.path().join("attar.json"), text).unwrap();
        write(serde_json::json!({ "seed": 1, ROWS_KEY: record }).to_string());
        assert_eq!(RowRecord::read(folder.path()).unwrap(), Some(record));
        write("{\"seed\": 1}".into());
        assert_eq!(RowRecord::read(folder.path()).unwrap(), None);
        write("{\"rows\": {\"held_out\": \"xyz\", \"trained\": \"\", \"trained_rows\": 0}}".into());
        assert!(RowRecord::read(folder.path()).unwrap_err().to_string().contains("attar.json"));
    }
}
