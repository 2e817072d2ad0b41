//! Labeled data: texts or pairs of texts with a class, several labels, a score, a tag for each word, answers to a question or no
//! label.
//!
//! [`read()`] and [`load()`] read a table, [`read_tagged`] sentences with tags, [`read_answers`] questions with their contexts;
//! [`crate::layout`] knows public data sets by name; [`crate::synthetic`] makes one. A data set is held in memory, in the order of its source, with the hash of the bytes
//! it was read from.

mod answers;
mod error;
mod header;
mod hold_out;
mod load;
mod matching;
mod multi_label;
mod sample;
mod tagged;

use std::ops::Range;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use answers::read_answers;
pub use error::{DataError, list_names};
pub use hold_out::HeldOut;
pub use load::{LabeledSpec, Loaded, TargetSpec, load, read};
pub(crate) use load::{RawRow, from_rows};
pub use matching::{LabelMatch, MatchedBy, are_unnamed, match_labels};
pub(crate) use sample::normalized;
pub use tagged::read_tagged;

use crate::files;
use crate::table::{Columnar, hexadecimal};
use crate::tokenizer::{EncodeError, Encoding, Limit, Tokenizer};

/// One text, or pair of texts, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The text, or the first of two.
    pub text: String,
    /// The second text.
    pub pair: Option<String>,
    /// Its label.
    pub label: Label,
}

impl Example {
    /// The text and the second one of a pair.
    pub fn texts(&self) -> (&str, Option<&str>) {
        (&self.text, self.pair.as_deref())
    }
}

/// What is known of an example.
#[derive(Debug, Clone, PartialEq)]
pub enum Label {
    /// Its class: a position in the [`LabelSet`].
    Class(u32),
    /// Its labels, none or several: positions in the [`LabelSet`], ascending.
    MultiLabel(Vec<u32>),
    /// Its score, finite and in the range of the [`Target`].
    Score(f32),
    /// The tag of each word, in the order of the text.
    Tags(Vec<WordTag>),
    /// The right answers to a question: bytes of its context, the second text. None if the context has no answer.
    Answers(Vec<Range<usize>>),
    /// Nothing.
    Absent,
}

/// A word and its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordTag {
    /// Bytes of the text; words do not overlap.
    pub bytes: Range<usize>,
    /// A position in the [`LabelSet`].
    pub class: u32,
}

/// The classes there are, in order: names differ and none is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSet {
    /// The name of class 0, class 1, …
    pub names: Vec<String>,
}

/// What is to be predicted.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// One of these classes.
    Classes(LabelSet),
    /// Any of these labels, also none or several.
    MultiLabel(LabelSet),
    /// A number.
    Regression {
        /// The smallest there can be.
        low: f32,
        /// The largest there can be.
        high: f32,
    },
    /// One of these tags for each word.
    Tags(LabelSet),
    /// The part of the second text that answers the first, a question.
    Answers {
        /// Whether some questions have no answer in their context, as in SQuAD 2.0.
        has_unanswerable: bool,
    },
}

/// Examples that belong together. There is at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The examples, in the order of the source.
    pub examples: Vec<Example>,
    /// What is to be predicted of them.
    pub target: Target,
    /// What to call them in a report, such as "SST-2 dev".
    pub name: String,
    /// SHA-256 of the bytes they were read from, in hexadecimal; the same for every part of them.
    pub sha256: String,
    /// The file or folder they were read from; `None` for data made in memory.
    pub path: Option<PathBuf>,
}

impl LabelSet {
    /// The class of this name.
    pub fn class(&self, name: &str) -> Option<u32> {
        self.names.iter().position(|known| known == name).map(|class| class as u32)
    }

    /// The class of this name, or else the only one of this name in another case.
    pub fn class_in_any_case(&self, name: &str) -> Option<u32> {
        self.class(name).or_else(|| matching::only_in_another_case(&self.names, name).map(|class| class as u32))
    }

    /// The name of this class.
    pub fn name(&self, class: u32) -> Option<&str> {
        self.names.get(class as usize).map(String::as_str)
    }

    /// Number of classes K; 0 only where no label is known.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

impl Target {
    /// Number of outputs of a model for it: one for each class, label or tag, one number, or two for where an answer begins and
    /// ends.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Classes(labels) | Self::MultiLabel(labels) | Self::Tags(labels) => labels.len(),
            Self::Regression { .. } => 1,
            Self::Answers { .. } => 2,
        }
    }

    /// The classes, labels or tags, if there are some.
    pub fn labels(&self) -> Option<&LabelSet> {
        match self {
            Self::Classes(labels) | Self::MultiLabel(labels) | Self::Tags(labels) => Some(labels),
            Self::Regression { .. } | Self::Answers { .. } => None,
        }
    }
}

impl Dataset {
    /// Examples of a program's own; `sha256` is that of the examples themselves.
    ///
    /// # Panics
    /// If there is no example.
    pub fn in_memory(name: impl Into<String>, target: Target, examples: Vec<Example>) -> Dataset {
        assert!(!examples.is_empty(), "a data set has at least one example");
        let mut data = Dataset { examples, target, name: name.into(), sha256: String::new(), path: None };
        data.sha256 = data.content_hash();
        data
    }

    /// Number of examples N, never 0.
    #[expect(clippy::len_without_is_empty, reason = "a data set is never empty")]
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// The class of each example, `[N]`; `None` unless every one has a class.
    pub fn classes(&self) -> Option<Vec<u32>> {
        let class = |example: &Example| match example.label {
            Label::Class(class) => Some(class),
            _ => None,
        };
        self.examples.iter().map(class).collect()
    }

    /// The labels of each example, `[N]`; `None` unless every one has a list of them, which may be empty.
    pub fn label_sets(&self) -> Option<Vec<Vec<u32>>> {
        let labels = |example: &Example| match &example.label {
            Label::MultiLabel(labels) => Some(labels.clone()),
            _ => None,
        };
        self.examples.iter().map(labels).collect()
    }

    /// The score of each example, `[N]`; `None` unless every one has a score.
    pub fn scores(&self) -> Option<Vec<f64>> {
        let score = |example: &Example| match example.label {
            Label::Score(score) => Some(f64::from(score)),
            _ => None,
        };
        self.examples.iter().map(score).collect()
    }

    /// The tags of each example's words, `[N]`; `None` unless every one has tags.
    pub fn tags(&self) -> Option<Vec<Vec<u32>>> {
        let tags = |example: &Example| match &example.label {
            Label::Tags(tags) => Some(tags.iter().map(|tag| tag.class).collect()),
            _ => None,
        };
        self.examples.iter().map(tags).collect()
    }

    /// The texts of the right answers to each example's question, `[N]`; `None` unless every one has a list of them, which may be
    /// empty.
    pub fn answers(&self) -> Option<Vec<Vec<String>>> {
        let answers = |example: &Example| match (&example.label, &example.pair) {
            (Label::Answers(ranges), Some(context)) => {
                Some(ranges.iter().map(|range| context[range.clone()].to_owned()).collect())
            }
            _ => None,
        };
        self.examples.iter().map(answers).collect()
    }

    /// Whether examples are pairs of texts.
    pub fn has_pairs(&self) -> bool {
        self.examples.iter().any(|example| example.pair.is_some())
    }

    /// How many examples each class or label has, or words each tag, `[K]`; empty for regression and answers.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.target.labels().map_or(0, LabelSet::len)];
        for example in &self.examples {
            let classes = match &example.label {
                Label::Class(class) => vec![*class],
                Label::MultiLabel(labels) => labels.clone(),
                Label::Tags(tags) => tags.iter().map(|tag| tag.class).collect(),
                Label::Score(_) | Label::Answers(_) | Label::Absent => Vec::new(),
            };
            for class in classes {
                if let Some(count) = counts.get_mut(class as usize) {
                    *count += 1;
                }
            }
        }
        counts
    }

    /// All examples as token ids, in order, on all cores.
    ///
    /// # Errors
    /// [`EncodeError::Row`] with the first example, counted from 0, that the tokenizer refuses.
    pub fn encode(&self, tokenizer: &Tokenizer, limit: Limit) -> Result<Vec<Encoding>, EncodeError> {
        let rows: Vec<(&str, Option<&str>)> = self.examples.iter().map(Example::texts).collect();
        tokenizer.encode_all(&rows, limit)
    }

    /// SHA-256 of the examples themselves (texts, labels, order), in hexadecimal.
    ///
    /// Unlike `sha256` it tells a part from the whole, and does not change with the format of a file.
    pub fn content_hash(&self) -> String {
        let mut hash = Sha256::new();
        let mut text = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        for name in self.target.labels().into_iter().flat_map(|labels| &labels.names) {
            text(name);
        }
        for example in &self.examples {
            text(&example.text);
            match &example.pair {
                Some(pair) => text(&format!("+{pair}")),
                None => text("-"),
            }
            match &example.label {
                Label::Class(class) => text(&format!("class {class}")),
                Label::MultiLabel(labels) => text(&format!("several {labels:?}")),
                Label::Score(score) => text(&format!("score {:08x}", score.to_bits())),
                Label::Tags(tags) => {
                    let tags: Vec<_> = tags.iter().map(|tag| (tag.bytes.start, tag.bytes.end, tag.class)).collect();
                    text(&format!("tags {tags:?}"));
                }
                Label::Answers(ranges) => {
                    let ranges: Vec<_> = ranges.iter().map(|range| (range.start, range.end)).collect();
                    text(&format!("answers {ranges:?}"));
                }
                Label::Absent => text(""),
            }
        }
        hexadecimal(&hash.finalize())
    }
}

/// The name of a file without its extension and without that of its compression: `train-v2.0` of `train-v2.0.json.gz`.
pub fn name_of(path: &Path) -> String {
    let is_compressed = path.extension().is_some_and(|extension| extension == "gz" || extension == "zst");
    let path = if is_compressed { path.with_extension("") } else { path.to_owned() };
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

/// The rows of a Parquet or Arrow file as JSON lines.
fn all_lines(kind: Columnar, path: &Path) -> Result<Vec<u8>, DataError> {
    let lines = kind.lines(path)?;
    let read = files::read_at_most(lines, files::MOST_TABLE_BYTES);
    read.map_err(|source| DataError::Io { path: path.to_owned(), source })
}
