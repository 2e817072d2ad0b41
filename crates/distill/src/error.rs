//! What can go wrong.

use std::path::PathBuf;

/// An error of a part that attar does not choose: a compute engine, an energy source.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The parts of a plan do not fit together.
    #[error("{place}: expected {expected}, got {got}; {way_out}")]
    Refused {
        /// What does not fit: a table of the recipe, a stage, a model.
        place: String,
        /// What would.
        expected: String,
        /// What is there.
        got: String,
        /// What to do.
        way_out: String,
    },
    /// The compute device failed.
    #[error("the compute device failed: {0}")]
    Device(#[source] Cause),
    /// This build has no engine for the device.
    #[error(
        "this build has no engine for the device `{feature}`: build it in with `cargo build --release --features {feature}`"
    )]
    NoEngine {
        /// Name of the device and of the cargo feature.
        feature: &'static str,
    },
    /// A model cannot be packed for the processor, or gives answers that are none.
    #[error("the model: {0}")]
    Runtime(#[from] attar_runtime::Error),
    /// A tensor that the model needs is not among the weights.
    #[error("tensor `{name}` is missing, expected with shape {expected:?}")]
    MissingTensor {
        /// Canonical name.
        name: String,
        /// Shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the configuration says.
    #[error("tensor `{name}` has shape {got:?}, the configuration says {expected:?}")]
    TensorShape {
        /// Canonical name.
        name: String,
        /// Shape that the configuration asks for.
        expected: Vec<usize>,
        /// Shape found.
        got: Vec<usize>,
    },
    /// A loss or a gradient is infinite or not a number.
    #[error(
        "stage {stage}, step {step}: {what} is {value} at a learning rate of {rate:e}; lower `rate` or set `clip` in the \
         recipe and start anew; earlier checkpoints are intact"
    )]
    NotFinite {
        /// Name of the stage.
        stage: String,
        /// Update, counted from 0.
        step: usize,
        /// The loss term or the gradient norm.
        what: String,
        /// Its value.
        value: f64,
        /// Learning rate of the update.
        rate: f64,
    },
    /// The observer asked for the run to stop.
    #[error(
        "it was told to, after update {step} of stage {stage}, and {}",
        if *resumable { "wrote a checkpoint" } else { "kept nothing" }
    )]
    Stopped {
        /// Name of the stage.
        stage: String,
        /// Updates done in it.
        step: usize,
        /// Whether a checkpoint holds where it stands.
        resumable: bool,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of a run is not what attar writes there.
    #[error("{path}: {problem}; {way_out}", path = path.display())]
    RunFile {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        way_out: String,
    },
    /// A recipe was refused.
    #[error(transparent)]
    Recipe(#[from] crate::recipe::RecipeError),
    /// A model directory was refused.
    #[error(transparent)]
    Model(#[from] attar_model::Error),
    /// Weights cannot be quantized.
    #[error(transparent)]
    Quantized(#[from] attar_model::quantized::QuantizedError),
    /// A matrix cannot be quantized.
    #[error(transparent)]
    Matrix(#[from] attar_model::quantized::MatrixError),
    /// Labeled data were refused.
    #[error(transparent)]
    Data(#[from] attar_text::labeled::DataError),
    /// A column was named in a way that names none.
    #[error(transparent)]
    Column(#[from] attar_text::table::ColumnError),
    /// A file of unlabeled text was refused.
    #[error(transparent)]
    Unlabeled(#[from] attar_text::unlabeled::UnlabeledError),
    /// A tokenizer was refused.
    #[error(transparent)]
    Tokenizer(#[from] attar_text::tokenizer::TokenizerError),
    /// A text could not be encoded.
    #[error(transparent)]
    Encode(#[from] attar_text::tokenizer::EncodeError),
    /// Raw text could not be read.
    #[error(transparent)]
    Sequences(#[from] attar_text::sequences::SequencesError),
    /// A vocabulary cannot be masked.
    #[error("the student's tokenizer: {0}")]
    Masking(#[from] attar_text::masking::MaskingError),
    /// A metric does not fit the data.
    #[error(transparent)]
    Metric(#[from] attar_text::metrics::MetricError),
    /// Energy, carbon or money: a number, a place or a source was refused.
    #[error("energy: {0}")]
    Energy(#[source] Cause),
}

impl Error {
    pub(crate) fn device(error: impl Into<Cause>) -> Error {
        Error::Device(error.into())
    }

    pub(crate) fn energy(error: impl Into<Cause>) -> Error {
        Error::Energy(error.into())
    }

    pub(crate) fn refused(
        place: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
        way_out: impl Into<String>,
    ) -> Error {
        Error::Refused { place: place.into(), expected: expected.into(), got: got.into(), way_out: way_out.into() }
    }
}
