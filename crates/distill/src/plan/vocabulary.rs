//! The part of a vocabulary that a student keeps.

use attar_text::labeled::Example;
use attar_text::tokenizer::{Tokenizer, choose_pieces};

use crate::Error;

/// The tokenizer with `size` of its pieces, those that `rows` use first, and the old id of each piece that stays; the
/// tokenizer as it is where no size is asked for or there are not more pieces.
pub(super) fn trimmed(
    full: &Tokenizer,
    size: Option<usize>,
    rows: &[Example],
    notes: &mut Vec<String>,
) -> Result<(Tokenizer, Option<Vec<u32>>), Error> {
    let Some(size) = size.filter(|&size| size < full.vocabulary_size()) else { return Ok((full.clone(), None)) };
    let texts = rows.iter().flat_map(|row| [Some(row.text.as_str()), row.pair.as_deref()]).flatten();
    let counts = full.piece_counts(texts)?;
    let chosen = choose_pieces(full, &counts, size)?;
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
