//! The teacher's predictions as labels.

use attar_text::labeled::Target;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::term::{LossTerm, Misfit, Setting};
use super::{BatchLabels, Comparison, Semantics, one, regression, soft_binary_cross_entropy, soft_cross_entropy};
use crate::labels::{head_of, kind};

/// The teacher's predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Soft {
    /// Factor of the term in the sum.
    #[serde(default = "one")]
    pub weight: f64,
    /// T: divides the logits of both sides.
    #[serde(default = "one")]
    pub temperature: f64,
}

impl LossTerm for Soft {
    fn weight(&self) -> f64 {
        self.weight
    }

    fn needs_layers(&self) -> bool {
        false
    }

    fn reads_states(&self) -> bool {
        false
    }

    fn predicts(&self) -> bool {
        true
    }

    fn check_numbers(&self) -> Result<(), Misfit> {
        let sound = self.temperature > 0.0 && self.temperature.is_finite();
        let way_out = "leave `temperature` out for its default of 1";
        if sound { Ok(()) } else { Err(Misfit::new("a temperature above 0", self.temperature.to_string(), way_out)) }
    }

    fn check(&self, setting: &Setting<'_>) -> Result<(), Misfit> {
        let reference = setting.semantics == Semantics::Reference;
        if reference && matches!(setting.target, Some(Target::MultiLabel(_))) {
            let expected = "one class or a score, which the published code knows";
            return Err(Misfit::new(expected, "several labels a row", "set `semantics = \"clean\"`"));
        }
        // The published code trains scores on those of the data.
        let from_data = reference && setting.labeled && matches!(setting.target, Some(Target::Regression { .. }));
        if from_data || setting.teacher_answers {
            return Ok(());
        }
        let Some(target) = setting.target else {
            let way_out = "use `hidden`, `attention`, `relation` or `pooled`, which compare states";
            return Err(Misfit::new("labeled data, whose labels a teacher answers", "raw text", way_out));
        };
        Err(Misfit::new(
            format!(
                "a teacher of the data's kind and labels: {}, {} outputs",
                kind(&head_of(target)),
                target.outputs()
            ),
            format!("{}, {} outputs", kind(&setting.teacher().head), setting.teacher().outputs()),
            "fine-tune the teacher on these data first (`attar finetune`)",
        ))
    }

    fn value(&self, c: &Comparison<'_>) -> Tensor<1> {
        let student = c.student_logits();
        match (c.labels, c.semantics) {
            _ if c.multi_label => soft_binary_cross_entropy(student, c.teacher_logits(), self.temperature),
            // A score has no classes to soften. The published code trains it on gold, whatever the teacher answers.
            (Some(BatchLabels::Scores(gold)), Semantics::Reference) => regression(student, gold.clone()),
            _ if student.dims()[1] == 1 => regression(student, c.teacher_logits()),
            _ => soft_cross_entropy(student, c.teacher_logits(), self.temperature, c.semantics),
        }
    }
}
