//! Why a model could not be exported.

/// Why a model could not be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A version of ONNX's operators that is not written.
    #[error("opset {got}: expected {first} to {last}; leave the version out for {first}, which most programs run")]
    Opset {
        /// What was asked for.
        got: i64,
        /// The oldest that is written.
        first: i64,
        /// The newest.
        last: i64,
    },
    /// A file longer than the format allows.
    #[error(
        "the graph would have {bytes} bytes, and a file of ONNX has fewer than 2 GiB: export with --precision int8"
    )]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// A graph that cannot be run.
    #[error(
        "the graph cannot be run at {place}: {problem}; please report this with what `attar inspect` says of the model"
    )]
    Graph {
        /// A node or value.
        place: String,
        /// What is wrong there.
        problem: String,
    },
    /// A graph that computes something other than the model.
    #[error(
        "`{output}` of the graph is off by {difference:.1e} where {allowed:.0e} is allowed, so it was not kept: please report this \
         with what `attar inspect` says of the model"
    )]
    Differs {
        /// Which result.
        output: String,
        /// How far from the model's own.
        difference: f64,
        /// How far it may be.
        allowed: f64,
    },
    /// Something that the format cannot express.
    #[error("{format} does not support {what}: {way_out}")]
    Unsupported {
        /// The format.
        format: &'static str,
        /// What the model has.
        what: String,
        /// What to do instead.
        way_out: &'static str,
    },
    /// A number that half precision cannot hold.
    #[error("`{name}` contains {number}, too large for a 16-bit float: export in f32")]
    TooLargeForHalf {
        /// The tensor.
        name: String,
        /// The number.
        number: f32,
    },
    /// The model could not be read or written.
    #[error(transparent)]
    Model(#[from] attar_model::Error),
    /// The model could not be run.
    #[error(transparent)]
    Runtime(#[from] attar_runtime::Error),
}
