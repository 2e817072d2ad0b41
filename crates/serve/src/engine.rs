//! The thread that computes: it takes batches from the queue, runs them and sends each text its answer.
//!
//! It owns the weights, so that no lock is held while it computes. A bundle that was replaced stays until the last text
//! that was accepted for it is answered.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use attar_model::Pooling;
use attar_runtime::{Entity, Input, Session, Span, Tag};
use attar_text::tokenizer::Encoding;
use tokio::sync::oneshot;

use crate::batch::{BatchPolicy, Next, Queue};
use crate::bundle::Bundle;
use crate::connections::Client;
use crate::energy::Energy;
use crate::error::{ErrorType, Refusal};
use crate::metrics::Metrics;

/// What is computed of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Task {
    /// Vectors without so many tokens at the beginning of each text.
    Vectors(Pooling, usize),
    Logits,
    States,
    Tags,
    Answer,
}

/// What a task is computed of.
#[derive(Debug)]
pub(crate) enum Material {
    /// One sequence, or two that are compared.
    Sequences(Vec<Encoding>),
    Text(String),
    Question {
        question: String,
        context: String,
    },
}

/// What a task gives.
#[derive(Debug, Clone)]
pub(crate) enum TaskOutput {
    /// A vector, or logits.
    Numbers(Vec<f32>),
    /// A state of each token.
    Rows(Vec<Vec<f32>>),
    Tags(Vec<Tag>, Vec<Entity>),
    Span(Option<Span>),
}

impl TaskOutput {
    /// The numbers of an outcome that has some.
    pub(crate) fn numbers(self) -> Vec<f32> {
        match self {
            TaskOutput::Numbers(numbers) => numbers,
            TaskOutput::Rows(_) | TaskOutput::Tags(..) | TaskOutput::Span(_) => Vec::new(),
        }
    }
}

/// An outcome, and where its time went.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) outcome: TaskOutput,
    pub(crate) queue: Duration,
    pub(crate) inference: Duration,
}

/// A text that waits.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) bundle: Arc<Bundle>,
    pub(crate) client: Client,
    pub(crate) material: Material,
    pub(crate) tokens: usize,
    pub(crate) reply: oneshot::Sender<Result<Done, Refusal>>,
}

/// Jobs of the same key can be computed together.
type Key = (u64, Task);

/// The thread, as the rest of the server sees it.
#[derive(Debug)]
pub(crate) struct Engine {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<EngineState>,
    /// Signaled when jobs or bundles came, or the server is to end.
    changed: Condvar,
    start: Instant,
    metrics: Arc<Metrics>,
    is_healthy: AtomicBool,
}

#[derive(Debug)]
struct EngineState {
    queue: Queue<Key, Job>,
    /// Bundles that the thread does not have yet.
    loaded: Vec<(Weak<Bundle>, Session)>,
    /// Whether texts no longer wait for others.
    skips_waiting: bool,
    is_closing: bool,
}

/// The weights of a bundle, and whoever still needs them.
struct Loaded {
    bundle: Weak<Bundle>,
    session: Session,
}

impl Engine {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(crate) fn start(policy: BatchPolicy, metrics: Arc<Metrics>, energy: Energy) -> std::io::Result<Engine> {
        let state =
            EngineState { queue: Queue::new(policy), loaded: Vec::new(), skips_waiting: false, is_closing: false };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            start: Instant::now(),
            metrics,
            is_healthy: AtomicBool::new(true),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("compute".into()).spawn(move || of_thread.run(energy))?;
        Ok(Engine { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Gives the thread a bundle's weights. It drops them when nobody holds the bundle anymore.
    pub(crate) fn install(&self, bundle: &Arc<Bundle>, session: Session) {
        self.shared.state().loaded.push((Arc::downgrade(bundle), session));
        self.shared.changed.notify_one();
    }

    /// Accepts all the texts of a request, or none. Where the queue is full, texts of clients that send no more make room for
    /// those of others.
    ///
    /// # Errors
    /// Overloaded if the queue is full, unhealthy if the thread is no more.
    pub(crate) fn accept(&self, task: Task, jobs: Vec<Job>) -> Result<(), Refusal> {
        let Some(bundle) = jobs.first().map(|job| job.bundle.id) else { return Ok(()) };
        if !self.is_healthy() {
            return Err(Refusal::new(ErrorType::Unhealthy, "the thread that computes has failed: restart the server"));
        }
        let texts: Vec<_> = jobs.into_iter().map(|job| (job.tokens, job)).collect();
        let is_low_priority = |job: &Job| job.client.has_half_closed();
        let mut state = self.shared.state();
        let removed = match texts.first() {
            Some((_, job)) if !is_low_priority(job) => state.queue.evict_low_priority(texts.len(), is_low_priority),
            _ => Vec::new(),
        };
        let offered = state.queue.offer(self.shared.start.elapsed(), &(bundle, task), texts);
        let waiting = state.queue.len();
        drop(state);
        let said = "the queue is full, and a request whose client has closed its sending side is dropped first: keep that side open, or try again later";
        refuse(removed, &Refusal::new(ErrorType::Overloaded, said));
        self.shared.metrics.record_queue(waiting);
        self.shared.changed.notify_one();
        offered.map_err(|_| {
            let said = format!("{waiting} texts wait already: come back later, or send fewer at a time");
            Refusal::new(ErrorType::Overloaded, said)
        })
    }

    /// Whether texts are computed.
    pub(crate) fn is_healthy(&self) -> bool {
        self.shared.is_healthy.load(Ordering::Relaxed)
    }

    /// From now on texts wait for no others.
    pub(crate) fn skip_waiting(&self) {
        self.shared.state().skips_waiting = true;
        self.shared.changed.notify_one();
    }

    /// Computes what was accepted and ends.
    pub(crate) fn finish(&self) {
        self.shared.state().is_closing = true;
        self.shared.changed.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It has caught its panics.
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, EngineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut energy: Energy) {
        let mut sessions: BTreeMap<u64, Loaded> = BTreeMap::new();
        while let Some(((id, task), batch)) = self.next(&mut sessions, &mut energy) {
            let Some(Loaded { session, .. }) = sessions.get_mut(&id) else {
                // Its weights were dropped by a failure.
                refuse(
                    batch.into_iter().map(|(job, _)| job),
                    &Refusal::new(ErrorType::Unhealthy, "the bundle has failed: restart the server"),
                );
                continue;
            };
            let Some(name) = batch.first().map(|(job, _)| job.bundle.name.clone()) else { continue };
            let tokens = batch.iter().map(|(job, _)| job.tokens).sum();
            self.metrics.record_batch(&name, batch.len(), tokens);
            energy.computes(&name);
            let begin = Instant::now();
            let outcomes = catch_unwind(AssertUnwindSafe(|| compute_all(session, task, &batch)));
            let inference = begin.elapsed();
            energy.waits();
            // Also where texts never stop coming.
            sessions.retain(|_, loaded| loaded.bundle.strong_count() > 0);
            match outcomes {
                Ok(outcomes) => {
                    for ((job, queue), outcome) in batch.into_iter().zip(outcomes) {
                        // Whoever asked may have left meanwhile.
                        let _ = job.reply.send(outcome.map(|outcome| Done { outcome, queue, inference }));
                    }
                }
                Err(_) => {
                    self.is_healthy.store(false, Ordering::Relaxed);
                    sessions.remove(&id);
                    let said = "the computation failed: restart the server";
                    refuse(batch.into_iter().map(|(job, _)| job), &Refusal::new(ErrorType::Unhealthy, said));
                }
            }
        }
        energy.finish();
    }

    /// Waits for a batch; none at the end.
    fn next(&self, sessions: &mut BTreeMap<u64, Loaded>, energy: &mut Energy) -> Option<(Key, Vec<(Job, Duration)>)> {
        let mut state = self.state();
        loop {
            for (bundle, session) in std::mem::take(&mut state.loaded) {
                if let Some(held) = bundle.upgrade() {
                    sessions.insert(held.id, Loaded { bundle, session });
                }
            }
            state.queue.keep(|job| !job.reply.is_closed());
            let is_closing = state.is_closing;
            let skips_waiting = is_closing || state.skips_waiting;
            let next = state.queue.next(self.start.elapsed(), skips_waiting, |job| job.client.has_half_closed());
            self.metrics.record_queue(state.queue.len());
            let patience = match next {
                Next::Batch(key, batch) => return Some((key, batch)),
                Next::Empty if is_closing => return None,
                Next::Wait(time) => time.min(energy.interval()),
                Next::Empty => energy.interval(),
            };
            let (woken, _) = self.changed.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
            drop(woken);
            // Without the lock: dropping weights and reading meters take their time.
            sessions.retain(|_, loaded| loaded.bundle.strong_count() > 0);
            energy.tick();
            state = self.state();
        }
    }
}

fn refuse(jobs: impl IntoIterator<Item = Job>, refusal: &Refusal) {
    for job in jobs {
        let _ = job.reply.send(Err(refusal.clone()));
    }
}

/// Computes a batch; if that fails, each text alone, so that one does not spoil the others' answers.
fn compute_all(session: &mut Session, task: Task, batch: &[(Job, Duration)]) -> Vec<Result<TaskOutput, Refusal>> {
    let materials: Vec<&Material> = batch.iter().map(|(job, _)| &job.material).collect();
    match compute(session, task, &materials) {
        Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
        Err(error) if batch.len() == 1 => vec![Err(error.into())],
        Err(_) => {
            let alone = |material: &&Material| {
                let outcome = compute(session, task, std::slice::from_ref(material))?.pop();
                outcome.ok_or_else(|| Refusal::new(ErrorType::Backend, "the computation gave no answer"))
            };
            materials.iter().map(alone).collect()
        }
    }
}

fn compute(
    session: &mut Session,
    task: Task,
    materials: &[&Material],
) -> Result<Vec<TaskOutput>, attar_runtime::Error> {
    match task {
        Task::Vectors(pooling, skipped) => {
            numbers(session, materials, |session, input| session.vectors_of(input, pooling, skipped))
        }
        Task::Logits => numbers(session, materials, Session::logits_of),
        Task::States => states(session, materials),
        Task::Tags => {
            let texts: Vec<&str> = materials.iter().map(|material| text(material)).collect();
            let all = session.tag(&texts, |_| ())?;
            Ok(all
                .into_iter()
                .map(|tags| {
                    let entities = session.entities(&tags);
                    TaskOutput::Tags(tags, entities)
                })
                .collect())
        }
        Task::Answer => {
            let questions: Vec<(&str, &str)> = materials.iter().map(|material| question(material)).collect();
            Ok(session.answer(&questions, |_| ())?.into_iter().map(TaskOutput::Span).collect())
        }
    }
}

/// The sequences of all materials one after the other, the longest first as threads like them, and where the answer of
/// each material is among the answers.
struct Sequences {
    ids: Vec<u32>,
    types: Vec<u32>,
    lengths: Vec<u32>,
    order: Vec<usize>,
}

impl Sequences {
    fn of(materials: &[&Material]) -> Sequences {
        let sequences = |material: &Material| match material {
            Material::Sequences(sequences) => sequences.iter().map(Encoding::len).sum(),
            Material::Text(_) | Material::Question { .. } => 0_usize,
        };
        let mut order: Vec<usize> = (0..materials.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(sequences(materials[index])));
        let (mut ids, mut types, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for &index in &order {
            let Material::Sequences(sequences) = materials[index] else { continue };
            for encoding in sequences {
                ids.extend_from_slice(&encoding.ids);
                types.extend_from_slice(&encoding.types);
                lengths.push(encoding.len() as u32);
            }
        }
        Sequences { ids, types, lengths, order }
    }

    fn input(&self) -> Result<Input<'_>, attar_runtime::Error> {
        Ok(Input::new(&self.ids, &self.types, &self.lengths)?)
    }
}

fn numbers(
    session: &mut Session,
    materials: &[&Material],
    compute: impl FnOnce(&mut Session, Input<'_>) -> Result<Vec<Vec<f32>>, attar_runtime::Error>,
) -> Result<Vec<TaskOutput>, attar_runtime::Error> {
    let sequences = Sequences::of(materials);
    let computed = compute(session, sequences.input()?)?;
    let mut outcomes = vec![TaskOutput::Span(None); materials.len()];
    for (&index, numbers) in sequences.order.iter().zip(computed) {
        outcomes[index] = TaskOutput::Numbers(numbers);
    }
    Ok(outcomes)
}

fn states(session: &mut Session, materials: &[&Material]) -> Result<Vec<TaskOutput>, attar_runtime::Error> {
    let sequences = Sequences::of(materials);
    let mut rows = session.states_of(sequences.input()?)?.into_iter();
    let mut outcomes = vec![TaskOutput::Span(None); materials.len()];
    for (&index, &length) in sequences.order.iter().zip(&sequences.lengths) {
        outcomes[index] = TaskOutput::Rows(rows.by_ref().take(length as usize).collect());
    }
    Ok(outcomes)
}

fn text(material: &Material) -> &str {
    match material {
        Material::Text(text) => text,
        Material::Sequences(_) | Material::Question { .. } => "",
    }
}

fn question(material: &Material) -> (&str, &str) {
    match material {
        Material::Question { question, context } => (question, context),
        Material::Sequences(_) | Material::Text(_) => ("", ""),
    }
}
