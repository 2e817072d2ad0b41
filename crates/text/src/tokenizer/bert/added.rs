//! Special tokens written out in a text.

use tokenizers::AddedToken;

/// Tokens that are recognized before the text is cleaned, such as `[MASK]`.
pub(super) struct AddedTokens {
    /// The longest first, because the longest one that stands at a place is meant.
    tokens: Vec<(Box<[u8]>, u32)>,
}

impl AddedTokens {
    /// `None` if one of them is looked for in cleaned text, takes white space with it, must stand alone,
    /// or has another id than `id_of` gives it.
    pub(super) fn new(added: &[(&AddedToken, u32)], id_of: impl Fn(&str) -> Option<u32>) -> Option<Self> {
        let mut tokens: Vec<(Box<[u8]>, u32)> = Vec::with_capacity(added.len());
        for &(token, id) in added {
            let plain = !token.normalized && !token.lstrip && !token.rstrip && !token.single_word;
            if !plain || token.content.is_empty() || id_of(&token.content) != Some(id) {
                return None;
            }
            tokens.push((Box::from(token.content.as_bytes()), id));
        }
        tokens.sort_unstable_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        let twice = tokens.windows(2).any(|pair| pair[0].0 == pair[1].0);
        (!twice).then_some(Self { tokens })
    }

    /// Length in bytes and id of the token that `text` begins with.
    pub(super) fn at(&self, text: &[u8]) -> Option<(usize, u32)> {
        let (token, id) = self.tokens.iter().find(|(token, _)| text.starts_with(token))?;
        Some((token.len(), *id))
    }

    /// Whether this is one of them.
    pub(super) fn contains(&self, token: &str) -> bool {
        self.tokens.iter().any(|(known, _)| **known == *token.as_bytes())
    }

    /// First bytes of the tokens.
    pub(super) fn first_bytes(&self) -> impl Iterator<Item = u8> {
        self.tokens.iter().filter_map(|(token, _)| token.first().copied())
    }
}
