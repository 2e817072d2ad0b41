//! A whole run: stages, evaluations, checkpoints, and the student at the end.

use std::path::PathBuf;
use std::time::Instant;

use attar_bill::Bill;
use attar_meter::{Ledger, Meter, MeterOptions, Totals};
use attar_model::Weights;
use attar_text::labeled::Target;
use attar_text::metrics::{Metric, Score};
use attar_text::random::Streams;

use super::Teacher;
use super::checkpoint::{Best, Checkpoint, TrainingState};
use super::events::{Event, EventLog, Observer, Step};
use super::store::Store;
use super::tensorboard::{self, TensorBoard};
use super::trace_cache::TracesUsed;
use super::trainer::{Trainer, phase};
use crate::begin::{Begun, PHASE, begin, shrunk};
use crate::engine::{Encoder, Parameters};
use crate::plan::{Beginning, Plan};
use crate::recipe::KeepWeights;
use crate::run_directory::{ExportedStudent, RunDirectory};
use crate::score::{Agreement, Answers, Truth};
use crate::scores::{HeldOutLoss, Scores, TeacherScores, retention};
use crate::{Error, billing, device, evaluate};

/// What a run in a directory leads to.
#[derive(Debug)]
pub enum Trained {
    /// A student that is still to be written.
    New(Box<NewStudent>),
    /// The student that the same run left when it ended before.
    Stored(Box<ExportedStudent>),
}

/// A trained student in memory.
#[derive(Debug)]
pub struct NewStudent {
    /// Its weights.
    pub weights: Weights,
    /// Scores of the student and its teacher on the dev rows.
    pub scores: Option<Scores>,
    /// The loss on held-out text, where the data are raw text.
    pub held_out: Option<HeldOutLoss>,
    /// How much computing of the teacher was saved by traces on disk; `None` if none were kept.
    pub traces: Option<TracesUsed>,
    /// Time and energy of the run, its resumed parts included.
    pub totals: Totals,
}

impl NewStudent {
    /// What making it cost, with the grid and the prices of the plan.
    pub fn bill(&self, plan: &Plan) -> Bill {
        Bill::new(&self.totals, &plan.grid, &plan.tariff)
    }
}

/// Trains what a plan says, from the newest checkpoint of the run if there is one.
///
/// A run that has finished is returned as it is.
///
/// # Errors
/// If something cannot be read, written or computed, or the observer stops the run; what was written before stays and
/// a later call resumes from it.
pub fn train(plan: &Plan, directory: &RunDirectory, observer: &mut dyn Observer) -> Result<Trained, Error> {
    if let Some(exported) = directory.exported(plan)? {
        observer.event(&Event::Stored { student: directory.student() });
        return Ok(Trained::Stored(Box::new(exported)));
    }
    let ledger = Ledger::append_to(directory.ledger()).map_err(Error::energy)?;
    let log = EventLog::append_to(&directory.events())?;
    let steps = plan.stages.iter().map(|stage| stage.steps).collect();
    let curves = TensorBoard::append_to(&directory.path().join(tensorboard::FILE), steps)?;
    let budget = plan.recipe.teacher.as_ref().map_or(0, |teacher| teacher.trace_cache);
    let traces = (budget > 0).then(|| directory.traces(budget));
    let store = Store::Directory {
        checkpoints: directory.checkpoints(),
        keep: plan.recipe.checkpoint.keep,
        log,
        curves,
        traces,
    };
    let mut student = Run::start(plan, store, observer, Some(ledger))?.finish(Some(directory.student()))?;
    // The ledger holds what the meter knows, and parts of the run before a resumption.
    let windows = Ledger::read(directory.ledger()).map_err(Error::energy)?.windows;
    student.totals = Totals::from_windows(&windows);
    Ok(Trained::New(Box::new(student)))
}

/// Trains what a plan says and leaves nothing on disk; a run that is stopped is lost.
///
/// # Errors
/// If something cannot be computed, or the observer stops the run.
pub fn train_in_memory(plan: &Plan, observer: &mut dyn Observer) -> Result<NewStudent, Error> {
    Run::start(plan, Store::Memory { best: None }, observer, None)?.finish(None)
}

/// Dev rows by which a teacher is checked before it teaches.
const CHECKED_ROWS: usize = 500;

/// What stages lead to.
struct Ended {
    weights: Weights,
    teacher: Option<Teacher>,
    held_out: Option<HeldOutLoss>,
}

struct Run<'a> {
    plan: &'a Plan,
    store: Store,
    observer: &'a mut dyn Observer,
    meter: Meter,
    truth: Option<Truth>,
    /// The loss on held-out text when it was looked at last.
    held_out: Option<HeldOutLoss>,
    traces: TracesUsed,
}

impl<'a> Run<'a> {
    fn start(
        plan: &'a Plan,
        store: Store,
        observer: &'a mut dyn Observer,
        ledger: Option<Ledger>,
    ) -> Result<Run<'a>, Error> {
        let options = MeterOptions { sources: billing::source(&plan.recipe.energy)?, ..MeterOptions::default() };
        let meter = Meter::start(options, ledger).map_err(Error::energy)?;
        let truth = plan.labeled.as_ref().and_then(|data| Truth::of(&data.dev));
        Ok(Run { plan, store, observer, meter, truth, held_out: None, traces: TracesUsed::default() })
    }

    /// Trains and scores the student, which is to be written to `path`.
    fn finish(mut self, path: Option<PathBuf>) -> Result<NewStudent, Error> {
        let Ended { weights, teacher, held_out } = self.stages()?;
        let scores = self.scores(&weights, teacher)?;
        self.tell(Event::Finished { student: path })?;
        let totals = self.meter.finish();
        let traces = self.store.traces().map(|_| self.traces.priced(&totals));
        Ok(NewStudent { weights, scores, held_out, traces, totals })
    }

    /// Runs all stages that are left.
    fn stages(&mut self) -> Result<Ended, Error> {
        let steps: Vec<usize> = self.plan.stages.iter().map(|stage| stage.steps).collect();
        let mut checkpoint = match self.store.latest(&steps)? {
            Some(checkpoint) => checkpoint,
            None => self.beginning()?,
        };
        let TrainingState { stage, step, .. } = checkpoint.state;
        self.tell(Event::Began { stage, step, energy: self.meter.reasons().to_vec() })?;
        let teacher = Teacher::of(self.plan)?;
        if (stage, step) == (0, 0) {
            self.check_teacher(teacher.as_ref())?;
        }
        while checkpoint.state.stage < self.plan.stages.len() {
            let (next, done) = self.stage(checkpoint, teacher.clone())?;
            checkpoint = next;
            self.stop_if_told(done, &self.plan.stages[checkpoint.state.stage - 1].spec.name)?;
        }
        let held_out = match (self.held_out.take(), &self.plan.labeled) {
            // A run that is resumed after its last update has not looked.
            (None, None) => {
                let last = self.plan.stages.len() - 1;
                Trainer::new(self.plan, last, &checkpoint.parameters, teacher.clone())?
                    .held_out_loss(&mut self.meter)?
            }
            (found, _) => found,
        };
        let slots = self.plan.student.encoder(self.plan.student.config.clone()).slots();
        let mut student = Weights::new();
        for name in slots.into_iter().flat_map(|slot| slot.parts) {
            // The parameters are those of the encoder, then projections.
            if let Some(tensor) = checkpoint.parameters.remove(&name) {
                student.insert(name, tensor);
            }
        }
        Ok(Ended { weights: self.plan.student.written_weights(student), teacher, held_out })
    }

    /// Says so if the teacher answers the dev rows worse than one class for all of them would: its labels may not be those of
    /// the data.
    fn check_teacher(&mut self, teacher: Option<&Teacher>) -> Result<(), Error> {
        let (Some(teacher), Some(data), Some(planned)) = (teacher, &self.plan.labeled, &self.plan.teacher) else {
            return Ok(());
        };
        if !matches!(data.dev.target, Target::Classes(_)) || !planned.answers(&data.train.target) {
            return Ok(());
        }
        let step = data.dev.len().div_ceil(CHECKED_ROWS).max(1);
        let rows: Vec<usize> = (0..data.dev.len()).step_by(step).collect();
        let sample = data.dev.subset(&rows);
        let Some(truth) = Truth::of(&sample) else { return Ok(()) };
        self.meter.enter(phase::EVALUATION);
        let texts = self.plan.teacher_dev_texts.as_ref().unwrap_or(&self.plan.dev_texts).of_rows(&rows);
        let answers = evaluate::answers(teacher, &texts, &sample, &device::open(self.plan.recipe.device)?, |_| {})?;
        let most = sample.class_counts().into_iter().max().unwrap_or_default();
        let majority = most as f64 / rows.len().max(1) as f64;
        match truth.value(Metric::Accuracy, &answers)? {
            Some(accuracy) if accuracy < majority => {
                self.tell(Event::WeakTeacher { accuracy, majority, rows: rows.len() })
            }
            _ => Ok(()),
        }
    }

    /// The state before the first update, written if it took any computing.
    fn beginning(&mut self) -> Result<Checkpoint, Error> {
        let observer = &mut *self.observer;
        let mut progress = |progress| observer.event(&Event::Beginning(progress));
        let Begun { weights, frozen } = begin(self.plan, &mut self.meter, &mut progress)?;
        let state = TrainingState { stage: 0, step: 0, best: None };
        let checkpoint = Checkpoint { state, parameters: weights, moments: None };
        if self.plan.student.beginning != Beginning::Given {
            self.write(&checkpoint)?;
        }
        if let Some(frozen) = frozen {
            self.tell(Event::FrozenHead(frozen))?;
        }
        Ok(checkpoint)
    }

    /// Runs what is left of one stage; returns the beginning of the next, and the updates that this one had.
    fn stage(&mut self, from: Checkpoint, teacher: Option<Teacher>) -> Result<(Checkpoint, usize), Error> {
        let plan = self.plan;
        let index = from.state.stage;
        let stage = &plan.stages[index];
        let parameters = match (index, from.state.step) {
            (1.., 0) => {
                self.meter.enter(PHASE);
                let observer = &mut *self.observer;
                shrunk(plan, index, from.parameters, &mut |progress| observer.event(&Event::Beginning(progress)))?
            }
            _ => from.parameters,
        };
        let mut trainer = Trainer::new(plan, index, &parameters, teacher)?;
        if let Some(traces) = self.store.traces() {
            trainer = trainer.keeping_traces(traces)?;
        }
        if let Some(moments) = &from.moments {
            trainer.restore(moments, from.state.step)?;
        }
        drop(parameters);
        drop(from.moments);
        let mut best = from.state.best;
        let (name, steps, done) = (stage.spec.name.clone(), stage.steps, from.state.step);
        self.tell(Event::Stage { stage: index, name, steps, done })?;
        // What stands before the first update may be the best there is: a linear head over a frozen encoder is.
        if index == 0 && from.state.step == 0 && plan.student.beginning == Beginning::FrozenHead && stage.predicts() {
            best = self.evaluate(&trainer, index, 0, best)?;
        }
        let mut steps_done = from.state.step;
        for step in from.state.step..stage.steps {
            let start = Instant::now();
            let report = trainer.step(step, &mut self.meter)?;
            let done = step + 1;
            steps_done = done;
            self.tell(Event::Step(Step {
                stage: index,
                step: done,
                report,
                seconds: start.elapsed().as_secs_f64(),
                joules: self.meter.totals().energy(),
                watts: self.meter.power(),
            }))?;
            if plan.labeled.is_none()
                && stage.evaluates_after(step)
                && let Some(loss) = trainer.held_out_loss(&mut self.meter)?
            {
                self.held_out = Some(loss.clone());
                self.tell(Event::HeldOut { stage: index, step: done, loss })?;
            }
            if stage.evaluates_after(step) && stage.predicts() {
                best = self.evaluate(&trainer, index, done, best)?;
                if stage.out_of_patience(done, best.map(|best| best.kept_step)) {
                    self.tell(Event::Stopped { stage: index, step: done })?;
                    break;
                }
            }
            let stops = self.observer.stops();
            let due = self.store.is_on_disk() && done.is_multiple_of(plan.recipe.checkpoint.every);
            if (stops || due) && done < stage.steps {
                self.meter.enter(phase::CHECKPOINT);
                let state = TrainingState { stage: index, step: done, best };
                let moments = Some(trainer.moments()?);
                self.write(&Checkpoint { state, parameters: trainer.weights()?, moments })?;
                self.stop_if_told(done, &stage.spec.name)?;
            }
        }
        self.traces += trainer.traces_used();
        let parameters = match (stage.spec.keep, best) {
            (KeepWeights::Best, Some(best)) => self.store.take_best(index, best.kept_step)?,
            _ => trainer.weights()?,
        };
        let checkpoint =
            Checkpoint { state: TrainingState { stage: index + 1, step: 0, best: None }, parameters, moments: None };
        self.meter.enter(phase::CHECKPOINT);
        self.write(&checkpoint)?;
        Ok((checkpoint, steps_done))
    }

    /// Ends the run where the observer wants that; to be called once a checkpoint holds where it stands.
    fn stop_if_told(&mut self, step: usize, stage: &str) -> Result<(), Error> {
        if self.observer.stops() {
            Err(Error::Stopped { stage: stage.into(), step, resumable: self.store.is_on_disk() })
        } else {
            Ok(())
        }
    }

    /// Scores the student on the dev rows and keeps its weights if they are the best so far.
    fn evaluate(
        &mut self,
        trainer: &Trainer<'_>,
        stage: usize,
        step: usize,
        best: Option<Best>,
    ) -> Result<Option<Best>, Error> {
        let plan = self.plan;
        let (Some(truth), Some(data)) = (&self.truth, &plan.labeled) else { return Ok(best) };
        self.meter.enter(phase::EVALUATION);
        let (encoder, values) = trainer.student();
        let answers = evaluate::answers(&(encoder, &values), &plan.dev_texts, &data.dev, trainer.device(), |_| {})?;
        let score = truth.score(data.metrics[0], &answers, &Streams::new(plan.recipe.seed))?;
        // An undefined score, as of constant answers under a correlation, is the worst there is.
        let sign = if data.metrics[0].higher_is_better() { 1.0 } else { -1.0 };
        let better = score.value.map_or(f64::NEG_INFINITY, |value| sign * value);
        // A 95 % interval is four standard errors wide.
        let error = score.interval.map_or(0.0, |interval| (interval.high - interval.low) / 4.0);
        let (best, is_best) = Best::after(best, better, error, step);
        if is_best && plan.stages[stage].spec.keep == KeepWeights::Best {
            self.store.write_best(stage, step, trainer.weights()?)?;
        }
        self.tell(Event::Evaluated { stage, step, score, best: is_best })?;
        Ok(Some(best))
    }

    /// Scores the finished student, and its teacher on the same rows.
    fn scores(&mut self, weights: &Weights, teacher: Option<Teacher>) -> Result<Option<Scores>, Error> {
        let plan = self.plan;
        let (Some(truth), Some(data)) = (&self.truth, &plan.labeled) else { return Ok(None) };
        let streams = Streams::new(plan.recipe.seed);
        self.meter.enter(phase::EVALUATION);
        let device = device::open(plan.recipe.device)?;
        let encoder = Encoder::new(plan.student.config.clone());
        let mut parameters = Parameters::empty(&device);
        parameters.load(encoder.slots(), weights)?;
        let model = (&encoder, &parameters.values());
        let student = evaluate::answers(&model, &plan.dev_texts, &data.dev, &device, |_| {})?;
        let scores = |answers: &Answers| -> Result<Vec<Score>, Error> {
            data.metrics.iter().map(|&metric| truth.score(metric, answers, &streams)).collect()
        };
        let own = scores(&student)?;
        let answering = plan.teacher.as_ref().is_some_and(|planned| planned.answers(&data.train.target));
        let teacher = match teacher.filter(|_| answering) {
            None => None,
            Some(teacher) => {
                let texts = plan.teacher_dev_texts.as_ref().unwrap_or(&plan.dev_texts);
                let answers = evaluate::answers(&teacher, texts, &data.dev, &device, |_| {})?;
                let scores = scores(&answers)?;
                Some(TeacherScores {
                    retention: retention(&own, &scores),
                    scores,
                    difference: truth.difference(data.metrics[0], &student, &answers, &streams)?,
                    agreement: Agreement::of(&student, &answers),
                })
            }
        };
        Ok(Some(Scores { student: own, classes: truth.class_report(&student), teacher }))
    }

    fn write(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let TrainingState { stage, step, .. } = checkpoint.state;
        match self.store.write(checkpoint)? {
            Some(path) => self.tell(Event::Checkpoint { stage, step, path }),
            None => Ok(()),
        }
    }

    fn tell(&mut self, event: Event) -> Result<(), Error> {
        self.observer.event(&event);
        self.store.log(&event)
    }
}
