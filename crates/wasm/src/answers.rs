//! What a model answers, in the shapes that scripts see.

use serde::Serialize;

/// A label and its probability, or the number that a model predicts under the label `score`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelScore {
    /// The label.
    pub label: String,
    /// Its probability, or the number.
    pub score: f64,
}

/// Words that name something.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entity {
    /// Their label.
    pub label: String,
    /// Mean of the probabilities of the words.
    pub score: f32,
    /// The words.
    pub text: String,
    /// Where they begin, in UTF-16 units.
    pub start: usize,
    /// Where they end.
    pub end: usize,
}

/// Words of a context that answer a question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Span {
    /// The words.
    pub text: String,
    /// Where they begin in the context, in UTF-16 units.
    pub start: usize,
    /// Where they end.
    pub end: usize,
    /// The probability that the answer begins there times that it ends there.
    pub score: f32,
    /// The same of there being no answer, for models that know such questions.
    #[serde(rename = "noAnswer")]
    pub no_answer: f32,
}

/// A text as a model reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tokenization {
    /// Ids of the tokens, special ones included.
    pub ids: Vec<u32>,
    /// 0 for tokens of the first text, 1 for those of the second where the model tells them apart.
    pub types: Vec<u32>,
    /// The tokens as they stand in the vocabulary.
    pub tokens: Vec<String>,
    /// Whether the text was longer than the model takes.
    pub truncated: bool,
}

/// What a model is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    /// What it does: `classify`, `multi-label`, `score`, `tag`, `answer` or `embed`.
    pub task: &'static str,
    /// Whether it takes two texts at a time, and no single one.
    pub requires_pairs: bool,
    /// Labels by id; none where it has none.
    pub labels: Vec<String>,
    /// Layers.
    pub layers: usize,
    /// Numbers of a token's state.
    pub hidden: usize,
    /// Numbers of a text's vector.
    pub dimensions: usize,
    /// Most tokens of a text.
    pub max_tokens: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// `int8` or `f32`.
    pub precision: &'static str,
    /// Bytes of the weights in memory.
    pub bytes: usize,
    /// Sentences for the user about what of the file is not used.
    pub notes: Vec<String>,
}
