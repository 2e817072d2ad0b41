//! One stage in memory: parameters, optimizer, and the update.

use std::cell::RefCell;
use std::collections::BTreeMap;

use attar_meter::Meter;
use attar_model::{Tensor as Stored, Weights};
use attar_text::batch::{Batch, BatchBudget, plan_sorted};
use attar_text::masking::Masked;
use attar_text::random::Streams;
use burn::tensor::{Device, Tensor};
use serde::Serialize;

use super::batch_labels::{masked_pieces, with_labels};
use super::trace_cache::{TraceCache, TraceFolder, TraceNeeds, TracesUsed};
use super::{StageLoss, Teacher};
use crate::encoded_rows::PredictionUnit;
use crate::engine::{
    Dropout, Encoder, Geometry, Input, Parameters, RequiredOutputs, Storage, TeacherTrace, Trace, Values, Words,
    span_logits,
};
use crate::objectives::{BatchLabels, MASKED_LM, Objective, Semantics, WEIGHT_PROJECTION};
use crate::optimizer::{AdamW, Gradients, Schedule};
use crate::plan::{Plan, PlannedStage};
use crate::scores::HeldOutLoss;
use crate::{Error, device, evaluate};

/// Phases of a run as the meter names them.
pub mod phase {
    /// Forward passes of the teacher.
    pub const TEACHER: &str = "teacher";
    /// Forward and backward passes of the model that learns, and its updates.
    pub const TRAINING: &str = "training";
    /// Scoring on dev rows.
    pub const EVALUATION: &str = "evaluation";
    /// Writing checkpoints and the student.
    pub const CHECKPOINT: &str = "checkpoint";
}

/// A stage that is being trained.
#[derive(Debug)]
pub struct Trainer<'a> {
    plan: &'a Plan,
    stage: &'a PlannedStage,
    index: usize,
    loss: StageLoss,
    teacher: Option<Teacher>,
    parameters: Parameters,
    optimizer: AdamW,
    schedule: Schedule,
    streams: Streams,
    device: Device,
    /// Traces of training rows that are kept.
    traces: Option<RefCell<TraceCache>>,
}

/// What a teacher makes of a batch.
struct TeacherOutput {
    /// By tokens, or by words.
    trace: Trace,
    /// Where teacher and student have vocabularies of their own: the trace by the teacher's tokens, their layout, and the words that
    /// `trace` is pooled to.
    tokens_and_words: Option<(Trace, Geometry, Words)>,
}

impl TeacherOutput {
    fn trace(&self) -> TeacherTrace<'_> {
        match &self.tokens_and_words {
            None => TeacherTrace::from(&self.trace),
            Some((tokens, geometry, words)) => {
                TeacherTrace { trace: &self.trace, tokens, words: Some((geometry, words)) }
            }
        }
    }
}

/// What an update did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// Weighted sum of the terms, averaged over micro-batches.
    pub loss: f64,
    /// The terms without their factors, averaged over micro-batches.
    pub terms: BTreeMap<&'static str, f64>,
    /// Norm of all gradients together before clipping.
    pub norm: f64,
    /// Learning rate.
    pub rate: f64,
    /// Rows learned from.
    pub rows: usize,
    /// Real tokens learned from.
    pub tokens: usize,
}

impl<'a> Trainer<'a> {
    /// A stage that begins with `weights`: the student's, and projections of stages before.
    ///
    /// # Errors
    /// If the device of the plan cannot be opened or refuses the weights.
    pub fn new(plan: &'a Plan, index: usize, weights: &Weights, teacher: Option<Teacher>) -> Result<Self, Error> {
        let stage = &plan.stages[index];
        let streams = Streams::new(plan.recipe.seed);
        let device = device::open(plan.recipe.device)?;
        let encoder = plan.student.encoder(plan.stage_config(index));
        let spec = &stage.spec;
        let width = plan.teacher.as_ref().map(|teacher| teacher.bundle.config.hidden);
        let loss = StageLoss::new(encoder, spec.objectives.clone(), plan.recipe.semantics, spec.projection, width);
        let loss = match &plan.student.first_vocabulary {
            Some(first) => loss.with_second_vocabulary(first.pieces),
            None => loss,
        };
        let loss = match &plan.teacher {
            Some(planned) if loss.projects_weights() => {
                let theirs = Encoder::new(planned.bundle.config.clone());
                let mut values = Parameters::empty(&device);
                values.load(theirs.slots(), &planned.bundle.weights)?;
                loss.with_weights_of(theirs, values.values())
            }
            _ => loss,
        };
        let teacher = teacher.filter(|_| loss.needs_trace());
        let mut parameters = Parameters::empty(&device);
        parameters.load(loss.encoder().slots(), weights)?;
        let projections = projections(&loss, weights, plan.student.config.initializer_range, &streams);
        parameters.load(loss.projection_slots(), &projections)?;
        let optimizer = AdamW::new(spec.optimizer, &parameters).with_layer_decay(spec.layer_decay, &parameters);
        let schedule = Schedule { kind: spec.schedule, peak: spec.rate, warmup: stage.warmup(), total: stage.steps };
        Ok(Trainer {
            plan,
            stage,
            index,
            loss,
            teacher,
            parameters,
            optimizer,
            schedule,
            streams,
            device,
            traces: None,
        })
    }

    /// With traces of training rows kept in a folder, where they are the same each time that the teacher reads a row.
    ///
    /// # Errors
    /// If the folder or a file in it cannot be created.
    pub(super) fn keeping_traces(mut self, folder: &TraceFolder) -> Result<Self, Error> {
        let Some(teacher) = self.teacher.as_ref().filter(|teacher| teacher.keeps_traces()) else { return Ok(self) };
        // Masking and mixed vocabularies change the input on every pass.
        if self.loss.masking().is_some() || self.plan.mixture.is_some() {
            return Ok(self);
        }
        let reads_states = self.loss.reads_states() || teacher.answers_from_states();
        let needs = TraceNeeds {
            states: reads_states.then(|| self.required(teacher)),
            logits: self.loss.reads_logits() && !teacher.answers_from_states(),
            repeats: self.stage.repeats_rows(),
        };
        self.traces = Some(RefCell::new(TraceCache::open(folder, needs)?));
        Ok(self)
    }

    /// How much of the teacher's work kept traces have saved.
    pub(super) fn traces_used(&self) -> TracesUsed {
        self.traces.as_ref().map_or(TracesUsed::default(), |traces| traces.borrow().used())
    }

    /// Update `step` of the stage, counted from 0.
    ///
    /// # Errors
    /// If the device fails, or a loss or the gradient norm is not finite; the parameters are then as
    /// they were before the update.
    pub fn step(&mut self, step: usize, meter: &mut Meter) -> Result<StepReport, Error> {
        // Inside the pool, so that none of its hundred parallel operations has to wake a thread to begin.
        rayon::scope(|_| self.update(step, meter))
    }

    fn update(&mut self, step: usize, meter: &mut Meter) -> Result<StepReport, Error> {
        let batches = self.stage.batches(step);
        let share = 1.0 / batches.len() as f64;
        let mut report = StepReport {
            loss: 0.0,
            terms: BTreeMap::new(),
            norm: 0.0,
            rate: self.schedule.rate(step),
            rows: 0,
            tokens: 0,
        };
        let mut gradients: Option<Gradients> = None;
        let factors = self.stage.factors(step);
        let objectives = &self.stage.spec.objectives;
        for (micro, rows) in batches.iter().enumerate() {
            // Objectives that compare the models' weights are evaluated once, not for each micro-batch.
            if micro > 0 && objectives.iter().all(Objective::projects_weights) {
                break;
            }
            let multiplier =
                |objective: &Objective| if objective.projects_weights() { batches.len() as f64 } else { 1.0 };
            self.loss.leave_weights_out(micro > 0);
            self.loss.set_factors(objectives.iter().zip(&factors).map(|(o, factor)| factor * multiplier(o)).collect());
            let place = [self.index as u64, step as u64, micro as u64];
            let mut batch = self.batch(rows, step, &place);
            let masked = self.mask(&mut batch, "masks", &place);
            let teacher = self.teach(&batch, place, meter);
            let trace = teacher.as_ref().map(TeacherOutput::trace);
            meter.enter(phase::TRAINING);
            let (input, labels) = self.student_input(&batch, masked.as_ref());
            let dropout = self.stage.spec.dropout.then(|| Dropout::new(&self.streams, "dropout", place));
            let leaves = self.parameters.leaves(&input);
            let loss = self.loss.loss(&leaves, &input, trace, labels.as_ref(), dropout);
            // From here on the graph alone has the teacher's states, and gives their memory back.
            drop(teacher);
            for (name, term) in &loss.terms {
                let value = self.finite(step, name, number(term)?, report.rate)?;
                let of_weights = objectives.iter().any(|o| o.name() == *name && o.projects_weights());
                *report.terms.entry(name).or_default() += value * if of_weights { 1.0 } else { share };
            }
            report.loss += number(&loss.total)? * share;
            report.rows += rows.len();
            report.tokens += batch.tokens();
            let tape = (loss.total * share).backward();
            let more = Gradients::collect(leaves, input.ids(), tape)?;
            gradients = Some(match gradients {
                Some(sum) => sum.plus(more),
                None => more,
            });
        }
        self.loss.leave_weights_out(false);
        let Some(gradients) = gradients else { return Ok(report) };
        report.norm = self.finite(step, "the gradient norm", gradients.norm()?, report.rate)?;
        let clip = self.stage.spec.clip;
        // The small number keeps the quotient finite, as in the usual implementations.
        let scale = if clip > 0.0 { (clip / (report.norm + 1e-6)).min(1.0) } else { 1.0 };
        self.optimizer.step(&mut self.parameters, gradients, report.rate, scale)?;
        Ok(report)
    }

    /// The loss of the stage on the plan's held-out text, with the weights of the last update, without dropout and with the same pieces hidden every time;
    /// `None` if nothing is held out.
    ///
    /// # Errors
    /// If the device fails.
    pub fn held_out_loss(&self, meter: &mut Meter) -> Result<Option<HeldOutLoss>, Error> {
        let texts = &self.plan.dev_texts;
        if texts.is_empty() {
            return Ok(None);
        }
        meter.enter(phase::EVALUATION);
        let budget = BatchBudget { rows: self.stage.spec.batch_rows, tokens: self.stage.spec.batch_tokens };
        let values = self.parameters.values();
        let objectives = &self.stage.spec.objectives;
        let factors = self.stage.factors(self.stage.steps.saturating_sub(1));
        // For each objective the sum over batches of value times count, and the total count, where its value is a mean over `count` items.
        let (mut sums, mut tokens) = (vec![(0.0, 0.0); objectives.len()], 0);
        for (index, rows) in plan_sorted(&texts.lengths(), budget).iter().enumerate() {
            let mut batch = match &self.plan.mixture {
                // As the model that comes out reads.
                Some(mixture) => mixture.held_out.batch(rows, 1.0, &mut self.streams.stream("mix", &[])),
                None => texts.batch(rows),
            };
            let masked = self.mask(&mut batch, "held-out masks", &[index as u64]);
            let teacher = self.run_teacher(&batch, None);
            let (input, labels) = self.student_input(&batch, masked.as_ref());
            let trace = teacher.as_ref().map(TeacherOutput::trace);
            let parts = self.loss.loss(&values, &input, trace, labels.as_ref(), None);
            for (((_, term), objective), sum) in parts.terms.iter().zip(objectives).zip(&mut sums) {
                let over = match (&masked, objective.masking()) {
                    (Some(masked), Some(_)) => masked.rows.len(),
                    _ => batch.tokens(),
                } as f64;
                sum.0 += over * number(term)?;
                sum.1 += over;
            }
            tokens += batch.tokens();
        }
        let (mut loss, mut terms) = (0.0, BTreeMap::<String, f64>::new());
        for ((objective, factor), (sum, over)) in objectives.iter().zip(factors).zip(sums) {
            *terms.entry(objective.name().into()).or_default() += sum / over;
            loss += objective.weight() * factor * sum / over;
        }
        let perplexity = terms.get(MASKED_LM).map(|loss| loss.exp());
        Ok(Some(HeldOutLoss { sequences: texts.len(), tokens, loss, terms, perplexity }))
    }

    /// The student and its parameters, for a pass without gradients.
    pub fn student(&self) -> (&Encoder, Values) {
        (self.loss.encoder(), self.parameters.values())
    }

    /// All parameters by name: the student's, then the projections'.
    ///
    /// # Errors
    /// If the device fails to hand out a value.
    pub fn weights(&self) -> Result<Weights, Error> {
        self.parameters.weights()
    }

    /// The optimizer's moments by name.
    ///
    /// # Errors
    /// If the device fails to hand out a value.
    pub fn moments(&self) -> Result<Weights, Error> {
        self.optimizer.state(&self.parameters)
    }

    /// Puts back the moments after `steps` updates.
    ///
    /// # Errors
    /// If a moment is missing or has the wrong shape.
    pub fn restore(&mut self, moments: &Weights, steps: usize) -> Result<(), Error> {
        self.optimizer.restore(&self.parameters, moments, steps as u64)
    }

    /// The device of the stage.
    pub fn device(&self) -> &Device {
        &self.device
    }

    fn teach(&self, batch: &Batch, place: [u64; 3], meter: &mut Meter) -> Option<TeacherOutput> {
        self.teacher.as_ref()?;
        meter.enter(phase::TEACHER);
        // The published code never leaves training mode.
        let reference = self.plan.recipe.semantics == Semantics::Reference;
        let dropout = reference.then(|| Dropout::new(&self.streams, "teacher dropout", place));
        self.run_teacher_kept(batch, dropout, self.traces.as_ref())
    }

    /// What the teacher makes of a batch of the student's ids.
    fn run_teacher(&self, batch: &Batch, dropout: Option<Dropout<'_>>) -> Option<TeacherOutput> {
        self.run_teacher_kept(batch, dropout, None)
    }

    /// As [`Trainer::run_teacher`], for training rows whose traces may be kept.
    fn run_teacher_kept(
        &self,
        batch: &Batch,
        dropout: Option<Dropout<'_>>,
        traces: Option<&RefCell<TraceCache>>,
    ) -> Option<TeacherOutput> {
        let teacher = self.teacher.as_ref()?;
        let config = teacher.encoder().config();
        let required = self.required(teacher);
        let trace = |input: &Input| match traces {
            Some(traces) => {
                let input_of = |rows: &[u32]| self.input(&self.plan.teacher_batch(rows), teacher.encoder());
                teacher.trace_kept(&mut traces.borrow_mut(), &batch.rows, input, &required, input_of)
            }
            None => teacher.trace_required(input, &required, dropout),
        };
        let Some(aligned) = &self.plan.aligned else {
            let input = self.input(&self.plan.as_teacher_reads(batch), teacher.encoder());
            let mut trace = trace(&input);
            // Kept traces have no logits where none are read.
            if self.loss.reads_logits() {
                let prediction_unit = self.plan.train_texts.prediction_unit();
                trace.logits = trace.logits.take().map(|logits| match prediction_unit {
                    PredictionUnit::Row => logits,
                    PredictionUnit::Words(words) => {
                        let (rows, _) = words.of_batch(&batch.rows, &batch.lengths);
                        logits.select(0, evaluate::token_rows(&rows, &self.device))
                    }
                    PredictionUnit::Windows(_) => span_logits(logits, &input.geometry),
                });
            }
            return Some(TeacherOutput { trace, tokens_and_words: None });
        };
        let input = self.input(&aligned.teacher_batch(&batch.rows), teacher.encoder());
        let trace = trace(&input);
        // Answers are those of whole texts.
        if !self.loss.reads_states() {
            return Some(TeacherOutput { trace, tokens_and_words: None });
        }
        let required = self.loss.required_outputs(config.layers);
        let (words, counts) = aligned.words(&batch.rows, &batch.lengths);
        let words = Words::new(words, &counts, &self.device);
        let of_words = words.of_teacher(&trace, config.heads, &required);
        Some(TeacherOutput { trace: of_words, tokens_and_words: Some((trace, input.geometry, words)) })
    }

    /// The parts of a teacher's trace that a pass has to make.
    fn required(&self, teacher: &Teacher) -> RequiredOutputs {
        let required = self.loss.required_outputs(teacher.encoder().config().layers);
        // Scores by words are made of queries and keys.
        if self.plan.aligned.is_some() { required.with_qkv_for_scores() } else { required }
    }

    /// A batch of training rows; of a mixture of two vocabularies, with words cut as the update has it.
    fn batch(&self, rows: &[u32], step: usize, place: &[u64]) -> Batch {
        let Some(mixture) = &self.plan.mixture else { return self.plan.train_texts.batch(rows) };
        let [first, last] = mixture.share;
        let share = first + (last - first) * step as f64 / self.stage.steps.saturating_sub(1).max(1) as f64;
        mixture.train.batch(rows, share, &mut self.streams.stream("mix", place))
    }

    /// Hides pieces of a batch if an objective has the student guess them; says which.
    fn mask(&self, batch: &mut Batch, purpose: &str, indices: &[u64]) -> Option<Masked> {
        let (masking, masker) = (self.loss.masking()?, self.plan.masker.as_ref()?);
        let masked = masker.mask(batch, masking, &mut self.streams.stream(purpose, indices));
        batch.ids.clone_from(&masked.ids);
        Some(masked)
    }

    /// A batch as the student reads it, and what it is to answer.
    fn student_input(&self, batch: &Batch, masked: Option<&Masked>) -> (Input, Option<BatchLabels>) {
        let input = self.input(batch, self.loss.encoder());
        match masked {
            Some(masked) => (input.guessing(&masked.rows), Some(masked_pieces(masked, &self.device))),
            None => with_labels(self.plan, input, batch, self.stage.class_weights.as_deref()),
        }
    }

    fn input(&self, batch: &Batch, encoder: &Encoder) -> Input {
        match self.plan.recipe.semantics {
            Semantics::Clean => Input::ragged(batch, encoder.config(), &self.device),
            Semantics::Reference => Input::padded(batch, encoder.config(), &self.device),
        }
    }

    fn finite(&self, step: usize, what: &str, value: f64, rate: f64) -> Result<f64, Error> {
        if value.is_finite() {
            return Ok(value);
        }
        let (stage, what) = (self.stage.spec.name.clone(), what.to_string());
        Err(Error::NotFinite { stage, step, what, value, rate })
    }
}

/// Projections of stages before, and new ones where there are none.
fn projections(loss: &StageLoss, weights: &Weights, deviation: f64, streams: &Streams) -> Weights {
    let mut projections = Weights::new();
    for (index, slot) in loss.projection_slots().into_iter().enumerate() {
        let known = weights.get(&slot.name).filter(|tensor| tensor.data.len() == slot.len());
        let tensor = known.cloned().unwrap_or_else(|| {
            let mut stream = streams.stream("projection", &[index as u64]);
            let mut shape = slot.shape.clone();
            if slot.storage == Storage::Transposed {
                shape.reverse();
            }
            match shape.len() {
                1 => Stored::zeros(shape),
                _ => {
                    // Columns of length 1, so that what is projected down keeps its size.
                    let of_weights = slot.name.starts_with(WEIGHT_PROJECTION);
                    let deviation = if of_weights { (slot.shape[0] as f64).sqrt().recip() } else { deviation };
                    Stored::new(shape, (0..slot.len()).map(|_| (stream.normal() * deviation) as f32).collect())
                }
            }
        });
        projections.insert(slot.name, tensor);
    }
    projections
}

fn number(value: &Tensor<1>) -> Result<f64, Error> {
    value.clone().try_into_scalar::<f32>().map(f64::from).map_err(Error::device)
}
