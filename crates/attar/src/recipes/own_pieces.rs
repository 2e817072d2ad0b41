//! Trains a vocabulary for the student while its recipe is made, because the student's widths depend on how that
//! vocabulary tokenizes the text.

use std::path::{Path, PathBuf};

use anyhow::Context;
use attar_distill::data::LabeledData;
use attar_distill::model_directory::PIECES;
use attar_distill::recipe::StudentSpec;
use attar_distill::rules::{Facts, OwnPieces, VocabularyStats, own_pieces_within};
use attar_distill::tokenizer_files;
use attar_model::{EncoderConfig, Size};
use attar_text::tokenizer::{Limit, Tokenizer, TrainOptions, train_wordpiece};

use crate::cli::training::ShapeArgs;
use crate::commands::vocab::over_lines;
use crate::console;
use crate::progress::waiting;

/// Numbers of pieces with which the text is read, beside the most that it yields.
const SIZES: [usize; 9] = [2_000, 3_000, 4_000, 6_000, 8_000, 12_000, 16_000, 24_000, 32_000];

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
    let text = Text { files, rows };
    let whole = text.read("words of the text", |lines| train_wordpiece(lines, options)).context("--own-pieces")?;
    let mut read = Vec::new();
    for pieces in sizes(&whole, shape.vocabulary.is_some()) {
        let tokenizer = first_pieces(&whole, pieces)?;
        let coverage = text.read("pieces of the text", |lines| tokenizer.coverage(lines))?;
        let files = tokenizer_files(&tokenizer, rows.max_tokens)?;
        read.push(VocabularyStats {
            pieces,
            pieces_a_word: coverage.fertility().context("--own-pieces: the text has no words")?,
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
    let bytes = shape.max_bytes.unwrap_or(Size::of(teacher).bytes_f32() / 10);
    let within = own_pieces_within(&wanted, &read, bytes).context("--max-bytes")?;
    console::note(&within.reason);
    let out = folder.join(PIECES);
    save(&first_pieces(&whole, within.pieces)?, &out)?;
    Ok(within.student.with_vocabulary(None).with_tokenizer(out))
}

/// Writes the tokenizer, unless another one is there: a run that was broken off goes on with its own.
fn save(tokenizer: &Tokenizer, out: &Path) -> anyhow::Result<()> {
    for (name, text) in tokenizer.files()? {
        let is_other = std::fs::read(out.join(name)).is_ok_and(|found| found != text.as_bytes());
        anyhow::ensure!(
            !is_other,
            "--own-pieces: {} holds another vocabulary than these texts and sizes give; choose a new folder, or repeat the command \
             that began the run",
            out.display()
        );
    }
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    Ok(tokenizer.save(out)?)
}

/// Where the words of a vocabulary come from.
struct Text<'a> {
    files: &'a [PathBuf],
    rows: &'a LabeledData,
}

impl Text<'_> {
    /// Gives the lines of the files, or the texts of the rows to learn from, to `look`.
    fn read<T, E>(
        &self,
        what: &str,
        look: impl FnOnce(&mut dyn Iterator<Item = String>) -> Result<T, E>,
    ) -> anyhow::Result<T>
    where
        anyhow::Error: From<E>,
    {
        if !self.files.is_empty() {
            return over_lines(self.files, what, look);
        }
        let reading = waiting(what);
        let texts = self.rows.train.examples.iter().flat_map(|row| [Some(&row.text), row.pair.as_ref()]);
        let made = look(&mut texts.flatten().cloned());
        reading.finish_and_clear();
        Ok(made?)
    }
}

/// Whether a tokenizer reads capitals as small letters.
fn lowercases(tokenizer: &Tokenizer) -> anyhow::Result<bool> {
    let ids = |text| Ok::<_, anyhow::Error>(tokenizer.encode(text, None, Limit::unlimited())?.ids);
    Ok(ids("THE NAME")? == ids("the name")?)
}

/// The numbers of pieces with which the text is read: none without a letter of the text, and the whole vocabulary alone where its
/// size was given.
fn sizes(whole: &Tokenizer, is_given: bool) -> Vec<usize> {
    let most = whole.vocabulary_size();
    if is_given {
        return vec![most];
    }
    let is_letter = |id: &u32| {
        whole.is_special(*id)
            || whole.token(*id).is_some_and(|piece| piece.trim_start_matches("##").chars().count() <= 1)
    };
    let letters = (0..most as u32).take_while(is_letter).count();
    let least = SIZES[0].max(letters).min(most);
    let between = SIZES.into_iter().filter(|size| (least + 1..most).contains(size));
    let mut sizes: Vec<usize> = std::iter::once(least).chain(between).chain([most]).collect();
    sizes.dedup();
    sizes
}

/// The tokenizer of the first pieces of a vocabulary, which is the one that training for so many makes.
fn first_pieces(whole: &Tokenizer, count: usize) -> anyhow::Result<Tokenizer> {
    let kept: Vec<u32> = (0..count as u32).collect();
    Ok(whole.trimmed(&kept)?.tokenizer)
}
