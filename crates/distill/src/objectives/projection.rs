//! Projections of student states to the teacher's width.

use serde::{Deserialize, Serialize};

use crate::engine::Linear;

/// A learned projection of student states `[N, H]` to the teacher's width, `x W + b`.
///
/// The published code has one for the embeddings and all layers; its later checkpoints have one
/// for each level.
#[derive(Debug, Clone)]
pub struct Projection(pub Linear);

/// How student states are projected to the teacher's width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectionSpec {
    /// One learned projection for the embeddings and all layers, as in the published TinyBERT code.
    #[default]
    Shared,
    /// One for each level, as in TinyBERT's later checkpoints.
    PerLevel,
    /// None: the widths are equal.
    None,
}
