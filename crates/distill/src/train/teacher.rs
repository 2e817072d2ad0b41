//! The teacher of a run, on the engine that computes it fastest.

use std::borrow::Cow;

use attar_model::{Bundle, EncoderConfig, Head};
use burn::tensor::{Int, Tensor, TensorData};

use super::packed::{PackedTeacher, RowShape};
use super::trace_cache::TraceCache;
use crate::engine::{Dropout, Encoder, Input, Keep, Parameters, RequiredOutputs, Trace, Values};
use crate::objectives::{Objective, Semantics};
use crate::plan::Plan;
use crate::recipe::{DeviceChoice, TeacherPrecision};
use crate::{Error, device};

/// A model whose answers and states are learned from.
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
    /// The inference engine: CPU only.
    Packed(Box<PackedTeacher>),
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
        Ok(Teacher { encoder, engine: Engine::Packed(Box::new(PackedTeacher::new(bundle, precision)?)), classes })
    }

    /// The teacher of a plan, on the plan's device; `None` if nothing reads what it makes of a text.
    ///
    /// # Errors
    /// If the device cannot be opened or refuses the weights.
    pub fn of(plan: &Plan) -> Result<Option<Teacher>, Error> {
        let Some(planned) = &plan.teacher else { return Ok(None) };
        let is_read = plan.stages.iter().flat_map(|stage| &stage.spec.objectives).any(Objective::needs_trace);
        // Beside labeled rows it is scored.
        if !is_read && plan.labeled.is_none() {
            return Ok(None);
        }
        let recipe = &plan.recipe;
        let classes = planned.classes.clone();
        let bundle = without_masked_lm(&planned.bundle);
        // The published code counts padding and never leaves training mode: an engine of inference knows neither.
        if recipe.semantics == Semantics::Clean {
            let precision = recipe.teacher.as_ref().map(|teacher| teacher.precision).unwrap_or_default();
            return Teacher::load(recipe.device, &bundle, precision, classes).map(Some);
        }
        Teacher::on_tensors(recipe.device, &bundle, classes).map(Some)
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
        self.trace_required(input, &RequiredOutputs::of(keep, self.encoder.config().layers), dropout)
    }

    /// As [`Teacher::trace`]; outputs that are not required may be empty.
    ///
    /// # Panics
    /// As [`Teacher::trace`].
    pub fn trace_required(&self, input: &Input, required: &RequiredOutputs, dropout: Option<Dropout<'_>>) -> Trace {
        let mut trace = match &self.engine {
            Engine::Tensors(values) => self.encoder.forward(values, input, required.keep(), dropout),
            Engine::Packed(teacher) => {
                assert!(dropout.is_none(), "a packed teacher does not drop out");
                teacher.trace(input, required)
            }
        };
        self.reorder(&mut trace, input);
        trace
    }

    /// True if traces of training rows can be kept: those of the processor's engine are the same whatever else is in a batch.
    pub(super) fn keeps_traces(&self) -> bool {
        matches!(self.engine, Engine::Packed(_))
    }

    /// True if its answers are made of the last layer's output.
    pub(super) fn answers_from_states(&self) -> bool {
        matches!(&self.engine, Engine::Packed(teacher) if teacher.answers_from_states())
    }

    /// As [`Teacher::trace_required`], for training rows whose traces are kept. `input_of` makes the input of some of the
    /// rows.
    pub(super) fn trace_kept(
        &self,
        cache: &mut TraceCache,
        rows: &[u32],
        input: &Input,
        required: &RequiredOutputs,
        input_of: impl FnOnce(&[u32]) -> Input,
    ) -> Trace {
        let Engine::Packed(teacher) = &self.engine else { return self.trace_required(input, required, None) };
        let lengths = input.geometry.layout.stored();
        let shape = |lengths: &[usize]| RowShape {
            sequences: lengths.len(),
            tokens: lengths.iter().sum(),
            pairs: lengths.iter().map(|length| length * length).sum(),
        };
        let shapes: Vec<RowShape> = lengths.chunks((lengths.len() / rows.len().max(1)).max(1)).map(shape).collect();
        let compute = |missing: &[u32]| match missing == rows {
            true => teacher.numbers(input, required),
            false => teacher.numbers(&input_of(missing), required),
        };
        let numbers = cache.trace(rows, &shapes, || teacher.no_numbers(), compute);
        let mut trace = teacher.tensors(numbers, &input.geometry);
        self.reorder(&mut trace, input);
        trace
    }

    /// Puts the logits into the data's order of classes.
    fn reorder(&self, trace: &mut Trace, input: &Input) {
        if let Some(classes) = &self.classes {
            let order: Vec<i32> = classes.iter().map(|&class| class as i32).collect();
            let order = Tensor::<1, Int>::from_data(TensorData::new(order, [classes.len()]), input.geometry.device());
            trace.logits = trace.logits.take().map(|logits| logits.select(1, order));
        }
    }
}

/// A model without a masked-language-model head: no objective reads its guesses, and they cost as much as its layers.
fn without_masked_lm(bundle: &Bundle) -> Cow<'_, Bundle> {
    if !bundle.config.head.has_masked_lm() {
        return Cow::Borrowed(bundle);
    }
    let mut bundle = bundle.clone();
    let head: Vec<String> =
        bundle.weights.iter().map(|(name, _)| name.to_string()).filter(|name| name.starts_with("cls.")).collect();
    for name in head {
        bundle.weights.remove(&name);
    }
    bundle.config = EncoderConfig { head: Head::None, ..bundle.config };
    Cow::Owned(bundle)
}
