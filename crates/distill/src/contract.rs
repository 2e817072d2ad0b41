//! A contract between a teacher and its student: from which confidence on the student may answer in the teacher's place.
//!
//! Most texts are easy, and of those a student says what its teacher would say. How sure it has to be for that is
//! found on one half of some rows that neither was trained on ([`Split`]), and tested on the other: the share of
//! answers that agree is then at least what was asked for, with the confidence that was asked for, by the exact bound
//! of the binomial distribution ([`lower_bound`]). [`find`] does both.
//!
//! What the contract saves is arithmetic over what a text costs either model ([`Saving`]).

mod bound;
mod saving;
mod search;

use std::path::{Path, PathBuf};

use attar_model::{Bundle, ReadWeights};
use serde::{Deserialize, Serialize};

use crate::Error;

pub use bound::{least_rows, lower_bound};
pub use saving::{Cost, Saving};
pub use search::{Counts, Requirements, RequirementsError, Threshold, find};

/// The file of a contract in the folder of its student.
pub const CONTRACT_FILE: &str = "contract.json";

/// A student's answer to a row held against its teacher's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// How sure the student is: [`attar_runtime::confidence`].
    pub confidence: f64,
    /// Whether both say the same.
    pub agrees: bool,
}

/// Rows in two halves by their texts, so that rows with the same texts are in the same half, and the same row is in
/// the same half in every file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Split {
    /// Rows to find a threshold by.
    pub selection: Vec<usize>,
    /// Rows to test it by.
    pub test: Vec<usize>,
}

impl Split {
    /// The halves of these rows.
    pub fn of(data: &attar_text::labeled::Dataset) -> Split {
        let mut split = Split::default();
        for (row, example) in data.examples.iter().enumerate() {
            // The lowest bit: records of rows keep the smallest hashes, and so know nothing of it.
            let is_test = crate::row_record::hash(example) & 1 == 1;
            if is_test { &mut split.test } else { &mut split.selection }.push(row);
        }
        split
    }
}

/// What a contract calls a model: the hash of configuration and weights in the precision that they answer in.
///
/// # Errors
/// If the model cannot be read.
pub fn identity(model: &Path, quantized: bool) -> Result<String, Error> {
    let choice = if quantized { ReadWeights::QuantizedOrF32 } else { ReadWeights::F32 };
    let bundle = Bundle::read_with(model, choice)?;
    Ok(match &bundle.quantized {
        Some(weights) => weights.fingerprint(&bundle.config),
        // Quantized when it is loaded.
        None if quantized => format!("int8 of {}", bundle.fingerprint()),
        None => bundle.fingerprint(),
    })
}

/// Where the contract of a student is: in its folder, or beside its single file.
pub fn path_of(student: &Path) -> PathBuf {
    if student.is_file() { student.with_extension(CONTRACT_FILE) } else { student.join(CONTRACT_FILE) }
}

/// A contract as it is written beside its student.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Version of this form.
    pub version: u32,
    /// Fingerprint of the teacher ([`identity`]).
    pub teacher: String,
    /// The same of the student.
    pub student: String,
    /// What was asked for.
    pub requirements: Requirements,
    /// The threshold that holds.
    pub threshold: Threshold,
    /// What a text costs and what is saved; none where it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saving: Option<Saving>,
}

impl Contract {
    /// The version that is written.
    pub const VERSION: u32 = 1;

    /// Whether a file that begins with these bytes is a contract as [`write`](Self::write) writes it.
    pub fn is_beginning(bytes: &[u8]) -> bool {
        let version = bytes.strip_prefix(b"{\n  \"version\": ");
        version.is_some_and(|version| {
            let digits = version.iter().take_while(|byte| byte.is_ascii_digit()).count();
            digits > 0 && version[digits..].starts_with(b",\n  \"teacher\": \"")
        })
    }

    /// Reads the contract of a student with its teacher, which have to be these very models ([`identity`]).
    ///
    /// # Errors
    /// If there is none, it is damaged, of another version or of other weights, or a number in it is out of range.
    pub fn read(path: &Path, student: &str, teacher: &str) -> Result<Contract, Error> {
        let wrong =
            |problem: String, way_out: &str| Error::RunFile { path: path.into(), problem, way_out: way_out.into() };
        let again = "make it again (`attar contract`)";
        let text = std::fs::read(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => wrong("there is no such file".into(), "make it (`attar contract`)"),
            _ => Error::Io { path: path.into(), source },
        })?;
        let contract: Contract =
            serde_json::from_slice(&text).map_err(|e| wrong(format!("not a contract: {e}"), again))?;
        if contract.version != Contract::VERSION {
            return Err(wrong(format!("version {}, expected {}", contract.version, Contract::VERSION), again));
        }
        let Contract { requirements: Requirements { min_agreement, confidence_level }, threshold, .. } = &contract;
        Requirements::new(*min_agreement, *confidence_level).map_err(|error| wrong(error.to_string(), again))?;
        if !(0.0..=1.0).contains(&threshold.confidence) {
            let found = threshold.confidence;
            return Err(wrong(format!("its threshold is {found}, expected a confidence from 0 to 1"), again));
        }
        for (who, found, expected) in [("student", &contract.student, student), ("teacher", &contract.teacher, teacher)]
        {
            if found != expected {
                return Err(wrong(format!("it was made for other weights than those of the {who}"), again));
            }
        }
        Ok(contract)
    }

    /// Writes it, complete or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::Io { path: path.into(), source: e.into() })?;
        Ok(attar_model::atomic::write_file(path, format!("{text}\n").as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_text::labeled::{Dataset, Example, Label, LabelSet, Target};

    #[test]
    fn a_contract_is_that_of_its_student() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_of(folder.path());
        let sure = vec![Comparison { confidence: 0.9, agrees: true }; 400];
        let requirements = Requirements::new(0.99, 0.95).unwrap();
        let contract = Contract {
            version: Contract::VERSION,
            teacher: "xyz".into(),
            student: "abc".into(),
            requirements,
            threshold: find(&sure, &sure, requirements).unwrap(),
            saving: None,
        };
        let told = |student| Contract::read(&path, student, "xyz").map_err(|e| e.to_string());
        assert!(told("abc").unwrap_err().contains("attar contract"));
        contract.write(&path).unwrap();
        assert_eq!(told("abc"), Ok(contract.clone()));
        assert!(Contract::is_beginning(&std::fs::read(&path).unwrap()));
        assert!(!Contract::is_beginning(b"{\n  \"version\": \"1.0\",\n  \"truncation\": null,"), "a tokenizer.json");
        assert!(!Contract::is_beginning(b"{\n  \"version\": 1,\n  \"seed\": 1"));
        assert!(told("abd").unwrap_err().contains("other weights than those of the student"));
        let other = Contract::read(&path, "abc", "xyy").unwrap_err().to_string();
        assert!(other.contains("other weights than those of the teacher"), "{other}");
        for confidence in [1.5, -0.1] {
            let threshold = Threshold { confidence, ..contract.threshold };
            Contract { threshold, ..contract.clone() }.write(&path).unwrap();
            let error = told("abc").unwrap_err();
            assert!(error.contains(&format!("threshold is {confidence}, expected")), "{error}");
        }
        for (min_agreement, confidence_level, named) in [(99.0, 0.95, "agreement"), (0.99, 1.0, "confidence level")] {
            let requirements = Requirements { min_agreement, confidence_level };
            Contract { requirements, ..contract.clone() }.write(&path).unwrap();
            let error = told("abc").unwrap_err();
            assert!(error.contains(&format!("the {named} of a contract is")) && error.contains("again"), "{error}");
        }
        Contract { version: 2, ..contract }.write(&path).unwrap();
        assert!(told("abc").unwrap_err().contains("version 2, expected 1"));
        std::fs::write(&path, "{}").unwrap();
        assert!(told("abc").unwrap_err().contains("not a contract"));
        assert_eq!(path_of("a/b".as_ref()), Path::new("a/b/contract.json"));
    }

    #[test]
    fn halves_are_even_and_hold_equal_texts_together() {
        let example = |row: usize| Example { text: format!("row {row}"), pair: None, label: Label::Absent };
        let data = Dataset {
            examples: (0..4000).map(|row| example(row % 2000)).collect(),
            target: Target::Classes(LabelSet { names: Vec::new() }),
            name: "rows".into(),
            sha256: String::new(),
            path: None,
        };
        let Split { selection, test } = Split::of(&data);
        assert_eq!(selection.len() + test.len(), 4000);
        // Four standard deviations of 2,000 tosses, twice each.
        assert!((1820..=2180).contains(&selection.len()), "{}", selection.len());
        assert!(selection.iter().all(|row| selection.binary_search(&((row + 2000) % 4000)).is_ok()));
    }
}
