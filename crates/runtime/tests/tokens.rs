//! Tags of words and answers to questions, of models with random weights, against the logits of their tokens.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::collections::BTreeMap;

use attar_model::{Bundle, EncoderConfig, Head, Tensor, Weights, expected_shapes};
use attar_runtime::{Encoder, Input, Options, Output, Precision, Session};
use attar_text::tokenizer::{Limit, Tokenizer, TrainOptions, Windows, train_wordpiece};

const TEXT: &str = "Ada Lovelace wrote, in London, notes on the analytical engine; Charles Babbage never built it.";
const MAX_TOKENS: usize = 48;

struct Model {
    dir: tempfile::TempDir,
    bundle: Bundle,
    tokenizer: Tokenizer,
}

fn model(head: Head) -> Model {
    let tokenizer = train_wordpiece([TEXT; 3], TrainOptions::new(90)).unwrap();
    let config = EncoderConfig {
        layers: 2,
        hidden: 24,
        heads: 4,
        feed_forward: 40,
        vocabulary: tokenizer.vocabulary_size(),
        positions: MAX_TOKENS,
        ..EncoderConfig::bert_base()
    }
    .with_head(head);
    let mut state = 7_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let weights: Weights = expected_shapes(&config)
        .into_iter()
        .map(|(name, shape)| {
            let numbers = (0..shape.iter().product()).map(|_| random()).collect();
            (name, Tensor::new(shape, numbers))
        })
        .collect();
    let bundle = Bundle::new(config, weights);
    let dir = tempfile::tempdir().unwrap();
    bundle.write(dir.path(), attar_model::atomic::WriteMode::Replace).unwrap();
    tokenizer.save(dir.path()).unwrap();
    Model { dir, bundle, tokenizer }
}

impl Model {
    fn session(&self, threads: usize) -> Session {
        Session::load(self.dir.path(), &Options::new(Precision::F32, threads)).unwrap()
    }

    /// Logits of each token, `[T, K]`.
    fn logits(&self, ids: &[u32], types: &[u32]) -> Vec<Vec<f32>> {
        let mut encoder = Encoder::from_bundle(&self.bundle, &Options::new(Precision::F32, 1)).unwrap();
        let lengths = [ids.len() as u32];
        let input = Input::new(ids, types, &lengths).unwrap();
        let width = encoder.width(Output::Logits).unwrap();
        let mut out = vec![0.0; ids.len() * width];
        encoder.forward(input, Output::Logits, &mut out).unwrap();
        out.chunks(width).map(<[f32]>::to_vec).collect()
    }
}

fn tagger() -> Model {
    model(Head::TokenClassification { labels: ["O", "B-X", "I-X"].map(String::from).to_vec() })
}

fn argmax(numbers: &[f32]) -> usize {
    (0..numbers.len()).fold(0, |best, i| if numbers[i] > numbers[best] { i } else { best })
}

#[test]
fn a_word_has_the_class_of_its_first_token() {
    let model = tagger();
    let tags = model.session(2).tag(&[TEXT, "", "Ada"], |_| ()).unwrap();
    let located = model.tokenizer.encode_located(TEXT, None, Limit::unlimited()).unwrap();
    let logits = model.logits(&located.encoding.ids, &located.encoding.types);
    let expected: BTreeMap<usize, usize> = (located.places.iter().zip(&logits))
        .filter_map(|(place, logits)| Some((place.as_ref()?, logits)))
        .filter(|(place, _)| place.begins_word)
        .map(|(place, logits)| (place.bytes.start, argmax(logits)))
        .collect();
    let got: BTreeMap<usize, usize> = tags[0].iter().map(|tag| (tag.bytes.start, tag.class)).collect();
    assert_eq!(got, expected);
    let words: Vec<&str> = tags[0].iter().map(|tag| &TEXT[tag.bytes.clone()]).collect();
    assert_eq!(words[..5], ["Ada", "Lovelace", "wrote", ",", "in"]);
    assert!(tags[0].iter().all(|tag| tag.probability > 1.0 / 3.0 && tag.probability <= 1.0));
    assert_eq!((tags[1].len(), tags[2].len()), (0, 1));
}

#[test]
fn a_long_text_is_tagged_to_its_end_with_the_most_around_each_word() {
    let model = tagger();
    let long = format!("{TEXT} ").repeat(7);
    let mut session = model.session(2);
    let tags = session.tag(&[long.as_str(), TEXT], |_| ()).unwrap();
    assert_eq!(tags[0].len(), 7 * tags[1].len());
    assert_eq!(tags[0].last().unwrap().bytes.end, long.trim_end().len());
    // Every window by itself: the class of a word is that of the one which shows most on its shorter side.
    let windows = Windows { max_tokens: MAX_TOKENS, overlap: MAX_TOKENS / 4 };
    let mut best: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for window in model.tokenizer.encode_windows(&long, None, windows).unwrap() {
        let logits = model.logits(&window.encoding.ids, &window.encoding.types);
        for (t, place) in window.places.iter().enumerate() {
            let Some(place) = place.as_ref().filter(|place| place.begins_word) else { continue };
            let shown = t.min(window.places.len() - 1 - t);
            let seen = best.entry(place.bytes.start).or_insert((0, 0));
            if shown > seen.0 {
                *seen = (shown, argmax(&logits[t]));
            }
        }
    }
    let got: Vec<(usize, usize)> = tags[0].iter().map(|tag| (tag.bytes.start, tag.class)).collect();
    assert_eq!(got, best.into_iter().map(|(start, (_, class))| (start, class)).collect::<Vec<_>>());
    // One thread, one text, the same.
    assert_eq!(model.session(1).tag(&[long.as_str()], |_| ()).unwrap()[0], tags[0]);
    let entities = session.entities(&tags[1]);
    assert!(!entities.is_empty() && entities.iter().all(|e| e.kind == "X"), "{entities:?}");
}

#[test]
fn an_answer_is_the_most_probable_span_of_the_context() {
    let model = model(Head::QuestionAnswering);
    let mut session = model.session(2);
    let question = "who wrote notes?";
    let short = &TEXT[..29];
    let answers = session.answer(&[(question, short), (question, ""), (question, TEXT)], |_| ()).unwrap();
    assert_eq!(answers[1], None);

    let located = model.tokenizer.encode_located(question, Some(short), Limit::unlimited()).unwrap();
    assert!(located.places.len() <= MAX_TOKENS);
    let logits = model.logits(&located.encoding.ids, &located.encoding.types);
    let of_context: Vec<usize> =
        (0..logits.len()).filter(|&t| located.places[t].as_ref().is_some_and(|place| place.text == 1)).collect();
    let sum = |column: usize| -> f32 {
        let all = of_context.iter().chain([&0]);
        all.map(|&t| logits[t][column].exp()).sum()
    };
    let sums = [sum(0), sum(1)];
    let mut best = (f32::NEG_INFINITY, 0..0);
    for &first in &of_context {
        for &last in of_context.iter().filter(|&&last| last >= first && last < first + 30) {
            let probability = logits[first][0].exp() / sums[0] * logits[last][1].exp() / sums[1];
            if probability > best.0 {
                let [begin, end] = [first, last].map(|t| located.places[t].clone().unwrap().bytes);
                best = (probability, begin.start..end.end);
            }
        }
    }
    let got = answers[0].clone().unwrap();
    assert!((got.probability - best.0).abs() < 1e-5, "{got:?} {best:?}");
    // Widened to words, and no further.
    assert!(got.bytes.start <= best.1.start && got.bytes.end >= best.1.end, "{got:?} {best:?}");
    let is_inside =
        |at: usize| at > 0 && at < short.len() && short[at - 1..=at].bytes().all(|b| b.is_ascii_alphanumeric());
    assert!(!is_inside(got.bytes.start) && !is_inside(got.bytes.end), "{got:?}");
    let no_answer = logits[0][0].exp() / sums[0] * logits[0][1].exp() / sums[1];
    assert!((got.no_answer - no_answer).abs() < 1e-5);

    // A context longer than the model: the best window's answer, and threads change nothing.
    let long = format!("{TEXT} ").repeat(5);
    let one = model.session(1).answer(&[(question, long.as_str())], |_| ()).unwrap();
    assert_eq!(session.answer(&[(question, long.as_str())], |_| ()).unwrap(), one);
    let span = one[0].clone().unwrap();
    assert!(long.get(span.bytes.clone()).is_some() && span.probability > 0.0, "{span:?}");
}

#[test]
fn the_wrong_head_is_refused() {
    let refusal = |error: attar_runtime::Error| error.to_string();
    assert!(
        refusal(tagger().session(1).answer(&[("a", "b")], |_| ()).unwrap_err()).contains("question-answering head")
    );
    let mut asked = model(Head::QuestionAnswering).session(1);
    assert!(refusal(asked.tag(&["a"], |_| ()).unwrap_err()).contains("token classification head"));
    let question = "who ".repeat(60);
    assert!(refusal(asked.answer(&[("who", "Ada"), (&question, "Ada")], |_| ()).unwrap_err()).contains("row 2"));
}
