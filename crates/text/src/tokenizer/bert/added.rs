//! Special tokens written out in a text.

use tokenizers::AddedToken;

/// Tokens that are recognized before the text is cleaned, such as `[MASK]`.
pub(super) struct AddedTokens {
    /// The longest first, because the longest one that stands at a place is meant.
    tokens: Vec<(Box<[u8]>, u32)>,
    /// Those of another kind, such as MPNet's `<mask>`, which takes the space before it.
    others: Vec<Box<str>>,
    /// First bytes of the others, in lower case.
    first_of_others: Vec<u8>,
}

impl AddedTokens {
    /// A token that is looked for in cleaned text, takes white space with it or must stand alone is left to the library, with
    /// every text in which it may stand. `None` if such a token does not begin with an ASCII letter, digit or mark, or if
    /// one has another id than `id_of` gives it.
    pub(super) fn new(added: &[(&AddedToken, u32)], id_of: impl Fn(&str) -> Option<u32>) -> Option<Self> {
        let mut tokens: Vec<(Box<[u8]>, u32)> = Vec::with_capacity(added.len());
        let (mut others, mut first_of_others): (Vec<Box<str>>, Vec<u8>) = (Vec::new(), Vec::new());
        for &(token, id) in added {
            let plain = !token.normalized && !token.lstrip && !token.rstrip && !token.single_word;
            let first = *token.content.as_bytes().first()?;
            if id_of(&token.content) != Some(id) || !(plain || first.is_ascii_graphic()) {
                return None;
            }
            if plain {
                tokens.push((Box::from(token.content.as_bytes()), id));
            } else {
                others.push(Box::from(token.content.as_str()));
                first_of_others.push(first.to_ascii_lowercase());
            }
        }
        first_of_others.sort_unstable();
        first_of_others.dedup();
        tokens.sort_unstable_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        let twice = tokens.windows(2).any(|pair| pair[0].0 == pair[1].0);
        (!twice).then_some(Self { tokens, others, first_of_others })
    }

    /// Whether a token that only the library finds may stand in a text. Cleaning changes an ASCII character in its case
    /// alone, but may make one out of others.
    pub(super) fn may_hold_others(&self, text: &str) -> bool {
        let begins = |byte: u8| self.first_of_others.contains(&byte.to_ascii_lowercase());
        !self.others.is_empty() && (!text.is_ascii() || text.bytes().any(begins))
    }

    /// Length in bytes and id of the token that `text` begins with.
    pub(super) fn at(&self, text: &[u8]) -> Option<(usize, u32)> {
        let (token, id) = self.tokens.iter().find(|(token, _)| text.starts_with(token))?;
        Some((token.len(), *id))
    }

    /// Whether this is one of them.
    pub(super) fn contains(&self, token: &str) -> bool {
        let plain = self.tokens.iter().any(|(known, _)| **known == *token.as_bytes());
        plain || self.others.iter().any(|known| **known == *token)
    }

    /// First bytes of the tokens.
    pub(super) fn first_bytes(&self) -> impl Iterator<Item = u8> {
        self.tokens.iter().filter_map(|(token, _)| token.first().copied())
    }
}
