//! Masked language modeling (Devlin et al., arXiv 1810.04805, section 3.1).

use attar_text::masking::Masking;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::term::{LossTerm, Misfit, Setting};
use super::{BatchLabels, Comparison, cross_entropy, one};
use crate::engine::RequiredOutputs;

/// Name of the term in recipes, logs and checkpoints.
pub(crate) const MASKED_LM: &str = "masked-lm";

/// The student guesses pieces that are hidden from it. A teacher beside it reads the same text with the same holes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MaskedLm {
    /// Factor of the term in the sum.
    #[serde(default = "one")]
    pub weight: f64,
    /// Share of the pieces of a sequence that are chosen; of these eight in ten become the mask token, one in ten another
    /// piece, and one stays.
    #[serde(default = "share")]
    pub share: f64,
    /// Whether the pieces of a word are chosen together.
    #[serde(default)]
    pub whole_words: bool,
}

impl Default for MaskedLm {
    fn default() -> Self {
        MaskedLm { weight: one(), share: share(), whole_words: false }
    }
}

impl LossTerm for MaskedLm {
    fn weight(&self) -> f64 {
        self.weight
    }

    fn needs_teacher(&self) -> bool {
        false
    }

    fn masking(&self) -> Option<Masking> {
        Some(Masking { share: self.share, whole_words: self.whole_words })
    }

    fn check_numbers(&self) -> Result<(), Misfit> {
        let sound = self.share > 0.0 && self.share < 1.0;
        let way_out = "leave `share` out for its default of 0.15";
        if sound { Ok(()) } else { Err(Misfit::new("a `share` above 0, below 1", self.share.to_string(), way_out)) }
    }

    fn check(&self, setting: &Setting<'_>) -> Result<(), Misfit> {
        match setting.target {
            None => Ok(()),
            Some(_) => Err(Misfit::new("raw text", "labeled data", "set `data = { kind = \"corpus\" }`")),
        }
    }

    fn mark_required(&self, _: usize, _: &mut RequiredOutputs) {}

    fn value(&self, c: &Comparison<'_>) -> Tensor<1> {
        match c.labels {
            Some(BatchLabels::Pieces(pieces)) => cross_entropy(c.student_logits(), pieces.clone()),
            _ => panic!("a stage that masks pieces knows what they were"),
        }
    }
}

fn share() -> f64 {
    0.15
}
