//! Rows of a data set as token ids, in the form in which a model reads them.

use attar_text::batch::{Batch, assemble};
use attar_text::labeled::{Example, Target};
use attar_text::sequences::Sequences;
use attar_text::tokenizer::{EncodeError, Encoding, Encodings, Limit, Tokenizer};

use crate::Error;
use crate::answer_windows::{AnswerWindows, KeepPlaces};
use crate::word_tokens::WordTokens;

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
    pub(crate) fn sequences(self) -> usize {
        match self {
            Reading::Together => 1,
            Reading::Apart => 2,
        }
    }

    /// The sequences of these rows as text, those of the first row first.
    pub(crate) fn texts(self, examples: &[Example]) -> Result<Vec<(&str, Option<&str>)>, Error> {
        let mut texts: Vec<(&str, Option<&str>)> = Vec::with_capacity(examples.len() * self.sequences());
        for (row, example) in examples.iter().enumerate() {
            match (self, &example.pair) {
                (Reading::Together, pair) => texts.push((&example.text, pair.as_deref())),
                (Reading::Apart, Some(pair)) => texts.extend([(example.text.as_str(), None), (pair, None)]),
                (Reading::Apart, None) => {
                    let out =
                        "name the column of the second text (`pair`, `--pair`), or choose another model or classifier";
                    return Err(Error::refused(
                        format!("row {}", row + 1),
                        "a pair of texts, which a cosine compares",
                        "one text",
                        out,
                    ));
                }
            }
        }
        Ok(texts)
    }
}

/// Rows as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRows {
    storage: RowStorage,
    prediction_unit: PredictionUnit,
}

/// Which of a row's tokens a prediction is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PredictionUnit {
    /// All of them together.
    Row,
    /// Those of words that have tags.
    Words(WordTokens),
    /// A span of them: rows are windows of contexts.
    Windows(AnswerWindows),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum RowStorage {
    /// Labeled rows; the sequences of the first row first.
    Rows { reading: Reading, sequences: Vec<Encoding> },
    /// A corpus, of which each sequence is a row.
    Corpus(Sequences),
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
        let texts = reading.texts(examples)?;
        let sequences = tokenizer.encode_all(&texts, limit).map_err(|error| by_row(error, reading))?;
        Ok(EncodedRows::of_sequences(sequences, reading))
    }

    /// Encodes examples for a model that answers this target: for tags, the words are found among the tokens; for answers to
    /// questions, a row is a window of the context, and an example has one or several.
    ///
    /// # Errors
    /// As [`EncodedRows::new`], or if a row has no word, or no answer, that the tokenizer reads.
    pub fn of_target(
        examples: &[Example],
        tokenizer: &Tokenizer,
        limit: Limit,
        reading: Reading,
        target: &Target,
    ) -> Result<EncodedRows, Error> {
        EncodedRows::of_target_with_places(examples, tokenizer, limit, reading, target, KeepPlaces::All)
    }

    /// As [`EncodedRows::of_target`]. With [`KeepPlaces::None`], for training rows, windows keep no token places: no answer is
    /// decoded from them.
    pub(crate) fn of_target_with_places(
        examples: &[Example],
        tokenizer: &Tokenizer,
        limit: Limit,
        reading: Reading,
        target: &Target,
        keep: KeepPlaces,
    ) -> Result<EncodedRows, Error> {
        let (sequences, prediction_unit) = match target {
            Target::Classes(_) | Target::MultiLabel(_) | Target::Regression { .. } => {
                return EncodedRows::new(examples, tokenizer, limit, reading);
            }
            Target::Tags(_) => {
                let (sequences, words) = WordTokens::encode(examples, tokenizer, limit, target)?;
                if let Some(row) = words.first_without() {
                    let (place, got) = (format!("row {}", row + 1), format!("{:?}", examples[row].text));
                    return Err(Error::refused(place, "a word that the tokenizer reads", got, "leave the row out"));
                }
                (sequences, PredictionUnit::Words(words))
            }
            Target::Answers { .. } => {
                let (sequences, windows) = AnswerWindows::encode(examples, tokenizer, limit.max_tokens, keep)?;
                (sequences, PredictionUnit::Windows(windows))
            }
        };
        Ok(EncodedRows { prediction_unit, ..EncodedRows::of_sequences(sequences, Reading::Together) })
    }

    /// All sequences of labeled rows in order, and the unit of prediction.
    pub(crate) fn into_encodings(self) -> (Encodings, PredictionUnit) {
        let RowStorage::Rows { sequences, .. } = self.storage else { unreachable!("a corpus answers nothing") };
        let mut encodings = Encodings::default();
        sequences.iter().for_each(|sequence| encodings.append(sequence));
        (encodings, self.prediction_unit)
    }

    /// Which of a row's tokens a prediction is read from.
    pub(crate) fn prediction_unit(&self) -> &PredictionUnit {
        &self.prediction_unit
    }

    /// The words that have tags, where those are what is learned.
    pub(crate) fn words(&self) -> Option<&WordTokens> {
        match &self.prediction_unit {
            PredictionUnit::Words(words) => Some(words),
            PredictionUnit::Row | PredictionUnit::Windows(_) => None,
        }
    }

    /// The windows that the rows are, where answers to questions are learned.
    pub(crate) fn windows(&self) -> Option<&AnswerWindows> {
        match &self.prediction_unit {
            PredictionUnit::Windows(windows) => Some(windows),
            PredictionUnit::Row | PredictionUnit::Words(_) => None,
        }
    }

    /// Rows of the first so many examples: as many, or all their windows.
    pub(crate) fn of_examples(&self, examples: usize) -> usize {
        self.windows().map_or(examples, |windows| windows.window_count(examples))
    }

    /// Sequences of rows, those of the first row first.
    pub(crate) fn of_sequences(sequences: Vec<Encoding>, reading: Reading) -> EncodedRows {
        EncodedRows { storage: RowStorage::Rows { reading, sequences }, prediction_unit: PredictionUnit::Row }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.storage {
            RowStorage::Rows { reading, sequences } => sequences.len() / reading.sequences(),
            RowStorage::Corpus(sequences) => sequences.len(),
        }
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if the rows are sequences of a corpus.
    pub(crate) fn is_corpus(&self) -> bool {
        matches!(self.storage, RowStorage::Corpus(_))
    }

    /// Tokens of each row.
    pub fn lengths(&self) -> Vec<u32> {
        match &self.storage {
            RowStorage::Rows { reading, sequences } => {
                let row = |sequences: &[Encoding]| sequences.iter().map(|sequence| sequence.len() as u32).sum();
                sequences.chunks(reading.sequences()).map(row).collect()
            }
            RowStorage::Corpus(sequences) => sequences.lengths(),
        }
    }

    /// The largest token type of any row.
    pub fn largest_type(&self) -> u32 {
        match &self.storage {
            RowStorage::Rows { sequences, .. } => {
                sequences.iter().flat_map(|sequence| &sequence.types).copied().max().unwrap_or(0)
            }
            RowStorage::Corpus(_) => 0,
        }
    }

    /// Of labeled rows, the sequences of `max_tokens` tokens, which may have been cut, and the number of all.
    pub fn at_limit(&self, max_tokens: usize) -> Option<(usize, usize)> {
        match &self.storage {
            RowStorage::Rows { sequences, .. } => {
                let full = sequences.iter().filter(|sequence| sequence.len() >= max_tokens).count();
                Some((full, sequences.len()))
            }
            RowStorage::Corpus(_) => None,
        }
    }

    /// The batch of these rows; its lengths are those of sequences.
    ///
    /// # Panics
    /// If there is no such row.
    #[track_caller]
    pub fn batch(&self, rows: &[u32]) -> Batch {
        match &self.storage {
            RowStorage::Rows { reading, sequences } => {
                let per_row = reading.sequences() as u32;
                let places: Vec<u32> = rows.iter().flat_map(|row| row * per_row..(row + 1) * per_row).collect();
                Batch { rows: rows.to_vec(), ..assemble(&places, sequences) }
            }
            RowStorage::Corpus(sequences) => sequences.batch(rows),
        }
    }

    /// These rows, in this order.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    #[track_caller]
    pub fn of_rows(&self, rows: &[usize]) -> EncodedRows {
        let storage = match &self.storage {
            RowStorage::Rows { reading, sequences } => {
                let per_row = reading.sequences();
                let some = rows.iter().flat_map(|row| &sequences[row * per_row..(row + 1) * per_row]);
                RowStorage::Rows { reading: *reading, sequences: some.cloned().collect() }
            }
            RowStorage::Corpus(sequences) => RowStorage::Corpus(sequences.of_rows(rows)),
        };
        let prediction_unit = match &self.prediction_unit {
            PredictionUnit::Row => PredictionUnit::Row,
            PredictionUnit::Words(words) => PredictionUnit::Words(words.of_rows(rows)),
            PredictionUnit::Windows(windows) => PredictionUnit::Windows(windows.of_rows(rows)),
        };
        EncodedRows { storage, prediction_unit }
    }
}

impl From<Sequences> for EncodedRows {
    fn from(sequences: Sequences) -> EncodedRows {
        EncodedRows { storage: RowStorage::Corpus(sequences), prediction_unit: PredictionUnit::Row }
    }
}

/// The row of an error, where sequences were counted.
pub(crate) fn by_row(error: EncodeError, reading: Reading) -> EncodeError {
    match error {
        EncodeError::Row { row, source } => EncodeError::Row { row: row / reading.sequences(), source },
        other => other,
    }
}
