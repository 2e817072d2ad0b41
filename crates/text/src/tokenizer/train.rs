//! A WordPiece vocabulary from text.
//!
//! The merging procedure is the usual one (byte-pair merges by frequency, inside of words marked
//! with `##`), written here because the library's trainer numbers characters and breaks ties in the
//! order of a randomly seeded hash map: two runs on the same text give two vocabularies. Here every
//! choice is by count, then by id, so the same text gives the same bytes on every machine.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use rayon::prelude::*;
use tokenizers::{
    Model, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
};

use super::{Tokenizer, TokenizerError, WordPieceOptions};
use crate::vocabulary::Vocabulary;

/// What kind of vocabulary to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainOptions {
    /// Tokens wanted, special tokens included. Fewer come out where the text does not offer so many.
    pub vocabulary_size: usize,
    /// A token of several characters must have come up at least this often.
    pub min_frequency: u64,
    /// Most different characters; words with a rarer one are left out, as they will be `[UNK]`.
    pub characters: usize,
    /// Whether text is lower-cased and accents dropped, or both kept.
    pub lowercase: bool,
}

impl TrainOptions {
    /// A vocabulary of this size in lower case, from tokens that come up at least twice, with at most
    /// 1,000 different characters.
    pub const fn new(vocabulary_size: usize) -> Self {
        Self { vocabulary_size, min_frequency: 2, characters: 1000, lowercase: true }
    }
}

/// Makes a WordPiece tokenizer from text, one item a line, sentence or document.
///
/// `[PAD]` is token 0, then `[UNK]`, `[CLS]`, `[SEP]`, `[MASK]`, the characters, the characters inside
/// of words, and the merged tokens, the most frequent first. The order of the texts does not matter.
///
/// # Errors
/// [`TokenizerError::NoText`] and [`TokenizerError::VocabularyTooSmall`].
pub fn train_wordpiece<T>(
    texts: impl IntoIterator<Item = T>,
    options: TrainOptions,
) -> Result<Tokenizer, TokenizerError>
where
    T: AsRef<str> + Send + Sync,
{
    WordCounts::of(texts, options)?.train()
}

/// Every distinct word of some texts with its count: all of the text that WordPiece training needs.
#[derive(Debug, Clone)]
pub struct WordCounts {
    /// In alphabetical order.
    words: Vec<(String, u64)>,
    options: TrainOptions,
}

impl WordCounts {
    /// Counts the words of texts, normalized and split as a tokenizer with these options would.
    ///
    /// # Errors
    /// [`TokenizerError::Library`] if the library refuses a text.
    pub fn of<T>(texts: impl IntoIterator<Item = T>, options: TrainOptions) -> Result<Self, TokenizerError>
    where
        T: AsRef<str> + Send + Sync,
    {
        // Only its normalizer and word splitter are used, so that training sees the words encoding will see.
        let cleaner = Tokenizer::from_vocabulary(Vocabulary::from_tokens(specials())?, cleaning(options))?;
        Ok(Self { words: count_words(texts, cleaner.library()?)?, options })
    }

    /// The tokenizer that these words yield; see [`train_wordpiece`].
    ///
    /// # Errors
    /// As [`train_wordpiece`].
    pub fn train(&self) -> Result<Tokenizer, TokenizerError> {
        let options = self.options;
        let words = with_frequent_characters(&self.words, options.characters);
        if words.is_empty() {
            return Err(TokenizerError::NoText);
        }
        let mut merger = Merger::new(specials(), &words);
        if merger.tokens.len() > options.vocabulary_size {
            let characters: BTreeSet<char> = words.iter().flat_map(|(word, _)| word.chars()).collect();
            return Err(TokenizerError::VocabularyTooSmall {
                wanted: options.vocabulary_size,
                needed: merger.tokens.len(),
                characters: characters.len(),
            });
        }
        merger.merge_until(options.vocabulary_size, options.min_frequency);
        Tokenizer::from_vocabulary(Vocabulary::from_tokens(merger.tokens)?, cleaning(options))
    }

    /// The average number of pieces per word, where words end at spaces and punctuation; `None` if there are no words. `tokenizer` must normalize and split text as these
    /// options do. Each distinct word is tokenized once, on all cores: WordPiece tokenizes a word the same way wherever it
    /// occurs.
    ///
    /// # Errors
    /// [`TokenizerError::Library`] if the library refuses a word.
    pub fn fertility(&self, tokenizer: &Tokenizer) -> Result<Option<f64>, TokenizerError> {
        let model = tokenizer.library()?.get_model();
        let pieces = self.words.par_iter().map(|(word, count)| Ok(count * model.tokenize(word)?.len() as u64));
        let pieces = pieces.sum::<Result<u64, tokenizers::Error>>()?;
        let words: u64 = self.words.iter().map(|(_, count)| count).sum();
        Ok((words > 0).then(|| pieces as f64 / words as f64))
    }
}

fn specials() -> Vec<String> {
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).into()
}

fn cleaning(options: TrainOptions) -> WordPieceOptions {
    if options.lowercase { WordPieceOptions::uncased() } else { WordPieceOptions::cased() }
}

/// Words longer than this are `[UNK]` to WordPiece, so nothing is to be learned from them.
const LONGEST_WORD: usize = 100;

/// Every different word with its count, in alphabetical order.
fn count_words<T: AsRef<str> + Send + Sync>(
    texts: impl IntoIterator<Item = T>,
    cleaner: &tokenizers::Tokenizer,
) -> Result<Vec<(String, u64)>, TokenizerError> {
    let mut total: HashMap<String, u64> = HashMap::new();
    let mut texts = texts.into_iter();
    loop {
        // A portion at a time: the whole corpus need not fit in memory.
        let portion: Vec<T> = texts.by_ref().take(8192).collect();
        if portion.is_empty() {
            break;
        }
        let counts = portion
            .par_iter()
            .try_fold(HashMap::new, |mut counts: HashMap<String, u64>, text| {
                each_word(text.as_ref(), cleaner, |word| match counts.get_mut(word) {
                    Some(count) => *count += 1,
                    None => _ = counts.insert(word.to_owned(), 1),
                })?;
                Ok::<_, tokenizers::Error>(counts)
            })
            .collect::<Result<Vec<_>, _>>()?;
        for (word, count) in counts.into_iter().flatten() {
            *total.entry(word).or_default() += count;
        }
    }
    let mut words: Vec<(String, u64)> = total.into_iter().collect();
    words.sort_unstable();
    Ok(words)
}

/// The words of a text, cleaned and split as this tokenizer does it, less those that are too long for it.
pub(super) fn each_word(
    text: &str,
    cleaner: &tokenizers::Tokenizer,
    mut visit: impl FnMut(&str),
) -> tokenizers::Result<()> {
    let mut normalized = NormalizedString::from(text);
    if let Some(normalizer) = cleaner.get_normalizer() {
        normalizer.normalize(&mut normalized)?;
    }
    let mut words = PreTokenizedString::from(normalized);
    if let Some(splitter) = cleaner.get_pre_tokenizer() {
        splitter.pre_tokenize(&mut words)?;
    }
    for (word, _, _) in words.get_splits(OffsetReferential::Original, OffsetType::Byte) {
        if word.chars().count() <= LONGEST_WORD {
            visit(word);
        }
    }
    Ok(())
}

/// The words all of whose characters are among the most frequent ones (ties by code point).
fn with_frequent_characters(words: &[(String, u64)], most: usize) -> Vec<(&str, u64)> {
    let mut counts: HashMap<char, u64> = HashMap::new();
    for (word, count) in words {
        for character in word.chars() {
            *counts.entry(character).or_default() += count;
        }
    }
    let mut ranked: Vec<(Reverse<u64>, char)> = counts.into_iter().map(|(c, count)| (Reverse(count), c)).collect();
    ranked.sort_unstable();
    let kept: BTreeSet<char> = ranked.into_iter().take(most).map(|(_, c)| c).collect();
    let words = words.iter().filter(|(word, _)| word.chars().all(|c| kept.contains(&c)));
    words.map(|(word, count)| (word.as_str(), *count)).collect()
}

type Pair = (u32, u32);

/// The state of merging: words as sequences of token ids, and how often each pair of neighbors
/// comes up.
struct Merger {
    tokens: Vec<String>,
    ids: HashMap<String, u32>,
    words: Vec<(Vec<u32>, u64)>,
    counts: HashMap<Pair, u64>,
    /// Words that had this pair at some time; may name words that have it no longer.
    places: HashMap<Pair, Vec<u32>>,
    /// The most frequent pair first, then the one with the smallest ids; counts may be outdated.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
}

impl Merger {
    fn new(specials: Vec<String>, words: &[(&str, u64)]) -> Self {
        let characters: BTreeSet<char> = words.iter().flat_map(|(word, _)| word.chars()).collect();
        let inside: BTreeSet<char> = words.iter().flat_map(|(word, _)| word.chars().skip(1)).collect();
        let mut merger = Self {
            tokens: Vec::new(),
            ids: HashMap::new(),
            words: Vec::with_capacity(words.len()),
            counts: HashMap::new(),
            places: HashMap::new(),
            queue: BinaryHeap::new(),
        };
        let characters = characters.iter().map(char::to_string);
        for token in specials.into_iter().chain(characters).chain(inside.iter().map(|c| format!("##{c}"))) {
            merger.token_id(token);
        }
        for (word, count) in words {
            let token =
                |(index, c): (usize, char)| merger.ids[&if index == 0 { c.to_string() } else { format!("##{c}") }];
            let sequence: Vec<u32> = word.chars().enumerate().map(token).collect();
            let place = merger.words.len() as u32;
            for pair in sequence.windows(2) {
                let pair = (pair[0], pair[1]);
                *merger.counts.entry(pair).or_default() += count;
                push_new(merger.places.entry(pair).or_default(), place);
            }
            merger.words.push((sequence, *count));
        }
        merger.queue = merger.counts.iter().map(|(&pair, &count)| (count, Reverse(pair))).collect();
        merger
    }

    fn merge_until(&mut self, vocabulary_size: usize, min_frequency: u64) {
        while self.tokens.len() < vocabulary_size {
            let Some((count, Reverse(pair))) = self.queue.pop() else { break };
            let current = self.counts.get(&pair).copied().unwrap_or(0);
            if current < count {
                // Outdated: queue it again at its true place.
                if current > 0 {
                    self.queue.push((current, Reverse(pair)));
                }
                continue;
            }
            if count < min_frequency.max(1) {
                break;
            }
            self.merge(pair);
        }
    }

    fn merge(&mut self, pair: Pair) {
        let (left, right) = (&self.tokens[pair.0 as usize], &self.tokens[pair.1 as usize]);
        let merged = self.token_id(format!("{left}{}", right.strip_prefix("##").unwrap_or(right)));
        self.counts.remove(&pair);
        let mut increased = BTreeSet::new();
        for place in self.places.remove(&pair).unwrap_or_default() {
            let (sequence, count) = &mut self.words[place as usize];
            let before = std::mem::take(sequence);
            let mut at = 0;
            while at < before.len() {
                if at + 1 < before.len() && (before[at], before[at + 1]) == pair {
                    sequence.push(merged);
                    at += 2;
                } else {
                    sequence.push(before[at]);
                    at += 1;
                }
            }
            if sequence.len() == before.len() {
                continue;
            }
            for old in before.windows(2) {
                if let Some(total) = self.counts.get_mut(&(old[0], old[1])) {
                    *total -= *count;
                }
            }
            for new in sequence.windows(2) {
                let new = (new[0], new[1]);
                *self.counts.entry(new).or_default() += *count;
                push_new(self.places.entry(new).or_default(), place);
                increased.insert(new);
            }
        }
        for pair in increased {
            self.queue.push((self.counts[&pair], Reverse(pair)));
        }
    }

    /// The id of a token, a new one if it is new: two different pairs can spell the same token.
    fn token_id(&mut self, token: String) -> u32 {
        let tokens = &mut self.tokens;
        *self.ids.entry(token).or_insert_with_key(|token| {
            tokens.push(token.clone());
            tokens.len() as u32 - 1
        })
    }
}

/// Appends a place unless it is the last one already: a word may hold a pair twice.
fn push_new(places: &mut Vec<u32>, place: u32) {
    if places.last() != Some(&place) {
        places.push(place);
    }
}
