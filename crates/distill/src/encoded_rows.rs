//! Rows of a data set as token ids, in the form in which a model reads them.

use attar_text::batch::{Batch, assemble};
use attar_text::labeled::Example;
use attar_text::tokenizer::{EncodeError, Encoding, Limit, Tokenizer};

use crate::Error;

/// How a model reads a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As one sequence; the texts of a pair stand one after the other.
    Together,
    /// As two sequences, one for each text of a pair.
    Apart,
}

impl Reading {
    /// How a model of this configuration reads a row.
    pub fn of(config: &attar_model::EncoderConfig) -> Reading {
        if config.encodes_pairs_separately() { Reading::Apart } else { Reading::Together }
    }

    /// Sequences of a row.
    fn sequences(self) -> usize {
        match self {
            Reading::Together => 1,
            Reading::Apart => 2,
        }
    }
}

/// Rows as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRows {
    reading: Reading,
    /// Those of the first row first.
    sequences: Vec<Encoding>,
}

impl EncodedRows {
    /// Encodes examples.
    ///
    /// # Errors
    /// If the tokenizer refuses a text, or a row has one text where a model compares two; the row is named.
    pub fn new(
        examples: &[Example],
        tokenizer: &Tokenizer,
        limit: Limit,
        reading: Reading,
    ) -> Result<EncodedRows, Error> {
        let mut texts: Vec<(&str, Option<&str>)> = Vec::with_capacity(examples.len() * reading.sequences());
        for (row, example) in examples.iter().enumerate() {
            match (reading, &example.pair) {
                (Reading::Together, pair) => texts.push((&example.text, pair.as_deref())),
                (Reading::Apart, Some(pair)) => texts.extend([(example.text.as_str(), None), (pair, None)]),
                (Reading::Apart, None) => {
                    let out = "name the column of the second text (`pair`, `--pair`), or choose another classifier";
                    return Err(Error::refused(
                        format!("row {}", row + 1),
                        "a pair of texts, which a cosine compares",
                        "one text",
                        out,
                    ));
                }
            }
        }
        let sequences = tokenizer.encode_all(&texts, limit).map_err(|error| by_row(error, reading))?;
        Ok(EncodedRows { reading, sequences })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.sequences.len() / self.reading.sequences()
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// Tokens of each row.
    pub fn lengths(&self) -> Vec<u32> {
        let row = |sequences: &[Encoding]| sequences.iter().map(|sequence| sequence.len() as u32).sum();
        self.sequences.chunks(self.reading.sequences()).map(row).collect()
    }

    /// Every sequence there is.
    pub fn sequences(&self) -> &[Encoding] {
        &self.sequences
    }

    /// The batch of these rows; its lengths are those of sequences.
    ///
    /// # Panics
    /// If there is no such row.
    #[track_caller]
    pub fn batch(&self, rows: &[u32]) -> Batch {
        let per_row = self.reading.sequences() as u32;
        let sequences: Vec<u32> = rows.iter().flat_map(|row| row * per_row..(row + 1) * per_row).collect();
        Batch { rows: rows.to_vec(), ..assemble(&sequences, &self.sequences) }
    }

    /// These rows, in this order.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    #[track_caller]
    pub fn of_rows(&self, rows: &[usize]) -> EncodedRows {
        let per_row = self.reading.sequences();
        let sequences = rows.iter().flat_map(|row| &self.sequences[row * per_row..(row + 1) * per_row]);
        EncodedRows { reading: self.reading, sequences: sequences.cloned().collect() }
    }
}

/// The row of an error, where sequences were counted.
fn by_row(error: EncodeError, reading: Reading) -> EncodeError {
    match error {
        EncodeError::Row { row, source } => EncodeError::Row { row: row / reading.sequences(), source },
        other => other,
    }
}
