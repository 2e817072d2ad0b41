//! Two vocabularies beside each other.

use std::collections::{BTreeSet, HashMap};

use rayon::prelude::*;

use super::{Coverage, EncodeError, Limit, Tokenizer};

/// Two vocabularies, and how each cuts the same texts. Made by [`compare_vocabularies`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VocabularyComparison {
    /// Pieces of each, special and added tokens among them.
    pub pieces: [usize; 2],
    /// Pieces that both have.
    pub common: usize,
    /// How each covers the texts.
    pub coverage: [Coverage; 2],
    /// Different words of the texts.
    pub different_words: usize,
    /// Different words that the second cuts into more pieces than the first, and knows no better.
    pub broken_words: usize,
    /// Those among them that make the texts longest, the worst first.
    pub worst: Vec<BrokenWord>,
}

/// A word that the second vocabulary cuts into more pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenWord {
    /// The word, as it stands between white space.
    pub word: String,
    /// How often the texts have it.
    pub uses: u64,
    /// Its pieces in each vocabulary.
    pub pieces: [usize; 2],
}

impl BrokenWord {
    /// Pieces by which the texts are longer for this word.
    pub fn added(&self) -> u64 {
        self.uses * self.pieces[1].saturating_sub(self.pieces[0]) as u64
    }
}

impl VocabularyComparison {
    /// Pieces of the texts in the second vocabulary for each one in the first; `None` without pieces.
    pub fn growth(&self) -> Option<f64> {
        let [first, second] = self.coverage.map(|coverage| coverage.pieces);
        (first > 0).then(|| second as f64 / first as f64)
    }
}

/// Compares two vocabularies on texts, and names at most `most` words that the second cuts into more pieces.
///
/// Words are what stands between white space, and each is cut on its own, which is what BERT's tokenizer does with a
/// text; with one that joins words the counts are approximate. All different words are held in memory.
///
/// # Errors
/// [`EncodeError`] if a word cannot be encoded.
pub fn compare_vocabularies<T: AsRef<str>>(
    [first, second]: [&Tokenizer; 2],
    texts: impl IntoIterator<Item = T>,
    most: usize,
) -> Result<VocabularyComparison, EncodeError> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for text in texts {
        for word in text.as_ref().split_whitespace() {
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => _ = counts.insert(word.to_owned(), 1),
            }
        }
    }
    let mut words: Vec<(String, u64)> = counts.into_iter().collect();
    words.sort_unstable();
    let count = |(word, _): &(String, u64)| Ok([count_pieces(first, word)?, count_pieces(second, word)?]);
    let counts_of_words: Vec<[PieceCount; 2]> = words.par_iter().map(count).collect::<Result<_, EncodeError>>()?;

    let mut coverage = [Coverage { words: 0, pieces: 0, unknown: 0 }; 2];
    let mut broken = Vec::new();
    let different_words = words.len();
    for ((word, uses), cuts) in words.into_iter().zip(counts_of_words) {
        for (coverage, cut) in coverage.iter_mut().zip(cuts) {
            coverage.words += uses;
            coverage.pieces += uses * cut.pieces as u64;
            coverage.unknown += uses * cut.unknown as u64;
        }
        let pieces = cuts.map(|cut| cut.pieces);
        // A word that only the second knows is not the worse for its pieces.
        if pieces[1] > pieces[0] && cuts[1].unknown >= cuts[0].unknown {
            broken.push(BrokenWord { word, uses, pieces });
        }
    }
    let broken_words = broken.len();
    broken.sort_by(|a, b| b.added().cmp(&a.added()).then_with(|| a.word.cmp(&b.word)));
    broken.truncate(most);
    let [of_first, of_second] = [first, second].map(tokens);
    Ok(VocabularyComparison {
        pieces: [of_first.len(), of_second.len()],
        common: of_first.intersection(&of_second).count(),
        coverage,
        different_words,
        broken_words,
        worst: broken,
    })
}

/// What a word becomes.
#[derive(Clone, Copy)]
struct PieceCount {
    pieces: usize,
    unknown: usize,
}

fn count_pieces(tokenizer: &Tokenizer, word: &str) -> Result<PieceCount, EncodeError> {
    let encoding = tokenizer.encode(word, None, Limit::unlimited())?;
    let unknown = encoding.ids.iter().filter(|&&id| Some(id) == tokenizer.unk_id()).count();
    let known = encoding.ids.iter().filter(|&&id| !tokenizer.is_special(id)).count();
    Ok(PieceCount { pieces: known + unknown, unknown })
}

fn tokens(tokenizer: &Tokenizer) -> BTreeSet<String> {
    (0..tokenizer.vocabulary_size() as u32).filter_map(|id| tokenizer.token(id)).collect()
}
