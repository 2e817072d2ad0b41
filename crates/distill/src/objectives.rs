//! The objectives: one named loss term each, as functions of ragged tensors.
//!
//! Each has a file with its keys in a recipe, what it needs and its value ([`LossTerm`]), and a line in the list
//! below. Where the published TinyBERT code computes something else than the paper says, a term has two [`Semantics`].
//! Padding never reaches a clean term: its tensors have no padding rows, so that a mean over real tokens is a plain
//! mean.

mod attention;
mod comparison;
mod contrast;
mod cosine;
mod gold;
mod hidden;
mod layer_map;
mod masked_lm;
mod patient;
mod pooled;
mod prediction;
mod projection;
mod relation;
mod shared_projection;
mod soft;
mod term;

use attar_text::masking::Masking;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::engine::{GradientAccumulator, RequiredOutputs, squared_difference};

pub use attention::{Attention, attention};
pub use comparison::{BatchLabels, Comparison, TokenLevel};
pub use contrast::{Contrast, contrast};
pub use cosine::{Cosine, cosine_pooled, cosine_tokens, pooled_mse};
pub use gold::Gold;
pub use hidden::{Embedding, Hidden, hidden};
pub use layer_map::{LayerMap, NamedMap};
pub(crate) use masked_lm::MASKED_LM;
pub use masked_lm::MaskedLm;
pub use patient::{Patient, patient};
pub use pooled::Pooled;
pub use prediction::{
    binary_cross_entropy, cross_entropy, regression, soft_binary_cross_entropy, soft_cross_entropy,
    weighted_cross_entropy,
};
pub use projection::{Projection, ProjectionSpec};
pub use relation::{Relation, relation};
pub(crate) use shared_projection::WEIGHT_PROJECTION;
pub use shared_projection::{
    Direction, SharedProjection, WeightPair, WeightProjections, project_down, project_down_vector, project_up,
    project_up_vector,
};
pub use soft::Soft;
pub use term::{LossTerm, Misfit, Setting};

/// Makes the enum of all objectives from their names in a recipe and their structs.
macro_rules! objectives {
    ($($name:literal => $term:ident),* $(,)?) => {
        /// One named loss term, as a recipe has it: `{ kind = "hidden", weight = 1.0 }`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum Objective {
            $(
                #[doc = concat!("`kind = \"", $name, "\"`")]
                #[serde(rename = $name)]
                $term($term),
            )*
        }

        impl Objective {
            /// Name in recipes, logs and checkpoints.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Objective::$term(_) => $name,)*
                }
            }

            fn term(&self) -> &dyn LossTerm {
                match self {
                    $(Objective::$term(term) => term,)*
                }
            }
        }

        $(
            impl From<$term> for Objective {
                fn from(term: $term) -> Objective {
                    Objective::$term(term)
                }
            }
        )*
    };
}

objectives! {
    "embedding" => Embedding,
    "hidden" => Hidden,
    "attention" => Attention,
    "relation" => Relation,
    "cosine" => Cosine,
    "patient" => Patient,
    "pooled" => Pooled,
    "soft" => Soft,
    "gold" => Gold,
    "contrast" => Contrast,
    "masked-lm" => MaskedLm,
    "shared-projection" => SharedProjection,
}

impl Objective {
    /// Factor of the term in the sum.
    pub fn weight(&self) -> f64 {
        self.term().weight()
    }

    /// As [`LossTerm::needs_teacher`].
    pub fn needs_teacher(&self) -> bool {
        self.term().needs_teacher()
    }

    /// As [`LossTerm::needs_trace`].
    pub fn needs_trace(&self) -> bool {
        self.term().needs_trace()
    }

    /// As [`LossTerm::projects_weights`].
    pub fn projects_weights(&self) -> bool {
        self.term().projects_weights()
    }

    /// As [`LossTerm::needs_labels`].
    pub fn needs_labels(&self) -> bool {
        self.term().needs_labels()
    }

    /// As [`LossTerm::needs_layers`].
    pub fn needs_layers(&self) -> bool {
        self.term().needs_layers()
    }

    /// As [`LossTerm::masking`].
    pub fn masking(&self) -> Option<Masking> {
        self.term().masking()
    }

    /// As [`LossTerm::projects`].
    pub fn projects(&self) -> bool {
        self.term().projects()
    }

    /// As [`LossTerm::reads_states`].
    pub fn reads_states(&self) -> bool {
        self.term().reads_states()
    }

    /// As [`LossTerm::predicts`].
    pub fn predicts(&self) -> bool {
        self.term().predicts()
    }

    /// As [`LossTerm::check_numbers`], the weight included.
    ///
    /// # Errors
    /// If a number is out of range.
    pub fn check_numbers(&self) -> Result<(), Misfit> {
        let weight = self.weight();
        if !(weight > 0.0 && weight.is_finite()) {
            let expected = format!("a weight above 0 for `{}`", self.name());
            return Err(Misfit::new(expected, weight.to_string(), "leave the objective out, or `weight` for 1"));
        }
        self.term().check_numbers()
    }

    /// As [`LossTerm::check`].
    ///
    /// # Errors
    /// If the term cannot be computed in this setting.
    pub fn check(&self, setting: &Setting<'_>) -> Result<(), Misfit> {
        self.term().check(setting)
    }

    /// As [`LossTerm::mark_required`].
    pub fn mark_required(&self, student_layers: usize, required: &mut RequiredOutputs) {
        self.term().mark_required(student_layers, required);
    }

    /// Value before the weight, `[1]`.
    ///
    /// # Panics
    /// As [`LossTerm::value`].
    pub fn value(&self, comparison: &Comparison<'_>) -> Tensor<1> {
        self.term().value(comparison)
    }
}

/// Which arithmetic a term follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Semantics {
    /// What the papers say: means over real tokens and real query-key pairs; soft cross-entropy
    /// summed over classes, averaged over rows, times T²; teacher in evaluation mode.
    #[default]
    Clean,
    /// The published TinyBERT code, quirk by quirk: padding counts, scores at or below -100 become
    /// 0 on each side by itself, cross-entropy is averaged over classes too and lacks T², the
    /// teacher keeps its dropout, and regression is trained on gold scores.
    Reference,
}

/// The default of weights and temperatures.
fn one() -> f64 {
    1.0
}

/// Mean of all elements, summed row by row so that the result does not depend on threads.
pub(crate) fn mean(x: Tensor<2>) -> Tensor<1> {
    let [rows, columns] = x.dims();
    x.sum_dim(1).sum() / (rows * columns) as f64
}

/// Mean of the squared differences of two matrices of the same shape.
pub(crate) fn mean_square(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    let [rows, columns] = a.dims();
    squared_difference(a, b, &GradientAccumulator::default()) / (rows * columns) as f64
}

/// Sum of a long vector, by rows of a fixed length and then over the rows.
pub(crate) fn sum(x: Tensor<1>) -> Tensor<1> {
    const ROW: usize = 4096;
    let [length] = x.dims();
    let whole = length / ROW * ROW;
    if whole == 0 {
        return x.sum();
    }
    let rows = x.clone().narrow(0, 0, whole).reshape([whole / ROW, ROW]).sum_dim(1).sum();
    if whole == length { rows } else { rows + x.narrow(0, whole, length - whole).sum() }
}

#[cfg(test)]
mod tests;
