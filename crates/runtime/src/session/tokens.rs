//! Results about parts of a text: classes of its words, and the words that answer a question.

use std::collections::BTreeMap;
use std::ops::Range;

use attar_model::Head;
use attar_text::tokenizer::{EncodeError, LocatedEncoding, TokenPlace, Windows};

use super::Session;
use crate::batch::Input;
use crate::error::Error;
use crate::output::Output;

/// Texts, and windows of them, that are sorted by length and computed at a time.
const CHUNK: usize = 512;
/// Most tokens of an answer, the customary limit on SQuAD.
const MAX_ANSWER_TOKENS: usize = 30;

/// A word and its class.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// Its bytes in the text.
    pub bytes: Range<usize>,
    /// The most probable class of its first token, an index into the labels.
    pub class: usize,
    /// The probability of that class.
    pub probability: f32,
}

/// Adjacent words that name one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// Their bytes in the text.
    pub bytes: Range<usize>,
    /// Their label without `B-` or `I-`.
    pub kind: String,
    /// Mean of the probabilities of the words.
    pub probability: f32,
}

/// Where a part of a text, given by its bytes, begins and ends in characters.
///
/// # Panics
/// If the bytes are not those of whole characters of the text.
pub fn in_characters(text: &str, bytes: &Range<usize>) -> [usize; 2] {
    let start = text[..bytes.start].chars().count();
    [start, start + text[bytes.clone()].chars().count()]
}

/// Words of a context that answer a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Their bytes in the context.
    pub bytes: Range<usize>,
    /// The probability that the answer begins there times that it ends there, among all tokens of its window.
    pub probability: f32,
    /// The same of the first special token, to which models point that know questions without an answer; the smallest
    /// over the windows.
    pub no_answer: f32,
}

impl Span {
    /// The most probable start and end among the tokens of the second text of a window, at most 30 tokens long and then widened to
    /// whole words; `None` where the window has no token of that text. Both ends are searched together, and the question, special tokens
    /// and spans that end before they begin are no candidates.
    ///
    /// `places` are those of the window's tokens, `[T]`, and `logits` their starts and ends, `[T, 2]`.
    pub fn of_window(places: &[Option<TokenPlace>], logits: &[f32]) -> Option<Span> {
        let word = |t: usize| places[t].as_ref().filter(|place| place.text == 1);
        // Only tokens of the context are candidates, and the first token, which means that there is no answer.
        let part = |column: usize| {
            let is_candidate = |t: usize| t == 0 || word(t).is_some();
            let part: Vec<f32> = (0..places.len())
                .map(|t| if is_candidate(t) { logits[2 * t + column] } else { f32::NEG_INFINITY })
                .collect();
            softmax(&part)
        };
        let (starts, ends) = (part(0), part(1));
        let mut best: Option<(f32, usize, usize)> = None;
        for first in (0..places.len()).filter(|&t| word(t).is_some()) {
            for last in (first..places.len().min(first + MAX_ANSWER_TOKENS)).take_while(|&t| word(t).is_some()) {
                let probability = starts[first] * ends[last];
                if best.is_none_or(|(most, ..)| probability > most) {
                    best = Some((probability, first, last));
                }
            }
        }
        let (probability, first, last) = best?;
        // A window may begin inside a word: extend to the word's first token in the window.
        let starts_inside_word =
            |t: usize| t > 0 && word(t).is_some_and(|place| !place.begins_word) && word(t - 1).is_some();
        let mut head = first;
        while starts_inside_word(head) {
            head -= 1;
        }
        let start = word(head)?.bytes.start;
        let continues = |t: &usize| word(*t).is_some_and(|place| !place.begins_word);
        let end = word((last + 1..places.len()).take_while(continues).last().unwrap_or(last))?.bytes.end;
        Some(Span { bytes: start..end, probability, no_answer: starts[0] * ends[0] })
    }

    /// Merges the span found in one more window into `best`, that of the context's earlier windows: the more probable span, with
    /// the smaller `no_answer`.
    pub fn merge(best: &mut Option<Span>, found: Span) {
        *best = Some(match best.take() {
            None => found,
            Some(best) => {
                let no_answer = best.no_answer.min(found.no_answer);
                let better = if found.probability > best.probability { found } else { best };
                Span { no_answer, ..better }
            }
        });
    }

    /// Whether a model that knows questions without an answer takes this for one: in every window the first token is more probable
    /// than any span.
    pub fn is_unanswered(&self) -> bool {
        self.no_answer > self.probability
    }
}

impl Session {
    /// The class of each word of each text. A text that is too long for the model is split into overlapping windows, and
    /// a word's class comes from the window with the most context around it.
    ///
    /// # Errors
    /// If a text cannot be encoded, or [`Error::Missing`] if the model is not a tagger.
    pub fn tag(&mut self, texts: &[&str], progress: impl FnMut(usize)) -> Result<Vec<Vec<Tag>>, Error> {
        if !matches!(self.config().head, Head::TokenClassification { .. }) {
            return Err(Error::Missing { what: "token classification head", way_out: "use a model that tags words" });
        }
        let mut words: Vec<BTreeMap<usize, (usize, Tag)>> = vec![BTreeMap::new(); texts.len()];
        let rows: Vec<_> = texts.iter().map(|text| (*text, None)).collect();
        let width = self.config().outputs();
        let take = |text: usize, window: &LocatedEncoding, logits: &[f32]| {
            let tokens = &window.places;
            let starts = (0..tokens.len()).filter(|&t| tokens[t].as_ref().is_some_and(|place| place.begins_word));
            for first in starts {
                let shown = first.min(tokens.len() - 1 - first);
                let bytes = word_at(tokens, first);
                let probabilities = softmax(&logits[first * width..][..width]);
                let (class, probability) = largest(&probabilities);
                let seen = words[text]
                    .entry(bytes.start)
                    .or_insert_with(|| (shown, Tag { bytes: bytes.clone(), class, probability }));
                if shown > seen.0 {
                    *seen = (shown, Tag { bytes, class, probability });
                }
            }
        };
        self.for_each_window(&rows, take, progress)?;
        Ok(words.into_iter().map(|words| words.into_values().map(|(_, tag)| tag).collect()).collect())
    }

    /// The entities that a text's tags name. Labels are read as `B-KIND`, `I-KIND` and `O`; with labels without a prefix,
    /// adjacent words of one kind are one entity.
    pub fn entities(&self, tags: &[Tag]) -> Vec<Entity> {
        entities(self.config().head.labels(), tags)
    }

    /// The words of each context that answer its question; `None` where the context has no words. A context that
    /// is too long for the model is split into overlapping windows.
    ///
    /// # Errors
    /// If a text cannot be encoded or a question leaves no room for its context, or [`Error::Missing`] if the model
    /// does not answer questions.
    pub fn answer(
        &mut self,
        questions: &[(&str, &str)],
        progress: impl FnMut(usize),
    ) -> Result<Vec<Option<Span>>, Error> {
        if self.config().head != Head::QuestionAnswering {
            let way_out = "use a model that answers questions";
            return Err(Error::Missing { what: "question-answering head", way_out });
        }
        let mut answers: Vec<Option<Span>> = vec![None; questions.len()];
        let rows: Vec<_> = questions.iter().map(|&(question, context)| (question, Some(context))).collect();
        let take = |question: usize, window: &LocatedEncoding, logits: &[f32]| {
            if let Some(found) = Span::of_window(&window.places, logits) {
                Span::merge(&mut answers[question], found);
            }
        };
        self.for_each_window(&rows, take, progress)?;
        Ok(answers)
    }

    /// Passes each window of each text, with the logits of its tokens, to `take`.
    fn for_each_window(
        &mut self,
        texts: &[(&str, Option<&str>)],
        mut take: impl FnMut(usize, &LocatedEncoding, &[f32]),
        mut progress: impl FnMut(usize),
    ) -> Result<(), Error> {
        let windows = Windows::of(self.limit.max_tokens);
        let width = self.encoder.width(Output::Logits)?;
        for (chunk, texts) in texts.chunks(CHUNK).enumerate() {
            let first = chunk * CHUNK;
            let encoded = self.encode_windows(texts, windows, first)?;
            let mut all: Vec<(usize, &LocatedEncoding)> = (encoded.iter().enumerate())
                .flat_map(|(text, windows)| windows.iter().map(move |window| (first + text, window)))
                .collect();
            all.sort_by_key(|(_, window)| std::cmp::Reverse(window.encoding.len()));
            for batch in all.chunks(CHUNK) {
                let sorted = &mut self.sorted;
                sorted.ids.clear();
                sorted.types.clear();
                sorted.lengths.clear();
                for (_, window) in batch {
                    sorted.ids.extend_from_slice(&window.encoding.ids);
                    sorted.types.extend_from_slice(&window.encoding.types);
                    sorted.lengths.push(window.encoding.len() as u32);
                }
                sorted.out.resize(sorted.ids.len() * width, 0.0);
                let input = Input::new(&sorted.ids, &sorted.types, &sorted.lengths)?;
                self.encoder.forward(input, Output::Logits, &mut sorted.out)?;
                let mut rest = &sorted.out[..];
                for (text, window) in batch {
                    let (mine, others) = rest.split_at(window.encoding.len() * width);
                    take(*text, window, mine);
                    rest = others;
                }
            }
            progress(texts.len());
        }
        Ok(())
    }

    /// The windows of each text, encoded on all threads.
    fn encode_windows(
        &mut self,
        texts: &[(&str, Option<&str>)],
        windows: Windows,
        before: usize,
    ) -> Result<Vec<Vec<LocatedEncoding>>, Error> {
        let Session { encoder, tokenizer, .. } = self;
        let share = texts.len().div_ceil(encoder.threads()).max(1);
        let mut parts: Vec<_> = texts.chunks(share).map(|texts| (texts, Ok(Vec::new()))).collect();
        encoder.team().run(&mut parts, |part, (texts, encoded)| {
            let each = texts.iter().enumerate().map(|(row, (text, pair))| {
                tokenizer.encode_windows(text, *pair, windows).map_err(|source| {
                    let row = before + part * share + row;
                    EncodeError::Row { row, source: Box::new(source) }
                })
            });
            *encoded = each.collect::<Result<Vec<_>, _>>();
        });
        let parts = parts.into_iter().map(|(_, encoded)| encoded).collect::<Result<Vec<_>, _>>()?;
        Ok(parts.into_iter().flatten().collect())
    }
}

/// The bytes of the word that begins with this token.
fn word_at(tokens: &[Option<TokenPlace>], first: usize) -> Range<usize> {
    let place = |t: usize| tokens.get(t).and_then(Option::as_ref);
    let Some(start) = place(first) else { return 0..0 };
    let continues = |t: &usize| place(*t).is_some_and(|place| !place.begins_word && place.text == start.text);
    let last = (first + 1..).take_while(continues).last().unwrap_or(first);
    start.bytes.start..place(last).map_or(start.bytes.end, |place| place.bytes.end)
}

fn entities(labels: &[String], tags: &[Tag]) -> Vec<Entity> {
    let mut found: Vec<(Entity, usize)> = Vec::new();
    // Whether the last word belongs to the last entity.
    let mut is_open = false;
    for tag in tags {
        let label = labels.get(tag.class).map_or("", String::as_str);
        let (begins, kind) = match label.split_once('-') {
            Some(("B", kind)) => (true, kind),
            Some(("I", kind)) => (false, kind),
            _ if label == "O" => {
                is_open = false;
                continue;
            }
            _ => (false, label),
        };
        match found.last_mut() {
            Some((entity, words)) if is_open && !begins && entity.kind == kind => {
                entity.bytes.end = tag.bytes.end;
                entity.probability += tag.probability;
                *words += 1;
            }
            _ => {
                let Tag { bytes, probability, .. } = tag.clone();
                found.push((Entity { bytes, kind: kind.into(), probability }, 1));
            }
        }
        is_open = true;
    }
    let mean = |(entity, words): (Entity, usize)| Entity { probability: entity.probability / words as f32, ..entity };
    found.into_iter().map(mean).collect()
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    crate::softmax(logits).into_iter().map(|share| share as f32).collect()
}

/// The first of the largest numbers.
fn largest(numbers: &[f32]) -> (usize, f32) {
    let better = |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
    numbers.iter().copied().enumerate().fold((0, f32::NEG_INFINITY), better)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: usize, bytes: Range<usize>, begins_word: bool) -> Option<TokenPlace> {
        Some(TokenPlace { text, bytes, begins_word })
    }

    #[test]
    fn entities_of_labels_with_and_without_prefixes() {
        let labels: Vec<String> = ["O", "B-PER", "I-PER", "I-LOC", "ORG"].map(String::from).to_vec();
        let tags: Vec<Tag> = [1, 2, 1, 0, 2, 3, 3, 4, 4, 0, 4]
            .iter()
            .enumerate()
            .map(|(i, &class)| Tag { bytes: 10 * i..10 * i + 5, class, probability: (i + 1) as f32 / 16.0 })
            .collect();
        let found: Vec<_> =
            entities(&labels, &tags).into_iter().map(|e| (e.bytes, e.kind, e.probability * 16.0)).collect();
        let expected = [
            (0..15, "PER", 1.5),
            (20..25, "PER", 3.0),
            (40..45, "PER", 5.0),
            (50..65, "LOC", 6.5),
            (70..85, "ORG", 8.5),
            (100..105, "ORG", 11.0),
        ];
        assert_eq!(found, expected.map(|(bytes, kind, p)| (bytes, kind.to_owned(), p)));
    }

    #[test]
    fn the_best_span_is_of_the_context_in_order_and_of_whole_words() {
        // [CLS] q [SEP] new ##er idea s [SEP]
        let tokens = [
            None,
            place(0, 0..1, true),
            None,
            place(1, 0..3, true),
            place(1, 3..5, false),
            place(1, 6..10, true),
            place(1, 10..11, false),
            None,
        ];
        // Begin and end of each token; the question is the most probable, and may not be.
        let logits = [0.0, 0.0, 9.0, 9.0, 9.0, 9.0, 0.0, 0.0, 5.0, 0.0, 0.0, 4.0, 0.0, 0.0, 9.0, 9.0];
        let span = Span::of_window(&tokens, &logits).unwrap();
        assert_eq!(span.bytes, 0..11);
        let (start, end) = (5f32.exp(), 4f32.exp());
        assert!((span.probability - start / (start + 4.0) * end / (end + 4.0)).abs() < 1e-6);
        assert!((span.no_answer - 1.0 / (start + 4.0) / (end + 4.0)).abs() < 1e-6);
        // The end of "new" is before the begin of "idea", and so not its end.
        let backwards = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 7.0, 0.0, 0.0, 2.0, 0.0, 0.0];
        assert_eq!(Span::of_window(&tokens, &backwards).unwrap().bytes, 6..11);
        assert_eq!(Span::of_window(&tokens[..3], &logits[..6]), None);
        // Without special tokens, in a window that begins inside a word: the question is no part of it.
        assert_eq!(Span::of_window(&[tokens[1].clone(), tokens[4].clone()], &[9.0; 4]).unwrap().bytes, 3..5);
    }
}
