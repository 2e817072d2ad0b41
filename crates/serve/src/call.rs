//! A request on its way: what it was given, what it costs, and how its inputs get computed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use attar_runtime::confidence;
use attar_text::tokenizer::Encoding;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::oneshot;

use crate::bundle::Bundle;
use crate::cascade::{self, ActiveCascade, AuditCounts, Cascade, Terms};
use crate::connections::Client;
use crate::encode::{Source, Truncation, encode};
use crate::engine::{Job, Material, Task, TaskOutput};
use crate::error::{ErrorType, Refusal};
use crate::event::Event;
use crate::metrics::Timing;
use crate::server::Server;

/// Texts of more bytes are tokenized beside the thread that talks to clients.
const LONG: usize = 16 * 1024;

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Call {
    server: Arc<Server>,
    pub(crate) bundle: Arc<Bundle>,
    client: Client,
    begin: Instant,
    is_batch: Option<bool>,
    pub(crate) inputs: usize,
    characters: usize,
    pub(crate) tokens: usize,
    tokenization: Duration,
    queue: Duration,
    inference: Duration,
    /// Whether a client sent its inputs; a teacher's are those of its student again, and count once.
    is_of_client: bool,
}

impl Call {
    pub(crate) fn new(server: Arc<Server>, bundle: Arc<Bundle>, client: Client, begin: Instant) -> Call {
        let zero = Duration::ZERO;
        let (is_batch, inputs, characters, tokens) = (None, 0, 0, 0);
        let (tokenization, queue, inference, is_of_client) = (zero, zero, zero, true);
        Call {
            server,
            bundle,
            client,
            begin,
            is_batch,
            inputs,
            characters,
            tokens,
            tokenization,
            queue,
            inference,
            is_of_client,
        }
    }

    /// A call of a cascade's teacher about inputs that its student has computed.
    fn of_teacher(server: &Arc<Server>, active: &ActiveCascade, client: Client, begin: Instant) -> Call {
        Call { is_of_client: false, ..Call::new(Arc::clone(server), Arc::clone(&active.teacher), client, begin) }
    }

    /// Counts the request, and refuses it if it has no inputs or more than one may have.
    pub(crate) fn begin(&mut self, inputs: usize, is_batch: bool) -> Result<(), Refusal> {
        self.is_batch = Some(is_batch);
        self.inputs = inputs;
        self.server.metrics.record_request(is_batch);
        let most = self.server.limits.max_inputs;
        match inputs {
            0 => Err(Refusal::new(ErrorType::Empty, "`inputs` cannot be empty")),
            _ if inputs > most => {
                let said = format!("batch size {inputs} > maximum allowed batch size {most}: send fewer at a time");
                Err(Refusal::new(ErrorType::Validation, said))
            }
            _ => Ok(()),
        }
    }

    /// What is done with long texts, where the request says this or nothing.
    pub(crate) fn truncation(&self, truncate: Option<bool>) -> Truncation {
        Truncation { truncates: truncate.unwrap_or(self.server.auto_truncate), direction: Default::default() }
    }

    /// Tokenizes and computes, and counts inputs and results.
    pub(crate) async fn compute(
        &mut self,
        task: Task,
        sources: Vec<Source>,
        truncation: Truncation,
    ) -> Result<Vec<TaskOutput>, Refusal> {
        self.record_inputs(task, sources.len());
        let (outcomes, timings): (Vec<_>, Vec<_>) =
            self.compute_uncounted(task, sources, truncation).await?.into_iter().unzip();
        self.record_results(task, &timings);
        Ok(outcomes)
    }

    /// Tokenizes and computes, without counting; returns each input's outcome and timing.
    async fn compute_uncounted(
        &mut self,
        task: Task,
        sources: Vec<Source>,
        truncation: Truncation,
    ) -> Result<Vec<(TaskOutput, Timing)>, Refusal> {
        let encodings = self.encode(sources, truncation).await?;
        let material = |encodings: Vec<Encoding>| {
            let tokens = encodings.iter().map(Encoding::len).sum();
            (Material::Sequences(encodings), tokens)
        };
        self.run(task, encodings.into_iter().map(material).collect()).await
    }

    fn record_inputs(&self, task: Task, count: usize) {
        if let Some(inputs) = self.server.metrics.inputs().of(task) {
            inputs.record_inputs(count);
        }
    }

    fn record_results(&self, task: Task, timings: &[Timing]) {
        if let Some(inputs) = self.server.metrics.inputs().of(task) {
            timings.iter().for_each(|&timing| inputs.record_success(timing));
        }
    }

    /// Logits of each input, by the bundle that was asked; where it is the student of a cascade and not sure, by its
    /// teacher, in the order of the student's labels.
    pub(crate) async fn logits(
        &mut self,
        sources: Vec<Source>,
        truncation: Truncation,
    ) -> Result<Vec<Vec<f32>>, Refusal> {
        let server = Arc::clone(&self.server);
        let student = Arc::clone(&self.bundle);
        let Some(active) = student.cascade.get() else {
            let outcomes = self.compute(Task::Logits, sources, truncation).await?;
            return Ok(outcomes.into_iter().map(TaskOutput::numbers).collect());
        };
        let target = student.target()?;
        self.record_inputs(Task::Logits, sources.len());
        let own = self.compute_uncounted(Task::Logits, sources.clone(), truncation).await?;
        let (mut logits, mut timings): (Vec<Vec<f32>>, Vec<Timing>) =
            own.into_iter().map(|(outcome, timing)| (outcome.numbers(), timing)).unzip();
        let threshold = active.config.terms.threshold;
        let is_sure: Vec<bool> =
            logits.iter().map(|row| confidence(target, row).is_some_and(|sure| sure >= threshold)).collect();
        let unsure: Vec<usize> = (0..logits.len()).filter(|&input| !is_sure[input]).collect();
        if !unsure.is_empty() {
            let again = unsure.iter().map(|&input| sources[input].clone()).collect();
            let mut call = Call::of_teacher(&server, active, self.client.clone(), self.begin);
            let theirs = call.teacher_logits(active, again, truncation).await?;
            for (&input, (row, timing)) in unsure.iter().zip(theirs) {
                logits[input] = row;
                timings[input] = timings[input].plus(timing);
            }
            self.tokenization += call.tokenization;
            // Means over the inputs of this request.
            self.queue += call.queue * unsure.len() as u32 / logits.len() as u32;
            self.inference += call.inference * unsure.len() as u32 / logits.len() as u32;
        }
        // Only now are there answers to count.
        self.record_results(Task::Logits, &timings);
        server.metrics.record_cascade(&student.name, &student.name, logits.len() - unsure.len());
        server.metrics.record_cascade(&student.name, &active.teacher.name, unsure.len());
        let audited: Vec<(Source, Vec<f32>)> = sources
            .into_iter()
            .zip(&logits)
            .zip(is_sure)
            .filter(|(_, is_sure)| *is_sure && active.is_audited())
            .map(|((source, row), _)| (source, row.clone()))
            .collect();
        if !audited.is_empty() {
            tokio::spawn(audit(server, Arc::clone(&student), audited, truncation));
        }
        Ok(logits)
    }

    /// A teacher's logits of each input, in the order of the student's labels, with the time of each.
    async fn teacher_logits(
        &mut self,
        active: &ActiveCascade,
        sources: Vec<Source>,
        truncation: Truncation,
    ) -> Result<Vec<(Vec<f32>, Timing)>, Refusal> {
        let computed = self.compute_uncounted(Task::Logits, sources, truncation).await?;
        let ordered = |(outcome, timing): (TaskOutput, Timing)| {
            let row = outcome.numbers();
            (active.teacher_index.iter().map(|&index| row[index]).collect(), timing)
        };
        Ok(computed.into_iter().map(ordered).collect())
    }

    /// The sequences of each input.
    pub(crate) async fn encode(
        &mut self,
        sources: Vec<Source>,
        truncation: Truncation,
    ) -> Result<Vec<Vec<Encoding>>, Refusal> {
        let begin = Instant::now();
        self.characters += sources.iter().map(Source::characters).sum::<usize>();
        let bundle = Arc::clone(&self.bundle);
        let is_long = sources.iter().map(Source::bytes).sum::<usize>() > LONG;
        let encoded = aside(is_long, move || {
            sources.iter().map(|source| encode(&bundle, source, truncation)).collect::<Result<Vec<_>, _>>()
        });
        let encodings = encoded.await??;
        for encodings in &encodings {
            let tokens = encodings.iter().map(Encoding::len).sum();
            if self.is_of_client {
                self.server.metrics.record_input(tokens);
            }
            self.tokens += tokens;
        }
        self.tokenization += begin.elapsed();
        Ok(encodings)
    }

    /// The tokens of texts that are computed as they are, however long.
    pub(crate) async fn count(&mut self, texts: Vec<(String, Option<String>)>) -> Result<Vec<usize>, Refusal> {
        let begin = Instant::now();
        let bytes = |(text, pair): &(String, Option<String>)| text.len() + pair.as_ref().map_or(0, String::len);
        let is_long = texts.iter().map(bytes).sum::<usize>() > LONG;
        self.characters += texts
            .iter()
            .flat_map(|(text, pair)| [Some(text), pair.as_ref()])
            .flatten()
            .map(|text| text.chars().count())
            .sum::<usize>();
        let tokenizer = Arc::clone(&self.bundle.tokenizer);
        let counted = aside(is_long, move || {
            let count = |(text, pair): &(String, Option<String>)| {
                let encoding = tokenizer.encode(text, pair.as_deref(), attar_text::tokenizer::Limit::unlimited());
                encoding.map(|encoding| encoding.len()).map_err(|e| Refusal::new(ErrorType::Tokenizer, e.to_string()))
            };
            texts.iter().map(count).collect::<Result<Vec<usize>, _>>()
        });
        let counts = counted.await??;
        for &tokens in &counts {
            self.server.metrics.record_input(tokens);
            self.tokens += tokens;
        }
        self.tokenization += begin.elapsed();
        Ok(counts)
    }

    /// Computes materials, each given with its token count, and waits for all; returns each one's outcome and timing.
    pub(crate) async fn run(
        &mut self,
        task: Task,
        materials: Vec<(Material, usize)>,
    ) -> Result<Vec<(TaskOutput, Timing)>, Refusal> {
        let count = materials.len() as u32;
        let (begin, tokenization) = (Instant::now(), self.tokenization / count.max(1));
        let (jobs, answers): (Vec<Job>, Vec<_>) = materials
            .into_iter()
            .map(|(material, tokens)| {
                let (reply, answer) = oneshot::channel();
                let (bundle, client) = (Arc::clone(&self.bundle), self.client.clone());
                (Job { bundle, client, material, tokens, reply }, answer)
            })
            .unzip();
        let server = Arc::clone(&self.server);
        server.engine.accept(task, jobs)?;
        let deadline = self.begin + server.limits.timeout;
        let mut outcomes = Vec::with_capacity(answers.len());
        for answer in answers {
            let answered = tokio::time::timeout_at(deadline.into(), answer).await.map_err(|_| {
                let said = format!("no answer within {:?}: the server is busy, come back later", server.limits.timeout);
                Refusal::new(ErrorType::Timeout, said)
            })?;
            let lost = |_| Refusal::new(ErrorType::Unhealthy, "the computation was lost: restart the server");
            let done = answered.map_err(lost)??;
            self.queue += done.queue / count;
            self.inference += done.inference / count;
            let total = tokenization + begin.elapsed();
            let timing = Timing { total, tokenization, queue: done.queue, inference: done.inference };
            outcomes.push((done.outcome, timing));
        }
        Ok(outcomes)
    }

    /// Counts an answer.
    pub(crate) fn answered(&self) {
        if let Some(is_batch) = self.is_batch {
            self.server.metrics.record_success(is_batch, self.timing());
        }
    }

    pub(crate) fn timing(&self) -> Timing {
        let Call { tokenization, queue, inference, .. } = *self;
        Timing { total: self.begin.elapsed(), tokenization, queue, inference }
    }

    /// Characters, tokens and times, as text-embeddings-inference sends them; `server-timing` says the times with their
    /// fractions.
    pub(crate) fn headers(&self) -> HeaderMap {
        let Timing { total, tokenization, queue, inference } = self.timing();
        let mut headers = HeaderMap::new();
        let mut insert = |name: &'static str, number: u128| {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(u64::try_from(number).unwrap_or(u64::MAX)));
        };
        insert("x-compute-time", total.as_millis());
        insert("x-compute-characters", self.characters as u128);
        insert("x-compute-tokens", self.tokens as u128);
        insert("x-total-time", total.as_millis());
        insert("x-tokenization-time", tokenization.as_millis());
        insert("x-queue-time", queue.as_millis());
        insert("x-inference-time", inference.as_millis());
        headers.insert("x-compute-type", HeaderValue::from_static("cpu"));
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let timing = format!(
            "tokenization;dur={:.3}, queue;dur={:.3}, inference;dur={:.3}, total;dur={:.3}",
            ms(tokenization),
            ms(queue),
            ms(inference),
            ms(total)
        );
        if let Ok(timing) = HeaderValue::from_str(&timing) {
            headers.insert("server-timing", timing);
        }
        headers
    }
}

/// Runs something here, or on another thread if it takes long.
async fn aside<T: Send + 'static>(is_long: bool, run: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    if !is_long {
        return Ok(run());
    }
    let lost = |_| Refusal::new(ErrorType::Unhealthy, "tokenizing failed: this is a fault of the server");
    tokio::task::spawn_blocking(run).await.map_err(lost)
}

/// Asks a cascade's teacher for what its student has answered alone, beside the request that was answered, and counts how often
/// they agree. Where the teacher has no room for it, nothing is counted.
async fn audit(server: Arc<Server>, student: Arc<Bundle>, answered: Vec<(Source, Vec<f32>)>, truncation: Truncation) {
    let Some(active) = student.cascade.get() else { return };
    let Ok(target) = student.target() else { return };
    let (sources, own): (Vec<Source>, Vec<Vec<f32>>) = answered.into_iter().unzip();
    let mut call = Call::of_teacher(&server, active, Client::default(), Instant::now());
    let Ok(theirs) = call.teacher_logits(active, sources, truncation).await else { return };
    for (own, (row, _)) in own.iter().zip(theirs) {
        let agrees = cascade::same_answer(target, own, &row);
        server.metrics.record_audit(&student.name, agrees);
        if let Some(AuditCounts { audits, agreed }) = active.record_audit(agrees) {
            let Cascade { student, teacher, terms: Terms { min_agreement, .. }, .. } = active.config.clone();
            (server.on_event)(&Event::Drift { student, teacher, audits, agreed, min_agreement });
        }
    }
}
