//! Raw text as a recipe names it: sequences to learn from, and some held out.

use std::path::PathBuf;

use attar_model::EncoderConfig;
use attar_text::corpus::Corpus;
use attar_text::mixed::MixedTexts;
use attar_text::random::Streams;
use attar_text::sequences::{SequenceLayout, Sequences, SequencesError};
use attar_text::tokenizer::Tokenizer;

use crate::recipe::{CorpusLayout, DataSpec, MixSpec};
use crate::run_directory::DataFacts;
use crate::{Error, model_directory};

/// The files of a corpus and how they are read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CorpusSource {
    files: Vec<PathBuf>,
    layout: SequenceLayout,
    held_out: usize,
    rows: Option<usize>,
    mix: Option<MixSpec>,
}

/// Text for a model that learns a second vocabulary beside its own.
#[derive(Debug)]
pub(crate) struct Mixture {
    /// Text to learn from.
    pub train: MixedTexts,
    /// Text held out.
    pub held_out: MixedTexts,
    /// The second vocabulary.
    pub second: Tokenizer,
    /// Share of the words that it cuts, at the beginning and at the end.
    pub share: [f64; 2],
}

/// A corpus as token ids of one tokenizer.
#[derive(Debug)]
pub(crate) struct CorpusData {
    /// Sequences to learn from.
    pub train: Sequences,
    /// Sequences held out.
    pub held_out: Sequences,
    /// What both are, for manifest and card.
    pub facts: [DataFacts; 2],
    /// Lines that were cut.
    pub cut_lines: usize,
    /// The same text for a model that learns a second vocabulary.
    pub mixture: Option<Mixture>,
}

impl CorpusSource {
    /// The corpus that a recipe names, and the tokens of its longest sequence; `None` if its data are labeled.
    pub(crate) fn of(spec: &DataSpec) -> Option<(CorpusSource, usize)> {
        let DataSpec::Corpus { files, layout, held_out, max_tokens, rows, mix } = spec else { return None };
        let layout = match layout {
            CorpusLayout::Packed => SequenceLayout::Packed,
            CorpusLayout::Lines => SequenceLayout::Lines,
        };
        Some((
            CorpusSource { files: files.clone(), layout, held_out: *held_out, rows: *rows, mix: mix.clone() },
            *max_tokens,
        ))
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
        let [train, held_out] = self.divided(all.len(), streams)?.map(|rows| all.of_rows(&rows));
        let hashes = [&train, &held_out].map(Sequences::content_hash);
        let facts = self.facts([train.len(), held_out.len()], hashes);
        Ok(CorpusData { facts, cut_lines: all.cut_lines(), train, held_out, mixture: None })
    }

    /// Reads all files for a model that learns a second vocabulary, if the recipe names one: as the model's own tokenizer
    /// cuts them, and the mixture.
    ///
    /// # Errors
    /// As [`CorpusSource::read`], and if the second tokenizer cannot be read or a share is out of range.
    pub(crate) fn read_mixed(
        &self,
        mix: &MixSpec,
        tokenizer: &Tokenizer,
        max_tokens: usize,
        streams: &Streams,
    ) -> Result<CorpusData, Error> {
        let share = [mix.share, mix.last_share.unwrap_or(mix.share)];
        if let Some(wrong) = share.iter().find(|share| !(0.0..=1.0).contains(*share)) {
            let expected = "a `share` and a `last-share` from 0 to 1";
            return Err(Error::refused("data, mix", expected, wrong.to_string(), "leave them out for one half"));
        }
        let second = Tokenizer::from_dir(&model_directory::locate(&mix.tokenizer))?;
        let mut corpus = self.open()?;
        let all = MixedTexts::read(&mut corpus, tokenizer, &second, max_tokens)?;
        self.refuse_empty(all.is_empty())?;
        let [train, held_out] = self.divided(all.len(), streams)?.map(|rows| all.of_rows(&rows));
        let hashes = [&train, &held_out].map(MixedTexts::content_hash);
        let facts = self.facts([train.len(), held_out.len()], hashes);
        let (own, own_held_out) = (train.in_first(), held_out.in_first());
        let mixture = Some(Mixture { train, held_out, second, share });
        Ok(CorpusData { facts, cut_lines: 0, train: own, held_out: own_held_out, mixture })
    }

    /// The second vocabulary that the recipe names.
    pub(crate) fn mix(&self) -> Option<&MixSpec> {
        self.mix.as_ref()
    }

    /// Which of `count` sequences are learned from and which are held out, each in the order of the files.
    fn divided(&self, count: usize, streams: &Streams) -> Result<[Vec<usize>; 2], Error> {
        if count <= self.held_out {
            return Err(Error::refused(
                "data",
                format!("more than the {} sequences that are held out", self.held_out),
                format!("{count} in {}", self.name()),
                "lower `held-out`, or give more text",
            ));
        }
        let mut order: Vec<usize> = (0..count).collect();
        streams.stream("held-out sequences", &[]).shuffle(&mut order);
        let (held_out, rest) = order.split_at(self.held_out);
        let kept = self.rows.map_or(rest.len(), |rows| rows.min(rest.len()));
        let mut parts = [rest[..kept].to_vec(), held_out.to_vec()];
        // Reading them in the order of the files needs no jumps.
        parts.iter_mut().for_each(|part| part.sort_unstable());
        Ok(parts)
    }

    fn facts(&self, rows: [usize; 2], [train, held_out]: [String; 2]) -> [DataFacts; 2] {
        let name = self.name();
        let held_out = DataFacts { name: format!("{name}, held out"), rows: rows[1], sha256: held_out };
        [DataFacts { name, rows: rows[0], sha256: train }, held_out]
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
        let sequences = Sequences::read(&mut self.open()?, tokenizer, self.layout, max_tokens)?;
        self.refuse_empty(sequences.is_empty())?;
        Ok(sequences)
    }

    fn open(&self) -> Result<Corpus, Error> {
        if self.files.is_empty() {
            return Err(Error::refused("data", "at least one file", "none", "add `files`"));
        }
        Ok(Corpus::open(&self.files).map_err(SequencesError::from)?)
    }

    fn refuse_empty(&self, is_empty: bool) -> Result<(), Error> {
        if !is_empty {
            return Ok(());
        }
        let files: Vec<String> = self.files.iter().map(|path| path.display().to_string()).collect();
        Err(Error::refused(files.join(", "), "text", "blank lines alone", "give files with text"))
    }
}
