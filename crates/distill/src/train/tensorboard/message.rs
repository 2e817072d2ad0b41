//! The messages of TensorBoard's files, as far as they are written here (`tensorboard/compat/proto/event.proto` and
//! `summary.proto`).

/// A record.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EventRecord {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub(super) time: f64,
    /// Updates done.
    #[prost(int64, tag = "2")]
    pub(super) step: i64,
    /// What it says.
    #[prost(oneof = "Content", tags = "3, 5")]
    pub(super) content: Option<Content>,
}

/// What a record says.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Content {
    /// The first record of a file.
    #[prost(string, tag = "3")]
    FileVersion(String),
    /// Numbers.
    #[prost(message, tag = "5")]
    Summary(Summary),
}

/// Numbers of an update.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Summary {
    /// Each with its name.
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<SummaryValue>,
}

/// A number.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SummaryValue {
    /// Its name: before the slash the group.
    #[prost(string, tag = "1")]
    pub(super) tag: String,
    /// The number itself; optional, so that a 0 is written too.
    #[prost(float, optional, tag = "2")]
    pub(super) number: Option<f32>,
}
