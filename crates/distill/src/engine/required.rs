//! Which parts of a trace are read.

use super::Keep;

/// The parts of a teacher's trace that objectives read, besides the last layer's output and the logits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredOutputs {
    keep: Keep,
    /// The embeddings.
    pub embeddings: bool,
    /// One for each layer.
    pub layers: Vec<RequiredLayer>,
}

/// The parts of a layer that objectives read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequiredLayer {
    /// Its output.
    pub hidden: bool,
    /// Its attention scores.
    pub scores: bool,
    /// Its queries, keys and values.
    pub qkv: bool,
}

impl RequiredOutputs {
    /// Every part of every layer, or the output alone, of a model of `layers` layers.
    pub fn of(keep: Keep, layers: usize) -> RequiredOutputs {
        let all = keep == Keep::Layers;
        let layers = vec![RequiredLayer { hidden: all, scores: all, qkv: all }; layers];
        RequiredOutputs { keep, embeddings: all, layers }
    }

    /// What a forward pass has to keep so that these parts are in its trace.
    pub(crate) fn keep(&self) -> Keep {
        let any = self.embeddings || self.layers.iter().any(|&layer| layer != RequiredLayer::default());
        if any { Keep::Layers } else { self.keep }
    }
}
