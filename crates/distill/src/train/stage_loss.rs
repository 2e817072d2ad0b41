//! The arithmetic of a stage: from a batch to a loss.

use attar_model::{EncoderConfig, Head, Target};
use attar_text::masking::Masking;
use burn::tensor::Tensor;

use crate::engine::{Dropout, Encoder, Input, Keep, Linear, RequiredOutputs, Slot, TeacherTrace, Values, span_logits};
use crate::objectives::{
    BatchLabels, Comparison, Objective, Projection, ProjectionSpec, Semantics, TokenLevel, WeightPair,
    WeightProjections,
};

/// The loss of a stage: a student, its objectives and their projections.
#[derive(Debug, Clone)]
pub struct StageLoss {
    encoder: Encoder,
    objectives: Vec<Objective>,
    /// What the weight of each objective is multiplied by.
    factors: Vec<f64>,
    /// Whether terms that compare weights are left out, as in all micro-batches of an update but the first.
    leaves_weights_out: bool,
    semantics: Semantics,
    /// Width of the teacher's states and number of projections to it, where there are any.
    projections: Option<(usize, usize)>,
    /// The teacher whose weights are compared with the student's, if they are.
    weights: Option<(Encoder, Values)>,
    /// Pieces of the first of two vocabularies, if there are two.
    first_pieces: Option<usize>,
}

/// The loss of a batch.
#[derive(Debug)]
pub struct Loss {
    /// The weighted sum, `[1]`.
    pub total: Tensor<1>,
    /// The terms before their weights, `[1]` each, without those that are left out.
    pub terms: Vec<(&'static str, Tensor<1>)>,
}

impl StageLoss {
    /// The loss of `encoder` under these objectives, with a teacher of hidden width `teacher`.
    pub fn new(
        encoder: Encoder,
        objectives: Vec<Objective>,
        semantics: Semantics,
        projection: ProjectionSpec,
        teacher: Option<usize>,
    ) -> StageLoss {
        let wanted = objectives.iter().any(Objective::projects);
        let projections = match (teacher, projection) {
            (Some(width), ProjectionSpec::Shared) if wanted => Some((width, 1)),
            (Some(width), ProjectionSpec::PerLevel) if wanted => Some((width, encoder.config().layers + 1)),
            _ => None,
        };
        let factors = vec![1.0; objectives.len()];
        StageLoss {
            encoder,
            objectives,
            factors,
            leaves_weights_out: false,
            semantics,
            projections,
            weights: None,
            first_pieces: None,
        }
    }

    /// Leaves out the terms that compare weights from now on, or no longer.
    pub(crate) fn leave_weights_out(&mut self, leaves: bool) {
        self.leaves_weights_out = leaves;
    }

    /// Multiplies the weights of the objectives by these from now on.
    ///
    /// # Panics
    /// If there is not one for each objective.
    #[track_caller]
    pub fn set_factors(&mut self, factors: Vec<f64>) {
        assert_eq!(factors.len(), self.objectives.len(), "a factor for each objective");
        self.factors = factors;
    }

    /// With the teacher whose weights the objectives compare with the student's.
    #[must_use]
    pub fn with_weights_of(self, teacher: Encoder, values: Values) -> StageLoss {
        StageLoss { weights: Some((teacher, values)), ..self }
    }

    /// With two vocabularies, of which the first has so many pieces: each has a softmax of its own.
    #[must_use]
    pub fn with_second_vocabulary(self, first_pieces: usize) -> StageLoss {
        StageLoss { first_pieces: Some(first_pieces), ..self }
    }

    /// True if an objective compares weights.
    pub fn projects_weights(&self) -> bool {
        self.objectives.iter().any(Objective::projects_weights)
    }

    /// The student.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Parameters of the projections, which follow the encoder's.
    pub fn projection_slots(&self) -> Vec<Slot> {
        let hidden = self.encoder.config().hidden;
        let name = |level| match self.projections {
            Some((_, 1)) => "projection".to_string(),
            _ => format!("projection.{level}"),
        };
        let (width, count) = self.projections.unwrap_or((0, 0));
        let slots = |level| {
            let name = name(level);
            [Slot::linear(format!("{name}.weight"), hidden, width), Slot::vector(format!("{name}.bias"), width)]
        };
        let widths = |config: &EncoderConfig| [config.hidden, config.feed_forward];
        let of_weights = self
            .weights
            .iter()
            .flat_map(|(teacher, _)| WeightProjections::slots(widths(teacher.config()), widths(self.encoder.config())));
        (0..count).flat_map(slots).chain(of_weights).collect()
    }

    /// How much of its trace the student's forward pass must keep.
    pub fn keep(&self) -> Keep {
        if self.objectives.iter().any(Objective::needs_layers) { Keep::Layers } else { Keep::Output }
    }

    /// What the objectives read of the trace of a teacher of `layers` layers.
    pub fn required_outputs(&self, layers: usize) -> RequiredOutputs {
        let mut required = RequiredOutputs::of(Keep::Output, layers);
        for objective in &self.objectives {
            objective.mark_required(self.encoder.config().layers, &mut required);
        }
        required
    }

    /// True if an objective reads what a teacher makes of a text.
    pub fn needs_trace(&self) -> bool {
        self.objectives.iter().any(Objective::needs_trace)
    }

    /// True if an objective reads states of a teacher.
    pub(crate) fn reads_states(&self) -> bool {
        self.objectives.iter().any(Objective::reads_states)
    }

    /// True if an objective reads a teacher's logits.
    pub(crate) fn reads_logits(&self) -> bool {
        self.objectives.iter().any(|objective| objective.needs_trace() && !objective.reads_states())
    }

    /// Which pieces are hidden, if an objective has the student guess them.
    pub fn masking(&self) -> Option<Masking> {
        self.objectives.iter().find_map(Objective::masking)
    }

    /// Whether the student gives a text any number of labels.
    fn multi_label(&self) -> bool {
        matches!(self.encoder.config().head, Head::Classification { target: Target::MultiLabel(_) })
    }

    /// The loss of a batch. `values` are the encoder's, then the projections'.
    ///
    /// # Panics
    /// If there is no objective or all are left out, or one needs a teacher or labels that are not given; plans refuse that
    /// before any compute.
    pub fn loss(
        &self,
        values: &Values,
        input: &Input,
        teacher: Option<TeacherTrace<'_>>,
        labels: Option<&BatchLabels>,
        dropout: Option<Dropout<'_>>,
    ) -> Loss {
        let mut student = self.encoder.forward(values, input, self.keep(), dropout);
        if self.encoder.config().head == Head::QuestionAnswering {
            student.logits = student.logits.map(|logits| span_logits(logits, &input.geometry));
        }
        let mut rest = values.cursor_at(self.encoder.slots().len());
        let count = self.projections.map_or(0, |(_, count)| count);
        let projections: Vec<Projection> =
            (0..count).map(|_| Projection(Linear { weight: rest.matrix(), bias: rest.vector() })).collect();
        let between = self.weights.as_ref().map(|_| WeightProjections::new(|| rest.matrix()));
        let weights = self.weights.as_ref().zip(between.as_ref()).map(|((teacher, theirs), projections)| WeightPair {
            student: (&self.encoder, values),
            teacher: (teacher, theirs),
            projections,
        });
        // Where both read words of their own they are compared by words.
        let by_words = teacher.and_then(|theirs| {
            let (geometry, words) = theirs.words?;
            let required = self.required_outputs(theirs.trace.layers.len());
            let ours = words.of_student(&student, self.encoder.config().heads, required.of_any_layer());
            Some((
                ours,
                words.geometry(),
                TokenLevel { student: (&student, &input.geometry), teacher: (theirs.tokens, geometry) },
            ))
        });
        let comparison = Comparison {
            weights,
            first_pieces: self.first_pieces,
            student: by_words.as_ref().map_or(&student, |(trace, ..)| trace),
            teacher: teacher.map(|theirs| theirs.trace),
            tokens: by_words.as_ref().map(|(.., tokens)| *tokens),
            labels,
            projections: &projections,
            geometry: by_words.as_ref().map_or(&input.geometry, |(_, geometry, _)| geometry),
            semantics: self.semantics,
            multi_label: self.multi_label(),
        };
        let mut terms = Vec::new();
        let mut total: Option<Tensor<1>> = None;
        for (objective, factor) in self.objectives.iter().zip(&self.factors) {
            // Weights are the same in every micro-batch, and comparing them costs as much each time.
            if objective.projects_weights() && self.leaves_weights_out {
                continue;
            }
            let term = objective.value(&comparison);
            let weight = objective.weight() * factor;
            let weighted = if weight == 1.0 { term.clone() } else { term.clone() * weight };
            total = Some(total.map_or(weighted.clone(), |total| total + weighted));
            terms.push((objective.name(), term));
        }
        Loss { total: total.expect("a stage has objectives"), terms }
    }
}
