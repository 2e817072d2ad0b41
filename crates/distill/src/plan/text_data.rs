//! The text of a plan: labeled rows, or a corpus.

use attar_text::labeled::{Dataset, Example, Target};
use attar_text::random::Streams;
use attar_text::tokenizer::{Limit, Tokenizer, Windows};

use super::vocabulary;
use crate::Error;
use crate::aligned_rows::AlignedRows;
use crate::answer_windows::{AnswerWindows, KeepPlaces};
use crate::corpus_data::{CorpusData, CorpusSource, Mixture};
use crate::data::LabeledData;
use crate::encoded_rows::{EncodedRows, Reading};
use crate::run_directory::DataFacts;

/// What a plan learns from, before it is token ids.
pub(super) enum TextData {
    Labeled(Box<LabeledRows>),
    /// The source of a corpus and the tokens of its longest sequence.
    Corpus((CorpusSource, usize)),
}

/// Labeled rows and rows beside them.
pub(super) struct LabeledRows {
    pub(super) data: LabeledData,
    /// Rows without labels.
    pub(super) more: Vec<Example>,
}

/// The text of a plan as token ids.
pub(super) struct EncodedTexts {
    pub(super) train: EncodedRows,
    pub(super) dev: EncodedRows,
    /// The dev rows in all the teacher's pieces, where the student has others.
    pub(super) teacher_dev: Option<EncodedRows>,
    /// The training rows as the teacher reads them, where it has a vocabulary of its own and its states are compared.
    pub(super) aligned: Option<AlignedRows>,
    /// The same corpus for a model that learns a second vocabulary.
    pub(super) mixture: Option<Mixture>,
    pub(super) facts: [DataFacts; 2],
}

/// How a teacher with other pieces than the student's reads the rows.
#[derive(Clone, Copy)]
pub(super) struct TeacherTokenizer<'a> {
    pub(super) tokenizer: &'a Tokenizer,
    /// Whether its states are compared with the student's, word by word.
    pub(super) aligns: bool,
}

impl TextData {
    /// The labeled rows, if there are some.
    pub(super) fn labeled(&self) -> Option<&LabeledData> {
        match self {
            TextData::Labeled(rows) => Some(&rows.data),
            TextData::Corpus(_) => None,
        }
    }

    /// As [`TextData::labeled`].
    pub(super) fn into_labeled(self) -> Option<LabeledData> {
        match self {
            TextData::Labeled(rows) => Some(rows.data),
            TextData::Corpus(_) => None,
        }
    }

    /// Rows without labels beside labeled ones.
    pub(super) fn more(&self) -> usize {
        match self {
            TextData::Labeled(rows) => rows.more.len(),
            TextData::Corpus(_) => 0,
        }
    }

    /// Longest sequence in tokens.
    pub(super) fn max_tokens(&self) -> usize {
        match self {
            TextData::Labeled(rows) => rows.data.max_tokens,
            TextData::Corpus((_, max_tokens)) => *max_tokens,
        }
    }

    /// The first texts to learn from, at most so many; of pairs both.
    pub(super) fn first_texts(&self, count: usize) -> Result<Vec<String>, Error> {
        match self {
            TextData::Labeled(rows) => {
                let examples = rows.data.train.examples.iter().chain(&rows.more);
                let texts = examples.flat_map(|row| [Some(&row.text), row.pair.as_ref()]).flatten();
                Ok(texts.take(count).cloned().collect())
            }
            TextData::Corpus((source, _)) => source.first_lines(count),
        }
    }

    /// The tokenizer with so many of its pieces, those that the text uses most, and the old id of each.
    pub(super) fn vocabulary(
        &self,
        full: &Tokenizer,
        size: Option<usize>,
        notes: &mut Vec<String>,
    ) -> Result<(Tokenizer, Option<Vec<u32>>), Error> {
        let Some(size) = size.filter(|&size| size < full.vocabulary_size()) else { return Ok((full.clone(), None)) };
        let counts = match self {
            TextData::Labeled(rows) => {
                let examples = rows.data.train.examples.iter().chain(&rows.more);
                let texts = examples.flat_map(|row| [Some(row.text.as_str()), row.pair.as_deref()]);
                full.piece_counts(texts.flatten())?
            }
            TextData::Corpus((source, max_tokens)) => source.piece_counts(full, *max_tokens)?,
        };
        vocabulary::trimmed(full, &counts, size, notes)
    }

    /// All text in the pieces of `tokenizer`, and the dev rows in those of the teacher's where it has others.
    pub(super) fn encode(
        &self,
        tokenizer: &Tokenizer,
        teachers: Option<TeacherTokenizer<'_>>,
        reading: Reading,
        streams: &Streams,
        notes: &mut Vec<String>,
    ) -> Result<EncodedTexts, Error> {
        let limit = Limit::new(self.max_tokens());
        match self {
            TextData::Labeled(rows) => {
                let LabeledRows { data, more } = &**rows;
                let (dev, target) = (&data.dev.examples, &data.train.target);
                let rows: Vec<Example> = data.train.examples.iter().chain(more).cloned().collect();
                let (aligned, train) = match teachers.filter(|teachers| teachers.aligns) {
                    Some(teachers) => {
                        let both = AlignedRows::new(&rows, teachers.tokenizer, tokenizer, limit, reading)?;
                        (Some(both.0), both.1)
                    }
                    None => {
                        let keep = KeepPlaces::None;
                        (None, EncodedRows::of_target_with_places(&rows, tokenizer, limit, reading, target, keep)?)
                    }
                };
                match train.windows() {
                    Some(windows) => note_windows(windows, &rows, train.len(), data.max_tokens, notes),
                    None => note_truncation(&train, data.max_tokens, notes),
                }
                let encode_dev = |tokenizer| EncodedRows::of_target(dev, tokenizer, limit, reading, target);
                let dev = encode_dev(tokenizer)?;
                note_cut_words(&dev, target, notes);
                Ok(EncodedTexts {
                    train,
                    aligned,
                    mixture: None,
                    dev,
                    teacher_dev: teachers.map(|teacher| encode_dev(teacher.tokenizer)).transpose()?,
                    facts: [facts(&data.train), facts(&data.dev)],
                })
            }
            TextData::Corpus((source, max_tokens)) => {
                let CorpusData { train, held_out, facts, cut_lines, mixture } = match source.mix() {
                    Some(mix) => source.read_mixed(mix, tokenizer, *max_tokens, streams)?,
                    None => source.read(tokenizer, *max_tokens, streams)?,
                };
                if cut_lines > 0 {
                    notes.push(format!(
                        "{cut_lines} lines have more than {max_tokens} tokens and lost the rest: `layout = \"packed\"` keeps all"
                    ));
                }
                Ok(EncodedTexts {
                    train: train.into(),
                    dev: held_out.into(),
                    teacher_dev: None,
                    aligned: None,
                    mixture,
                    facts,
                })
            }
        }
    }
}

fn facts(data: &Dataset) -> DataFacts {
    DataFacts { name: data.name.clone(), rows: data.len(), sha256: data.content_hash() }
}

fn note_truncation(texts: &EncodedRows, max_tokens: usize, notes: &mut Vec<String>) {
    // A text exactly at the limit may have been truncated, so it counts too.
    if let Some((full, all)) = texts.at_limit(max_tokens)
        && full > 0
    {
        notes.push(format!("{full} of {all} training texts reach the limit of {max_tokens} tokens"));
    }
}

/// Of contexts nothing is cut, but each window costs a pass, and an answer that no window has as a whole cannot be learned.
fn note_windows(windows: &AnswerWindows, rows: &[Example], count: usize, max_tokens: usize, notes: &mut Vec<String>) {
    if count > rows.len() {
        let overlap = Windows::of(max_tokens).overlap;
        notes.push(format!(
            "{} questions are read in {count} windows of at most {max_tokens} tokens, which overlap by {overlap}; a larger \
             `max-tokens` makes fewer",
            rows.len()
        ));
    }
    let split = windows.count_split_answers(rows);
    if split > 0 {
        notes.push(format!(
            "{split} questions have an answer that does not fit whole into any window and are trained as unanswerable; raise `max-tokens`"
        ));
    }
}

/// Words without a token get no tag, which lowers the score.
fn note_cut_words(dev: &EncodedRows, target: &Target, notes: &mut Vec<String>) {
    let Some(words) = dev.words() else { return };
    let cut = words.cut();
    let name = target.labels().and_then(|labels| labels.name(words.outside() as u32)).unwrap_or_default();
    if cut > 0 {
        notes.push(format!(
            "{cut} words of the rows to score by have no token (they lie past the limit, or the tokenizer drops them) and are \
             scored as if tagged {name}; raise `max-tokens`"
        ));
    }
}
