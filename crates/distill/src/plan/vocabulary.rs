//! The part of a vocabulary that a student keeps.

use attar_text::tokenizer::{Tokenizer, choose_pieces};

use crate::Error;

/// The tokenizer with `size` of its pieces, the most counted ones first, and the old id of each piece that stays; the
/// tokenizer as it is where there are not more pieces.
pub(super) fn trimmed(
    full: &Tokenizer,
    counts: &[u64],
    size: usize,
    notes: &mut Vec<String>,
) -> Result<(Tokenizer, Option<Vec<u32>>), Error> {
    let chosen = choose_pieces(full, counts, size)?;
    if chosen.used_left_out > 0 {
        notes.push(format!(
            "a vocabulary of {} pieces has no room for {} rare pieces of the training text: words with them are cut into \
             smaller ones",
            chosen.keep.len(),
            chosen.used_left_out
        ));
    }
    let trimmed = full.trimmed(&chosen.keep)?;
    Ok((trimmed.tokenizer, Some(trimmed.kept)))
}
