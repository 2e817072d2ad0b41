//! Training loops, as a recipe describes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ClassWeights;
use crate::objectives::{Objective, ProjectionSpec};
use crate::optimizer::{AdamWOptions, ScheduleKind};

/// One training loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StageSpec {
    /// Name in logs.
    pub name: String,
    /// How long the loop runs.
    #[serde(default)]
    pub length: StageLength,
    /// Which of the training rows it goes over.
    #[serde(default)]
    pub rows: StageRows,
    /// Loss terms, added up with their weights.
    #[serde(rename = "objective")]
    pub objectives: Vec<Objective>,
    /// What the weights of some terms are multiplied by, from the first update of the stage to the last, evenly in between, by
    /// the kind of the term: `{ gold = [0.0, 1.0] }` mixes gold labels in. 1 throughout if left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weight_schedule: BTreeMap<String, [f64; 2]>,
    /// How much the rows of each class count in the `gold` term: `"balanced"`, or a weight by name of the class; once each if
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
    /// Feed-forward width of the student in this stage, where it is cut out of its teacher: units go gradually if it falls from
    /// stage to stage, those that the student's loss depends on least first. The last stage has the student's own width, which
    /// every stage has if this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed_forward: Option<usize>,
    /// How states of different widths are compared.
    #[serde(default)]
    pub projection: ProjectionSpec,
    /// Most rows of a batch.
    #[serde(default = "defaults::batch_rows")]
    pub batch_rows: usize,
    /// Most tokens of a batch; rows alone decide if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_tokens: Option<usize>,
    /// Batches whose gradients are averaged before an update.
    #[serde(default = "defaults::accumulate")]
    pub accumulate: usize,
    /// Highest learning rate.
    #[serde(default = "defaults::rate")]
    pub rate: f64,
    /// What each layer's learning rate is multiplied by for every layer above it, up to the head, which has the whole
    /// rate; the embeddings lie below the first layer. 1 gives all parameters the same rate.
    #[serde(default = "defaults::layer_decay")]
    pub layer_decay: f64,
    /// Share of the updates over which the rate rises from 0.
    #[serde(default = "defaults::warmup")]
    pub warmup: f64,
    /// The curve of the rate after the warm-up.
    #[serde(default)]
    pub schedule: ScheduleKind,
    /// Constants of AdamW.
    #[serde(default)]
    pub optimizer: AdamWOptions,
    /// Global norm to which gradients are clipped; 0 leaves them alone.
    #[serde(default = "defaults::clip")]
    pub clip: f64,
    /// Whether the student's dropout is active.
    #[serde(default = "defaults::dropout")]
    pub dropout: bool,
    /// Updates between two evaluations on the dev rows; 0 evaluates once an epoch.
    #[serde(default)]
    pub evaluate_every: usize,
    /// Evaluations without a better score after which the stage ends; never early if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Which weights the stage hands on.
    #[serde(default)]
    pub keep: KeepWeights,
}

impl StageSpec {
    /// A stage with these objectives and the defaults of a recipe.
    pub fn new(objectives: Vec<Objective>) -> StageSpec {
        StageSpec {
            name: "stage".into(),
            length: StageLength::default(),
            rows: StageRows::default(),
            objectives,
            weight_schedule: BTreeMap::new(),
            class_weights: None,
            feed_forward: None,
            projection: ProjectionSpec::default(),
            batch_rows: defaults::batch_rows(),
            batch_tokens: None,
            accumulate: defaults::accumulate(),
            rate: defaults::rate(),
            layer_decay: defaults::layer_decay(),
            warmup: defaults::warmup(),
            schedule: ScheduleKind::default(),
            optimizer: AdamWOptions::default(),
            clip: defaults::clip(),
            dropout: defaults::dropout(),
            evaluate_every: 0,
            patience: None,
            keep: KeepWeights::default(),
        }
    }
}

/// Which training rows a stage goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageRows {
    /// Labeled rows, and the unlabeled ones of `[more]`, which only a teacher can judge.
    #[default]
    All,
    /// Rows of the data set alone.
    Labeled,
}

/// How long a stage runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum StageLength {
    /// Passes over the training rows.
    Epochs(usize),
    /// Updates.
    Steps(usize),
}

impl Default for StageLength {
    fn default() -> Self {
        StageLength::Epochs(3)
    }
}

/// Which weights a stage hands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepWeights {
    /// Those with the best score on the dev rows, where the stage trains predictions; of those within a standard error of
    /// the best, the last. Without predictions, the last.
    #[default]
    Best,
    /// The last ones.
    Last,
}

mod defaults {
    pub(super) fn batch_rows() -> usize {
        32
    }
    pub(super) fn accumulate() -> usize {
        1
    }
    pub(super) fn rate() -> f64 {
        5e-5
    }
    pub(super) fn layer_decay() -> f64 {
        1.0
    }
    pub(super) fn warmup() -> f64 {
        0.1
    }
    pub(super) fn clip() -> f64 {
        1.0
    }
    pub(super) fn dropout() -> bool {
        true
    }
}
