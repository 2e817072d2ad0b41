//! The forward pass: packed weights, no padding, threads split by work.
//!
//! Rows are tokens. Everything but attention works row by row, and attention needs no more than the keys and
//! values of its own sequence. So a batch is cut in one of two ways: many sequences go to the threads as wholes,
//! each thread taking its share in groups that fit into its cache; few sequences are computed by all threads
//! together, each with its share of the rows, meeting twice a layer. A row's result is the same either way, to
//! the bit.

use std::ops::Range;
use std::sync::Arc;

use attar_kernels::{
    AttentionScratch, Buffer, Cpu, Finish, Pinning, Rows, RowsMut, Softmax, Team, attention, gather, layer_norm,
};
use attar_model::{EncoderConfig, Pooling};

use crate::batch::Input;
use crate::error::Error;
use crate::head::{head, next_sentence_and_pooled};
use crate::linear::ByteRows;
use crate::model::{Layer, Model, PackedHead, finish};
use crate::trace::{LayerBuffers, TraceBuffers};

/// Rows that a thread takes through all layers together: enough to make weights worth fetching, few enough to
/// stay in its cache.
const GROUP_ROWS: usize = 128;
/// Bytes of feed-forward activations that are kept at a time.
const INNER_BYTES: usize = 384 << 10;
/// With fewer sequences than this for each thread, threads share sequences.
const WHOLES: usize = 8;

/// An encoder that is ready to run, with its threads and its memory.
///
/// Weights are shared: [`Encoder::share`] makes another with the same ones.
#[derive(Debug)]
pub struct Encoder {
    model: Arc<Model>,
    team: Team,
    arenas: Vec<Arena>,
}

/// What a forward pass gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Output {
    /// Of the head: classes or a score `[B, K]`, tags `[N, K]`, or masked-token logits `[N, V]`.
    Logits,
    /// The last hidden state, `[N, H]`.
    Hidden,
    /// A vector for each sequence, `[B, H]`.
    Vectors(Pooling),
}

/// The memory of one thread, kept from call to call.
#[derive(Debug, Default)]
struct Arena {
    /// Hidden states `[rows, H]`.
    x: Buffer<f32>,
    /// Queries, keys and values `[rows, 3H]`.
    qkv: Buffer<f32>,
    own: Own,
}

/// What a thread needs for its rows alone.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// Weighted sums of values `[rows, H]`; first token states and pooled vectors `[B, H]` of the head.
    pub(crate) context: Buffer<f32>,
    /// Feed-forward activations `[rows, F]` of a block.
    pub(crate) inner: Buffer<f32>,
    /// Hidden states as bytes.
    x_bytes: ByteRows,
    /// Inputs of the other layers as bytes.
    bytes: ByteRows,
    positions: Vec<u32>,
    scratch: AttentionScratch,
}

impl Encoder {
    pub(crate) fn new(model: Arc<Model>, threads: usize, pinning: &Pinning) -> Encoder {
        let team = Team::new(threads, pinning);
        let arenas = (0..team.threads()).map(|_| Arena::default()).collect();
        Encoder { model, team, arenas }
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

    /// The threads, for work beside the forward pass.
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
    /// [`Error::Missing`] if the model has no head and logits are asked for.
    pub fn width(&self, output: Output) -> Result<usize, Error> {
        match (output, &self.model.head) {
            (Output::Hidden | Output::Vectors(_), _) => Ok(self.model.config.hidden),
            (
                Output::Logits,
                PackedHead::Classification(matrix) | PackedHead::Mean(matrix) | PackedHead::Tokens(matrix),
            ) => Ok(matrix.outputs()),
            (Output::Logits, PackedHead::MaskedLm(head)) => Ok(head.decoder.outputs()),
            (Output::Logits, PackedHead::None) => {
                Err(Error::Missing { what: "head", way_out: "fine-tune it first, or ask for vectors" })
            }
            (Output::Logits, PackedHead::Cosine { .. }) => Err(Error::Missing {
                what: "head over one sequence, for it compares two",
                way_out: "ask for vectors and compare them as `Encoder::cosine` says",
            }),
        }
    }

    /// Scale and offset of the score of a pair, `scale · cos + offset` of the mean vectors of its texts, if that is what
    /// the head answers.
    pub fn cosine(&self) -> Option<[f32; 2]> {
        match self.model.head {
            PackedHead::Cosine { scale, offset } => Some([scale, offset]),
            _ => None,
        }
    }

    /// Rows of an output: one for each sequence, or one for each token.
    pub fn rows(&self, output: Output, input: Input<'_>) -> usize {
        if is_by_sequence(&self.model, output) { input.sequences() } else { input.tokens() }
    }

    /// Computes one output of a batch into `out` `[rows, width]`.
    ///
    /// # Errors
    /// [`Error::Input`] if the model cannot take the batch, [`Error::Missing`] as [`Encoder::width`].
    ///
    /// # Panics
    /// If `out` has another length than [`Encoder::rows`] times [`Encoder::width`].
    #[track_caller]
    pub fn forward(&mut self, input: Input<'_>, output: Output, out: &mut [f32]) -> Result<(), Error> {
        let width = self.width(output)?;
        assert_eq!(out.len(), self.rows(output, input) * width, "room for the output");
        input.check(&self.model.config)?;
        let threads = self.team.threads();
        if threads > 1 && input.sequences() < WHOLES * threads {
            self.together(input, output, out, width);
            return Ok(());
        }
        let model = &*self.model;
        let by_sequence = is_by_sequence(model, output);
        let mut parts = Vec::with_capacity(threads);
        let mut rest = (input, out);
        for (arena, sequences) in self.arenas.iter_mut().zip(shares(model, input, threads)) {
            let (mine, others) = rest.0.split(sequences);
            let rows = if by_sequence { mine.sequences() } else { mine.tokens() };
            let (to, after) = rest.1.split_at_mut(rows * width);
            parts.push((arena, mine, to));
            rest = (others, after);
        }
        self.team.run(&mut parts, |_, (arena, input, out)| alone(model, arena, *input, output, out, width));
        Ok(())
    }

    /// Runs a batch and writes what `buffers` ask for.
    ///
    /// # Errors
    /// [`Error::Input`] if the model cannot take the batch.
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
        for (arena, sequences) in self.arenas.iter_mut().zip(shares(model, input, self.team.threads())) {
            let (mine, others) = rest.0.split(sequences);
            let (to, after) = rest.1.split(model, mine);
            parts.push((arena, mine, Some(to)));
            rest = (others, after);
        }
        self.team.run(&mut parts, |_, (arena, input, to)| {
            if let Some(to) = to.take() {
                traced(model, arena, *input, to);
            }
        });
        Ok(())
    }

    /// A few sequences on all threads.
    fn together(&mut self, input: Input<'_>, output: Output, out: &mut [f32], width: usize) {
        let threads = self.team.threads();
        let model = &*self.model;
        let (mut rest, mut out) = (input, out);
        let mut whole = std::mem::take(&mut self.arenas[0].x);
        let mut all_qkv = std::mem::take(&mut self.arenas[0].qkv);
        while rest.sequences() > 0 {
            let (group, others) = rest.split(group_size(rest, GROUP_ROWS * threads));
            rest = others;
            let rows = group.tokens();
            let [h, h3] = strides(model);
            whole.reserve(rows * h);
            all_qkv.reserve(rows * h3);
            let share = |part: usize| rows * part / threads..rows * (part + 1) / threads;
            for step in 0..=2 * model.layers.len() {
                let mut parts = Vec::with_capacity(threads);
                let (mut x, mut qkv, mut ready) = (&mut whole[..], &mut all_qkv[..], None);
                // Even steps write queries, keys and values, each thread its rows; odd steps read them all.
                if step % 2 == 1 {
                    ready = Some(&*std::mem::take(&mut qkv));
                }
                for (part, arena) in self.arenas.iter_mut().enumerate() {
                    let range = share(part);
                    let (mine, after) = std::mem::take(&mut x).split_at_mut(range.len() * h);
                    x = after;
                    let (mine_qkv, after) =
                        std::mem::take(&mut qkv).split_at_mut(if ready.is_none() { range.len() * h3 } else { 0 });
                    qkv = after;
                    parts.push((range, mine, mine_qkv, &mut arena.own));
                }
                self.team.run(&mut parts, |_, (range, x, qkv, own)| {
                    if step == 0 {
                        embed(model, group, range.clone(), x, own);
                    }
                    match ready {
                        Some(qkv) => layer(model, step / 2, group, range.clone(), qkv, x, own, None),
                        None => project(model, step / 2, range.len(), x, qkv, own),
                    }
                });
            }
            let by_sequence = is_by_sequence(model, output);
            let (to, after) = out.split_at_mut(width * if by_sequence { group.sequences() } else { group.tokens() });
            out = after;
            head(model, group, output, &mut whole, &mut self.arenas[0].own, to, width);
        }
        (self.arenas[0].x, self.arenas[0].qkv) = (whole, all_qkv);
    }
}

fn is_by_sequence(model: &Model, output: Output) -> bool {
    matches!(
        (output, &model.head),
        (Output::Vectors(_), _) | (Output::Logits, PackedHead::Classification(_) | PackedHead::Mean(_))
    )
}

/// Distance of rows `[H]` and `[3H]`: whole cache lines.
pub(crate) fn strides(model: &Model) -> [usize; 2] {
    let h = model.config.hidden;
    [h.next_multiple_of(16), (3 * h).next_multiple_of(16)]
}

/// How many of the sequences go together: at least one, and no more than `rows` rows.
fn group_size(input: Input<'_>, rows: usize) -> usize {
    let mut sum = 0;
    let fits = |&n: &&u32| {
        sum += *n as usize;
        sum <= rows
    };
    input.lengths().iter().take_while(fits).count().max(1)
}

/// How many sequences each thread takes, one after the other, by what they cost.
fn shares(model: &Model, input: Input<'_>, threads: usize) -> impl Iterator<Item = usize> {
    let c = &model.config;
    let per_token = (4 * c.hidden + 2 * c.feed_forward) as u64;
    let cost = move |n: u32| u64::from(n) * (per_token + 2 * u64::from(n));
    let total: u64 = input.lengths().iter().map(|&n| cost(n)).sum();
    let mut lengths = input.lengths().iter().peekable();
    let mut done = 0;
    (1..=threads as u64).map(move |part| {
        let mut count = 0;
        // A sequence belongs to the thread in whose share its middle lies.
        while let Some(&&n) = lengths.peek() {
            if part < threads as u64 && (done + cost(n) / 2) * threads as u64 >= total * part {
                break;
            }
            done += cost(n);
            lengths.next();
            count += 1;
        }
        count
    })
}

/// All of a thread's sequences, group after group.
fn alone(model: &Model, arena: &mut Arena, input: Input<'_>, output: Output, out: &mut [f32], width: usize) {
    let (mut rest, mut out) = (input, out);
    while rest.sequences() > 0 {
        let (group, others) = rest.split(group_size(rest, GROUP_ROWS));
        rest = others;
        layers(model, arena, group, None);
        let rows = if is_by_sequence(model, output) { group.sequences() } else { group.tokens() };
        let (to, after) = out.split_at_mut(rows * width);
        out = after;
        head(model, group, output, &mut arena.x, &mut arena.own, to, width);
    }
}

fn traced(model: &Model, arena: &mut Arena, input: Input<'_>, buffers: TraceBuffers<'_>) {
    let (mut rest, mut buffers) = (input, buffers);
    while rest.sequences() > 0 {
        let (group, others) = rest.split(group_size(rest, GROUP_ROWS));
        rest = others;
        let (mut to, after) = buffers.split(model, group);
        buffers = after;
        layers(model, arena, group, Some(&mut to));
        next_sentence_and_pooled(model, group, &arena.x, &mut arena.own, &mut to);
        if let Some(logits) = &mut to.logits {
            let rows = if is_by_sequence(model, Output::Logits) { group.sequences() } else { group.tokens() };
            let width = logits.len() / rows;
            head(model, group, Output::Logits, &mut arena.x, &mut arena.own, logits, width);
        }
    }
}

/// A group through all layers on one thread.
fn layers(model: &Model, arena: &mut Arena, group: Input<'_>, mut trace: Option<&mut TraceBuffers<'_>>) {
    let rows = group.tokens();
    let [h, h3] = strides(model);
    arena.x.reserve(rows * h);
    arena.qkv.reserve(rows * h3);
    let Arena { x, qkv, own } = arena;
    embed(model, group, 0..rows, x, own);
    if let Some(to) = trace.as_mut().and_then(|trace| trace.embeddings.as_deref_mut()) {
        copy(x, h, to, model.config.hidden);
    }
    for index in 0..model.layers.len() {
        project(model, index, rows, x, qkv, own);
        let to = trace.as_mut().and_then(|trace| trace.layers.get_mut(index));
        layer(model, index, group, 0..rows, qkv, x, own, to);
    }
}

/// Rows without what lies between them.
pub(crate) fn copy(from: &[f32], stride: usize, to: &mut [f32], columns: usize) {
    for (to, from) in to.chunks_exact_mut(columns).zip(from.chunks(stride)) {
        to.copy_from_slice(&from[..columns]);
    }
}

/// Embeddings of some rows of a group.
fn embed(model: &Model, group: Input<'_>, rows: Range<usize>, x: &mut [f32], own: &mut Own) {
    let Model { cpu, config, embeddings, .. } = model;
    let (h, [stride, _]) = (config.hidden, strides(model));
    let count = rows.len();
    gather(*cpu, embeddings.words(), &group.ids()[rows.clone()], RowsMut::new(x, count, h, stride), false);
    own.positions.clear();
    for span in group.spans() {
        let from = rows.start.max(span.start)..rows.end.min(span.end);
        own.positions.extend(from.map(|row| (row - span.start + config.position_offset()) as u32));
    }
    gather(
        *cpu,
        attar_kernels::Table::F32(&embeddings.positions),
        &own.positions,
        RowsMut::new(x, count, h, stride),
        true,
    );
    if !embeddings.types.is_empty() {
        let types = if group.types().is_empty() {
            own.positions.clear();
            own.positions.resize(count, 0);
            &own.positions
        } else {
            &group.types()[rows]
        };
        gather(*cpu, attar_kernels::Table::F32(&embeddings.types), types, RowsMut::new(x, count, h, stride), true);
    }
    let takes_bytes = model.layers.first().is_some_and(|layer| layer.qkv.takes_bytes());
    let bytes = takes_bytes.then(|| own.x_bytes.room(count, h));
    layer_norm(*cpu, RowsMut::new(x, count, h, stride), embeddings.norm.borrow(), bytes);
}

/// Queries, keys and values of some rows.
fn project(model: &Model, index: usize, rows: usize, x: &[f32], qkv: &mut [f32], own: &mut Own) {
    let Some(layer) = model.layers.get(index) else { return };
    let (h, [stride, stride3]) = (model.config.hidden, strides(model));
    let to = RowsMut::new(qkv, rows, 3 * h, stride3);
    layer.qkv.apply(Rows::new(x, rows, h, stride), &own.x_bytes, 0, rows, to, Finish::Write);
}

/// Attention and feed-forward of some rows of a group, whose queries, keys and values are all there.
#[expect(clippy::too_many_arguments, reason = "what a layer reads and writes")]
fn layer(
    model: &Model,
    index: usize,
    group: Input<'_>,
    rows: Range<usize>,
    qkv: &[f32],
    x: &mut [f32],
    own: &mut Own,
    trace: Option<&mut LayerBuffers<'_>>,
) {
    let Model { cpu, config, layers, .. } = model;
    let Layer { attention: dense, attention_norm, inner, outer, output_norm, .. } = &layers[index];
    let (h, f, [stride, stride3], count) = (config.hidden, config.feed_forward, strides(model), rows.len());
    let f_stride = f.next_multiple_of(16);

    own.context.reserve(count * stride);
    let softmax = if dense.takes_bytes() { Softmax::Coarse } else { Softmax::Exact };
    for span in group.spans() {
        let mine = rows.start.max(span.start)..rows.end.min(span.end);
        if mine.is_empty() {
            continue;
        }
        let keys = Rows::new(&qkv[span.start * stride3..], span.len(), 3 * h, stride3);
        let to = RowsMut::new(&mut own.context[(mine.start - rows.start) * stride..], mine.len(), h, stride);
        let queries = mine.start - span.start..mine.end - span.start;
        attention(*cpu, keys, config.heads, queries, softmax, to, &mut own.scratch);
    }
    let mut trace = trace;
    if let Some(trace) = &mut trace {
        trace.fill(*cpu, config, group, qkv, stride3, &mut own.scratch);
    }
    let context = Rows::new(&own.context, count, h, stride);
    if dense.takes_bytes() {
        own.bytes.fill(*cpu, context, count, h);
    }
    dense.apply(context, &own.bytes, 0, count, RowsMut::new(x, count, h, stride), Finish::Add);
    let bytes = inner.takes_bytes().then(|| own.x_bytes.room(count, h));
    layer_norm(*cpu, RowsMut::new(x, count, h, stride), attention_norm.borrow(), bytes);

    let block = (INNER_BYTES / (f_stride * 4).max(1)).next_multiple_of(8).max(16);
    own.inner.reserve(block.min(count) * f_stride);
    let activation = match finish(config.activation) {
        Finish::Gelu if outer.takes_bytes() => Finish::GeluCoarse,
        other => other,
    };
    for first in (0..count).step_by(block) {
        let some = block.min(count - first);
        let from = Rows::new(&x[first * stride..], some, h, stride);
        let middle = RowsMut::new(&mut own.inner, some, f, f_stride);
        inner.apply(from, &own.x_bytes, first, some, middle, activation);
        let middle = Rows::new(&own.inner, some, f, f_stride);
        if outer.takes_bytes() {
            own.bytes.fill(*cpu, middle, some, f);
        }
        let to = RowsMut::new(&mut x[first * stride..], some, h, stride);
        outer.apply(middle, &own.bytes, 0, some, to, Finish::Add);
    }
    let takes_bytes = layers.get(index + 1).is_some_and(|next| next.qkv.takes_bytes());
    let bytes = takes_bytes.then(|| own.x_bytes.room(count, h));
    layer_norm(*cpu, RowsMut::new(x, count, h, stride), output_norm.borrow(), bytes);
    if let Some(to) = trace.and_then(|trace| trace.hidden.as_deref_mut()) {
        copy(x, stride, to, h);
    }
}
