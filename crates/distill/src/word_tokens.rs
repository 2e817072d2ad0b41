//! Which tokens stand for the words of tagged sentences: the first piece of each.

use attar_text::labeled::{Example, Label, Target};
use attar_text::metrics::TagScheme;
use attar_text::tokenizer::{EncodeError, Encoding, Limit, LocatedEncoding, Tokenizer};
use rayon::prelude::*;

/// The token of each word of each row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct WordTokens {
    /// By row and word; `None` where the limit cut the word off.
    rows: Vec<Vec<Option<u32>>>,
    /// The tag that a word without a token is taken to have.
    outside: usize,
}

impl WordTokens {
    /// Encodes sentences and finds their words: those with tags, or all words of a row without any.
    ///
    /// # Errors
    /// If the tokenizer refuses a text.
    pub(crate) fn encode(
        examples: &[Example],
        tokenizer: &Tokenizer,
        limit: Limit,
        target: &Target,
    ) -> Result<(Vec<Encoding>, WordTokens), EncodeError> {
        let located = |(row, example): (usize, &Example)| {
            let located = tokenizer.encode_located(&example.text, None, limit);
            located.map_err(|source| EncodeError::Row { row, source: Box::new(source) })
        };
        let encoded = examples.par_iter().enumerate().map(located).collect::<Result<Vec<LocatedEncoding>, _>>()?;
        let outside = target.labels().and_then(|labels| labels.class(TagScheme::OUTSIDE)).unwrap_or(0) as usize;
        let rows = encoded.iter().zip(examples).map(|(encoded, example)| words(encoded, example)).collect();
        Ok((encoded.into_iter().map(|located| located.encoding).collect(), WordTokens { rows, outside }))
    }

    /// The number of the tag that words without a token are taken to have.
    pub(crate) fn outside(&self) -> usize {
        self.outside
    }

    /// The first row without a word that has a token.
    pub(crate) fn first_without(&self) -> Option<usize> {
        self.rows.iter().position(|words| words.iter().all(Option::is_none))
    }

    /// These rows, in this order.
    pub(crate) fn of_rows(&self, rows: &[usize]) -> WordTokens {
        WordTokens { rows: rows.iter().map(|&row| self.rows[row].clone()).collect(), outside: self.outside }
    }

    /// The tokens that stand for words in a batch of these rows, whose sequences have so many tokens, and how many each row
    /// has.
    pub(crate) fn of_batch(&self, rows: &[u32], lengths: &[u32]) -> (Vec<u32>, Vec<usize>) {
        let (mut tokens, mut counts, mut before) = (Vec::new(), Vec::with_capacity(rows.len()), 0);
        for (&row, &length) in rows.iter().zip(lengths) {
            let known = tokens.len();
            tokens.extend(self.rows[row as usize].iter().flatten().map(|token| before + token));
            counts.push(tokens.len() - known);
            before += length;
        }
        (tokens, counts)
    }

    /// For each word of a row that has a token, its place among the words.
    pub(crate) fn seen(&self, row: usize) -> impl Iterator<Item = usize> {
        self.rows[row].iter().enumerate().filter(|(_, token)| token.is_some()).map(|(word, _)| word)
    }

    /// Words of all rows that were cut off.
    pub(crate) fn cut(&self) -> usize {
        self.rows.iter().flatten().filter(|token| token.is_none()).count()
    }

    /// Logits `[words, K]` of a row of which those of the words with tokens are known; the others are outside.
    pub(crate) fn complete(&self, row: usize, known: &[f32], classes: usize) -> Vec<f32> {
        let mut logits = vec![0.0; self.rows[row].len() * classes];
        if let Some(outside) = Some(self.outside).filter(|&outside| outside < classes) {
            logits.chunks_mut(classes).for_each(|word| word[outside] = 1.0);
        }
        for (word, own) in self.seen(row).zip(known.chunks(classes)) {
            logits[word * classes..][..classes].copy_from_slice(own);
        }
        logits
    }
}

/// The token of each word of a sentence.
fn words(encoded: &LocatedEncoding, example: &Example) -> Vec<Option<u32>> {
    let mut places = encoded.places.iter().zip(0_u32..).filter_map(|(place, token)| Some((place.as_ref()?, token)));
    let Label::Tags(tags) = &example.label else {
        return places.filter(|(place, _)| place.begins_word).map(|(_, token)| Some(token)).collect();
    };
    // Words and tokens both come in the order of the text.
    let mut next = places.next();
    let word = |bytes: &std::ops::Range<usize>| {
        while let Some((place, _)) = next
            && place.bytes.end <= bytes.start
        {
            next = places.next();
        }
        next.filter(|(place, _)| place.bytes.start < bytes.end).map(|(_, token)| token)
    };
    tags.iter().map(|tag| &tag.bytes).map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_text::labeled::{LabelSet, WordTag};
    use attar_text::tokenizer::{TrainOptions, train_wordpiece};

    fn tagged(words: &[&str]) -> Example {
        let text = words.join(" ");
        let mut start = 0;
        let tags = words.iter().map(|word| {
            let bytes = start..start + word.len();
            start = bytes.end + 1;
            WordTag { bytes, class: 0 }
        });
        Example { label: Label::Tags(tags.collect()), pair: None, text: text.clone() }
    }

    #[test]
    fn a_word_is_its_first_piece() {
        let tokenizer = train_wordpiece(["we saw u . s . ships at sea"; 4], TrainOptions::new(80)).unwrap();
        let target = Target::Tags(LabelSet { names: vec!["B-X".into(), "O".into()] });
        let unlabeled = Example { label: Label::Absent, ..tagged(&["u.s.", "ships"]) };
        let rows = [tagged(&["we", "saw", "u.s.", "ships"]), tagged(&["we", "saw", "ships", "at", "sea"]), unlabeled];
        let (encoded, words) = WordTokens::encode(&rows, &tokenizer, Limit::new(7), &target).unwrap();
        let piece = |row: usize, token: u32| tokenizer.token(encoded[row].ids[token as usize]).unwrap();
        let pieces = |row: usize| -> Vec<Option<String>> {
            words.rows[row].iter().map(|token| token.map(|token| piece(row, token))).collect()
        };
        let some = |words: &str| words.split(' ').map(|word| Some(word.to_owned())).collect::<Vec<_>>();
        // Five tokens are left beside the special ones: "u.s." takes four, and the last word is cut off.
        assert_eq!(pieces(0), [some("we saw u"), vec![None]].concat());
        assert_eq!(pieces(1), some("we saw ships at sea"));
        // The tokenizer's own words, where none are given.
        assert_eq!(pieces(2), some("u . s . ships"));
        assert_eq!(words.cut(), 1);

        let lengths: Vec<u32> = encoded.iter().map(|row| row.len() as u32).collect();
        let (tokens, counts) = words.of_batch(&[1, 0], &[lengths[1], lengths[0]]);
        assert_eq!(counts, [5, 3]);
        let before = lengths[1];
        assert_eq!(tokens, [1, 2, 3, 4, 5, before + 1, before + 2, before + 3]);
        // What was cut off is outside.
        let logits = words.complete(0, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2);
        assert_eq!(logits, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 1.0]);
    }
}
