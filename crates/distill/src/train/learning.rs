//! The arithmetic of a stage: from a batch to a loss.

use attar_model::{Bundle, Head, Target};
use burn::tensor::{Int, Tensor, TensorData};

use super::packed::{PackedTeacher, Parts};
use crate::engine::{Dropout, Encoder, Input, Keep, Linear, Parameters, Slot, Trace, Values};
use crate::objectives::{Comparison, Gold, Objective, Projection, Semantics};
use crate::plan::Plan;
use crate::recipe::{DeviceChoice, ProjectionSpec, TeacherPrecision};
use crate::{Error, device};

/// A model that is looked at and never changed.
#[derive(Debug, Clone)]
pub struct Teacher {
    encoder: Encoder,
    engine: Engine,
    /// For each class of the data the teacher's number for it, where the two differ.
    classes: Option<Vec<usize>>,
}

/// What computes a teacher.
#[derive(Debug, Clone)]
enum Engine {
    /// The tensor engine, on any device.
    Tensors(Values),
    /// The engine of inference: the processor.
    Packed(PackedTeacher),
}

impl Teacher {
    /// A teacher with its weights and, if its classes are in another order than the data's, the
    /// teacher's number of each class of the data.
    pub fn new(encoder: Encoder, values: Values, classes: Option<Vec<usize>>) -> Teacher {
        Teacher { encoder, engine: Engine::Tensors(values), classes }
    }

    /// A teacher that is packed for the processor, for batches without padding and without dropout.
    ///
    /// # Errors
    /// If a weight is not finite.
    pub fn packed(bundle: &Bundle, precision: TeacherPrecision, classes: Option<Vec<usize>>) -> Result<Teacher, Error> {
        let encoder = Encoder::new(bundle.config.clone());
        Ok(Teacher { encoder, engine: Engine::Packed(PackedTeacher::new(bundle, precision)?), classes })
    }

    /// The teacher of a plan, on the plan's device.
    ///
    /// # Errors
    /// If the device cannot be opened or refuses the weights.
    pub fn of(plan: &Plan) -> Result<Option<Teacher>, Error> {
        let Some(planned) = &plan.teacher else { return Ok(None) };
        let recipe = &plan.recipe;
        let classes = planned.classes.clone();
        // The published code counts padding and never leaves training mode: an engine of inference knows neither.
        if recipe.semantics == Semantics::Clean {
            let precision = recipe.teacher.as_ref().map(|teacher| teacher.precision).unwrap_or_default();
            return Teacher::load(recipe.device, &planned.bundle, precision, classes).map(Some);
        }
        Teacher::on_tensors(recipe.device, &planned.bundle, classes).map(Some)
    }

    /// A teacher on the fastest engine of a device.
    ///
    /// # Errors
    /// As [`Teacher::of`].
    pub fn load(
        device: DeviceChoice,
        bundle: &Bundle,
        precision: TeacherPrecision,
        classes: Option<Vec<usize>>,
    ) -> Result<Teacher, Error> {
        match device {
            DeviceChoice::Cpu => Teacher::packed(bundle, precision, classes),
            _ => Teacher::on_tensors(device, bundle, classes),
        }
    }

    fn on_tensors(device: DeviceChoice, bundle: &Bundle, classes: Option<Vec<usize>>) -> Result<Teacher, Error> {
        let encoder = Encoder::new(bundle.config.clone());
        let mut parameters = Parameters::empty(&device::open(device)?);
        parameters.load(encoder.slots(), &bundle.weights)?;
        Ok(Teacher::new(encoder, parameters.values(), classes))
    }

    /// The encoder.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// A forward pass, its logits in the data's order of classes.
    ///
    /// # Panics
    /// If a packed teacher is to drop out or to count padding; plans refuse that before any compute.
    pub fn trace(&self, input: &Input, keep: Keep, dropout: Option<Dropout<'_>>) -> Trace {
        self.trace_parts(input, &Parts::of(keep, self.encoder.config().layers), dropout)
    }

    /// As [`Teacher::trace`]; what is not among the parts may be empty.
    ///
    /// # Panics
    /// As [`Teacher::trace`].
    pub fn trace_parts(&self, input: &Input, parts: &Parts, dropout: Option<Dropout<'_>>) -> Trace {
        let mut trace = match &self.engine {
            Engine::Tensors(values) => self.encoder.forward(values, input, parts.keep(), dropout),
            Engine::Packed(teacher) => {
                assert!(dropout.is_none(), "a packed teacher does not drop out");
                teacher.trace(input, parts)
            }
        };
        if let Some(classes) = &self.classes {
            let order: Vec<i32> = classes.iter().map(|&class| class as i32).collect();
            let order = Tensor::<1, Int>::from_data(TensorData::new(order, [classes.len()]), input.geometry.device());
            trace.logits = trace.logits.map(|logits| logits.select(1, order));
        }
        trace
    }
}

/// A student, what it is to learn, and how that is counted.
#[derive(Debug, Clone)]
pub struct Learning {
    encoder: Encoder,
    objectives: Vec<Objective>,
    semantics: Semantics,
    /// Width of the teacher's states and number of projections to it, where there are any.
    projections: Option<(usize, usize)>,
}

/// The loss of a batch.
#[derive(Debug)]
pub struct Loss {
    /// The weighted sum, `[1]`.
    pub total: Tensor<1>,
    /// The terms before their weights, `[1]` each.
    pub terms: Vec<(&'static str, Tensor<1>)>,
}

impl Learning {
    /// What `encoder` learns by these objectives from a teacher of hidden width `teacher`.
    pub fn new(
        encoder: Encoder,
        objectives: Vec<Objective>,
        semantics: Semantics,
        projection: ProjectionSpec,
        teacher: Option<usize>,
    ) -> Learning {
        let wanted = objectives.iter().any(Objective::projects);
        let projections = match (teacher, projection) {
            (Some(width), ProjectionSpec::Shared) if wanted => Some((width, 1)),
            (Some(width), ProjectionSpec::PerLevel) if wanted => Some((width, encoder.config().layers + 1)),
            _ => None,
        };
        Learning { encoder, objectives, semantics, projections }
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
        let Some((width, count)) = self.projections else { return Vec::new() };
        let slots = |level| {
            let name = name(level);
            [Slot::linear(format!("{name}.weight"), hidden, width), Slot::vector(format!("{name}.bias"), width)]
        };
        (0..count).flat_map(slots).collect()
    }

    /// How much of the passes the objectives look at.
    pub fn keep(&self) -> Keep {
        if self.objectives.iter().any(Objective::needs_layers) { Keep::Layers } else { Keep::Output }
    }

    /// The parts of a teacher with so many layers that the objectives look at.
    pub fn parts(&self, layers: usize) -> Parts {
        let mut parts = Parts::of(Keep::Output, layers);
        for objective in &self.objectives {
            objective.look(self.encoder.config().layers, &mut parts);
        }
        parts
    }

    /// True if an objective looks at a teacher.
    pub fn needs_teacher(&self) -> bool {
        self.objectives.iter().any(Objective::needs_teacher)
    }

    /// Whether the student gives a text any number of labels.
    fn multi_label(&self) -> bool {
        matches!(self.encoder.config().head, Head::Classification { target: Target::MultiLabel(_) })
    }

    /// The loss of a batch. `values` are the encoder's, then the projections'.
    ///
    /// # Panics
    /// If there is no objective, or one needs a teacher or labels that are not given; plans refuse that
    /// before any compute.
    pub fn loss(
        &self,
        values: &Values,
        input: &Input,
        teacher: Option<&Trace>,
        gold: Option<&Gold>,
        dropout: Option<Dropout<'_>>,
    ) -> Loss {
        let student = self.encoder.forward(values, input, self.keep(), dropout);
        let mut rest = values.cursor_at(self.encoder.slots().len());
        let count = self.projections.map_or(0, |(_, count)| count);
        let projections: Vec<Projection> =
            (0..count).map(|_| Projection(Linear { weight: rest.matrix(), bias: rest.vector() })).collect();
        let comparison = Comparison {
            student: &student,
            teacher,
            gold,
            projections: &projections,
            geometry: &input.geometry,
            semantics: self.semantics,
            multi_label: self.multi_label(),
        };
        let terms: Vec<(&'static str, Tensor<1>)> =
            self.objectives.iter().map(|objective| (objective.name(), comparison.term(objective))).collect();
        let weighted = self.objectives.iter().zip(&terms).map(|(objective, (_, term))| {
            let weight = objective.weight();
            if weight == 1.0 { term.clone() } else { term.clone() * weight }
        });
        let total = weighted.reduce(|a, b| a + b).expect("a stage has objectives");
        Loss { total, terms }
    }
}
