//! Which tokens of two tokenizers are the same words: what a teacher says of a word is compared with what a student says
//! of it, though they cut it into different pieces.
//!
//! ```
//! use attar_text::align::Aligner;
//! use attar_text::tokenizer::{Limit, TrainOptions, train_wordpiece};
//!
//! let teacher = train_wordpiece(["a rose is a rose"; 2], TrainOptions::new(60))?;
//! let student = train_wordpiece(["is arose"; 2], TrainOptions::new(15))?;
//! let aligner = Aligner::new(&teacher, &student, Limit::new(16));
//! let row = aligner.align("a rose", None)?;
//! // [CLS], a, rose, [SEP]; the student spells the second word.
//! assert_eq!(row.words.teacher, [0..1, 1..2, 2..3, 3..4]);
//! assert_eq!(row.words.student, [0..1, 1..2, 2..6, 6..7]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::ops::Range;

use rayon::prelude::*;

use crate::tokenizer::{EncodeError, Encoding, Limit, LocatedEncoding, Tokenizer};

/// Token ranges of both sides, one a word: those at the same position are the same word. In order, none empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Alignment {
    /// Tokens of the teacher, `[W]`.
    pub teacher: Vec<Range<u32>>,
    /// Tokens of the student, `[W]`.
    pub student: Vec<Range<u32>>,
}

/// A text or pair as both read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlignedRow {
    /// As the teacher reads it.
    pub teacher: Encoding,
    /// As the student reads it.
    pub student: Encoding,
    /// Their words.
    pub words: Alignment,
}

/// Two tokenizers and how long a text may be for each.
#[derive(Debug, Clone, Copy)]
pub struct Aligner<'a> {
    teacher: (&'a Tokenizer, Limit),
    student: (&'a Tokenizer, Limit),
}

impl Alignment {
    /// Number of words W, special tokens among them.
    pub fn len(&self) -> usize {
        self.teacher.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.teacher.is_empty()
    }

    /// The words of rows that stand one after the other, `[N]` tokens without padding. With each row come the teacher's
    /// and the student's number of its tokens.
    pub fn of_batch<'r>(rows: impl IntoIterator<Item = (&'r Alignment, [u32; 2])>) -> Alignment {
        let mut all = Alignment::default();
        let (mut teacher, mut student) = (0, 0);
        let moved = |range: &Range<u32>, by: u32| range.start + by..range.end + by;
        for (words, [theirs, ours]) in rows {
            all.teacher.extend(words.teacher.iter().map(|range| moved(range, teacher)));
            all.student.extend(words.student.iter().map(|range| moved(range, student)));
            teacher += theirs;
            student += ours;
        }
        all
    }

    fn push(&mut self, teacher: Range<usize>, student: Range<usize>) {
        self.teacher.push(teacher.start as u32..teacher.end as u32);
        self.student.push(student.start as u32..student.end as u32);
    }
}

impl<'a> Aligner<'a> {
    /// Two tokenizers of the same texts, cut at the same number of tokens.
    pub fn new(teacher: &'a Tokenizer, student: &'a Tokenizer, limit: Limit) -> Self {
        Self { teacher: (teacher, limit), student: (student, limit) }
    }

    /// With another limit for the student, whose smaller pieces are more.
    #[must_use]
    pub fn with_student_limit(mut self, limit: Limit) -> Self {
        self.student.1 = limit;
        self
    }

    /// Encodes a text or pair for both and says which tokens are the same words.
    ///
    /// A word is what a tokenizer cuts into pieces. Where the two see different words, as in `don't`, the smallest runs
    /// of words that both have are taken for one. Left out on both sides is a word that one side does not have whole,
    /// because its text was truncated before or inside of it, and one that gives no token on one side. Special tokens are
    /// words of their own: the first ones, the last ones and those between two texts stand together, also where
    /// one side has more of them.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`], for either.
    pub fn align(&self, text: &str, pair: Option<&str>) -> Result<AlignedRow, EncodeError> {
        let teacher = Side::of(self.teacher, text, pair)?;
        let student = Side::of(self.student, text, pair)?;
        let words = aligned(&teacher, &student);
        Ok(AlignedRow { teacher: teacher.kept.encoding, student: student.kept.encoding, words })
    }

    /// As [`Aligner::align`] for many rows, on all cores; in the order of the rows.
    ///
    /// # Errors
    /// [`EncodeError::Row`] with the first row, counted from 0, that is refused.
    pub fn align_all(&self, rows: &[(&str, Option<&str>)]) -> Result<Vec<AlignedRow>, EncodeError> {
        let aligned: Vec<_> = rows.par_iter().map(|&(text, pair)| self.align(text, pair)).collect();
        let in_row = |(row, result): (usize, Result<AlignedRow, EncodeError>)| {
            result.map_err(|source| EncodeError::Row { row, source: Box::new(source) })
        };
        aligned.into_iter().enumerate().map(in_row).collect()
    }
}

/// What one tokenizer makes of a row.
struct Side {
    /// Within the limit.
    kept: LocatedEncoding,
    /// Words of each text, those cut off by the limit too.
    words: [Vec<Word>; 2],
}

/// A word on one side.
struct Word {
    /// Bytes of the text from the beginning of its first token to the end of its last; empty if it consists of spaces.
    bytes: Range<usize>,
    /// Its tokens within the limit; `None` if one of them is cut off.
    tokens: Option<Range<usize>>,
}

impl Side {
    fn of((tokenizer, limit): (&Tokenizer, Limit), text: &str, pair: Option<&str>) -> Result<Self, EncodeError> {
        let kept = tokenizer.encode_located(text, pair, limit)?;
        // Only an input that is as long as may be can have been cut.
        let whole = match kept.places.len() < limit.max_tokens {
            true => None,
            false => Some(tokenizer.encode_located(text, pair, Limit::unlimited())?),
        };
        let words = [0, 1].map(|text| words(whole.as_ref().unwrap_or(&kept), &kept, text));
        Ok(Self { kept, words })
    }

    /// Positions of the special tokens.
    fn special(&self) -> Vec<usize> {
        self.kept.places.iter().enumerate().filter(|(_, place)| place.is_none()).map(|(at, _)| at).collect()
    }
}

/// The words of a text in the whole encoding, with their places in the one that was kept, which begins like it.
fn words(whole: &LocatedEncoding, kept: &LocatedEncoding, text: usize) -> Vec<Word> {
    let is_here = |place: &Option<crate::tokenizer::TokenPlace>| place.as_ref().is_some_and(|place| place.text == text);
    let first = kept.places.iter().position(is_here).unwrap_or(0);
    let count = kept.places.iter().filter(|place| is_here(place)).count();
    let mut words: Vec<Word> = Vec::new();
    let places = whole.places.iter().flatten().filter(|place| place.text == text).enumerate();
    for (at, place) in places {
        let token = (at < count).then_some(first + at);
        match words.last_mut() {
            Some(word) if !place.begins_word => {
                word.bytes = joined(&word.bytes, &place.bytes);
                word.tokens = word.tokens.take().zip(token).map(|(tokens, token)| tokens.start..token + 1);
            }
            _ => words.push(Word { bytes: place.bytes.clone(), tokens: token.map(|token| token..token + 1) }),
        }
    }
    words
}

/// From the first byte of both to the last; what has none does not count.
fn joined(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b.clone(),
        (_, true) => a.clone(),
        _ => a.start.min(b.start)..a.end.max(b.end),
    }
}

fn aligned(teacher: &Side, student: &Side) -> Alignment {
    let mut found: Vec<(Range<usize>, Range<usize>)> = special(&teacher.special(), &student.special());
    for (teacher, student) in teacher.words.iter().zip(&student.words) {
        found.extend(same_words(teacher, student));
    }
    found.sort_by_key(|(teacher, _)| teacher.start);
    let mut alignment = Alignment::default();
    found.into_iter().for_each(|(teacher, student)| alignment.push(teacher, student));
    alignment
}

/// Special tokens in their order. Where one side has more, those between the first and the last are one.
fn special(teacher: &[usize], student: &[usize]) -> Vec<(Range<usize>, Range<usize>)> {
    let one = |at: usize| at..at + 1;
    if teacher.len() == student.len() {
        return teacher.iter().zip(student).map(|(&teacher, &student)| (one(teacher), one(student))).collect();
    }
    let (Some((&first, teacher)), Some((&student_first, student))) = (teacher.split_first(), student.split_first())
    else {
        return Vec::new();
    };
    let mut pairs = vec![(one(first), one(student_first))];
    let (Some((&last, teacher)), Some((&student_last, student))) = (teacher.split_last(), student.split_last()) else {
        return pairs;
    };
    if let (Some(teacher), Some(student)) = (run(teacher), run(student)) {
        pairs.push((teacher, student));
    }
    pairs.push((one(last), one(student_last)));
    pairs
}

/// Positions that follow each other.
fn run(positions: &[usize]) -> Option<Range<usize>> {
    let (first, last) = (*positions.first()?, *positions.last()?);
    (last - first + 1 == positions.len()).then_some(first..last + 1)
}

/// The smallest runs of words that cover the same bytes on both sides, of which every token is there.
fn same_words(teacher: &[Word], student: &[Word]) -> Vec<(Range<usize>, Range<usize>)> {
    let [teacher, student] =
        [teacher, student].map(|words| words.iter().filter(|word| !word.bytes.is_empty()).collect::<Vec<&Word>>());
    let mut found = Vec::new();
    let (mut t, mut s) = (0, 0);
    while let (Some(teacher_word), Some(student_word)) = (teacher.get(t), student.get(s)) {
        if teacher_word.bytes.end <= student_word.bytes.start {
            t += 1;
            continue;
        }
        if student_word.bytes.end <= teacher_word.bytes.start {
            s += 1;
            continue;
        }
        let (first_t, first_s) = (t, s);
        let mut end = teacher_word.bytes.end.max(student_word.bytes.end);
        (t, s) = (t + 1, s + 1);
        // Whatever begins before the end of the others belongs to them.
        loop {
            match (teacher.get(t), student.get(s)) {
                (Some(word), _) if word.bytes.start < end => (t, end) = (t + 1, end.max(word.bytes.end)),
                (_, Some(word)) if word.bytes.start < end => (s, end) = (s + 1, end.max(word.bytes.end)),
                _ => break,
            }
        }
        if let (Some(teacher), Some(student)) = (tokens(&teacher[first_t..t]), tokens(&student[first_s..s])) {
            found.push((teacher, student));
        }
    }
    found
}

/// The tokens of words, if all are there.
fn tokens(words: &[&Word]) -> Option<Range<usize>> {
    let is_whole = words.iter().all(|word| word.tokens.is_some());
    let (first, last) = (words.first()?.tokens.clone()?, words.last()?.tokens.clone()?);
    is_whole.then_some(first.start..last.end)
}
