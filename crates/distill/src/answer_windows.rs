//! Questions over their contexts: a context that is longer than the model's limit is read in windows, each a row of its own.

use std::ops::Range;

use attar_runtime::Span;
use attar_text::labeled::{Dataset, Example, Label};
use attar_text::tokenizer::{EncodeError, Encoding, LocatedEncoding, TokenPlace, Tokenizer, Windows};
use rayon::prelude::*;

use crate::Error;
use crate::score::Answers;

/// The windows of all questions, those of the first question first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AnswerWindows {
    windows: Vec<Window>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    /// Its question, a row of the data.
    question: u32,
    /// The tokens at which the answer begins and ends; the first token where the answer is not in the window. `None` where the
    /// question has no label.
    gold: Option<[u32; 2]>,
    /// Where its tokens come from, `[T]`; empty where nothing is answered.
    places: Vec<Option<TokenPlace>>,
}

/// Whether windows know where their tokens come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeepPlaces {
    /// To answer from them.
    All,
    /// To learn from them: places are the larger part of a window.
    None,
}

impl AnswerWindows {
    /// Encodes questions with their contexts. Of several right answers the first one is learned.
    ///
    /// # Errors
    /// If the tokenizer refuses a text, a question leaves no room for its context, or an answer has no token; the row is named.
    pub(crate) fn encode(
        examples: &[Example],
        tokenizer: &Tokenizer,
        max_tokens: usize,
        keep: KeepPlaces,
    ) -> Result<(Vec<Encoding>, AnswerWindows), Error> {
        let windows = Windows::of(max_tokens);
        let encode = |(row, example): (usize, &Example)| -> Result<Vec<(Encoding, Window)>, Error> {
            let located = tokenizer
                .encode_windows(&example.text, example.pair.as_deref().or(Some("")), windows)
                .map_err(|source| EncodeError::Row { row, source: Box::new(source) })?;
            let golds = golds(&located, &example.label).ok_or_else(|| {
                let (place, got) = (format!("row {}", row + 1), format!("{:?}", example.text));
                let expected = "a question whose answer the tokenizer reads";
                Error::refused(place, expected, got, "leave the row out")
            })?;
            let rows = located.into_iter().zip(golds).map(|(located, gold)| {
                let LocatedEncoding { encoding, places } = located;
                let places = if keep == KeepPlaces::All { places } else { Vec::new() };
                (encoding, Window { question: row as u32, gold, places })
            });
            Ok(rows.collect())
        };
        let encoded = examples.par_iter().enumerate().map(encode).collect::<Result<Vec<_>, Error>>()?;
        let (encodings, windows) = encoded.into_iter().flatten().unzip();
        Ok((encodings, AnswerWindows { windows }))
    }

    /// Windows of the first `questions` questions.
    pub(crate) fn window_count(&self, questions: usize) -> usize {
        self.windows.partition_point(|window| (window.question as usize) < questions)
    }

    /// The number of questions whose answer does not lie whole in any window, so that every window is labeled with the first
    /// token. `examples` are those that were encoded.
    pub(crate) fn count_split_answers(&self, examples: &[Example]) -> usize {
        let is_split = |windows: &&[Window]| {
            let label = &examples[windows[0].question as usize].label;
            matches!(label, Label::Answers(ranges) if !ranges.is_empty())
                && windows.iter().all(|window| window.gold == Some([0, 0]))
        };
        self.windows.chunk_by(|a, b| a.question == b.question).filter(is_split).count()
    }

    /// These windows, in this order.
    pub(crate) fn of_rows(&self, rows: &[usize]) -> AnswerWindows {
        AnswerWindows { windows: rows.iter().map(|&row| self.windows[row].clone()).collect() }
    }

    /// The tokens of each of these windows at which the answer begins, then those at which it ends; `None` if a window has no
    /// label.
    pub(crate) fn gold(&self, rows: &[u32]) -> Option<Vec<i32>> {
        let golds: Vec<[u32; 2]> = rows.iter().map(|&row| self.windows[row as usize].gold).collect::<Option<_>>()?;
        let [starts, ends] = [0, 1].map(|end| golds.iter().map(move |gold| gold[end] as i32));
        Some(starts.chain(ends).collect())
    }

    /// The answers to the questions of `data` by the logits of each window, `[T, 2]`: the best span over a question's
    /// windows, or no answer if the data contain unanswerable questions and no window has a span more probable than
    /// no answer.
    pub(crate) fn answers<'a>(&self, logits: impl IntoIterator<Item = &'a [f32]>, data: &Dataset) -> Answers {
        let mut best: Vec<Option<Span>> = vec![None; data.len()];
        for (window, logits) in self.windows.iter().zip(logits) {
            if let Some(found) = Span::of_window(&window.places, logits) {
                Span::merge(&mut best[window.question as usize], found);
            }
        }
        Answers::of_spans(&best, data)
    }
}

/// The tokens of a window, if any, that are at least in part within these bytes of the second text: the first and the last.
fn touched(places: &[Option<TokenPlace>], bytes: &Range<usize>) -> Option<[usize; 2]> {
    let is_within =
        |place: &&TokenPlace| place.text == 1 && place.bytes.start < bytes.end && place.bytes.end > bytes.start;
    let mut tokens = (0..places.len()).filter(|&token| places[token].as_ref().filter(is_within).is_some());
    let first = tokens.next()?;
    Some([first, tokens.next_back().unwrap_or(first)])
}

/// What each window of a question is to point to; `None` if no window has a token of the answer.
fn golds(windows: &[LocatedEncoding], label: &Label) -> Option<Vec<Option<[u32; 2]>>> {
    let Label::Answers(ranges) = label else { return Some(vec![None; windows.len()]) };
    let Some(range) = ranges.first() else { return Some(vec![Some([0, 0]); windows.len()]) };
    let touched: Vec<Option<[usize; 2]>> = windows.iter().map(|window| touched(&window.places, range)).collect();
    // The answer's own ends, as the tokens of all windows have them: a window may have the answer in part.
    let edges = |window: &LocatedEncoding, [first, last]: [usize; 2]| -> Option<[usize; 2]> {
        Some([window.places[first].as_ref()?.bytes.start, window.places[last].as_ref()?.bytes.end])
    };
    let all: Vec<Option<[usize; 2]>> = windows.iter().zip(&touched).map(|(w, tokens)| edges(w, (*tokens)?)).collect();
    let [start, end] = all.iter().flatten().copied().reduce(|[start, end], [s, e]| [start.min(s), end.max(e)])?;
    let gold = |(tokens, own): (&Option<[usize; 2]>, &Option<[usize; 2]>)| match (tokens, own) {
        (Some(tokens), Some(own)) if *own == [start, end] => Some(tokens.map(|token| token as u32)),
        _ => Some([0, 0]),
    };
    Some(touched.iter().zip(&all).map(gold).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_text::tokenizer::{TrainOptions, train_wordpiece};
    use proptest::prelude::*;

    const WORDS: [&str; 6] = ["rose", "the", "daisies", "a", "é!", "in-rose"];

    fn tokenizer() -> Tokenizer {
        train_wordpiece(["the rose in a daisy is - ! é"; 4], TrainOptions::new(60)).unwrap()
    }

    fn example(question: usize, context: &[usize], answer: Option<Range<usize>>) -> Example {
        let words = |words: &[usize]| words.iter().map(|&word| WORDS[word % WORDS.len()]).collect::<Vec<_>>();
        let (all, bytes) = (words(context), |count: usize| words(&context[..count]).join(" ").len());
        let range = answer.map(|words| {
            let start = bytes(words.start);
            (if words.start == 0 { 0 } else { start + 1 })..bytes(words.end)
        });
        Example {
            text: words(&(0..question).collect::<Vec<_>>()).join(" "),
            pair: Some(all.join(" ")),
            label: Label::Answers(range.into_iter().collect()),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against a search by bytes: a window has the answer if its own tokens of the context, put together, do, and then it points
        /// to the tokens that cover the answer, and to no others.
        #[test]
        fn windows_point_to_the_answer_or_to_the_first_token(
            question in 1usize..4,
            context in prop::collection::vec(0usize..6, 1..40),
            place in (0usize..40, 1usize..4),
            max_tokens in 24usize..40,
        ) {
            let (tokenizer, first) = (tokenizer(), place.0 % context.len());
            let answer = first..context.len().min(first + place.1);
            let example = example(question, &context, Some(answer));
            let Label::Answers(ranges) = &example.label else { unreachable!() };
            let range = ranges[0].clone();
            let rows = std::slice::from_ref(&example);
            let (encodings, windows) = AnswerWindows::encode(rows, &tokenizer, max_tokens, KeepPlaces::All).unwrap();
            let mut met = 0;
            for (encoding, window) in encodings.iter().zip(&windows.windows) {
                prop_assert!(encoding.len() <= max_tokens && window.places.len() == encoding.len());
                let of_context: Vec<usize> =
                    (0..encoding.len()).filter(|&t| window.places[t].as_ref().is_some_and(|p| p.text == 1)).collect();
                let bytes = |token: usize| window.places[token].clone().unwrap().bytes;
                let covered = of_context.first().map_or(0, |&t| bytes(t).start)
                    ..of_context.last().map_or(0, |&t| bytes(t).end);
                let is_whole = covered.start <= range.start && covered.end >= range.end;
                let expected: Vec<usize> = match is_whole {
                    true => {
                        let begins = of_context.iter().filter(|&&t| bytes(t).start <= range.start).max().unwrap();
                        let ends = of_context.iter().filter(|&&t| bytes(t).end >= range.end).min().unwrap();
                        vec![*begins, *ends]
                    }
                    false => vec![0, 0],
                };
                met += usize::from(is_whole);
                prop_assert_eq!(window.gold.unwrap().map(|token| token as usize).to_vec(), expected);
            }
            prop_assert_eq!(windows.count_split_answers(rows), usize::from(met == 0));
            // Nothing of the context is left out.
            let last = windows.windows.last().unwrap();
            let end = last.places.iter().flatten().filter(|place| place.text == 1).map(|place| place.bytes.end).max();
            prop_assert_eq!(end, Some(example.pair.as_ref().unwrap().len()));
        }
    }

    #[test]
    fn questions_without_answer_or_label_have_windows_too() {
        let tokenizer = tokenizer();
        let long: Vec<usize> = (0..60).collect();
        let unlabeled = Example { label: Label::Absent, ..example(2, &long, None) };
        let rows = [example(2, &[0, 1], None), unlabeled, example(2, &[0, 2], Some(1..2))];
        let (encodings, windows) = AnswerWindows::encode(&rows, &tokenizer, 24, KeepPlaces::None).unwrap();
        let count = encodings.len() as u32;
        assert!(count > 5, "{count}");
        assert_eq!(windows.gold(&[0]), Some(vec![0, 0]));
        assert_eq!(windows.gold(&[0, 1]), None);
        let [start, end] = windows.windows[count as usize - 1].gold.unwrap();
        assert!(0 < start && start < end, "{start} {end}: daisies are several pieces");
        assert_eq!(windows.gold(&[0, count - 1]), Some(vec![0, start as i32, 0, end as i32]));
        assert_eq!([0, 1, 2, 3].map(|questions| windows.window_count(questions) as u32), [0, 1, count - 1, count]);
        assert!(windows.windows.iter().all(|window| window.places.is_empty()));
        let error =
            AnswerWindows::encode(&[example(60, &[0; 60], None)], &tokenizer, 24, KeepPlaces::None).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("row 1: windows of 24 tokens with 6 of overlap"), "{said}");
    }
}
