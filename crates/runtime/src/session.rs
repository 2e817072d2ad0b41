//! A model directory that answers texts.

mod tokens;

use std::path::Path;
use std::sync::Arc;

use attar_kernels::{Cpu, Pinning};
use attar_model::{Bundle, EncoderConfig, Head, Pooling, PoolingMode, Target};
use attar_text::tokenizer::{EncodeError, Encodings, Limit, Tokenizer};

use crate::batch::Input;
use crate::encoder::{Encoder, Output};
use crate::error::Error;
use crate::model::{Model, Precision};
use crate::source::Words;

pub use tokens::{Entity, Span, Tag};

/// A text, or a pair of texts.
pub type Text<'a> = (&'a str, Option<&'a str>);

/// Texts that are encoded, sorted by length and computed together: enough to sort, few enough to report progress.
const TURN: usize = 2048;

/// How a model is to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Precision of the linear layers.
    pub precision: Precision,
    /// Number of threads, the caller's among them.
    pub threads: usize,
    /// Where the threads run.
    pub pinning: Pinning,
    /// Instruction set; the fastest one unless a test forces another.
    pub cpu: Cpu,
}

impl Options {
    /// The fastest instruction set, threads left to the system.
    pub fn new(precision: Precision, threads: usize) -> Options {
        Options { precision, threads, pinning: Pinning::Free, cpu: Cpu::detect() }
    }

    /// As [`Options::new`] with a thread for each processor.
    pub fn all_threads(precision: Precision) -> Options {
        Options::new(precision, std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// A model with its tokenizer: text in, logits, vectors, tags or answers out.
///
/// Weights and tokenizer are shared: [`Session::share`] makes another with the same ones, for another thread.
#[derive(Debug)]
pub struct Session {
    encoder: Encoder,
    tokenizer: Arc<Tokenizer>,
    pooling: Option<Pooling>,
    limit: Limit,
    /// Ids of the texts at hand, one for each thread.
    encoded: Vec<Encodings>,
    /// All of them, by length.
    sorted: Sorted,
}

/// The ids of a turn in the order in which they are computed.
#[derive(Debug, Default)]
struct Sorted {
    order: Vec<Place>,
    ids: Vec<u32>,
    types: Vec<u32>,
    lengths: Vec<u32>,
    out: Vec<f32>,
}

/// Where the ids of a text are.
#[derive(Debug, Clone, Copy)]
struct Place {
    text: usize,
    thread: usize,
    first: usize,
    length: usize,
}

impl Session {
    /// Reads a model directory.
    ///
    /// # Errors
    /// If there is none, it is damaged, or its tokenizer has more tokens than its embedding table rows.
    pub fn load(dir: &Path, options: &Options) -> Result<Session, Error> {
        Session::new(dir, Bundle::read_with(dir, options.precision.reads())?, options)
    }

    /// As [`Session::load`], without the head: for vectors.
    ///
    /// # Errors
    /// As [`Session::load`].
    pub fn load_headless(dir: &Path, options: &Options) -> Result<Session, Error> {
        let mut bundle = Bundle::read_with(dir, options.precision.reads())?;
        bundle.config = bundle.config.with_head(Head::None);
        Session::new(dir, bundle, options)
    }

    fn new(dir: &Path, bundle: Bundle, options: &Options) -> Result<Session, Error> {
        let tokenizer = Tokenizer::from_dir(dir)?;
        let (rows, tokens) = (bundle.config.vocabulary, tokenizer.vocabulary_size());
        if tokens > rows {
            return Err(Error::Vocabulary { dir: dir.into(), tokens, rows });
        }
        let positions = bundle.config.usable_positions();
        let limit = Limit::new(bundle.max_tokens.map_or(positions, |max| max.min(positions)));
        let pooling = bundle.pooling;
        Ok(Session::of(Encoder::consuming(bundle, options)?, Arc::new(tokenizer), pooling, limit))
    }

    fn of(encoder: Encoder, tokenizer: Arc<Tokenizer>, pooling: Option<Pooling>, limit: Limit) -> Session {
        let encoded = (0..encoder.threads()).map(|_| Encodings::default()).collect();
        Session { encoder, tokenizer, pooling, limit, encoded, sorted: Sorted::default() }
    }

    /// Another session with the same weights and tokenizer, and threads of its own.
    pub fn share(&self, threads: usize, pinning: &Pinning) -> Session {
        let encoder = self.encoder.share(threads, pinning);
        Session::of(encoder, Arc::clone(&self.tokenizer), self.pooling, self.limit)
    }

    /// Cuts texts to fewer tokens than the model could take.
    pub fn cut_to(&mut self, max_tokens: usize) {
        self.limit.max_tokens = self.limit.max_tokens.min(max_tokens);
    }

    /// The configuration.
    pub fn config(&self) -> &EncoderConfig {
        self.encoder.config()
    }

    /// The encoder, for token ids instead of texts.
    pub fn encoder(&mut self) -> &mut Encoder {
        &mut self.encoder
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// How long a text may be.
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// What the classification head answers.
    ///
    /// # Errors
    /// [`Error::Missing`] if the model has none.
    pub fn target(&self) -> Result<&Target, Error> {
        match &self.config().head {
            Head::Classification { target } => Ok(target),
            _ => Err(Error::Missing {
                what: "classification or regression head",
                way_out: "fine-tune it first (`attar finetune`)",
            }),
        }
    }

    /// How token states become a vector, unless the caller says otherwise.
    pub fn pooling(&self) -> Pooling {
        self.pooling.unwrap_or(Pooling { mode: PoolingMode::Mean, normalise: false })
    }

    /// Logits of each text, `[K]`. `progress` hears how many were done since it heard last.
    ///
    /// # Errors
    /// If a text cannot be encoded or the model has no classification head.
    pub fn logits(&mut self, texts: &[Text<'_>], progress: impl FnMut(usize)) -> Result<Vec<Vec<f32>>, Error> {
        self.target()?;
        match self.encoder.cosine() {
            Some(head) => self.pair_scores(texts, head, progress),
            None => self.rows(texts, Output::Logits, progress),
        }
    }

    /// Scores of pairs by the cosine of their texts' vectors.
    fn pair_scores(
        &mut self,
        texts: &[Text<'_>],
        [scale, offset]: [f32; 2],
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, Error> {
        if let Some(row) = texts.iter().position(|(_, pair)| pair.is_none()) {
            return Err(Error::NoPair { row });
        }
        let apart: Vec<Text<'_>> =
            texts.iter().flat_map(|&(text, pair)| [(text, None), (pair.unwrap_or_default(), None)]).collect();
        let pooling = Pooling { mode: PoolingMode::Mean, normalise: true };
        let (mut done, mut told) = (0, 0);
        let vectors = self.rows(&apart, Output::Vectors(pooling), |more| {
            done += more;
            progress(done / 2 - told);
            told = done / 2;
        })?;
        let score = |pair: &[Vec<f32>]| {
            let cosine: f32 = pair[0].iter().zip(&pair[1]).map(|(a, b)| a * b).sum();
            vec![scale * cosine + offset]
        };
        Ok(vectors.chunks_exact(2).map(score).collect())
    }

    /// A vector of each text, `[H]`.
    ///
    /// # Errors
    /// If a text cannot be encoded.
    pub fn embed(
        &mut self,
        texts: &[Text<'_>],
        pooling: Pooling,
        progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, Error> {
        self.rows(texts, Output::Vectors(pooling), progress)
    }

    fn rows(
        &mut self,
        texts: &[Text<'_>],
        output: Output,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, Error> {
        let mut all = vec![Vec::new(); texts.len()];
        self.each(texts, output, |text, row| all[text] = row.to_vec(), &mut progress)?;
        Ok(all)
    }

    /// Computes an output that has one row for each text and hands each row to `take`, in no particular order.
    ///
    /// Nothing is allocated once the buffers have grown, beyond what `take` does.
    ///
    /// # Errors
    /// If a text cannot be encoded, or the model has no head and logits are asked for.
    ///
    /// # Panics
    /// If the output has a row for each token.
    pub fn each(
        &mut self,
        texts: &[Text<'_>],
        output: Output,
        mut take: impl FnMut(usize, &[f32]),
        progress: &mut impl FnMut(usize),
    ) -> Result<(), Error> {
        let width = self.encoder.width(output)?;
        for (turn, some) in texts.chunks(TURN).enumerate() {
            self.encode(some).map_err(|error| in_whole(error, turn * TURN))?;
            let sorted = &mut self.sorted;
            let input = Input::new(&sorted.ids, &sorted.types, &sorted.lengths)?;
            let rows = self.encoder.rows(output, input);
            assert_eq!(rows, some.len(), "an output with a row for each text");
            sorted.out.resize(rows * width, 0.0);
            self.encoder.forward(input, output, &mut sorted.out)?;
            for (place, row) in sorted.order.iter().zip(sorted.out.chunks_exact(width.max(1))) {
                take(turn * TURN + place.text, row);
            }
            progress(some.len());
        }
        Ok(())
    }

    /// Encodes texts on all threads and sorts them by length.
    fn encode(&mut self, texts: &[Text<'_>]) -> Result<(), Error> {
        let Session { encoder, tokenizer, limit, encoded, sorted, .. } = self;
        let threads = encoder.threads();
        let share = texts.len().div_ceil(threads).max(1);
        let mut parts: Vec<_> =
            encoded.iter_mut().zip(texts.chunks(share)).map(|(to, texts)| (to, texts, Ok(()))).collect();
        encoder.team().run(&mut parts, |part, (to, texts, outcome)| {
            to.clear();
            for (row, (text, pair)) in texts.iter().enumerate() {
                if let Err(source) = to.push(tokenizer, text, *pair, *limit) {
                    *outcome = Err(EncodeError::Row { row: part * share + row, source: Box::new(source) });
                    return;
                }
            }
        });
        let used = parts.len();
        parts.into_iter().try_for_each(|(_, _, outcome)| outcome)?;

        sorted.order.clear();
        for (thread, encodings) in encoded[..used].iter().enumerate() {
            let mut first = 0;
            for &length in &encodings.lengths {
                let text = sorted.order.len();
                sorted.order.push(Place { text, thread, first, length: length as usize });
                first += length as usize;
            }
        }
        // Longest first: what is left at the end, when a thread may wait for another, is short.
        sorted.order.sort_unstable_by_key(|place| (std::cmp::Reverse(place.length), place.text));
        sorted.ids.clear();
        sorted.types.clear();
        sorted.lengths.clear();
        for place in &sorted.order {
            let range = place.first..place.first + place.length;
            sorted.ids.extend_from_slice(&encoded[place.thread].ids[range.clone()]);
            sorted.types.extend_from_slice(&encoded[place.thread].types[range]);
            sorted.lengths.push(place.length as u32);
        }
        Ok(())
    }
}

/// The row of an error counted from the first text of all.
fn in_whole(error: Error, before: usize) -> Error {
    match error {
        Error::Encode(EncodeError::Row { row, source }) => {
            Error::Encode(EncodeError::Row { row: row + before, source })
        }
        other => other,
    }
}

impl Encoder {
    /// Packs a bundle.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if a weight is not a number.
    pub fn from_bundle(bundle: &Bundle, options: &Options) -> Result<Encoder, Error> {
        let words = Words::copied(bundle, options.precision);
        let model = Model::new(options.cpu, bundle, options.precision, words)?;
        Ok(Encoder::new(Arc::new(model), options.threads, &options.pinning))
    }

    /// As [`Encoder::from_bundle`] without a copy of the word table.
    fn consuming(mut bundle: Bundle, options: &Options) -> Result<Encoder, Error> {
        let words = Words::taken(&mut bundle, options.precision);
        let model = Model::new(options.cpu, &bundle, options.precision, words)?;
        Ok(Encoder::new(Arc::new(model), options.threads, &options.pinning))
    }

    /// Reads a model directory: the quantised weights, if there are any and the precision asks for them, or those in
    /// 32-bit floats.
    ///
    /// # Errors
    /// As [`Bundle::read_with`] and [`Encoder::from_bundle`].
    pub fn load(dir: &Path, options: &Options) -> Result<Encoder, Error> {
        Encoder::consuming(Bundle::read_with(dir, options.precision.reads())?, options)
    }

    /// As [`Encoder::load`], without the head: for vectors.
    ///
    /// # Errors
    /// As [`Encoder::load`].
    pub fn load_headless(dir: &Path, options: &Options) -> Result<Encoder, Error> {
        let mut bundle = Bundle::read_with(dir, options.precision.reads())?;
        bundle.config = bundle.config.with_head(Head::None);
        Encoder::consuming(bundle, options)
    }
}
