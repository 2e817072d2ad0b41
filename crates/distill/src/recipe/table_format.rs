//! What a table looks like on disk.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a table looks like on disk. What is left out is told from the file's name and its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TableFormat {
    /// `tsv`, `csv`, `jsonl`, `lines`, `label-first` or `fast-text`; else by the extension, a last `.gz` left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<TableKind>,
    /// Whether the first row names the columns; else it does if a column is asked for by name, and where columns are asked
    /// for by number, its label tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Whether `"` quotes a field; else it does in CSV and does not in TSV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quoting: Option<bool>,
    /// What separates columns, or label and text: one character, or `tab`; else what the kind says, where a CSV's may be
    /// `;` or a tab if every row agrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<Delimiter>,
    /// `utf-8`, `utf-16` or `latin-1`; else UTF-16 if the file begins with its mark, and UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<TableEncoding>,
}

/// A kind of table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// Fields separated by tabs.
    Tsv,
    /// Fields separated by commas.
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// A text a line, as column `text`; labels in a second file.
    Lines,
    /// `LABEL:text` a line, as columns `label` and `text`.
    LabelFirst,
    /// `__label__LABEL text` a line, as columns `label` and `text`.
    FastText,
    /// Apache Parquet.
    Parquet,
    /// Arrow's own files (Feather) and streams.
    Arrow,
}

/// An encoding of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableEncoding {
    /// UTF-8, with or without a mark.
    #[serde(rename = "utf-8")]
    Utf8,
    /// UTF-16, with a mark or the low byte first.
    #[serde(rename = "utf-16")]
    Utf16,
    /// Latin-1 as browsers read it, which is Windows-1252.
    #[serde(rename = "latin-1", alias = "windows-1252")]
    Latin1,
}

/// An ASCII character between columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Delimiter(u8);

/// A text that is no delimiter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one ASCII character, or `tab`, as a delimiter, found {0:?}")]
pub struct DelimiterError(String);

impl Delimiter {
    /// Its byte.
    pub fn byte(self) -> u8 {
        self.0
    }
}

impl FromStr for Delimiter {
    type Err = DelimiterError;

    /// A character, `tab`, or `\\t` as shells hand it on.
    fn from_str(text: &str) -> Result<Delimiter, DelimiterError> {
        match text.as_bytes() {
            b"tab" | b"\\t" => Ok(Delimiter(b'\t')),
            // A quotation mark or a line end would be two things at once.
            &[byte] if byte.is_ascii() && !b"\"\r\n".contains(&byte) => Ok(Delimiter(byte)),
            _ => Err(DelimiterError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Delimiter {
    type Error = DelimiterError;

    fn try_from(text: String) -> Result<Delimiter, DelimiterError> {
        text.parse()
    }
}

impl From<Delimiter> for String {
    fn from(delimiter: Delimiter) -> String {
        match delimiter.0 {
            b'\t' => "tab".into(),
            byte => char::from(byte).into(),
        }
    }
}
