//! Which parts of a trace are read.

use super::Keep;

/// The parts of a teacher's trace that objectives read, besides the last layer's output and the logits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredOutputs {
    pub(super) keep: Keep,
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

    /// With queries, keys and values wherever attention scores are read.
    #[must_use]
    pub(crate) fn with_qkv_for_scores(&self) -> RequiredOutputs {
        let layers = self.layers.iter().map(|layer| RequiredLayer { qkv: layer.qkv || layer.scores, ..*layer });
        RequiredOutputs { layers: layers.collect(), ..self.clone() }
    }

    /// The parts that are read of any layer.
    pub(crate) fn of_any_layer(&self) -> RequiredLayer {
        let any = |part: fn(&RequiredLayer) -> bool| self.layers.iter().any(part);
        RequiredLayer { hidden: any(|l| l.hidden), scores: any(|l| l.scores), qkv: any(|l| l.qkv) }
    }

    /// What a forward pass has to keep so that these parts are in its trace.
    pub(crate) fn keep(&self) -> Keep {
        let any = self.embeddings || self.layers.iter().any(|&layer| layer != RequiredLayer::default());
        if any { Keep::Layers } else { self.keep }
    }
}
