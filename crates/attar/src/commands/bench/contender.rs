//! A model at one precision on one number of threads.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::Context;
use attar_model::{EncoderConfig, Head, flops};
use attar_runtime::{Input, Options, Output, Pinning, Session};

use crate::cli::bench::PrecisionArg;

use super::plan::{BenchPlan, Shape};

/// A model at one precision on one number of threads.
pub(super) struct Contender {
    /// Which of the models it is.
    pub(super) model: usize,
    pub(super) name: String,
    pub(super) directory: PathBuf,
    pub(super) precision: PrecisionArg,
    pub(super) threads: usize,
    pub(super) bytes_on_disk: u64,
    /// Tokens of each text.
    pub(super) tokens: Rc<Vec<usize>>,
    session: Session,
    output: Output,
    ids: Vec<u32>,
    lengths: Vec<u32>,
    out: Vec<f32>,
}

impl Contender {
    /// Every model at every precision on every number of threads; weights are shared among the last.
    pub(super) fn load_all(plan: &BenchPlan) -> anyhow::Result<Vec<Contender>> {
        let mut contenders = Vec::new();
        for (place, model) in plan.models.iter().enumerate() {
            let about = || format!("{} cannot be measured", model.directory.display());
            let mut tokens = None;
            for &precision in &plan.precisions {
                let session = load(&model.directory, precision, plan.max_tokens).with_context(about)?;
                let tokens = match &tokens {
                    Some(tokens) => Rc::clone(tokens),
                    None => tokens.insert(Rc::new(token_counts(&session, plan).with_context(about)?)).clone(),
                };
                for &threads in &plan.threads {
                    let session = session.share(threads, &Pinning::Free);
                    contenders.push(Contender {
                        model: place,
                        name: model.name.clone(),
                        directory: model.directory.clone(),
                        precision,
                        threads,
                        bytes_on_disk: bytes_on_disk(&model.directory),
                        tokens: Rc::clone(&tokens),
                        output: output(&session),
                        session,
                        ids: Vec::new(),
                        lengths: Vec::new(),
                        out: Vec::new(),
                    });
                }
            }
        }
        Ok(contenders)
    }

    /// Answers texts: tokenization, sorting, arithmetic.
    pub(super) fn answer(&mut self, texts: &[(&str, Option<&str>)]) -> anyhow::Result<()> {
        let Contender { session, output, .. } = self;
        session.for_each_row(
            texts,
            *output,
            |_, row| {
                std::hint::black_box(row);
            },
            &mut |_| (),
        )?;
        Ok(())
    }

    /// Makes the next [`compute`](Self::compute)s ones of a shape.
    pub(super) fn prepare(&mut self, shape: Shape) -> anyhow::Result<()> {
        let (tokens, vocabulary) = (shape.batch * shape.length, self.session.config().vocabulary);
        // Rows all over the table, as those of words are.
        self.ids = (0..tokens).map(|token| (token.wrapping_mul(7919) % vocabulary.max(1)) as u32).collect();
        self.lengths = vec![shape.length as u32; shape.batch];
        let width = self.session.encoder().width(self.output)?;
        self.out = vec![0.0; shape.batch * width];
        Ok(())
    }

    /// Runs the encoder on what was prepared.
    pub(super) fn compute(&mut self) -> anyhow::Result<()> {
        let input = Input::new(&self.ids, &[], &self.lengths)?;
        self.session.encoder().forward(input, self.output, &mut self.out)?;
        std::hint::black_box(&self.out);
        Ok(())
    }

    /// Floating-point operations for a sequence of this length, to the output that is asked for.
    pub(super) fn flops(&self, length: usize) -> f64 {
        let flops = flops(self.session.config(), length);
        match self.output {
            Output::Logits => flops.total(),
            Output::Hidden | Output::Vectors(_) | Output::VectorsAfter(..) => flops.encoder(),
        }
    }

    /// Tokens of the longest sequence.
    pub(super) fn positions(&self) -> usize {
        self.session.config().usable_positions()
    }

    /// Bytes of the packed weights.
    pub(super) fn weight_bytes(&mut self) -> usize {
        self.session.encoder().weight_bytes()
    }

    /// `logits` or `vectors`.
    pub(super) fn answers(&self) -> &'static str {
        match self.output {
            Output::Logits => "logits",
            Output::Hidden | Output::Vectors(_) | Output::VectorsAfter(..) => "vectors",
        }
    }
}

/// A session that gives one row for each text: of its classifier, or a vector where it has none.
pub(super) fn load(directory: &Path, precision: PrecisionArg, max_tokens: Option<usize>) -> anyhow::Result<Session> {
    let options = Options::new(precision.precision(), 1);
    let mut session = Session::load(directory, &options)?;
    if !answers_texts(session.config()) && session.config().head != Head::None {
        session = Session::load_headless(directory, &options)?;
    }
    if let Some(max_tokens) = max_tokens {
        session.truncate_to(max_tokens);
    }
    Ok(session)
}

/// What a session of [`load`] gives for each text.
pub(super) fn output(session: &Session) -> Output {
    if answers_texts(session.config()) { Output::Logits } else { Output::Vectors(session.pooling()) }
}

fn answers_texts(config: &EncoderConfig) -> bool {
    // A score of a pair takes two sequences: such a model is timed for the vector of each.
    matches!(config.head, Head::Classification { .. }) && !config.encodes_pairs_separately()
}

fn token_counts(session: &Session, plan: &BenchPlan) -> anyhow::Result<Vec<usize>> {
    let encoded = session.tokenizer().encode_all(&plan.texts.borrowed(), session.limit())?;
    Ok(encoded.iter().map(|encoding| encoding.ids.len()).collect())
}

/// Bytes of the files of a directory, without folders in it.
fn bytes_on_disk(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let files = entries.filter_map(|entry| std::fs::metadata(entry.ok()?.path()).ok());
    files.filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
}
