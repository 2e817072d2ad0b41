//! The rule for a vocabulary of the student's own within a size: which widths, and how many pieces.

use attar_model::{EncoderConfig, hf_config};
use attar_text::labeled::Target;

use super::{FEWEST_PIECES, Facts, OTHER_FILES, TooFewBytes, shape_of, weight_bytes};
use crate::labels::head_of;
use crate::recipe::StudentSpec;

/// How a vocabulary cut to its first pieces tokenizes the text it was trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VocabularyStats {
    /// How many pieces.
    pub pieces: usize,
    /// Pieces for each word of the text.
    pub fertility: f64,
    /// Bytes of the tokenizer's files.
    pub tokenizer_bytes: usize,
}

/// The widths of a student and its pieces.
#[derive(Debug, Clone, PartialEq)]
pub struct SizedStudent {
    /// The student with these widths.
    pub student: StudentSpec,
    /// Its pieces.
    pub pieces: usize,
    /// Bytes of its directory in 8-bit integers, estimated.
    pub bytes: usize,
    /// What was chosen and why, as a sentence.
    pub reason: String,
}

/// What a student with pieces of its own is to be.
#[derive(Debug, Clone)]
pub struct OwnPieces<'a> {
    /// The student. The rule replaces its widths, except those marked as given below.
    pub student: &'a StudentSpec,
    /// Its teacher.
    pub teacher: &'a EncoderConfig,
    /// What it answers.
    pub target: &'a Target,
    /// Its positions.
    pub positions: usize,
    /// Its rows.
    pub facts: Facts,
    /// Whether the hidden width is given.
    pub hidden_is_given: bool,
    /// Whether the width of the embeddings is given.
    pub embedding_is_given: bool,
}

/// The largest ratio of pieces per word to that of the full vocabulary that the rule accepts in exchange for wider hidden states.
const MAX_PIECES_PER_WORD_RATIO: f64 = 1.05;
/// Shares of the hidden width that the embeddings can have: whole, or factorized.
const EMBEDDING_SHARES: [(usize, usize); 5] = [(1, 1), (1, 2), (1, 3), (1, 4), (1, 6)];
/// Factorized embeddings are multiples of this.
const EMBEDDING_STEP: usize = 8;
/// The fewest columns of factorized embeddings.
const FEWEST_COLUMNS: usize = 32;
/// The rule divides the number of heads by at most this.
const MAX_HEAD_DIVISOR: usize = 4;
/// Vocabulary sizes to try between the smallest and the largest.
const VOCABULARY_SIZES: [usize; 8] = [3_000, 4_000, 6_000, 8_000, 12_000, 16_000, 24_000, 32_000];
/// Bytes that a model directory holds for each row of its record.
const ROW_BYTES: usize = 20;
/// Rows that were trained on and are on record.
const ROWS_ON_RECORD: usize = 2_000;

/// The vocabulary sizes that [`own_pieces_within`] chooses among, for a text that yields `most` pieces: from 2,000, or from
/// `alphabet_size` if that is larger, so that no character of the text is unknown.
pub fn vocabulary_sizes(alphabet_size: usize, most: usize) -> Vec<usize> {
    let fewest = FEWEST_PIECES.max(alphabet_size).min(most);
    let between = VOCABULARY_SIZES.into_iter().filter(|size| (fewest + 1..most).contains(size));
    let mut sizes: Vec<usize> = std::iter::once(fewest).chain(between).chain([most]).collect();
    sizes.dedup();
    sizes
}

/// Chooses the widths of a student with pieces of its own, and how many it has, so that its directory in 8-bit integers has at
/// most `bytes`.
///
/// `read` is how the text is read with more and more pieces, from the fewest there can be to the most the text yields.
/// A vocabulary is large enough if words take at most 5 % more pieces than with the full one. The rule takes the
/// widest hidden states that leave room for such a vocabulary, because a student as wide as its teacher is compared
/// with it without a projection, and at that width the widest embeddings, factorized only if full-width ones do not
/// fit. If no width leaves room for a large enough vocabulary, the rule falls back to the smallest size
/// read: 2,000 pieces, more if the alphabet needs them, fewer if the text yields fewer. Bytes left over are spent on more pieces.
///
/// # Errors
/// [`TooFewBytes`] with what the smallest shape takes.
///
/// # Panics
/// If `read` is empty.
pub fn own_pieces_within(
    wanted: &OwnPieces<'_>,
    read: &[VocabularyStats],
    bytes: usize,
) -> Result<SizedStudent, TooFewBytes> {
    let most = read.last().expect("the text was read with some pieces");
    let enough = read.iter().find(|r| r.fertility <= MAX_PIECES_PER_WORD_RATIO * most.fertility).unwrap_or(most);
    let fewest = FEWEST_PIECES.clamp(read[0].pieces, most.pieces);
    let shapes = wanted.shapes();
    let size = |shape: &EncoderConfig, pieces: usize| wanted.bytes(shape, pieces, tokenizer_bytes(read, pieces));
    for pieces in [enough.pieces.max(fewest), fewest] {
        let fits = |(_, shape): &&(StudentSpec, EncoderConfig)| size(shape, pieces) <= bytes;
        let Some((student, shape)) = shapes.iter().find(fits) else { continue };
        let all = (pieces..=most.pieces).collect::<Vec<_>>();
        let count = all[all.partition_point(|&count| size(shape, count) <= bytes).saturating_sub(1)];
        let at = |count: usize| fertility(read, count);
        let embedded = match shape.embedding {
            None => format!("a hidden width of {}", shape.hidden),
            Some(width) => {
                let whole = size(&shape.clone().with_embedding_width(None), count);
                format!(
                    "a hidden width of {} with embeddings of width {width} (with embeddings as wide as the states: {:.2} MB)",
                    shape.hidden,
                    whole as f64 / 1e6
                )
            }
        };
        let reason = format!(
            "{count} word pieces, {:.3} per word of the text ({:.3} with all {} that the text yields), and {embedded}: about {:.2} of {:.2} MB",
            at(count),
            most.fertility,
            most.pieces,
            size(shape, count) as f64 / 1e6,
            bytes as f64 / 1e6
        );
        return Ok(SizedStudent { student: student.clone(), pieces: count, bytes: size(shape, count), reason });
    }
    let smallest = shapes.iter().map(|(_, shape)| (size(shape, fewest), shape)).min_by_key(|(bytes, _)| *bytes);
    let (needed, shape) = smallest.expect("there is a width at least");
    Err(TooFewBytes { bytes, pieces: fewest, hidden: shape.hidden, embedding: shape.embedding_width(), needed })
}

impl OwnPieces<'_> {
    /// The widths among which the rule chooses, in the order of its preference.
    fn shapes(&self) -> Vec<(StudentSpec, EncoderConfig)> {
        let Some(given) = shape_of(self.student, self.teacher, self.positions) else { return Vec::new() };
        let widths: Vec<(usize, usize)> = match self.hidden_is_given {
            true => vec![(given.hidden, given.heads)],
            // Heads keep their width.
            false => {
                let least = given.heads.div_ceil(MAX_HEAD_DIVISOR);
                (least..=given.heads).rev().map(|heads| (heads * given.head_width(), heads)).collect()
            }
        };
        let embeddings = |hidden: usize| -> Vec<Option<usize>> {
            if self.embedding_is_given {
                return vec![given.embedding];
            }
            let shares = EMBEDDING_SHARES.iter().map(|(part, of)| hidden * part / of);
            let columns = shares.map(|columns| match columns {
                whole if whole == hidden => Some(None),
                part => Some(Some(part / EMBEDDING_STEP * EMBEDDING_STEP)).filter(|_| part >= FEWEST_COLUMNS),
            });
            columns.flatten().collect()
        };
        let mut shapes = Vec::new();
        for (hidden, heads) in widths {
            for embedding in embeddings(hidden) {
                let student = self.student.clone().with_widths(hidden, heads, embedding);
                let shape = shape_of(&student, self.teacher, self.positions).expect("a student of a shape has one");
                let shape = EncoderConfig { pad_id: 0, ..shape }.with_head(head_of(self.target));
                shapes.push((student, shape));
            }
        }
        let fitting: Vec<_> = shapes.iter().filter(|(_, shape)| self.takes(shape)).cloned().collect();
        // Where no width goes with those that are given, the plan says why.
        if fitting.is_empty() { shapes } else { fitting }
    }

    /// Whether the plan takes embeddings so wide: narrower than the states, and no wider than those that they are cut out of.
    fn takes(&self, shape: &EncoderConfig) -> bool {
        let most = match self.student {
            StudentSpec::Teacher { .. } => self.teacher.embedding.unwrap_or(usize::MAX),
            StudentSpec::Shape { .. } | StudentSpec::Model { .. } => usize::MAX,
        };
        shape.embedding.is_none_or(|width| width < shape.hidden && width <= most)
    }

    /// Bytes of a directory: weights, tokenizer, config with the names of the classes, record of rows, and what else there is.
    fn bytes(&self, shape: &EncoderConfig, pieces: usize, tokenizer: usize) -> usize {
        let shape = EncoderConfig { vocabulary: pieces, ..shape.clone() };
        // A shape that cannot be is refused by the plan, which says why.
        let config = hf_config::emit(&shape).map_or(0, |config| format!("{config:#}").len());
        let record = ROW_BYTES * (self.facts.rows.min(ROWS_ON_RECORD) + self.facts.dev_rows);
        weight_bytes(&shape) + tokenizer + config + record + OTHER_FILES
    }
}

/// A measure of the text between those that were read, by a straight line.
fn between(read: &[VocabularyStats], pieces: usize, of: impl Fn(&VocabularyStats) -> f64) -> f64 {
    let above = read.partition_point(|r| r.pieces < pieces).min(read.len() - 1);
    let (low, high) = (&read[above.saturating_sub(1)], &read[above]);
    if high.pieces == low.pieces || pieces >= high.pieces {
        return of(high);
    }
    let share = pieces.saturating_sub(low.pieces) as f64 / (high.pieces - low.pieces) as f64;
    of(low) + share * (of(high) - of(low))
}

fn tokenizer_bytes(read: &[VocabularyStats], pieces: usize) -> usize {
    between(read, pieces, |r| r.tokenizer_bytes as f64).ceil() as usize
}

fn fertility(read: &[VocabularyStats], pieces: usize) -> f64 {
    between(read, pieces, |r| r.fertility)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Init, student};
    use attar_model::Family;
    use attar_text::labeled::LabelSet;

    fn teacher() -> EncoderConfig {
        EncoderConfig { layers: 6, hidden: 384, heads: 12, feed_forward: 1536, ..EncoderConfig::bert_base() }
    }

    /// A text that 30,000 pieces read a fifth better than 2,000.
    fn read() -> Vec<VocabularyStats> {
        [(500, 2.4), (2_000, 1.5), (4_000, 1.36), (8_000, 1.28), (16_000, 1.25), (30_000, 1.24)]
            .map(|(pieces, fertility)| VocabularyStats { pieces, fertility, tokenizer_bytes: 900 + 33 * pieces })
            .into()
    }

    fn chosen(
        spec: &StudentSpec,
        [hidden_is_given, embedding_is_given]: [bool; 2],
        bytes: usize,
    ) -> Result<SizedStudent, TooFewBytes> {
        let target = Target::Classes(LabelSet { names: (0..7).map(|i| format!("class {i}")).collect() });
        let facts = Facts { rows: 448, dev_rows: 50, tokens: 12.0, classes: true };
        let teacher = teacher();
        let wanted = OwnPieces {
            student: spec,
            teacher: &teacher,
            target: &target,
            positions: 64,
            facts,
            hidden_is_given,
            embedding_is_given,
        };
        own_pieces_within(&wanted, &read(), bytes)
    }

    fn widths(within: &SizedStudent) -> (usize, usize, Option<usize>) {
        let StudentSpec::Teacher { hidden, heads, embedding_width, .. } = within.student else { panic!("cut out") };
        (hidden.unwrap(), heads.unwrap(), embedding_width)
    }

    #[test]
    fn the_widest_states_with_enough_pieces_are_chosen() {
        let spec = student(&teacher(), Init::Pruned);
        // Room for all.
        let roomy = chosen(&spec, [false; 2], 50_000_000).unwrap();
        assert_eq!((widths(&roomy), roomy.pieces), ((384, 12, None), 30_000));
        // Enough pieces are 8,000, the first within a twentieth of the best.
        for bytes in [7_000_000, 5_000_000, 4_000_000] {
            let within = chosen(&spec, [false; 2], bytes).unwrap();
            assert!(within.bytes <= bytes && within.pieces >= 8_000, "{within:?}");
            assert!(within.bytes > bytes - 2_000, "room for another piece is left: {within:?}");
            assert!(within.reason.contains(&within.pieces.to_string()), "{}", within.reason);
        }
        // Where embeddings as wide as the states have no room, factorized ones have.
        let tight = chosen(&spec, [false; 2], 4_000_000).unwrap();
        let (hidden, _, embedding) = widths(&tight);
        assert_eq!(hidden, 384);
        assert!(embedding.is_some_and(|width| width < 384) && tight.reason.contains("as wide as the states"));
        // Narrower states once they have not either.
        let (hidden, heads, _) = widths(&chosen(&spec, [false; 2], 2_000_000).unwrap());
        assert!(hidden < 384 && hidden == 32 * heads, "{hidden}, {heads}");
    }

    #[test]
    fn a_text_is_read_from_its_fewest_pieces_to_its_most() {
        assert_eq!(vocabulary_sizes(90, 9_000), [2_000, 3_000, 4_000, 6_000, 8_000, 9_000]);
        assert_eq!(vocabulary_sizes(3_500, 6_000), [3_500, 4_000, 6_000]);
        assert_eq!(vocabulary_sizes(90, 1_200), [1_200]);
    }

    #[test]
    fn what_is_given_stays() {
        let spec = student(&teacher(), Init::Pruned).with_widths(192, 6, None);
        let within = chosen(&spec, [true, false], 4_000_000).unwrap();
        assert_eq!(widths(&within).0, 192);
        let spec = student(&teacher(), Init::Pruned).with_widths(384, 12, Some(40));
        let within = chosen(&spec, [false, true], 3_000_000).unwrap();
        assert_eq!(widths(&within).2, Some(40));
    }

    #[test]
    fn widths_are_those_that_the_plan_takes() {
        let given = |teacher: &EncoderConfig, init, [hidden_is_given, embedding_is_given]: [bool; 2], embedding| {
            let spec = student(teacher, init).with_widths(teacher.hidden, teacher.heads, embedding);
            let facts = Facts { rows: 10, dev_rows: 5, tokens: 12.0, classes: false };
            let target = Target::Regression { low: 0.0, high: 1.0 };
            let wanted = OwnPieces {
                student: &spec,
                teacher,
                target: &target,
                positions: 128,
                facts,
                hidden_is_given,
                embedding_is_given,
            };
            wanted.shapes().into_iter().map(|(_, shape)| (shape.hidden, shape.embedding)).collect::<Vec<_>>()
        };
        // Cut out of embeddings that are factorized, those of a student are no wider, and none are as wide as its states.
        let factorized = EncoderConfig { family: Family::Electra, embedding: Some(128), ..teacher() };
        let cut = given(&factorized, Init::Pruned, [false; 2], None);
        assert!(cut.contains(&(384, Some(128))) && cut.contains(&(96, Some(48))), "{cut:?}");
        assert!(
            cut.iter().all(|&(hidden, width)| width.is_some_and(|width| width < hidden && width <= 128)),
            "{cut:?}"
        );
        // New ones may be.
        let new = given(&factorized, Init::Random, [false; 2], None);
        assert!(new.contains(&(384, None)) && new.contains(&(384, Some(192))), "{new:?}");
        // What goes with no width is left to the plan, which says so.
        assert_eq!(given(&teacher(), Init::Pruned, [true; 2], Some(500)), [(384, Some(500))]);
        assert!(!given(&teacher(), Init::Pruned, [false, true], Some(500)).is_empty());
    }

    #[test]
    fn a_size_without_room_names_the_smallest_shape() {
        let spec = student(&teacher(), Init::Pruned);
        let refused = chosen(&spec, [false; 2], 200_000).unwrap_err();
        assert_eq!((refused.pieces, refused.hidden), (2_000, 96));
        let within = chosen(&spec, [false; 2], refused.needed).unwrap();
        assert_eq!((within.pieces, widths(&within).0), (2_000, 96));
        assert!(chosen(&spec, [false; 2], refused.needed - 1).is_err());
        assert!(refused.to_string().contains("2000 word pieces"), "{refused}");
    }

    #[test]
    fn few_pieces_are_smallest_without_a_map() {
        let spec = student(&teacher(), Init::Pruned);
        let few = [VocabularyStats { pieces: 30, fertility: 5.0, tokenizer_bytes: 3_000 }];
        let teacher = teacher();
        let facts = Facts { rows: 10, dev_rows: 5, tokens: 12.0, classes: false };
        let target = Target::Regression { low: 0.0, high: 1.0 };
        let wanted = OwnPieces {
            student: &spec,
            teacher: &teacher,
            target: &target,
            positions: 16,
            facts,
            hidden_is_given: true,
            embedding_is_given: false,
        };
        let refused = own_pieces_within(&wanted, &few, 1_000).unwrap_err();
        assert_eq!((refused.hidden, refused.embedding), (384, 384));
        assert_eq!(widths(&own_pieces_within(&wanted, &few, refused.needed).unwrap()).2, None);
    }
}
