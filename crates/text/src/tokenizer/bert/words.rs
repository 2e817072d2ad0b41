//! From text to words, and from words to pieces.

use super::Bert;
use super::characters::{Class, Kind};
use super::pieces::{KEY_BYTES, Key, key};
use super::sink::Sink;

impl Bert {
    /// Appends the pieces of a text, without special tokens at its ends; `None` if only the library can
    /// tell them. May stop once there are `enough`.
    pub(super) fn tokenize(&self, text: &str, enough: usize, word: &mut Vec<u8>, to: &mut impl Sink) -> Option<()> {
        if self.added.may_hold_others(text) {
            return None;
        }
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() && to.len() < enough {
            at = match self.plain_word(bytes, at, to) {
                Some(next) => next,
                None => self.any_word(text, at, word, to)?,
            };
        }
        Some(())
    }

    /// Appends the pieces of the ASCII word or mark at this place, or passes over a space, and returns
    /// where to go on; `None`, with nothing done, if it takes a closer look.
    #[inline]
    fn plain_word(&self, bytes: &[u8], at: usize, to: &mut impl Sink) -> Option<usize> {
        if !self.characters.plain() {
            return None;
        }
        let low = eight_bytes(bytes, at);
        let run = leading_alphanumerics(low);
        if run == 0 {
            return match self.characters.class(bytes[at]) {
                Class::Ascii(Kind::Space) => Some(at + 1),
                Class::Ascii(Kind::Punctuation) => {
                    let known = self.beginnings.by_short_key(u64::from(bytes[at])).filter(|_| self.longest_word > 0);
                    to.plain_word(at);
                    to.piece(known.unwrap_or(self.unknown), 0..1);
                    Some(at + 1)
                }
                _ => None,
            };
        }
        let low = self.lower(low);
        if run < 8 {
            let next = self.end_of_word(bytes, at + run)?;
            let key = low & (u64::MAX >> (64 - 8 * run));
            to.plain_word(at);
            match self.beginnings.by_short_key(key) {
                Some(id) if run <= self.longest_word => to.piece(id, 0..run),
                _ => self.short_word(Key::from(key), run, run, to),
            }
            return Some(next);
        }
        let high = eight_bytes(bytes, at + 8);
        let more = leading_alphanumerics(high);
        if more == 8 && bytes.get(at + KEY_BYTES).is_some_and(u8::is_ascii_alphanumeric) {
            return None;
        }
        let length = 8 + more;
        let next = self.end_of_word(bytes, at + length)?;
        let high = if more == 0 { 0 } else { self.lower(high) & (u64::MAX >> (64 - 8 * more)) };
        to.plain_word(at);
        self.short_word(Key::from(low) | Key::from(high) << 64, length, length, to);
        Some(next)
    }

    /// Where to go on after a word that ends at `end`; `None` if it may not end there.
    #[inline]
    fn end_of_word(&self, bytes: &[u8], end: usize) -> Option<usize> {
        let Some(&byte) = bytes.get(end) else { return Some(end) };
        match self.characters.class(byte) {
            Class::Ascii(Kind::Space) => Some(end + 1),
            Class::Ascii(Kind::Punctuation) => Some(end),
            // Whether it is an added token or not, punctuation ends the word.
            Class::Added if byte.is_ascii_punctuation() => Some(end),
            _ => None,
        }
    }

    /// ASCII letters in lower case, digits as they are, if this tokenizer lower-cases.
    #[inline]
    fn lower(&self, alphanumerics: u64) -> u64 {
        if self.characters.lowercase() { alphanumerics | (0x20 * EACH_BYTE) } else { alphanumerics }
    }

    /// Appends the pieces of the word at this place, character by character, or passes over what is none,
    /// and returns where to go on.
    fn any_word(&self, text: &str, mut at: usize, word: &mut Vec<u8>, to: &mut impl Sink) -> Option<usize> {
        let bytes = text.as_bytes();
        let mut characters = 0;
        word.clear();
        to.cleaned_word();
        while let Some(&byte) = bytes.get(at) {
            match self.characters.class(byte) {
                Class::Ascii(Kind::Space | Kind::Punctuation) if characters > 0 => break,
                Class::Dropped => {
                    at += 1;
                    continue;
                }
                Class::Added => {
                    if let Some((length, id)) = self.added.at(&bytes[at..]) {
                        self.any_length(word, characters, to);
                        to.plain_word(at);
                        to.piece(id, 0..length);
                        return Some(at + length);
                    }
                }
                Class::Ascii(_) | Class::Wide => {}
            }
            let character = text[at..].chars().next()?;
            let origin = at..at + character.len_utf8();
            at = origin.end;
            let mut ended = false;
            for &(character, kind) in self.characters.cleaned(character)? {
                if kind == Kind::Word {
                    word.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    to.letter(character.len_utf8(), origin.clone());
                    characters += 1;
                    continue;
                }
                self.any_length(word, characters, to);
                word.clear();
                to.cleaned_word();
                characters = 0;
                ended = true;
                if kind == Kind::Punctuation {
                    to.letter(character.len_utf8(), origin.clone());
                    self.any_length(character.encode_utf8(&mut [0; 4]).as_bytes(), 1, to);
                    to.cleaned_word();
                }
            }
            // What begins after an ideograph or a mark may be plain again.
            if ended && characters == 0 {
                return Some(at);
            }
        }
        self.any_length(word, characters, to);
        Some(at)
    }

    /// Appends the pieces of a word of so many characters; nothing for none.
    fn any_length(&self, word: &[u8], characters: usize, to: &mut impl Sink) {
        if word.is_empty() {
            return;
        }
        if word.len() <= KEY_BYTES {
            return self.short_word(key(word), word.len(), characters, to);
        }
        if characters > self.longest_word {
            return to.piece(self.unknown, 0..word.len());
        }
        let before = to.len();
        let (mut at, mut pieces) = (0, &self.beginnings);
        while at < word.len() {
            let Some((length, id)) = pieces.longest_of(&word[at..]) else {
                to.truncate(before);
                return to.piece(self.unknown, 0..word.len());
            };
            to.piece(id, at..at + length);
            at += length;
            pieces = &self.continuations;
        }
    }

    /// Appends the pieces of a word of 1 to 16 bytes and so many characters.
    #[inline]
    fn short_word(&self, word: Key, length: usize, characters: usize, to: &mut impl Sink) {
        if characters > self.longest_word {
            return to.piece(self.unknown, 0..length);
        }
        let before = to.len();
        let (mut rest, mut at, mut pieces) = (word, 0, &self.beginnings);
        while at < length {
            let Some((bytes, id)) = pieces.longest_of_key(rest, length - at) else {
                to.truncate(before);
                return to.piece(self.unknown, 0..length);
            };
            to.piece(id, at..at + bytes);
            at += bytes;
            if at < length {
                rest >>= 8 * bytes;
            }
            pieces = &self.continuations;
        }
    }
}

const EACH_BYTE: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x80 * EACH_BYTE;

/// The eight bytes at a place, the first one lowest, 0 after the end.
#[inline]
fn eight_bytes(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    if let Some(eight) = rest.first_chunk::<8>() {
        return u64::from_le_bytes(*eight);
    }
    rest.iter().rev().fold(0, |filled, &byte| filled << 8 | u64::from(byte))
}

/// How many of the bytes, from the lowest, are ASCII letters or digits.
///
/// All eight are compared at once: adding `128 - low` sets the high bit of a byte, whose own is clear,
/// if it is at least `low`, and never reaches the next byte.
#[inline]
fn leading_alphanumerics(bytes: u64) -> usize {
    let at_least = |low_bits: u64, low: u8| low_bits.wrapping_add(u64::from(128 - low) * EACH_BYTE);
    let ascii = bytes & !HIGH_BITS;
    // Setting bit 5 turns capital letters into small ones, and nothing else into letters.
    let folded = ascii | (0x20 * EACH_BYTE);
    let digits = at_least(ascii, b'0') & !at_least(ascii, b'9' + 1);
    let letters = at_least(folded, b'a') & !at_least(folded, b'z' + 1);
    let others = !(digits | letters) | bytes;
    ((others & HIGH_BITS).trailing_zeros() / 8) as usize
}
