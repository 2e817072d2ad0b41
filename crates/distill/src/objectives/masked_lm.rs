//! Masked language modeling (Devlin et al., arXiv 1810.04805, section 3.1).

use attar_text::masking::Masking;
use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::term::{LossTerm, Misfit, Setting};
use super::{BatchLabels, Comparison, Semantics, cross_entropy, one};
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
        if setting.semantics == Semantics::Reference {
            let way_out = "set `semantics = \"clean\"`";
            return Err(Misfit::new(
                "clean semantics: the published code guesses no pieces",
                "reference semantics",
                way_out,
            ));
        }
        match setting.target {
            None => Ok(()),
            Some(_) => Err(Misfit::new("raw text", "labeled data", "set `data = { kind = \"corpus\" }`")),
        }
    }

    fn mark_required(&self, _: usize, _: &mut RequiredOutputs) {}

    fn value(&self, c: &Comparison<'_>) -> Tensor<1> {
        let Some(BatchLabels::Pieces(pieces)) = c.labels else {
            panic!("a stage that masks pieces knows what they were")
        };
        match c.first_pieces {
            Some(first) => of_two_vocabularies(&c.student_logits(), pieces, first),
            None => cross_entropy(c.student_logits(), pieces.clone()),
        }
    }
}

/// Cross-entropy of logits `[M, V + V']` against pieces `[M]` of two vocabularies, the first of `first` pieces: each piece
/// competes with those of its own vocabulary alone (Zhao et al., arXiv 1909.11687: two softmax layers).
///
/// # Panics
/// If the device fails to hand the pieces out.
fn of_two_vocabularies(logits: &Tensor<2>, pieces: &Tensor<1, Int>, first: usize) -> Tensor<1> {
    let [count, all] = logits.dims();
    let ids = pieces.clone().into_data().convert::<i64>();
    let ids = ids.as_slice::<i64>().expect("pieces are integers");
    let part = |second: bool| {
        let rows: Vec<i32> =
            (0..count).filter(|&row| (ids[row] >= first as i64) == second).map(|row| row as i32).collect();
        let share = rows.len() as f64 / count as f64;
        let (start, end) = if second { (first, all) } else { (0, first) };
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows.clone(), [rows.len()]), &logits.device());
        let labels = pieces.clone().select(0, rows.clone()) - start as i64;
        (share > 0.0)
            .then(|| cross_entropy(logits.clone().select(0, rows).narrow(1, start, end - start), labels) * share)
    };
    [part(false), part(true)].into_iter().flatten().reduce(|a, b| a + b).expect("a batch has hidden pieces")
}

fn share() -> f64 {
    0.15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_competes_with_its_own_vocabulary() {
        let device = Default::default();
        let logits = [[1.0f32, 2.0, 0.5, -1.0, 3.0], [0.0, 1.0, 4.0, 2.0, 1.0], [2.0, 0.0, 1.0, 1.0, 1.0]];
        let pieces = [1i32, 3, 0];
        let all: Vec<f32> = logits.iter().flatten().copied().collect();
        let tensor = Tensor::<1>::from_floats(&all[..], &device).reshape([3, 5]);
        let value = of_two_vocabularies(&tensor, &Tensor::from_ints(pieces, &device), 2).into_scalar::<f32>();
        let loss = |row: &[f32], label: usize| row.iter().map(|x| x.exp()).sum::<f32>().ln() - row[label];
        let expected = (loss(&logits[0][..2], 1) + loss(&logits[1][2..], 1) + loss(&logits[2][..2], 0)) / 3.0;
        assert!((value - expected).abs() < 1e-6, "{value} and {expected}");
        // All of one vocabulary.
        let one = of_two_vocabularies(&tensor, &Tensor::from_ints([4, 2, 3], &device), 2).into_scalar::<f32>();
        assert!(one.is_finite());
    }
}
