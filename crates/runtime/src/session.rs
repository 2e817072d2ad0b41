//! A model directory that processes texts.

mod ids;
mod prompt;
mod tokens;

use std::path::Path;
use std::sync::Arc;

use attar_kernels::Pinning;
use attar_model::{
    Bundle, EncoderConfig, Head, ModelFiles, Pooling, PoolingMode, Projection, Prompts, Target, first_not_finite,
};
use attar_text::tokenizer::{EncodeError, Encodings, Limit, Tokenizer};

use crate::batch::Input;
use crate::encoder::Encoder;
use crate::error::Error;
use crate::options::Options;
use crate::output::Output;
use crate::projection;
use prompt::Prompt;

pub use tokens::{Entity, Span, Tag, in_characters};

/// A text, or a pair of texts.
pub type Text<'a> = (&'a str, Option<&'a str>);

/// Texts that are encoded, sorted by length and computed at a time: many enough for sorting to pay, few enough to report
/// progress.
const CHUNK_TEXTS: usize = 2048;

/// A model with its tokenizer: text in, logits, vectors, tags or answers out.
///
/// Weights and tokenizer are shared: [`Session::share`] makes another with the same ones, for another thread.
#[derive(Debug)]
pub struct Session {
    encoder: Encoder,
    tokenizer: Arc<Tokenizer>,
    vectors: Arc<VectorSettings>,
    /// What stands before every text whose vector is asked for.
    prompt: Option<Prompt>,
    limit: Limit,
    /// Sentences for the user.
    notes: Vec<String>,
    /// The texts that were cut since they were asked for last, where that is wanted ([`Session::watch_cuts`]).
    cuts: Option<Vec<usize>>,
    /// Ids of the current texts, by thread.
    encoded: Vec<Encodings>,
    /// The same ids, sorted by length.
    sorted: SortedTexts,
}

/// What makes a vector of token states.
#[derive(Debug)]
struct VectorSettings {
    pooling: Option<Pooling>,
    projections: Vec<Projection>,
    prompts: Prompts,
}

/// The ids of a chunk of texts in the order in which they are computed.
#[derive(Debug, Default)]
struct SortedTexts {
    order: Vec<TextLocation>,
    ids: Vec<u32>,
    types: Vec<u32>,
    lengths: Vec<u32>,
    out: Vec<f32>,
}

/// Where the ids of a text are, before sorting.
#[derive(Debug, Clone, Copy)]
struct TextLocation {
    text: usize,
    thread: usize,
    first: usize,
    length: usize,
}

impl Session {
    /// Reads a model directory, or a model in a single file.
    ///
    /// # Errors
    /// If there is none, it is damaged, or its tokenizer has more tokens than its embedding table has rows.
    pub fn load(dir: &Path, options: &Options) -> Result<Session, Error> {
        Session::load_from(&ModelFiles::open(dir)?, options)
    }

    /// As [`Session::load`], from files that may be in memory.
    ///
    /// # Errors
    /// As [`Session::load`].
    pub fn load_from(files: &ModelFiles<'_>, options: &Options) -> Result<Session, Error> {
        Session::new(files, Bundle::read_from(files, options.precision.reads())?, options)
    }

    /// As [`Session::load`], without the head, which may be missing: for vectors.
    ///
    /// # Errors
    /// As [`Session::load`].
    pub fn load_headless(dir: &Path, options: &Options) -> Result<Session, Error> {
        Session::load_headless_from(&ModelFiles::open(dir)?, options)
    }

    /// As [`Session::load_headless`], from files that may be in memory.
    ///
    /// # Errors
    /// As [`Session::load`].
    pub fn load_headless_from(files: &ModelFiles<'_>, options: &Options) -> Result<Session, Error> {
        let mut bundle = match Bundle::read_from(files, options.precision.reads()) {
            Err(attar_model::Error::Incomplete { .. }) => Bundle::read_headless_from(files)?,
            read => read?,
        };
        bundle.config = bundle.config.with_head(Head::None);
        Session::new(files, bundle, options)
    }

    fn new(files: &ModelFiles<'_>, mut bundle: Bundle, options: &Options) -> Result<Session, Error> {
        let file = |name: &str| Ok(bundle.tokenizer_file(name).map(<[u8]>::to_vec));
        let tokenizer = Tokenizer::from_files(&files.encoder_directory()?, file)?;
        let (rows, tokens) = (bundle.config.vocabulary, tokenizer.vocabulary_size());
        if tokens > rows {
            return Err(Error::Vocabulary { dir: files.root().into(), tokens, rows });
        }
        let positions = bundle.config.usable_positions();
        let limit = Limit::new(bundle.max_tokens.map_or(positions, |max| max.min(positions)));
        let notes = std::mem::take(&mut bundle.notes);
        let projections = std::mem::take(&mut bundle.projections);
        let prompts = std::mem::take(&mut bundle.prompts);
        let vectors = Arc::new(VectorSettings { pooling: bundle.pooling, projections, prompts });
        let encoder = Encoder::consuming(bundle, options);
        let mut session = Session { notes, ..Session::of(encoder, Arc::new(tokenizer), vectors, limit) };
        if let Some(prompt) = session.prompts().default_text().map(str::to_owned) {
            session.set_prompt(&prompt)?;
        }
        Ok(session)
    }

    fn of(encoder: Encoder, tokenizer: Arc<Tokenizer>, vectors: Arc<VectorSettings>, limit: Limit) -> Session {
        let encoded = (0..encoder.threads()).map(|_| Encodings::default()).collect();
        let (notes, sorted) = (Vec::new(), SortedTexts::default());
        Session { encoder, tokenizer, vectors, prompt: None, limit, notes, cuts: None, encoded, sorted }
    }

    /// Sentences for the user: what of the model's files is not used.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Another session with the same weights and tokenizer, and threads of its own.
    pub fn share(&self, threads: usize, pinning: &Pinning) -> Session {
        let encoder = self.encoder.share(threads, pinning);
        let session = Session::of(encoder, Arc::clone(&self.tokenizer), Arc::clone(&self.vectors), self.limit);
        Session { prompt: self.prompt.clone(), ..session }
    }

    /// Truncates texts to fewer tokens than the model could take.
    pub fn truncate_to(&mut self, max_tokens: usize) {
        self.limit.max_tokens = self.limit.max_tokens.min(max_tokens);
    }

    /// From now on remembers which texts were longer than the model takes ([`Session::take_cuts`]). It costs a second
    /// look at those that reach the limit.
    pub fn watch_cuts(&mut self) {
        self.cuts.get_or_insert_default();
    }

    /// The texts that were cut since this was called last, by their places in the calls, ascending; none unless
    /// [`Session::watch_cuts`] was called.
    pub fn take_cuts(&mut self) -> Vec<usize> {
        let mut cuts = self.cuts.as_mut().map(std::mem::take).unwrap_or_default();
        cuts.sort_unstable();
        cuts
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

    /// The target of the classification head.
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

    /// Numbers of a vector that [`Session::embed`] gives.
    pub fn dimensions(&self) -> usize {
        self.vectors.projections.last().map_or(self.config().hidden, Projection::outputs)
    }

    /// How token states become a vector, unless the caller says otherwise.
    pub fn pooling(&self) -> Pooling {
        self.vectors.pooling.unwrap_or(Pooling { mode: PoolingMode::Mean, normalize: false })
    }

    /// Logits of each text, `[K]`. `progress` is called with the number of texts done since
    /// its last call.
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
        let separate: Vec<Text<'_>> =
            texts.iter().flat_map(|&(text, pair)| [(text, None), (pair.unwrap_or_default(), None)]).collect();
        let pooling = Pooling { mode: PoolingMode::Mean, normalize: true };
        let (mut done, mut reported) = (0, 0);
        let vectors = self.rows(&separate, Output::Vectors(pooling), |more| {
            done += more;
            progress(done / 2 - reported);
            reported = done / 2;
        })?;
        if let Some(cuts) = &mut self.cuts {
            // By pairs, of which both texts may be too long.
            cuts.iter_mut().for_each(|text| *text /= 2);
            cuts.sort_unstable();
            cuts.dedup();
        }
        let score = |pair: &[Vec<f32>]| {
            let cosine: f32 = pair[0].iter().zip(&pair[1]).map(|(a, b)| a * b).sum();
            vec![scale * cosine + offset]
        };
        Ok(vectors.chunks_exact(2).map(score).collect())
    }

    /// A vector of each text: `[H]`, or as long as the model's last dense layer over it makes it. The model's default
    /// prompt, or that of [`Session::set_prompt`], stands before each (of a pair before the first).
    ///
    /// # Errors
    /// If a text cannot be encoded.
    pub fn embed(
        &mut self,
        texts: &[Text<'_>],
        pooling: Pooling,
        progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, Error> {
        let Some(prompt) = self.prompt.clone() else { return self.pooled(texts, pooling, Output::Vectors, progress) };
        let prompted: Vec<String> = texts.iter().map(|(text, _)| format!("{}{text}", prompt.text)).collect();
        let texts: Vec<Text<'_>> = prompted.iter().zip(texts).map(|(text, (_, pair))| (text.as_str(), *pair)).collect();
        self.pooled(&texts, pooling, |pooling| prompt.output(pooling), progress)
    }

    /// Vectors of texts as they are, with the dense layers over them.
    fn pooled(
        &mut self,
        texts: &[Text<'_>],
        pooling: Pooling,
        output: impl Fn(Pooling) -> Output,
        progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, Error> {
        if self.vectors.projections.is_empty() {
            return self.rows(texts, output(pooling), progress);
        }
        let pooled = Pooling { normalize: false, ..pooling };
        let mut vectors = self.rows(texts, output(pooled), progress)?;
        for (row, vector) in vectors.iter_mut().enumerate() {
            *vector = projection::apply_all(&self.vectors.projections, std::mem::take(vector), pooling.normalize);
            if first_not_finite(vector).is_some() {
                return Err(Error::Overflow { row });
            }
        }
        Ok(vectors)
    }

    fn rows(
        &mut self,
        texts: &[Text<'_>],
        output: Output,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, Error> {
        let mut all = vec![Vec::new(); texts.len()];
        self.for_each_row(texts, output, |text, row| all[text] = row.to_vec(), &mut progress)?;
        Ok(all)
    }

    /// Computes an output that has one row for each text and passes each row to `take`, in no particular order.
    ///
    /// Nothing is allocated once the buffers have grown, beyond what `take` does.
    ///
    /// # Errors
    /// If a text cannot be encoded, or the model has no head and logits are requested.
    ///
    /// # Panics
    /// If the output has a row for each token.
    pub fn for_each_row(
        &mut self,
        texts: &[Text<'_>],
        output: Output,
        mut take: impl FnMut(usize, &[f32]),
        progress: &mut impl FnMut(usize),
    ) -> Result<(), Error> {
        let width = self.encoder.width(output)?;
        for (chunk, texts) in texts.chunks(CHUNK_TEXTS).enumerate() {
            let first = chunk * CHUNK_TEXTS;
            self.encode(texts, first).map_err(|error| with_row_offset(error, first))?;
            let sorted = &mut self.sorted;
            let input = Input::new(&sorted.ids, &sorted.types, &sorted.lengths)?;
            let rows = self.encoder.rows(output, input);
            assert_eq!(rows, texts.len(), "an output with a row for each text");
            sorted.out.resize(rows * width, 0.0);
            self.encoder.forward(input, output, &mut sorted.out).map_err(|error| match error {
                // The row as the caller counts it.
                Error::Overflow { row } => Error::Overflow { row: first + sorted.order[row].text },
                other => other,
            })?;
            for (location, row) in sorted.order.iter().zip(sorted.out.chunks_exact(width.max(1))) {
                take(first + location.text, row);
            }
            progress(texts.len());
        }
        Ok(())
    }

    /// Encodes texts, the first of which is the caller's `first`th, on all threads and sorts them by length.
    fn encode(&mut self, texts: &[Text<'_>], first: usize) -> Result<(), Error> {
        let Session { encoder, tokenizer, limit, cuts, encoded, sorted, .. } = self;
        let watches_cuts = cuts.is_some();
        let threads = encoder.threads();
        let share = texts.len().div_ceil(threads).max(1);
        let mut parts: Vec<_> =
            (encoded.iter_mut().zip(texts.chunks(share))).map(|(to, texts)| (to, texts, Ok(()), Vec::new())).collect();
        encoder.team().run(&mut parts, |part, (to, texts, outcome, cut)| {
            to.clear();
            for (row, (text, pair)) in texts.iter().enumerate() {
                match to.push(tokenizer, text, *pair, *limit) {
                    // Reaching the limit is not yet going past it.
                    Ok(tokens) if watches_cuts && tokens >= limit.max_tokens => {
                        let whole = tokenizer.encode(text, *pair, Limit::unlimited());
                        if whole.is_ok_and(|whole| whole.len() > limit.max_tokens) {
                            cut.push(first + part * share + row);
                        }
                    }
                    Ok(_) => {}
                    Err(source) => {
                        *outcome = Err(EncodeError::Row { row: part * share + row, source: Box::new(source) });
                        return;
                    }
                }
            }
        });
        let used = parts.len();
        for (_, _, outcome, cut) in parts {
            outcome?;
            cuts.iter_mut().for_each(|cuts| cuts.extend_from_slice(&cut));
        }

        sorted.order.clear();
        for (thread, encodings) in encoded[..used].iter().enumerate() {
            let mut first = 0;
            for &length in &encodings.lengths {
                let text = sorted.order.len();
                sorted.order.push(TextLocation { text, thread, first, length: length as usize });
                first += length as usize;
            }
        }
        // Longest first, so that the texts left at the end, when threads may wait for each other, are short.
        sorted.order.sort_unstable_by_key(|location| (std::cmp::Reverse(location.length), location.text));
        sorted.ids.clear();
        sorted.types.clear();
        sorted.lengths.clear();
        for location in &sorted.order {
            let range = location.first..location.first + location.length;
            sorted.ids.extend_from_slice(&encoded[location.thread].ids[range.clone()]);
            sorted.types.extend_from_slice(&encoded[location.thread].types[range]);
            sorted.lengths.push(location.length as u32);
        }
        Ok(())
    }
}

/// An error of a chunk whose row is counted from the first text of all.
fn with_row_offset(error: Error, before: usize) -> Error {
    match error {
        Error::Encode(EncodeError::Row { row, source }) => {
            Error::Encode(EncodeError::Row { row: row + before, source })
        }
        other => other,
    }
}
