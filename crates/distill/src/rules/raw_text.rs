//! The rules for learning from raw text.

use attar_model::EncoderConfig;

use super::{Effort, comparison};
use crate::objectives::{Attention, Embedding, Hidden, MaskedLm, Objective, Relation};
use crate::recipe::{KeepWeights, StageLength, StageSpec, StudentSpec};

/// Rows of a batch: of sequences of 128 tokens, 4,096 tokens.
const BATCH_ROWS: usize = 32;
/// Passes over the text by default.
const EPOCHS: usize = 1;

/// Highest learning rate. Of the order of the papers' rates for students of this size; not measured against others yet.
const RATE: f64 = 5e-4;

/// The stage of a masked language model.
pub fn masked_lm(objective: MaskedLm, effort: Effort) -> StageSpec {
    stage("masked-lm", vec![Objective::from(objective)], effort)
}

/// The stage of a general distillation: TinyBERT's embeddings, hidden states and attention scores (arXiv 1909.10351,
/// section 3.2), without predictions. Where student and teacher have different numbers of heads, relations of queries, keys
/// and values (MiniLMv2, arXiv 2012.15828) take the place of attention scores. `base` is the model that a student of
/// `from = "model"` begins with.
pub fn general(
    student: &StudentSpec,
    teacher: &EncoderConfig,
    base: Option<&EncoderConfig>,
    effort: Effort,
) -> StageSpec {
    let (map, projection) = comparison(student, teacher, base);
    let heads = match student {
        StudentSpec::Teacher { heads, .. } => heads.unwrap_or(teacher.heads),
        StudentSpec::Shape { heads, .. } => *heads,
        StudentSpec::Model { .. } => base.map_or(teacher.heads, |base| base.heads),
    };
    let inside = if heads == teacher.heads {
        Objective::from(Attention { weight: 1.0, map: map.clone() })
    } else {
        Objective::from(Relation { weight: 1.0, heads, layer: None })
    };
    let objectives =
        vec![Objective::from(Embedding { weight: 1.0 }), Objective::from(Hidden { weight: 1.0, map }), inside];
    StageSpec { projection, ..stage("general", objectives, effort) }
}

fn stage(name: &str, objectives: Vec<Objective>, effort: Effort) -> StageSpec {
    let epochs = (EPOCHS as f64 * effort.factor()).round().max(1.0) as usize;
    StageSpec {
        name: name.into(),
        length: StageLength::Epochs(epochs),
        rate: RATE,
        batch_rows: BATCH_ROWS,
        keep: KeepWeights::Last,
        ..StageSpec::new(objectives)
    }
}
