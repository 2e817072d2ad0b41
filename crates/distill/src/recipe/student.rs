//! The model that is trained, as a recipe describes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The model that is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum StudentSpec {
    /// An existing model, as when fine-tuning.
    Model {
        /// Model directory, or the directory of a run; left out where a program gives the model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<PathBuf>,
        /// Replace a head that was made for other labels.
        #[serde(default)]
        new_head: bool,
        /// What a new classifier reads.
        #[serde(default)]
        classifier: ClassifierChoice,
        /// How a new classifier begins.
        #[serde(default)]
        head: HeadStart,
    },
    /// The teacher made smaller: some of its layers, perhaps fewer feed-forward units, a narrower state, fewer pieces.
    Teacher {
        /// Layers of the teacher that stay, counted from 1, in rising order.
        layers: Vec<usize>,
        /// H; below the teacher's, states are projected onto their principal directions over the training text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hidden: Option<usize>,
        /// E, the width of factorized embeddings, below H; they and the map to H begin as the nearest approximation of the
        /// embeddings that a student without them has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        embedding_width: Option<usize>,
        /// A; below the teacher's, the heads that the loss depends on most stay.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heads: Option<usize>,
        /// F; below the teacher's, the units that the loss depends on most stay.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        feed_forward: Option<usize>,
        /// Directory of a tokenizer of the student's own; the teacher's if left out. Where the teacher has its pieces under other
        /// ids, as one of MPNet's kind has BERT's, states are compared token by token, else word by word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokenizer: Option<PathBuf>,
        /// What the embeddings of a tokenizer of its own begin with.
        #[serde(default, skip_serializing_if = "is_mean")]
        embeddings: EmbeddingStart,
        /// Word pieces that stay: those of the training text, then the most frequent; all if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vocabulary: Option<usize>,
    },
    /// A new encoder of a given shape, with random weights.
    Shape {
        /// L
        layers: usize,
        /// H
        hidden: usize,
        /// E, the width of factorized embeddings, below H: a linear map takes them to H. As wide as H if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        embedding_width: Option<usize>,
        /// A
        heads: usize,
        /// F
        feed_forward: usize,
        /// Directory of the tokenizer; the teacher's if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokenizer: Option<PathBuf>,
        /// Model directory, or that of a run, beside whose model stand word embeddings of the student's width to begin with, as a
        /// `width` in `mix` leaves them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        embeddings: Option<PathBuf>,
        /// What the classifier reads; as the teacher's if left out.
        #[serde(default)]
        classifier: ClassifierChoice,
        /// Word pieces that stay of the tokenizer's; all if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vocabulary: Option<usize>,
    },
}

impl StudentSpec {
    /// Word pieces kept of the tokenizer's, if not all are.
    pub fn vocabulary(&self) -> Option<usize> {
        match self {
            StudentSpec::Model { .. } => None,
            StudentSpec::Teacher { vocabulary, .. } | StudentSpec::Shape { vocabulary, .. } => *vocabulary,
        }
    }

    /// The same student with this many word pieces, or all; an existing model keeps its own.
    pub fn with_vocabulary(mut self, pieces: Option<usize>) -> StudentSpec {
        match &mut self {
            StudentSpec::Model { .. } => {}
            StudentSpec::Teacher { vocabulary, .. } | StudentSpec::Shape { vocabulary, .. } => *vocabulary = pieces,
        }
        self
    }

    /// The same student with these widths and heads; an existing model keeps its own.
    pub fn with_widths(mut self, width: usize, head_count: usize, embedding: Option<usize>) -> StudentSpec {
        match &mut self {
            StudentSpec::Model { .. } => {}
            StudentSpec::Teacher { hidden, heads, embedding_width, .. } => {
                (*hidden, *heads, *embedding_width) = (Some(width), Some(head_count), embedding);
            }
            StudentSpec::Shape { hidden, heads, embedding_width, .. } => {
                (*hidden, *heads, *embedding_width) = (width, head_count, embedding);
            }
        }
        self
    }

    /// The same student with the tokenizer of this directory; an existing model keeps its own.
    pub fn with_tokenizer(mut self, folder: PathBuf) -> StudentSpec {
        match &mut self {
            StudentSpec::Model { .. } => {}
            StudentSpec::Teacher { tokenizer, .. } | StudentSpec::Shape { tokenizer, .. } => *tokenizer = Some(folder),
        }
        self
    }
}

/// What the embeddings of new pieces begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmbeddingStart {
    /// The mean of the teacher's pieces that a piece is made of.
    #[default]
    Mean,
    /// Small random numbers.
    Random,
}

fn is_mean(start: &EmbeddingStart) -> bool {
    *start == EmbeddingStart::Mean
}

/// What a new classifier reads of the last hidden states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassifierChoice {
    /// What the encoder was made for: the mean where its files say that its vectors are means (sentence-transformers),
    /// else the first token. A student reads what its teacher reads.
    #[default]
    Auto,
    /// The first token, through a pooler.
    FirstToken,
    /// The mean over all tokens.
    Mean,
    /// The cosine of two texts' means, each text read alone: for scores of pairs.
    Cosine,
}

/// How a new classifier begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadStart {
    /// As the best linear model over what the encoder gives before any training.
    #[default]
    Frozen,
    /// As small random numbers.
    Random,
}
