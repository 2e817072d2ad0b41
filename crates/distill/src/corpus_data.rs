//! Raw text as a recipe names it: sequences to learn from, and some held out.

use std::path::PathBuf;

use attar_model::EncoderConfig;
use attar_text::corpus::Corpus;
use attar_text::random::Streams;
use attar_text::sequences::{SequenceLayout, Sequences, SequencesError};
use attar_text::tokenizer::Tokenizer;

use crate::Error;
use crate::recipe::{CorpusLayout, DataSpec};
use crate::run_directory::DataFacts;

/// The files of a corpus and how they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CorpusSource {
    files: Vec<PathBuf>,
    layout: SequenceLayout,
    held_out: usize,
    rows: Option<usize>,
}

/// A corpus as token ids of one tokenizer.
#[derive(Debug, Clone)]
pub(crate) struct CorpusData {
    /// Sequences to learn from.
    pub train: Sequences,
    /// Sequences held out.
    pub held_out: Sequences,
    /// What both are, for manifest and card.
    pub facts: [DataFacts; 2],
    /// Lines that were cut.
    pub cut_lines: usize,
}

impl CorpusSource {
    /// The corpus that a recipe names, and the tokens of its longest sequence; `None` if its data are labeled.
    pub(crate) fn of(spec: &DataSpec) -> Option<(CorpusSource, usize)> {
        let DataSpec::Corpus { files, layout, held_out, max_tokens, rows } = spec else { return None };
        let layout = match layout {
            CorpusLayout::Packed => SequenceLayout::Packed,
            CorpusLayout::Lines => SequenceLayout::Lines,
        };
        Some((CorpusSource { files: files.clone(), layout, held_out: *held_out, rows: *rows }, *max_tokens))
    }

    /// The corpus with sequences that these models take, and the tokens of the longest; notes say what was cut.
    pub(crate) fn within(
        self,
        max_tokens: usize,
        models: &[(&str, &EncoderConfig)],
        notes: &mut Vec<String>,
    ) -> (CorpusSource, usize) {
        let mut most = max_tokens;
        for (name, config) in models {
            let positions = config.usable_positions();
            if most > positions {
                notes.push(format!("{name} takes {positions} tokens of a text at most, not {most}"));
                most = positions;
            }
        }
        (self, most)
    }

    /// Reads all files and draws what is held out.
    ///
    /// # Errors
    /// If a file cannot be read, or there are too few sequences.
    pub(crate) fn read(
        &self,
        tokenizer: &Tokenizer,
        max_tokens: usize,
        streams: &Streams,
    ) -> Result<CorpusData, Error> {
        let all = self.sequences(tokenizer, max_tokens)?;
        if all.len() <= self.held_out {
            return Err(Error::refused(
                "data",
                format!("more than the {} sequences that are held out", self.held_out),
                format!("{} in {}", all.len(), self.name()),
                "lower `held-out`, or give more text",
            ));
        }
        let mut order: Vec<usize> = (0..all.len()).collect();
        streams.stream("held-out sequences", &[]).shuffle(&mut order);
        let (held_out, rest) = order.split_at(self.held_out);
        let kept = self.rows.map_or(rest.len(), |rows| rows.min(rest.len()));
        let part = |rows: &[usize]| {
            let mut rows = rows.to_vec();
            // Reading them in the order of the files needs no jumps.
            rows.sort_unstable();
            all.of_rows(&rows)
        };
        let (train, held_out) = (part(&rest[..kept]), part(held_out));
        let facts = |name: String, sequences: &Sequences| DataFacts {
            name,
            rows: sequences.len(),
            sha256: sequences.content_hash(),
        };
        Ok(CorpusData {
            facts: [facts(self.name(), &train), facts(format!("{}, held out", self.name()), &held_out)],
            cut_lines: all.cut_lines(),
            train,
            held_out,
        })
    }

    /// The first lines, at most so many.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(crate) fn first_lines(&self, count: usize) -> Result<Vec<String>, Error> {
        let mut corpus = Corpus::open(&self.files).map_err(SequencesError::from)?;
        let lines = corpus.by_ref().take(count).collect();
        corpus.finish().map_err(SequencesError::from)?;
        Ok(lines)
    }

    /// How often each piece occurs, `[V]`.
    ///
    /// # Errors
    /// As [`CorpusSource::read`].
    pub(crate) fn piece_counts(&self, tokenizer: &Tokenizer, max_tokens: usize) -> Result<Vec<u64>, Error> {
        let sequences = self.sequences(tokenizer, max_tokens)?;
        let mut counts = vec![0; tokenizer.vocabulary_size()];
        for index in 0..sequences.len() {
            for &id in sequences.ids(index) {
                counts[id as usize] += 1;
            }
        }
        Ok(counts)
    }

    /// `wiki-00.txt.gz` or `wiki-00.txt.gz and 4 more`.
    pub(crate) fn name(&self) -> String {
        let first = self.files.first().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
        match self.files.len() {
            0 | 1 => first.into(),
            more => format!("{first} and {} more", more - 1),
        }
    }

    fn sequences(&self, tokenizer: &Tokenizer, max_tokens: usize) -> Result<Sequences, Error> {
        if self.files.is_empty() {
            return Err(Error::refused("data", "at least one file", "none", "add `files`"));
        }
        let mut corpus = Corpus::open(&self.files).map_err(SequencesError::from)?;
        let sequences = Sequences::read(&mut corpus, tokenizer, self.layout, max_tokens)?;
        if sequences.is_empty() {
            let files: Vec<String> = self.files.iter().map(|path| path.display().to_string()).collect();
            return Err(Error::refused(files.join(", "), "text", "blank lines alone", "give files with text"));
        }
        Ok(sequences)
    }
}
