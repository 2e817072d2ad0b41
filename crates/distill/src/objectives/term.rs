//! What every objective answers about itself.

use std::fmt::Debug;

use attar_model::EncoderConfig;
use attar_text::labeled::Target;
use attar_text::masking::Masking;
use burn::tensor::Tensor;

use super::{Comparison, ProjectionSpec, Semantics};
use crate::engine::RequiredOutputs;

/// One loss term: its numbers from the recipe, what it needs, and its value.
///
/// `docs/adding-an-objective.md` walks through a new one.
pub trait LossTerm: Debug {
    /// Factor of the term in the sum.
    fn weight(&self) -> f64;

    /// True if the term reads the labels of the data.
    fn needs_labels(&self) -> bool {
        false
    }

    /// True if the term reads a teacher.
    fn needs_teacher(&self) -> bool {
        !self.needs_labels()
    }

    /// True if the term reads what the teacher makes of a text, and not only its weights.
    fn needs_trace(&self) -> bool {
        self.needs_teacher()
    }

    /// True if the term reads states of the teacher; a term that does not reads its logits.
    fn reads_states(&self) -> bool {
        self.needs_trace()
    }

    /// True if the term reads the layers, not only the output of the model.
    fn needs_layers(&self) -> bool {
        self.needs_trace()
    }

    /// True if the term compares weights through projections.
    fn projects_weights(&self) -> bool {
        false
    }

    /// Which pieces are hidden from the models, if the term has the student guess them.
    fn masking(&self) -> Option<Masking> {
        None
    }

    /// True if the term compares states through a projection.
    fn projects(&self) -> bool {
        false
    }

    /// True if the term trains the prediction of labels, so that a metric can choose a checkpoint.
    fn predicts(&self) -> bool {
        false
    }

    /// Checks the term's own numbers besides its weight.
    ///
    /// # Errors
    /// If one is out of range.
    fn check_numbers(&self) -> Result<(), Misfit> {
        Ok(())
    }

    /// Checks that the term can compare these models over these data.
    ///
    /// # Errors
    /// If it cannot: what it needs, what there is, and what to change.
    fn check(&self, _setting: &Setting<'_>) -> Result<(), Misfit> {
        Ok(())
    }

    /// Marks what the term reads of a teacher's trace, for a student of `student_layers` layers.
    ///
    /// The last layer's output and the logits are always there.
    fn mark_required(&self, _student_layers: usize, _required: &mut RequiredOutputs) {}

    /// Value before the weight, `[1]`.
    ///
    /// # Panics
    /// If called in a setting that [`LossTerm::check`] refuses.
    fn value(&self, comparison: &Comparison<'_>) -> Tensor<1>;
}

/// What a term is to work with, before any compute.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The student.
    pub student: &'a EncoderConfig,
    /// The teacher; a term that reads one is checked only where there is one.
    pub teacher: Option<&'a EncoderConfig>,
    /// Whether the teacher's head answers what the data ask.
    pub teacher_answers: bool,
    /// What the data ask; `None` for raw text.
    pub target: Option<&'a Target>,
    /// Whether every training row has a label.
    pub labeled: bool,
    /// How student states are projected.
    pub projection: ProjectionSpec,
    /// Which arithmetic.
    pub semantics: Semantics,
}

impl Setting<'_> {
    /// The teacher of a term that reads one.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn teacher(&self) -> &EncoderConfig {
        self.teacher.expect("a term that reads a teacher is checked with one")
    }

    /// Checks that student and teacher are equally wide where there is no projection.
    pub(super) fn check_projected_widths(&self) -> Result<(), Misfit> {
        let (student, teacher) = (self.student.hidden, self.teacher().hidden);
        if self.projection == ProjectionSpec::None && student != teacher {
            let expected = format!("equal widths without a projection, as the teacher's {teacher}");
            return Err(Misfit::new(expected, format!("a student of {student}"), "set `projection = \"shared\"`"));
        }
        Ok(())
    }

    /// Checks that student and teacher are equally wide.
    pub(super) fn check_equal_widths(&self) -> Result<(), Misfit> {
        let (student, teacher) = (self.student.hidden, self.teacher().hidden);
        if student == teacher {
            return Ok(());
        }
        let way_out = "use `hidden`, which projects, or `relation`";
        Err(Misfit::new(format!("the teacher's width {teacher}"), student.to_string(), way_out))
    }
}

/// Why a term cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// What it needs.
    pub expected: String,
    /// What there is.
    pub got: String,
    /// What to change.
    pub way_out: String,
}

impl Misfit {
    /// A misfit from its three parts.
    pub fn new(expected: impl Into<String>, got: impl Into<String>, way_out: impl Into<String>) -> Misfit {
        Misfit { expected: expected.into(), got: got.into(), way_out: way_out.into() }
    }
}
