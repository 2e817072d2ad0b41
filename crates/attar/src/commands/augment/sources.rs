//! Sources of candidates that the user names.

use std::path::Path;

use anyhow::{Context, ensure};
use attar_distill::model_directory;
use attar_model::{Bundle, encoder_directory};
use attar_runtime::{Options, Precision, Session};
use attar_text::augment::{CandidateSource, NearestWords, Semantics, Thesaurus};
use attar_text::tokenizer::Tokenizer;

use super::masked_lm::MaskedLm;
use crate::cli::augment::{CandidatesArg, CandidatesKind};
use crate::progress::waiting;

/// Reads all sources; of word vectors this many lines.
pub(super) fn open(
    named: &[CandidatesArg],
    vectors: usize,
    semantics: Semantics,
) -> anyhow::Result<Vec<Box<dyn CandidateSource>>> {
    let reading = waiting("reading the sources of candidates");
    let one = |source: &CandidatesArg| -> anyhow::Result<Box<dyn CandidateSource>> {
        let path = &source.path;
        Ok(match source.kind {
            CandidatesKind::WordNet => Box::new(Thesaurus::read(path)?),
            CandidatesKind::Vectors => Box::new(fitting(NearestWords::from_glove(path, vectors)?, semantics)),
            CandidatesKind::Embeddings => Box::new(fitting(embeddings(path)?, semantics)),
            CandidatesKind::MaskedLm => {
                let directory = model_directory::existing(path)?;
                let options = Options::new(Precision::F32, rayon::current_num_threads());
                Box::new(MaskedLm::new(Session::load(&directory, &options)?, semantics).with_context(|| about(path))?)
            }
        })
    };
    let sources = named.iter().map(one).collect();
    reading.finish_and_clear();
    sources
}

fn about(path: &Path) -> String {
    path.display().to_string()
}

/// The published code takes the nearest words, whatever their form.
fn fitting(words: NearestWords, semantics: Semantics) -> NearestWords {
    match semantics {
        Semantics::Clean => words.with_same_endings(),
        Semantics::Reference => words,
    }
}

fn embeddings(path: &Path) -> anyhow::Result<NearestWords> {
    let directory = model_directory::existing(path)?;
    let tokenizer = Tokenizer::from_dir(&encoder_directory(&directory)?)?;
    let bundle = Bundle::read_headless(&directory)?;
    let table = bundle.weights.get("embeddings.word_embeddings.weight");
    let table = table.with_context(|| format!("{}: no word embeddings", path.display()))?;
    ensure!(
        bundle.config.vocabulary >= tokenizer.vocabulary_size(),
        "{}: expected an embedding for each of {} pieces, found {}: the tokenizer is of another model",
        path.display(),
        tokenizer.vocabulary_size(),
        bundle.config.vocabulary
    );
    Ok(NearestWords::from_embeddings(&tokenizer, &table.data, bundle.config.hidden))
}
