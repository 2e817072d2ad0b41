//! The forward pass: packed weights, no padding, rows or sequences split among threads.
//!
//! Rows are tokens. Everything but attention works row by row, and attention needs only the keys and values of its own
//! sequence. So a batch is split in one of two ways. Many sequences are distributed whole, each thread processing its
//! share in groups that fit into its cache. Few sequences are processed by all threads together, each with its share
//! of the rows, synchronizing twice per layer. A row's result is bitwise identical either way.

use std::sync::Arc;
use std::time::Instant;

use attar_kernels::{Cpu, Pinning, Team};
use attar_model::{EncoderConfig, first_not_finite};

use crate::batch::Input;
use crate::error::Error;
use crate::head::{apply_head, pooler_outputs};
use crate::layer::{attend_and_feed_forward, embed, project_qkv};
use crate::model::{PackedHead, PackedModel};
use crate::output::Output;
use crate::partition::{group_size, rows_of_threads, sequences_per_thread};
use crate::rows::{copy_rows, strides, take_front};
use crate::scratch::ThreadBuffers;
use crate::thread_count::{ThreadCount, work_of_layer};
use crate::trace::TraceBuffers;

/// Rows that a thread processes at a time through all layers: enough to amortize reading the weights, few enough to stay
/// in its cache.
const GROUP_ROWS: usize = 128;
/// With fewer sequences than this for each thread, threads share sequences.
const MIN_SEQUENCES_PER_THREAD: usize = 8;

/// An encoder that is ready to run, with its threads and its memory.
///
/// Weights are shared: [`Encoder::share`] makes another encoder with the same ones.
#[derive(Debug)]
pub struct Encoder {
    model: Arc<PackedModel>,
    team: Team,
    /// One for each thread.
    buffers: Vec<ThreadBuffers>,
    /// How many of the threads share sequences.
    sharing: ThreadCount,
}

impl Encoder {
    pub(crate) fn new(model: Arc<PackedModel>, threads: usize, pinning: &Pinning) -> Encoder {
        let team = Team::new(threads, pinning);
        let buffers = (0..team.threads()).map(|_| ThreadBuffers::default()).collect();
        let sharing = ThreadCount::new(team.threads());
        Encoder { model, team, buffers, sharing }
    }

    /// Another encoder with the same weights and threads of its own.
    pub fn share(&self, threads: usize, pinning: &Pinning) -> Encoder {
        Encoder::new(Arc::clone(&self.model), threads, pinning)
    }

    /// The configuration.
    pub fn config(&self) -> &EncoderConfig {
        &self.model.config
    }

    /// The instruction set in use.
    pub fn cpu(&self) -> Cpu {
        self.model.cpu
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// The threads, for other work than the forward pass.
    pub(crate) fn team(&mut self) -> &mut Team {
        &mut self.team
    }

    /// Bytes of the packed weights.
    pub fn weight_bytes(&self) -> usize {
        self.model.bytes()
    }

    /// Columns of an output.
    ///
    /// # Errors
    /// [`Error::Missing`] if the model has no head and logits are requested.
    pub fn width(&self, output: Output) -> Result<usize, Error> {
        match (output, &self.model.head) {
            (Output::Hidden | Output::Vectors(_) | Output::VectorsAfter(..), _) => Ok(self.model.config.hidden),
            (
                Output::Logits,
                PackedHead::Classification(matrix) | PackedHead::Mean(matrix) | PackedHead::Tokens(matrix),
            ) => Ok(matrix.outputs()),
            (Output::Logits, PackedHead::MaskedLm(head)) => Ok(head.decoder.outputs()),
            (Output::Logits, PackedHead::None) => {
                Err(Error::Missing { what: "head", way_out: "fine-tune it first, or ask for vectors" })
            }
            (Output::Logits, PackedHead::Cosine { .. }) => Err(Error::Missing {
                what: "head over one sequence, as it compares two",
                way_out: "ask for vectors and compare them as `Encoder::cosine` says",
            }),
        }
    }

    /// Scale and offset of the score of a pair, `scale · cos + offset` of the mean vectors of its texts, if that is what
    /// the head computes.
    pub fn cosine(&self) -> Option<[f32; 2]> {
        match self.model.head {
            PackedHead::Cosine { scale, offset } => Some([scale, offset]),
            _ => None,
        }
    }

    /// Rows of an output: one for each sequence, or one for each token.
    pub fn rows(&self, output: Output, input: Input<'_>) -> usize {
        output.rows(&self.model, input)
    }

    /// Computes one output of a batch into `out` `[rows, width]`.
    ///
    /// # Errors
    /// [`Error::Input`] if the model cannot take the batch, [`Error::Missing`] as [`Encoder::width`],
    /// [`Error::Overflow`] if a result is infinite or not a number.
    ///
    /// # Panics
    /// If the length of `out` is not [`Encoder::rows`] times [`Encoder::width`].
    #[track_caller]
    pub fn forward(&mut self, input: Input<'_>, output: Output, out: &mut [f32]) -> Result<(), Error> {
        let width = self.width(output)?;
        assert_eq!(out.len(), self.rows(output, input) * width, "length of the output");
        input.check(&self.model.config)?;
        let threads = self.team.threads();
        if threads > 1 && input.sequences() < MIN_SEQUENCES_PER_THREAD * threads {
            let (start, waited) = (Instant::now(), self.team.waited());
            let work = work_of_layer(&self.model, input);
            let threads = self.sharing.choose(work);
            self.forward_split_rows(input, output, out, width, threads);
            let waited = self.team.waited().saturating_sub(waited);
            self.sharing.learn(work, threads, start.elapsed().saturating_sub(waited), waited);
        } else {
            self.forward_per_sequence(input, output, out, width);
        }
        match first_not_finite(out) {
            None => Ok(()),
            Some(index) => Err(Error::Overflow { row: index / width.max(1) }),
        }
    }

    /// Runs a batch and fills the given `buffers`.
    ///
    /// # Errors
    /// [`Error::Input`] if the model cannot take the batch, [`Error::Overflow`] if a last hidden state or a logit is
    /// infinite or not a number.
    ///
    /// # Panics
    /// If a buffer has another length than its documentation says.
    #[track_caller]
    pub fn trace(&mut self, input: Input<'_>, buffers: TraceBuffers<'_>) -> Result<(), Error> {
        input.check(&self.model.config)?;
        buffers.check(&self.model.config, self.width(Output::Logits).unwrap_or(0), input);
        let model = &*self.model;
        let mut rest = (input, buffers);
        let mut parts = Vec::new();
        let counts = sequences_per_thread(model, input, self.team.threads());
        for (thread, sequences) in self.buffers.iter_mut().zip(counts) {
            let (mine, others) = rest.0.split(sequences);
            let (to, after) = rest.1.split(model, mine);
            let first = input.sequences() - rest.0.sequences();
            parts.push((thread, mine, Some(to), first, None));
            rest = (others, after);
        }
        self.team.run(&mut parts, |_, (thread, input, to, first, bad)| {
            if let Some(to) = to.take() {
                *bad = trace_sequences(model, thread, *input, to).map(|sequence| *first + sequence);
            }
        });
        match parts.iter().find_map(|(.., bad)| *bad) {
            None => Ok(()),
            Some(row) => Err(Error::Overflow { row }),
        }
    }

    /// Many sequences, each computed by one thread.
    fn forward_per_sequence(&mut self, input: Input<'_>, output: Output, out: &mut [f32], width: usize) {
        let model = &*self.model;
        let threads = self.team.threads();
        let mut parts = Vec::with_capacity(threads);
        let (mut rest, mut out) = (input, out);
        for (thread, sequences) in self.buffers.iter_mut().zip(sequences_per_thread(model, input, threads)) {
            let (mine, others) = rest.split(sequences);
            rest = others;
            parts.push((thread, mine, take_front(&mut out, output.rows(model, mine) * width)));
        }
        self.team.run(&mut parts, |_, (thread, input, out)| {
            forward_sequences(model, thread, *input, output, out, width);
        });
    }

    /// Few sequences, whose rows are split among some threads.
    ///
    /// A layer has two steps with a barrier after each: first each thread writes the queries, keys and values of its
    /// rows, then it reads those of whole sequences to compute the layer's output for its rows.
    fn forward_split_rows(&mut self, input: Input<'_>, output: Output, out: &mut [f32], width: usize, threads: usize) {
        let model = Arc::clone(&self.model);
        let [h, h3] = strides(&model);
        let (mut rest, mut out) = (input, out);
        let mut x = std::mem::take(&mut self.buffers[0].x);
        let mut qkv = std::mem::take(&mut self.buffers[0].qkv);
        while rest.sequences() > 0 {
            let (group, others) = rest.split(group_size(rest, GROUP_ROWS * threads));
            rest = others;
            x.reserve(group.tokens() * h);
            qkv.reserve(group.tokens() * h3);
            // The first projection follows the embeddings of the same rows without a barrier.
            self.embed_and_project_rows(threads, group, &mut x, &mut qkv);
            for index in 0..model.layers.len() {
                if index > 0 {
                    self.project_rows(threads, index, group, &x, &mut qkv);
                }
                self.attend_rows(threads, index, group, &qkv, &mut x);
            }
            let to = take_front(&mut out, output.rows(&model, group) * width);
            apply_head(&model, group, output, &mut x, &mut self.buffers[0].scratch, to, width);
        }
        (self.buffers[0].x, self.buffers[0].qkv) = (x, qkv);
    }

    /// Each thread embeds its rows, and writes their queries, keys and values of the first layer.
    fn embed_and_project_rows(&mut self, threads: usize, group: Input<'_>, x: &mut [f32], qkv: &mut [f32]) {
        let model = &*self.model;
        let [h, h3] = strides(model);
        let (mut x, mut qkv) = (x, qkv);
        let mut parts = Vec::with_capacity(threads);
        for (rows, thread) in rows_of_threads(group.tokens(), threads).zip(&mut self.buffers) {
            let (mine, count) = (take_front(&mut x, rows.len() * h), rows.len());
            parts.push((rows, mine, take_front(&mut qkv, count * h3), &mut thread.scratch));
        }
        self.team.run(&mut parts, |_, (rows, x, qkv, scratch)| {
            embed(model, group, rows.clone(), x, scratch);
            if !model.layers.is_empty() {
                project_qkv(model, 0, rows.len(), x, qkv, scratch);
            }
        });
    }

    /// Each thread writes the queries, keys and values of its rows.
    fn project_rows(&mut self, threads: usize, index: usize, group: Input<'_>, x: &[f32], qkv: &mut [f32]) {
        let model = &*self.model;
        let [h, h3] = strides(model);
        let mut qkv = qkv;
        let mut parts = Vec::with_capacity(threads);
        for (rows, thread) in rows_of_threads(group.tokens(), threads).zip(&mut self.buffers) {
            let to = take_front(&mut qkv, rows.len() * h3);
            parts.push((rows, to, &thread.scratch));
        }
        self.team.run(&mut parts, |_, (rows, qkv, scratch)| {
            project_qkv(model, index, rows.len(), &x[rows.start * h..], qkv, scratch);
        });
    }

    /// Each thread computes attention and feed-forward of its rows.
    fn attend_rows(&mut self, threads: usize, index: usize, group: Input<'_>, qkv: &[f32], x: &mut [f32]) {
        let model = &*self.model;
        let [h, _] = strides(model);
        let mut x = x;
        let mut parts = Vec::with_capacity(threads);
        for (rows, thread) in rows_of_threads(group.tokens(), threads).zip(&mut self.buffers) {
            let mine = take_front(&mut x, rows.len() * h);
            parts.push((rows, mine, &mut thread.scratch));
        }
        self.team.run(&mut parts, |_, (rows, x, scratch)| {
            attend_and_feed_forward(model, index, group, rows.clone(), qkv, x, scratch, None);
        });
    }
}

/// All sequences of a thread, group after group.
fn forward_sequences(
    model: &PackedModel,
    thread: &mut ThreadBuffers,
    input: Input<'_>,
    output: Output,
    out: &mut [f32],
    width: usize,
) {
    let (mut rest, mut out) = (input, out);
    while rest.sequences() > 0 {
        let (group, others) = rest.split(group_size(rest, GROUP_ROWS));
        rest = others;
        run_layers(model, thread, group, None);
        let to = take_front(&mut out, output.rows(model, group) * width);
        apply_head(model, group, output, &mut thread.x, &mut thread.scratch, to, width);
    }
}

/// As [`forward_sequences`], filling the buffers of a trace. Returns a sequence near the first of which the last hidden
/// state or a logit is infinite or not a number.
fn trace_sequences(
    model: &PackedModel,
    thread: &mut ThreadBuffers,
    input: Input<'_>,
    buffers: TraceBuffers<'_>,
) -> Option<usize> {
    let (mut rest, mut buffers) = (input, buffers);
    let mut bad = None;
    let [stride, _] = strides(model);
    while rest.sequences() > 0 {
        let (group, others) = rest.split(group_size(rest, GROUP_ROWS));
        rest = others;
        let (mut to, after) = buffers.split(model, group);
        buffers = after;
        let first = input.sequences() - rest.sequences() - group.sequences();
        run_layers(model, thread, group, Some(&mut to));
        let states = thread.x.chunks(stride).take(group.tokens());
        let mut is_finite =
            states.fold(true, |finite, row| finite & first_not_finite(&row[..model.config.hidden]).is_none());
        pooler_outputs(model, group, &thread.x, &mut thread.scratch, &mut to);
        if let Some(logits) = &mut to.logits {
            let width = logits.len() / Output::Logits.rows(model, group);
            apply_head(model, group, Output::Logits, &mut thread.x, &mut thread.scratch, logits, width);
            is_finite &= first_not_finite(logits).is_none();
        }
        if !is_finite && bad.is_none() {
            bad = Some(first);
        }
    }
    bad
}

/// A group of sequences through embeddings and all layers, on one thread.
fn run_layers(
    model: &PackedModel,
    thread: &mut ThreadBuffers,
    group: Input<'_>,
    mut trace: Option<&mut TraceBuffers<'_>>,
) {
    let rows = group.tokens();
    let [h, h3] = strides(model);
    thread.x.reserve(rows * h);
    thread.qkv.reserve(rows * h3);
    let ThreadBuffers { x, qkv, scratch } = thread;
    embed(model, group, 0..rows, x, scratch);
    if let Some(to) = trace.as_mut().and_then(|trace| trace.embeddings.as_deref_mut()) {
        copy_rows(x, h, to, model.config.hidden);
    }
    for index in 0..model.layers.len() {
        project_qkv(model, index, rows, x, qkv, scratch);
        let to = trace.as_mut().and_then(|trace| trace.layers.get_mut(index));
        attend_and_feed_forward(model, index, group, 0..rows, qkv, x, scratch, to);
    }
}
