//! The part of a vocabulary that a student keeps, and what its pieces are to a teacher with other ids.

use attar_text::tokenizer::{Limit, Tokenizer, choose_pieces};

use super::Model;
use super::text_data::TextData;
use crate::recipe::StudentSpec;
use crate::{Error, model_directory};

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

/// Texts by which two vocabularies are compared.
const COMPARED: usize = 1000;

/// The teacher's id of each of the student's pieces `[V]`, where a student's tokenizer gives other ids than its teacher's.
///
/// The same pieces under other ids are found by their strings, special tokens by what they are for. The teacher then
/// reads the sequences of the student: between the texts of a pair it sees the student's separators, one in BERT's
/// layout, and not its own.
///
/// # Errors
/// If the teacher lacks a piece, or cuts one of the first texts into others.
pub(super) fn teacher_ids(
    spec: &StudentSpec,
    teacher: &Model,
    tokenizer: &Tokenizer,
    data: &TextData,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<u32>>, Error> {
    let place = match spec {
        StudentSpec::Teacher { tokenizer: None, .. } => return Ok(None),
        StudentSpec::Model { path: Some(path), .. }
        | StudentSpec::Shape { tokenizer: Some(path), .. }
        | StudentSpec::Teacher { tokenizer: Some(path), .. } => {
            format!("student {}", model_directory::locate(path).display())
        }
        StudentSpec::Model { path: None, .. } | StudentSpec::Shape { tokenizer: None, .. } => "student".into(),
    };
    let theirs = &teacher.tokenizer;
    let size = tokenizer.vocabulary_size() as u32;
    if size as usize == theirs.vocabulary_size() && (0..size).all(|id| tokenizer.token(id) == theirs.token(id)) {
        return Ok(None);
    }
    let roles = |tokenizer: &Tokenizer| {
        [tokenizer.pad_id(), tokenizer.unk_id(), tokenizer.cls_id(), tokenizer.sep_id(), tokenizer.mask_id()]
    };
    let role = |id: u32| roles(tokenizer).iter().position(|&special| special == Some(id));
    let mut ids = Vec::with_capacity(size as usize);
    for id in 0..size {
        // An id without a token never stands in a text.
        let Some(token) = tokenizer.token(id) else {
            ids.push(theirs.unk_id().unwrap_or(0));
            continue;
        };
        let known = role(id).and_then(|role| roles(theirs)[role]).or_else(|| theirs.id(&token));
        let Some(known) = known else {
            let expected = "pieces that the teacher has too, under any ids";
            let out = "distill into a student with the teacher's tokenizer";
            return Err(Error::refused(place, expected, format!("{token:?}, which it does not have"), out));
        };
        ids.push(known);
    }
    for text in data.first_texts(COMPARED)? {
        let ours = tokenizer.encode(&text, None, Limit::unlimited())?.ids;
        let read: Vec<u32> = ours.iter().map(|&id| ids[id as usize]).collect();
        let own = theirs.encode(&text, None, Limit::unlimited())?.ids;
        // A special token that is written out in a text is one to the one tokenizer and none to the other.
        let written = |tokenizer: &Tokenizer, ids: &[u32]| {
            let inside = ids.get(1..ids.len().saturating_sub(1)).unwrap_or_default();
            inside.iter().any(|&id| tokenizer.is_special(id) && Some(id) != tokenizer.unk_id())
        };
        if read != own && !written(tokenizer, &ours) && !written(theirs, &own) {
            let text: String = text.chars().take(60).collect();
            let expected = "a tokenizer that cuts text as the teacher's does";
            let out = "distill into a student with the teacher's tokenizer";
            return Err(Error::refused(place, expected, format!("other pieces of {text:?}"), out));
        }
    }
    notes.push(format!(
        "the teacher reads the student's {size} pieces under its own ids, and between the texts of a pair what separates \
         them for the student"
    ));
    Ok(Some(ids))
}
