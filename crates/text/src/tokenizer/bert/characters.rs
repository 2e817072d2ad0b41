//! What BERT's cleaning makes of a character, and where it divides words.

use std::sync::OnceLock;

use tokenizers::normalizers::BertNormalizer;
// The very tables that `tokenizers` looks into: other ones know other versions of Unicode.
use unicode_categories::UnicodeCategories;
use unicode_normalization_alignments::char::{canonical_combining_class, decompose_canonical};

use super::added::AddedTokens;

/// What a cleaned character does to the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is part of a word.
    Word,
    /// It divides words and is dropped.
    Space,
    /// It is a word of its own.
    Punctuation,
}

/// What stands at a byte of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// An ASCII character of this kind.
    Ascii(Kind),
    /// An ASCII character that cleaning drops.
    Dropped,
    /// Part of a longer character.
    Wide,
    /// An added token may begin here.
    Added,
}

/// What becomes of every character.
pub(super) struct Characters {
    rules: Rules,
    /// By byte.
    classes: [Class; 256],
    /// Whether all ASCII letters and digits, and no other ASCII characters, belong to words.
    plain: bool,
    /// Blocks of pages of characters, each made when the first character of it comes up.
    blocks: Vec<OnceLock<Box<[OnceLock<Page>; PAGE]>>>,
}

/// The options of the normalizer.
struct Rules {
    split_cjk: bool,
    strip_accents: bool,
    lowercase: bool,
}

struct Page {
    /// Where the outputs of each character begin; those of the last one end at the last entry.
    starts: Vec<u32>,
    outputs: Vec<(char, Kind)>,
    /// Characters that only the library can place.
    undecided: Vec<bool>,
}

/// What cleaning makes of one character.
struct Cleaned {
    outputs: Vec<(char, Kind)>,
    undecided: bool,
}

impl Characters {
    pub(super) fn new(normalizer: &BertNormalizer, added: &AddedTokens) -> Self {
        let rules = Rules {
            split_cjk: normalizer.handle_chinese_chars,
            strip_accents: normalizer.strip_accents.unwrap_or(normalizer.lowercase),
            lowercase: normalizer.lowercase,
        };
        let mut classes = [Class::Wide; 256];
        let mut plain = true;
        for byte in 0..128_u8 {
            let class = match rules.clean(char::from(byte)).outputs[..] {
                [] => Class::Dropped,
                [(_, kind), ..] => Class::Ascii(kind),
            };
            classes[usize::from(byte)] = class;
            plain &= byte.is_ascii_alphanumeric() == (class == Class::Ascii(Kind::Word));
        }
        for byte in added.first_bytes() {
            classes[usize::from(byte)] = Class::Added;
            plain &= !byte.is_ascii_alphanumeric();
        }
        let blocks = (0..=char::MAX as usize / (PAGE * PAGE)).map(|_| OnceLock::new()).collect();
        Self { rules, classes, plain, blocks }
    }

    pub(super) fn class(&self, byte: u8) -> Class {
        self.classes[usize::from(byte)]
    }

    /// Whether a run of ASCII letters and digits is always part of one word.
    pub(super) fn plain(&self) -> bool {
        self.plain
    }

    pub(super) fn lowercase(&self) -> bool {
        self.rules.lowercase
    }

    /// What becomes of a character, in order; `None` if that depends on its neighbors.
    pub(super) fn cleaned(&self, character: char) -> Option<&[(char, Kind)]> {
        let (page, place) = (character as usize / PAGE, character as usize % PAGE);
        let block = self.blocks[page / PAGE].get_or_init(|| Box::new([const { OnceLock::new() }; PAGE]));
        let page = block[page % PAGE].get_or_init(|| Page::new(&self.rules, page));
        if page.undecided[place] {
            return None;
        }
        Some(&page.outputs[page.starts[place] as usize..page.starts[place + 1] as usize])
    }
}

impl Page {
    fn new(rules: &Rules, number: usize) -> Self {
        let mut page = Self { starts: vec![0], outputs: Vec::new(), undecided: Vec::with_capacity(PAGE) };
        for code in number * PAGE..(number + 1) * PAGE {
            let character = u32::try_from(code).ok().and_then(char::from_u32);
            let cleaned = character.map(|character| rules.clean(character));
            page.undecided.push(cleaned.as_ref().is_some_and(|cleaned| cleaned.undecided));
            page.outputs.extend(cleaned.into_iter().flat_map(|cleaned| cleaned.outputs));
            page.starts.push(page.outputs.len() as u32);
        }
        page
    }
}

impl Rules {
    /// The steps of BERT's normalizer, then the two questions of its splitter.
    fn clean(&self, character: char) -> Cleaned {
        let kept_by_cleaning = match character {
            '\t' | '\n' | '\r' => true,
            '\0' | '\u{fffd}' => false,
            other => !other.is_other(),
        };
        if !kept_by_cleaning {
            return Cleaned { outputs: Vec::new(), undecided: false };
        }
        let character = if character.is_whitespace() { ' ' } else { character };
        let mut characters = vec![character];
        if self.split_cjk && is_cjk(character) {
            characters = vec![' ', character, ' '];
        }
        let mut undecided = false;
        if self.strip_accents {
            let mut stripped = Vec::new();
            for character in characters {
                let mut parts = Vec::new();
                decompose_canonical(character, |part| parts.push(part));
                // Marks that stay may change places with each other. A character that becomes several
                // marks is treated by the library in its own way at the beginning of a text.
                let marks_only = parts.len() > 1 && canonical_combining_class(parts[0]) != 0;
                parts.retain(|part| !part.is_mark_nonspacing());
                undecided |= marks_only || parts.iter().any(|&part| canonical_combining_class(part) != 0);
                stripped.extend(parts);
            }
            characters = stripped;
        }
        if self.lowercase {
            characters = characters.into_iter().flat_map(char::to_lowercase).collect();
        }
        let kind = |character: char| match character {
            space if space.is_whitespace() => Kind::Space,
            mark if mark.is_ascii_punctuation() || mark.is_punctuation() => Kind::Punctuation,
            _ => Kind::Word,
        };
        Cleaned { outputs: characters.into_iter().map(|character| (character, kind(character))).collect(), undecided }
    }
}

/// Characters of a page, and pages of a block: few enough that the first character of one is no wait.
const PAGE: usize = 64;

/// The ideographs that BERT takes for words.
fn is_cjk(character: char) -> bool {
    matches!(
        character,
        '\u{4E00}'..='\u{9FFF}'
            | '\u{3400}'..='\u{4DBF}'
            | '\u{20000}'..='\u{2A6DF}'
            | '\u{2A700}'..='\u{2B73F}'
            | '\u{2B740}'..='\u{2B81F}'
            | '\u{2B920}'..='\u{2CEAF}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{2F800}'..='\u{2FA1F}'
    )
}
