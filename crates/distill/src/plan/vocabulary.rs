//! The part of a vocabulary that a student keeps, and what its pieces are to a teacher with other ids.

use attar_text::tokenizer::{Limit, Tokenizer, choose_pieces};

use super::text_data::TextData;
use crate::Error;

/// True if two tokenizers give every piece the same id.
pub(super) fn are_equal(one: &Tokenizer, other: &Tokenizer) -> bool {
    let size = one.vocabulary_size().max(other.vocabulary_size()) as u32;
    (0..size).all(|id| one.token(id) == other.token(id))
}

/// For each piece of a student the teacher's pieces whose mean embedding initializes it: the same piece, the special token
/// of the same role, or the pieces that the teacher cuts it into, as in fast vocabulary transfer (Gee et al., arXiv
/// 2402.09977).
pub(super) fn source_pieces(student: &Tokenizer, teacher: &Tokenizer) -> Vec<Vec<u32>> {
    let (ours, theirs) = (roles(student), roles(teacher));
    // Byte-level BPE marks the piece that begins a word, and one inside of it has no mark.
    let marks_inside =
        (0..teacher.vocabulary_size() as u32).any(|id| teacher.token(id).is_some_and(|t| t.starts_with(CONTINUES)));
    let inside = if marks_inside { CONTINUES } else { "" };
    let of = |id: u32| -> Vec<u32> {
        let role = ours.iter().position(|&special| special == Some(id)).and_then(|role| theirs[role]);
        let token = student.token(id).unwrap_or_default();
        if let Some(same) = role.or_else(|| teacher.id(&token)) {
            return vec![same];
        }
        let pieces = match token.strip_prefix(CONTINUES) {
            Some(rest) => cut(teacher, rest, inside).or_else(|| cut(teacher, &rest.to_lowercase(), inside)),
            // The teacher's own tokenization, which lowers what it lowers; a space before tells some that a word begins.
            None => {
                let text = if inside.is_empty() { format!(" {token}") } else { token.clone() };
                let encoding = teacher.encode(&text, None, Limit::unlimited()).ok();
                encoding.map(|encoding| encoding.ids.into_iter().filter(|&id| !teacher.is_special(id)).collect())
            }
        };
        match pieces.filter(|pieces: &Vec<u32>| !pieces.is_empty()) {
            Some(pieces) => pieces,
            None => theirs[1].into_iter().collect(),
        }
    };
    (0..student.vocabulary_size() as u32).map(of).collect()
}

/// How WordPiece marks a piece that continues a word.
const CONTINUES: &str = "##";

/// The longest pieces first, as WordPiece cuts the rest of a word; `None` if some of it is in no piece.
fn cut(teacher: &Tokenizer, mut rest: &str, prefix: &str) -> Option<Vec<u32>> {
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let ends = rest.char_indices().map(|(start, c)| start + c.len_utf8()).rev();
        let found = |end: usize| Some((end, teacher.id(&format!("{prefix}{}", &rest[..end]))?));
        let (end, id) = ends.filter_map(found).next()?;
        pieces.push(id);
        rest = &rest[end..];
    }
    Some(pieces)
}

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

/// How a student's vocabulary stands to its teacher's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Relation {
    /// The same pieces under the same ids.
    Equal,
    /// Pieces that the teacher has too and cuts texts into alike; its id of each.
    Renamed(Vec<u32>),
    /// Others.
    Other,
}

/// How the vocabulary of a student stands to its teacher's: pieces are found by their strings, special tokens by what they
/// are for, and the first texts are cut by both.
pub(super) fn relation(student: &Tokenizer, teacher: &Tokenizer, data: &TextData) -> Result<Relation, Error> {
    if are_equal(student, teacher) {
        return Ok(Relation::Equal);
    }
    let (ours, theirs) = (roles(student), roles(teacher));
    let known = |id: u32| {
        // An id without a token never stands in a text.
        let Some(token) = student.token(id) else { return Some(teacher.unk_id().unwrap_or(0)) };
        let role = ours.iter().position(|&special| special == Some(id));
        role.and_then(|role| theirs[role]).or_else(|| teacher.id(&token))
    };
    let Some(ids) = (0..student.vocabulary_size() as u32).map(known).collect::<Option<Vec<u32>>>() else {
        return Ok(Relation::Other);
    };
    for text in data.first_texts(COMPARED)? {
        let ours = student.encode(&text, None, Limit::unlimited())?.ids;
        let read: Vec<u32> = ours.iter().map(|&id| ids[id as usize]).collect();
        let own = teacher.encode(&text, None, Limit::unlimited())?.ids;
        // A special token that is written out in a text is one to the one tokenizer and none to the other.
        let written = |tokenizer: &Tokenizer, ids: &[u32]| {
            let inside = ids.get(1..ids.len().saturating_sub(1)).unwrap_or_default();
            inside.iter().any(|&id| tokenizer.is_special(id) && Some(id) != tokenizer.unk_id())
        };
        if read != own && !written(student, &ours) && !written(teacher, &own) {
            return Ok(Relation::Other);
        }
    }
    Ok(Relation::Renamed(ids))
}

impl Relation {
    /// The teacher's id of each of the student's pieces, of which `kept` stay, if not all: where the student's vocabulary is a
    /// part of the teacher's or the same under other ids. The teacher then reads the sequences of the student: between the
    /// texts of a pair it sees the student's separators, one in BERT's layout, and not its own.
    pub(super) fn teacher_ids(self, kept: Option<Vec<u32>>, notes: &mut Vec<String>) -> Option<Vec<u32>> {
        let all = match self {
            Relation::Equal => return kept,
            Relation::Other => return None,
            Relation::Renamed(all) => all,
        };
        notes.push(format!(
            "the teacher reads the student's {} pieces under its own ids, and between the texts of a pair what separates them \
             for the student",
            kept.as_ref().map_or(all.len(), Vec::len)
        ));
        Some(match kept {
            Some(kept) => kept.into_iter().map(|id| all[id as usize]).collect(),
            None => all,
        })
    }
}

/// The special tokens of a tokenizer by what they are for.
fn roles(tokenizer: &Tokenizer) -> [Option<u32>; 5] {
    [tokenizer.pad_id(), tokenizer.unk_id(), tokenizer.cls_id(), tokenizer.sep_id(), tokenizer.mask_id()]
}

#[cfg(test)]
mod tests {
    use attar_text::tokenizer::WordPieceOptions;
    use attar_text::vocabulary::Vocabulary;

    use super::*;

    fn tokenizer(tokens: &str, options: WordPieceOptions) -> Tokenizer {
        let tokens = tokens.split(' ').map(str::to_string).collect();
        Tokenizer::from_vocabulary(Vocabulary::from_tokens(tokens).unwrap(), options).unwrap()
    }

    #[test]
    fn pieces_come_from_those_of_the_teacher() {
        let uncased = WordPieceOptions::uncased();
        let teacher = tokenizer("[PAD] [UNK] [CLS] [SEP] [MASK] play ##ing ##s a ##b", uncased);
        let student =
            tokenizer("[CLS] [SEP] [PAD] [UNK] [MASK] playing play ##ings ##x ab Play", WordPieceOptions::cased());
        let expected: [&[u32]; 11] = [&[2], &[3], &[0], &[1], &[4], &[5, 6], &[5], &[6, 7], &[1], &[8, 9], &[5]];
        assert_eq!(source_pieces(&student, &teacher), expected);
        assert!(are_equal(&teacher, &teacher) && !are_equal(&teacher, &student));
    }
}
