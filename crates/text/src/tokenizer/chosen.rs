//! Which pieces of a vocabulary are worth their place for given texts.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use rayon::prelude::*;
use tokenizers::ModelWrapper;

use super::{EncodeError, Encodings, Limit, Tokenizer, TokenizerError, train};

/// Pieces chosen for texts, and what the choice costs. Made by [`choose_pieces`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenPieces {
    /// Ids of the pieces, ascending; to be given to [`Tokenizer::trimmed`].
    pub keep: Vec<u32>,
    /// Special and added tokens among them.
    pub special: usize,
    /// Single characters among them, at the beginning and inside of words.
    pub alphabet: usize,
    /// Longer pieces that the texts use.
    pub used: usize,
    /// Longer pieces that the texts do not use.
    pub reserve: usize,
    /// Pieces that the texts use and for which there was no room.
    pub used_left_out: usize,
    /// How often the texts use those.
    pub uses_left_out: u64,
    /// Single characters for which there was no room: words with one of them are unknown.
    pub alphabet_left_out: usize,
}

impl Tokenizer {
    /// How often each piece comes up in these texts, by id, `[V]`; 0 for special tokens. On all cores.
    ///
    /// # Errors
    /// [`EncodeError::Row`] with the first text, counted from 0, that [`Tokenizer::encode`] refuses.
    pub fn piece_counts<T>(&self, texts: impl IntoIterator<Item = T>) -> Result<Vec<u64>, EncodeError>
    where
        T: AsRef<str> + Sync,
    {
        Ok(self.usage(texts)?.counts)
    }

    /// How often each id comes up in these texts, those of special tokens too, `[V]`.
    pub(super) fn id_counts<T>(&self, texts: impl IntoIterator<Item = T>) -> Result<Vec<u64>, EncodeError>
    where
        T: AsRef<str> + Sync,
    {
        let mut counts = vec![0_u64; self.vocabulary_size()];
        let mut texts = texts.into_iter();
        let mut rows = 0;
        loop {
            // A portion at a time: the ids of a whole corpus need not fit in memory.
            let portion: Vec<T> = texts.by_ref().take(8192).collect();
            if portion.is_empty() {
                break;
            }
            let encoded: Vec<Result<Vec<u32>, EncodeError>> = portion
                .par_chunks(CHUNK)
                .enumerate()
                .map(|(at, chunk)| self.ids_of(chunk, rows + at * CHUNK))
                .collect();
            for ids in encoded {
                ids?.into_iter().for_each(|id| counts[id as usize] += 1);
            }
            rows += portion.len();
        }
        Ok(counts)
    }

    fn ids_of(&self, texts: &[impl AsRef<str>], first: usize) -> Result<Vec<u32>, EncodeError> {
        let mut encodings = Encodings::default();
        for (at, text) in texts.iter().enumerate() {
            encodings
                .push(self, text.as_ref(), None, Limit::unlimited())
                .map_err(|source| EncodeError::Row { row: first + at, source: Box::new(source) })?;
        }
        Ok(encodings.ids)
    }
}

/// Texts that one thread encodes at a time.
const CHUNK: usize = 256;

/// Chooses at most `size` pieces for texts that use them so often.
///
/// `counts` are [`Tokenizer::piece_counts`], `[V]`. In this order, as long as there is room:
/// 1. special and added tokens, which stay even beyond `size`;
/// 2. the characters of the texts, alone and inside of words, the most frequent first;
/// 3. other characters in the order of their ids, up to a quarter of `size`: words that are spelled with them
///    stay known;
/// 4. longer pieces that the texts use, the most frequent first;
/// 5. the remaining characters;
/// 6. a reserve of the remaining pieces in the order of their ids, which is by frequency in BERT's vocabularies.
///
/// Pieces that no text can give are left out, such as `[unused7]`, or `##!` where `!` is always a word of its own.
///
/// # Errors
/// [`TokenizerError::CannotTrim`] if the tokenizer is not of the WordPiece kind, [`TokenizerError::Library`] if the
/// library cannot read it.
///
/// # Panics
/// If there is not one count for each id.
#[track_caller]
pub fn choose_pieces(tokenizer: &Tokenizer, counts: &[u64], size: usize) -> Result<ChosenPieces, TokenizerError> {
    assert_eq!(counts.len(), tokenizer.vocabulary_size(), "expected a count for each id of the vocabulary");
    let special = tokenizer.indispensable()?;
    let pieces: Vec<Piece> =
        pieces(tokenizer, counts)?.into_iter().filter(|piece| !special.contains(&piece.id)).collect();
    let mut frequency: HashMap<char, u64> = HashMap::new();
    for piece in pieces.iter().filter(|piece| piece.count > 0) {
        for character in piece.spelling.chars() {
            *frequency.entry(character).or_default() += piece.count;
        }
    }
    let (alphabet, longer): (Vec<&Piece>, Vec<&Piece>) = pieces.iter().partition(|piece| piece.character().is_some());
    let seen_as = |piece: &Piece| piece.character().and_then(|c| frequency.get(&c)).copied().unwrap_or(0);
    let (mut seen, unseen): (Vec<&Piece>, Vec<&Piece>) = alphabet.iter().partition(|piece| seen_as(piece) > 0);
    seen.sort_by_key(|piece| (Reverse(seen_as(piece)), piece.id));
    let (mut used, reserve): (Vec<&Piece>, Vec<&Piece>) = longer.iter().partition(|piece| piece.count > 0);
    used.sort_by_key(|piece| (Reverse(piece.count), piece.id));

    let (first_unseen, other_unseen) = unseen.split_at(unseen.len().min(size / 4));
    let room = size.saturating_sub(special.len());
    let order = [&seen[..], first_unseen, &used[..], other_unseen, &reserve[..]];
    let chosen: HashSet<u32> = order.into_iter().flatten().map(|piece| piece.id).take(room).collect();
    let kept = |pieces: &[&Piece]| pieces.iter().filter(|piece| chosen.contains(&piece.id)).count();
    let left_out = || pieces.iter().filter(|piece| piece.count > 0 && !chosen.contains(&piece.id));
    let mut keep: Vec<u32> = special.iter().copied().chain(chosen.iter().copied()).collect();
    keep.sort_unstable();
    Ok(ChosenPieces {
        keep,
        special: special.len(),
        alphabet: kept(&alphabet),
        used: kept(&used),
        reserve: kept(&reserve),
        used_left_out: left_out().count(),
        uses_left_out: left_out().map(|piece| piece.count).sum(),
        alphabet_left_out: alphabet.len() - kept(&alphabet),
    })
}

/// A piece that a text can give.
struct Piece {
    id: u32,
    count: u64,
    /// Without the mark of the inside of a word.
    spelling: String,
}

impl Piece {
    /// The character that it is, if it is just one.
    fn character(&self) -> Option<char> {
        let mut characters = self.spelling.chars();
        characters.next().filter(|_| characters.next().is_none())
    }
}

/// All pieces that a text can give, in the order of their ids.
fn pieces(tokenizer: &Tokenizer, counts: &[u64]) -> Result<Vec<Piece>, TokenizerError> {
    let library = tokenizer.library()?;
    let prefix = match library.get_model() {
        ModelWrapper::WordPiece(model) => model.continuing_subword_prefix.as_str(),
        _ => "",
    };
    let piece = |id: u32| -> Result<Option<Piece>, TokenizerError> {
        let (Some(token), count) = (tokenizer.token(id), counts[id as usize]) else { return Ok(None) };
        let inside = token.strip_prefix(prefix);
        let spelling = inside.unwrap_or(&token).to_owned();
        // Where cleaning or splitting changes a word, no text ever has it.
        let word = if inside.is_some() { format!("a{spelling}") } else { token.clone() };
        let mut words = Vec::new();
        train::each_word(&word, library, |word| words.push(word.to_owned()))?;
        let possible = !spelling.is_empty() && words == [word];
        Ok((possible || count > 0).then_some(Piece { id, count, spelling }))
    };
    let pieces: Vec<Option<Piece>> = (0..counts.len() as u32).into_par_iter().map(piece).collect::<Result<_, _>>()?;
    Ok(pieces.into_iter().flatten().collect())
}
