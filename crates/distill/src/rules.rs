//! The default recipe: the rules by which rate, length, head, shape and vocabulary follow the data. `experiments/defaults` says on which sets they were chosen and what they gave.

mod own_pieces;
mod raw_text;

use attar_model::quantized::{Storage, file_length};
use attar_model::{EncoderConfig, Size};
use attar_text::labeled::{Example, Label, Target};
use attar_text::tokenizer::{EncodeError, Encoding, Limit, Tokenizer};

use crate::Error;
use crate::answer_windows::{AnswerWindows, KeepPlaces};
use crate::data::LabeledData;
use crate::objectives::{Contrast, Gold, Hidden, LayerMap, Objective, ProjectionSpec, Soft};
use crate::recipe::{EmbeddingStart, KeepWeights, StageLength, StageSpec, StudentSpec};

pub use own_pieces::{OwnPieces, SizedStudent, VocabularyStats, own_pieces_within, vocabulary_sizes};
pub use raw_text::{general, masked_lm};

/// How much time a recipe may take for its quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// About a third of the rows seen by default.
    Quick,
    /// Meant to take fifteen minutes for teacher and student on 10,000 short rows and two idle cores.
    #[default]
    Default,
    /// Up to three times the rows seen by default.
    Best,
}

impl Effort {
    /// What the number of rows seen is multiplied by.
    pub fn factor(self) -> f64 {
        match self {
            Effort::Quick => 1.0 / 3.0,
            Effort::Default => 1.0,
            Effort::Best => 3.0,
        }
    }
}

/// What the rules depend on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts {
    /// Rows to learn from.
    pub rows: usize,
    /// Held-out rows to choose by.
    pub dev_rows: usize,
    /// Tokens of a row, on average; of a question, those of all windows of its context.
    pub tokens: f64,
    /// Whether rows have classes, not scores.
    pub classes: bool,
}

/// Rows whose length is looked at.
const MEASURED_ROWS: usize = 1_000;

impl Facts {
    /// The facts of labeled rows that this tokenizer reads.
    ///
    /// # Errors
    /// If the tokenizer refuses a text.
    pub fn of(data: &LabeledData, tokenizer: &Tokenizer) -> Result<Facts, Error> {
        let step = data.train.len().div_ceil(MEASURED_ROWS).max(1);
        // A row's length does not depend on its label, and labels are checked when the training rows are encoded.
        let sampled = data.train.examples.iter().step_by(step);
        let rows: Vec<Example> = sampled.map(|row| Example { label: Label::Absent, ..row.clone() }).collect();
        let encoded = match data.train.target {
            Target::Answers { .. } => {
                AnswerWindows::encode(&rows, tokenizer, data.max_tokens, KeepPlaces::None).map(|(windows, _)| windows)
            }
            _ => {
                let texts: Vec<_> = rows.iter().map(Example::texts).collect();
                tokenizer.encode_all(&texts, Limit::new(data.max_tokens)).map_err(Error::from)
            }
        };
        let encoded = encoded.map_err(|error| match error {
            Error::Encode(EncodeError::Row { row, source }) => EncodeError::Row { row: row * step, source }.into(),
            other => other,
        })?;
        let tokens = encoded.iter().map(Encoding::len).sum::<usize>() as f64 / rows.len().max(1) as f64;
        let classes = matches!(data.train.target, Target::Classes(_));
        Ok(Facts { rows: data.train.len(), dev_rows: data.dev.len(), tokens: tokens.max(1.0), classes })
    }
}

/// Width of the encoder for which [`finetune`]'s rates were chosen.
const RATE_WIDTH: f64 = 384.0;
/// Tokens that a fine-tuning sees at most, if a single pass is not more.
const TOKENS_FINE_TUNED: f64 = 1.5e6;
/// Dev rows below which a score says too little to choose a checkpoint by.
const FEW_DEV_ROWS: usize = 64;

/// The stage of a fine-tuning of an encoder of this width.
///
/// - Passes: `⌈300/√rows⌉`, from 2 to 40: three for 10,000 rows, thirty for 100. Few rows need many passes, for each is
///   a handful of updates. They end with the pass that reaches 1.5 million tokens, about a quarter of an hour on two cores
///   for a model of six layers and a width of 384.
/// - Rate: 1e-4 up to 1,000 rows and 2e-4 above at a width of 384, and by the square of the width less for wider ones,
///   which gives 2.5e-5 and 5e-5 at 768, among the values of Devlin et al. (arXiv 1810.04805, appendix A.3).
/// - Batches of 16 up to 1,000 rows, of 32 above.
/// - Up to 1,000 rows with classes: sentence vectors that tell the classes apart, beside the labels, for each row is
///   learned from with every other one of its batch.
/// - The best of the passes on the dev rows is kept, and training ends after more than half of them, and at least
///   three, without a better one: a head that begins as a linear model falls at first before it rises. Below 64 dev rows the
///   last weights are kept, for so few rows choose by chance.
pub fn finetune(facts: Facts, hidden: usize, effort: Effort) -> StageSpec {
    let few = facts.rows <= 1000;
    let rows = facts.rows.max(1) as f64;
    let affordable = TOKENS_FINE_TUNED * effort.factor() / (rows * facts.tokens);
    let epochs = (300.0 / rows.sqrt() * effort.factor()).ceil().max(2.0).min(affordable.ceil());
    let width = (RATE_WIDTH / hidden.max(1) as f64).powi(2).min(1.0);
    let chooses = facts.dev_rows >= FEW_DEV_ROWS;
    let (epochs, batch_rows) = ((epochs as usize).clamp(1, 40), if few { 16 } else { 32 });
    let mut objectives = vec![Objective::from(Gold { weight: 1.0 })];
    if few && facts.classes {
        objectives.push(Objective::from(Contrast { weight: 1.0 }));
    }
    StageSpec {
        name: "finetune".into(),
        length: StageLength::Epochs(epochs),
        rate: if few { 1e-4 } else { 2e-4 } * width,
        batch_rows,
        // Where scores choose nothing, four are enough for the log.
        evaluate_every: if chooses { 0 } else { (epochs * facts.rows.div_ceil(batch_rows)).div_ceil(4) },
        patience: chooses.then_some((epochs / 2 + 1).max(3)),
        keep: if chooses { KeepWeights::Best } else { KeepWeights::Last },
        ..StageSpec::new(objectives)
    }
}

/// Where a student begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// Random weights.
    Random,
    /// Some layers of the teacher as they are.
    Layers,
    /// Some layers of the teacher with the feed-forward units that matter most.
    Pruned,
}

/// The student that is cut out of a teacher: half of its layers, at most four, the last one among them and evenly spaced,
/// and a feed-forward block half as wide as the state. It has all of the teacher's word pieces: see [`vocabulary_within`].
pub fn student(teacher: &EncoderConfig, init: Init) -> StudentSpec {
    let count = teacher.layers.div_ceil(2).min(4);
    let layers: Vec<usize> = (1..=count).map(|layer| (layer * teacher.layers).div_ceil(count)).collect();
    let feed_forward = match init {
        Init::Pruned => (teacher.hidden / 2).min(teacher.feed_forward),
        Init::Layers => teacher.feed_forward,
        Init::Random => teacher.hidden.min(teacher.feed_forward),
    };
    match init {
        Init::Random => StudentSpec::Shape {
            layers: count,
            hidden: teacher.hidden,
            embedding_width: None,
            heads: teacher.heads,
            feed_forward,
            tokenizer: None,
            embeddings: None,
            classifier: crate::recipe::ClassifierChoice::Auto,
            vocabulary: None,
        },
        Init::Layers | Init::Pruned => StudentSpec::Teacher {
            layers,
            hidden: None,
            embedding_width: None,
            heads: None,
            feed_forward: (feed_forward < teacher.feed_forward).then_some(feed_forward),
            tokenizer: None,
            embeddings: EmbeddingStart::Mean,
            vocabulary: None,
        },
    }
}

/// The default size limit of a student in bytes: a tenth of its teacher's size in f32.
pub fn default_max_bytes(teacher: &EncoderConfig) -> usize {
    Size::of(teacher).bytes_f32() / 10
}

/// How many of its teacher's word pieces a student of this shape can have within `bytes` as shipped; `None` if all.
///
/// # Errors
/// As [`pieces_within`].
pub fn vocabulary_within(
    spec: &StudentSpec,
    teacher: &EncoderConfig,
    max_tokens: usize,
    bytes: usize,
) -> Result<Option<usize>, TooFewBytes> {
    let Some(shape) = shape_of(spec, teacher, max_tokens) else { return Ok(None) };
    let pieces = pieces_within(&shape, bytes)?;
    Ok((pieces < teacher.vocabulary).then_some(pieces))
}

/// The shape of a student with its teacher's pieces; `None` of a model that has its own.
fn shape_of(spec: &StudentSpec, teacher: &EncoderConfig, positions: usize) -> Option<EncoderConfig> {
    let (layers, [hidden, heads, feed_forward], embedding) = match spec {
        StudentSpec::Model { .. } => return None,
        StudentSpec::Teacher { layers, hidden, embedding_width, heads, feed_forward, .. } => (
            layers.len(),
            [
                hidden.unwrap_or(teacher.hidden),
                heads.unwrap_or(teacher.heads),
                feed_forward.unwrap_or(teacher.feed_forward),
            ],
            embedding_width.or(teacher.embedding),
        ),
        StudentSpec::Shape { layers, hidden, embedding_width, heads, feed_forward, .. } => {
            (*layers, [*hidden, *heads, *feed_forward], *embedding_width)
        }
    };
    let shape = EncoderConfig { layers, hidden, embedding, heads, feed_forward, positions, ..teacher.clone() };
    Some(shape.with_embedding_width(embedding))
}

/// Bytes of a word piece in `tokenizer.json` and `vocab.txt`, as BERT's vocabulary has them on average.
const PIECE_TEXT: usize = 34;
/// Bytes of the other files of a model directory.
const OTHER_FILES: usize = 40_000;

/// Fewest word pieces with which a model still reads ordinary text.
const FEWEST_PIECES: usize = 2_000;

/// A size in which a shape has no room even for the fewest word pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{bytes} bytes are too few: {pieces} word pieces with a hidden width of {hidden} and an embedding width of {embedding} take about \
     {needed} bytes, and fewer do not read ordinary text: give at least that, or a smaller shape"
)]
pub struct TooFewBytes {
    /// What was asked for.
    pub bytes: usize,
    /// The fewest pieces.
    pub pieces: usize,
    /// H of the shape, the smallest where several were looked at.
    pub hidden: usize,
    /// E of the shape.
    pub embedding: usize,
    /// What the shape needs with the fewest pieces.
    pub needed: usize,
}

/// How many word pieces a model of this shape can have so that its directory, in 8-bit integers, has at most `bytes`.
///
/// # Errors
/// [`TooFewBytes`] if it would be fewer than 2,000, or than the whole vocabulary of the shape if that is smaller.
pub fn pieces_within(shape: &EncoderConfig, bytes: usize) -> Result<usize, TooFewBytes> {
    let with = |vocabulary| shipped_bytes(&EncoderConfig { vocabulary, pad_id: 0, ..shape.clone() });
    // An 8-bit row, its scale, and the piece's own letters.
    let piece = shape.embedding_width() + 4 + PIECE_TEXT;
    let mut pieces = bytes.saturating_sub(with(1)) / piece + 1;
    // The file aligns its tensors, so the estimate is off by a piece or two.
    while pieces > 0 && with(pieces) > bytes {
        pieces -= 1;
    }
    // If the vocabulary itself has fewer pieces than that, all of it can be kept.
    let fewest = FEWEST_PIECES.min(shape.vocabulary);
    if pieces >= fewest {
        return Ok(pieces);
    }
    let (hidden, embedding) = (shape.hidden, shape.embedding_width());
    Err(TooFewBytes { bytes, pieces: fewest, hidden, embedding, needed: with(fewest) })
}

/// About how many bytes a model directory in 8-bit integers has.
pub fn shipped_bytes(config: &EncoderConfig) -> usize {
    weight_bytes(config) + config.vocabulary * PIECE_TEXT + OTHER_FILES
}

/// About how many bytes a weights file in 8-bit integers has.
fn weight_bytes(config: &EncoderConfig) -> usize {
    let columns = 2 * (4 * config.hidden + config.feed_forward) + COLUMN_SCALE_ENTRIES;
    file_length(config, Storage::int8_matrices) + config.layers * columns
}

/// Bytes in the header of a weights file for the scales of a layer's columns: five matrices may have some.
const COLUMN_SCALE_ENTRIES: usize = 5 * 130;

/// Rows of which a student sees its teacher's states, at most; of half as many it sees the answers.
const ROWS_SEEN: f64 = 40_000.0;
/// Tokens of these rows, at most: long rows are fewer.
const TOKENS_SEEN: f64 = 600_000.0;
/// Different rows that noise brings a small data set to.
const NOISY_ROWS: usize = 20_000;

/// Copies with noise of each training row.
pub fn noisy_copies(rows: usize) -> usize {
    (NOISY_ROWS / rows.max(1)).clamp(1, 40)
}

/// The stages of a student: the states of the teacher's layers on all rows, then its answers.
///
/// `base` is the model that a student of `from = "model"` begins with; `extra_rows` are those beside the labeled ones,
/// `None` if their number is not known.
pub fn student_stages(
    facts: Facts,
    spec: &StudentSpec,
    teacher: &EncoderConfig,
    base: Option<&EncoderConfig>,
    extra_rows: Option<usize>,
    effort: Effort,
) -> Vec<StageSpec> {
    // Of rows that are not counted yet there are enough.
    let most = extra_rows.map_or(f64::INFINITY, |extra| 30.0 * (facts.rows + extra).max(1) as f64);
    let seen = (ROWS_SEEN.min(TOKENS_SEEN / facts.tokens) * effort.factor()).min(most);
    let updates = |share: f64| ((seen * share / 32.0) as usize).max(50);
    let (map, projection) = comparison(spec, teacher, base);
    let hidden = Objective::from(Hidden { weight: 1.0, map });
    let soft = Objective::from(Soft { weight: 1.0, temperature: 1.0 });
    let chooses = facts.dev_rows >= FEW_DEV_ROWS;
    let random = matches!(spec, StudentSpec::Shape { .. });
    let states = StageSpec {
        name: "states".into(),
        length: StageLength::Steps(updates(1.0)),
        rate: if random { 1e-3 } else { 5e-4 },
        projection,
        ..StageSpec::new(vec![hidden])
    };
    let answers = StageSpec {
        name: "answers".into(),
        length: StageLength::Steps(updates(0.5)),
        evaluate_every: updates(0.5).div_ceil(4),
        rate: if random { 5e-4 } else { 2e-4 },
        keep: if chooses { KeepWeights::Best } else { KeepWeights::Last },
        ..StageSpec::new(vec![soft])
    };
    vec![states, answers]
}

/// Which layers of a student and its teacher are compared, and how.
fn comparison(spec: &StudentSpec, teacher: &EncoderConfig, base: Option<&EncoderConfig>) -> (LayerMap, ProjectionSpec) {
    let (map, hidden) = match spec {
        StudentSpec::Teacher { layers, hidden, .. } => {
            let pairs = layers.iter().enumerate().map(|(own, &theirs)| [own + 1, theirs]).collect();
            (LayerMap::Pairs(pairs), hidden.unwrap_or(teacher.hidden))
        }
        StudentSpec::Shape { hidden, .. } => (LayerMap::default(), *hidden),
        StudentSpec::Model { .. } => (LayerMap::default(), base.map_or(0, |base| base.hidden)),
    };
    (map, if hidden == teacher.hidden { ProjectionSpec::None } else { ProjectionSpec::Shared })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(rows: usize) -> Facts {
        Facts { rows, dev_rows: rows / 9, tokens: 12.0, classes: true }
    }

    #[test]
    fn few_rows_are_seen_often_and_gently() {
        let epochs = |rows| match finetune(facts(rows), 384, Effort::Default).length {
            StageLength::Epochs(epochs) => epochs,
            StageLength::Steps(_) => 0,
        };
        assert_eq!([14, 100, 1_000, 10_000, 60_000].map(epochs), [40, 30, 10, 3, 2]);
        let [few, many] = [500, 5_000].map(|rows| finetune(facts(rows), 384, Effort::Default));
        assert!(few.rate < many.rate && few.patience.is_none() && many.patience.is_some());
        // Long rows are seen less often, but once.
        let long = |rows| finetune(Facts { tokens: 100.0, ..facts(rows) }, 384, Effort::Default).length;
        assert_eq!([7_000, 60_000].map(long), [3, 1].map(StageLength::Epochs));
        // At BERT-base's width the rates are a quarter.
        assert_eq!(finetune(facts(5_000), 768, Effort::Default).rate * 4.0, many.rate);
    }

    #[test]
    fn a_student_of_long_rows_sees_fewer() {
        let teacher = EncoderConfig::bert_base();
        let spec = student(&teacher, Init::Pruned);
        let steps = |tokens| {
            let facts = Facts { tokens, ..facts(10_000) };
            match student_stages(facts, &spec, &teacher, None, Some(10_000), Effort::Default)[0].length {
                StageLength::Steps(steps) => steps,
                StageLength::Epochs(_) => 0,
            }
        };
        assert_eq!([10.0, 60.0].map(steps), [1250, 312]);
    }

    #[test]
    fn a_student_fits_into_its_bytes() {
        let teacher =
            EncoderConfig { layers: 6, hidden: 384, heads: 12, feed_forward: 1536, ..EncoderConfig::bert_base() };
        let spec = student(&teacher, Init::Pruned);
        let StudentSpec::Teacher { layers, feed_forward, .. } = &spec else {
            panic!("a pruned student begins from its teacher")
        };
        assert_eq!((&layers[..], feed_forward), (&[2, 4, 6][..], &Some(192)));
        let pieces = vocabulary_within(&spec, &teacher, 128, 9_000_000).unwrap();
        let pieces = pieces.expect("9 MB have no room for 30,522 pieces of 384 columns");
        let config =
            EncoderConfig { layers: 3, feed_forward: 192, positions: 128, vocabulary: pieces, ..teacher.clone() };
        let bytes = shipped_bytes(&config);
        assert!((8_900_000..=9_000_000).contains(&bytes), "{bytes}");
        // What has no room is refused, with the size that would do; what has room keeps all pieces.
        let refused = pieces_within(&teacher, 1_000_000).unwrap_err();
        assert_eq!(pieces_within(&teacher, refused.needed), Ok(FEWEST_PIECES));
        assert_eq!(vocabulary_within(&spec, &teacher, 128, usize::MAX), Ok(None));
        // A narrower student of the same size keeps more.
        let StudentSpec::Teacher { layers, feed_forward, .. } = spec else { panic!("checked above") };
        let spec = StudentSpec::Teacher {
            layers,
            feed_forward,
            hidden: Some(192),
            embedding_width: None,
            heads: None,
            tokenizer: None,
            embeddings: EmbeddingStart::Mean,
            vocabulary: None,
        };
        assert!(vocabulary_within(&spec, &teacher, 128, 4_000_000).unwrap() > Some(10_000));
        let random = student(&teacher, Init::Random);
        assert!(matches!(random, StudentSpec::Shape { feed_forward: 384, .. }), "{random:?}");
        let StudentSpec::Teacher { layers, .. } = student(&EncoderConfig::bert_base(), Init::Layers) else {
            panic!("layers of the teacher")
        };
        assert_eq!(layers, [3, 6, 9, 12]);
    }
}
