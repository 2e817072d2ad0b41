//! Errors of configurations.

/// Why a configuration does not describe a supported model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is JSON, but not an object.
    #[error("expected a JSON object, got {got}")]
    NotAnObject {
        /// What it is.
        got: String,
    },
    /// A key without which the shapes are unknown is missing.
    #[error("the key `{key}` is missing: add it, or take config.json from the model's own directory")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A key has an invalid value.
    #[error("`{key}` must be {expected}, got {got}")]
    Key {
        /// The key.
        key: &'static str,
        /// What is needed there.
        expected: &'static str,
        /// The value.
        got: String,
    },
    /// The model is of another kind.
    #[error("unknown model_type `{got}`: attar reads bert, distilbert, roberta, mpnet and electra")]
    ModelType {
        /// The model type in the file.
        got: String,
    },
    /// Neither `model_type` nor `architectures` nor the keys tell what the model is.
    #[error("cannot tell the kind of model: add `model_type` (bert, distilbert, roberta, mpnet or electra)")]
    NoModelType,
    /// The class named in `architectures` is not supported.
    #[error("unsupported architecture `{got}`: for this model_type attar reads {supported}")]
    Architecture {
        /// The class in the file.
        got: String,
        /// Those that would do.
        supported: String,
    },
    /// The activation is not supported.
    #[error("`{key}` is `{got}`: attar computes gelu, gelu_new (or gelu_pytorch_tanh, the same function) and relu")]
    Activation {
        /// The key.
        key: &'static str,
        /// The activation in the file.
        got: String,
    },
    /// The model does something that attar does not compute.
    #[error("`{key}` is {got}: {reason}")]
    Unsupported {
        /// The key.
        key: &'static str,
        /// Its value.
        got: String,
        /// What attar can do instead.
        reason: &'static str,
    },
    /// `id2label` does not name the classes 0 to n - 1.
    #[error("`id2label` must name the ids 0 to {last}, each once: {problem}", last = count.saturating_sub(1))]
    Labels {
        /// Number of entries.
        count: usize,
        /// Which key or value is wrong.
        problem: String,
    },
    /// `num_labels` and `id2label` disagree.
    #[error("`num_labels` is {num_labels} but `id2label` has {id2label} entries: correct one of them")]
    LabelCount {
        /// Value of `num_labels`.
        num_labels: usize,
        /// Entries of `id2label`.
        id2label: usize,
    },
    /// A dimension is zero, or beyond anything that could be trained.
    #[error("`{field}` is {got}, expected 1 to {limit}")]
    Dimension {
        /// Field of [`EncoderConfig`](crate::EncoderConfig).
        field: &'static str,
        /// Its value.
        got: usize,
        /// Largest accepted value.
        limit: usize,
    },
    /// The heads do not divide the hidden width.
    #[error("{heads} heads do not divide the hidden width {hidden}: choose a divisor")]
    Heads {
        /// A.
        heads: usize,
        /// H.
        hidden: usize,
    },
    /// A real number is out of range.
    #[error("`{field}` is {got}, expected {expected}")]
    Number {
        /// Field of [`EncoderConfig`](crate::EncoderConfig).
        field: &'static str,
        /// Its value.
        got: f64,
        /// The range.
        expected: &'static str,
    },
    /// The padding id is not in the vocabulary.
    #[error("the padding id {pad_id} is not in a vocabulary of {vocabulary}")]
    PadId {
        /// The padding id.
        pad_id: u32,
        /// V.
        vocabulary: usize,
    },
    /// The position table of RoBERTa or MPNet has no row left after the padding id.
    #[error("{positions} position rows leave none after the padding id {pad_id}: the first token is at {pad_id} + 1")]
    Positions {
        /// Rows of the table.
        positions: usize,
        /// The padding id.
        pad_id: u32,
    },
    /// The parts contradict each other or the family.
    #[error("{0}")]
    Contradiction(&'static str),
}
