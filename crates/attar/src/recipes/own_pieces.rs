//! Trains a vocabulary for the student while its recipe is made, because the student's widths depend on how that
//! vocabulary tokenizes the text.

use std::path::{Path, PathBuf};

use anyhow::Context;
use attar_distill::data::LabeledData;
use attar_distill::model_directory::PIECES;
use attar_distill::recipe::StudentSpec;
use attar_distill::rules::{self, Facts, OwnPieces, VocabularyStats};
use attar_distill::tokenizer_files;
use attar_model::EncoderConfig;
use attar_text::tokenizer::{Limit, Tokenizer, TrainOptions, WordCounts};

use crate::cli::training::ShapeArgs;
use crate::commands::vocab::over_lines;
use crate::console;
use crate::progress::waiting;

/// What the pieces of a student are made for.
pub(super) struct StudentContext<'a> {
    /// The flags of its shape.
    pub(super) shape: &'a ShapeArgs,
    /// Its teacher's directory and configuration.
    pub(super) teacher: (&'a Path, &'a EncoderConfig),
    /// Its rows.
    pub(super) rows: &'a LabeledData,
    /// What the rules depend on.
    pub(super) facts: Facts,
    /// Where the run is.
    pub(super) folder: &'a Path,
}

/// The student with a tokenizer of its own, trained on these files or else on its rows, and with widths that leave room for it.
pub(super) fn student(
    student: StudentSpec,
    files: &[PathBuf],
    given: &StudentContext<'_>,
) -> anyhow::Result<StudentSpec> {
    let StudentContext { shape, teacher: (directory, teacher), rows, facts, folder } = given;
    let options = TrainOptions {
        lowercase: lowercases(&Tokenizer::from_dir(directory)?)?,
        ..TrainOptions::new(shape.vocabulary.unwrap_or(teacher.vocabulary))
    };
    let words = count_words(files, rows, options).context("--own-pieces")?;
    let whole = words.train().context("--own-pieces")?;
    let sizes = match shape.vocabulary {
        Some(_) => vec![whole.vocabulary_size()],
        None => rules::vocabulary_sizes(alphabet_size(&whole), whole.vocabulary_size()),
    };
    let mut read = Vec::new();
    for pieces in sizes {
        let tokenizer = first_pieces(&whole, pieces)?;
        let files = tokenizer_files(&tokenizer, rows.max_tokens)?;
        read.push(VocabularyStats {
            pieces,
            fertility: words.fertility(&tokenizer)?.context("--own-pieces: the text has no words")?,
            tokenizer_bytes: files.iter().map(|(_, bytes)| bytes.len()).sum(),
        });
    }
    let wanted = OwnPieces {
        student: &student,
        teacher,
        target: &rows.train.target,
        positions: rows.max_tokens.min(teacher.usable_positions()),
        facts: *facts,
        hidden_is_given: shape.hidden.or(shape.heads).is_some(),
        embedding_is_given: shape.embedding_width.is_some(),
    };
    let bytes = shape.max_bytes.unwrap_or_else(|| rules::default_max_bytes(teacher));
    let within = rules::own_pieces_within(&wanted, &read, bytes).context("--max-bytes")?;
    console::note(&within.reason);
    let out = folder.join(PIECES);
    save(&first_pieces(&whole, within.pieces)?, &out)?;
    Ok(within.student.with_vocabulary(None).with_tokenizer(out))
}

/// Writes the tokenizer. Fails if a different one is there, because an interrupted run must resume with its own.
fn save(tokenizer: &Tokenizer, out: &Path) -> anyhow::Result<()> {
    for (name, text) in tokenizer.files()? {
        let is_other = std::fs::read(out.join(name)).is_ok_and(|found| found != text.as_bytes());
        anyhow::ensure!(
            !is_other,
            "--own-pieces: {} holds another vocabulary, not the one that these texts and sizes yield; name another --out, or repeat \
             the command that began the run",
            out.display()
        );
    }
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    Ok(tokenizer.save(out)?)
}

/// The words of the files, or else of the rows to learn from.
fn count_words(files: &[PathBuf], rows: &LabeledData, options: TrainOptions) -> anyhow::Result<WordCounts> {
    let what = "words of the text";
    if !files.is_empty() {
        return over_lines(files, what, |lines| WordCounts::of(lines, options));
    }
    let counting = waiting(what);
    let texts = rows.train.examples.iter().flat_map(|row| [Some(&row.text), row.pair.as_ref()]);
    let words = WordCounts::of(texts.flatten(), options)?;
    counting.finish_and_clear();
    Ok(words)
}

/// Whether a tokenizer reads capitals as small letters.
fn lowercases(tokenizer: &Tokenizer) -> anyhow::Result<bool> {
    let ids = |text| Ok::<_, anyhow::Error>(tokenizer.encode(text, None, Limit::unlimited())?.ids);
    Ok(ids("THE NAME")? == ids("the name")?)
}

/// The number of leading pieces that are special tokens or single characters.
fn alphabet_size(whole: &Tokenizer) -> usize {
    let is_letter = |id: &u32| {
        whole.is_special(*id)
            || whole.token(*id).is_some_and(|piece| piece.trim_start_matches("##").chars().count() <= 1)
    };
    (0..whole.vocabulary_size() as u32).take_while(is_letter).count()
}

/// The tokenizer of the first pieces of a vocabulary, which is the one that training for so many makes.
fn first_pieces(whole: &Tokenizer, count: usize) -> anyhow::Result<Tokenizer> {
    let kept: Vec<u32> = (0..count as u32).collect();
    Ok(whole.trimmed(&kept)?.tokenizer)
}
