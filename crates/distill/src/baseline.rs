//! The baseline that a student must beat: softmax regression over counted words and word pairs.
//!
//! It is what a practitioner tries first, and it trains in a second, so that every report can show it.

use std::collections::HashMap;

use attar_text::labelled::{Dataset, Example};
use attar_text::random::Streams;

use crate::Error;

/// Passes over the training rows.
const EPOCHS: usize = 20;
/// Step of AdaGrad (Duchi et al. 2011).
const RATE: f32 = 0.2;
/// Pull of every weight towards 0 when its feature occurs.
const RIDGE: f32 = 1e-5;

/// A linear classifier over word unigrams and bigrams.
#[derive(Debug, Clone)]
pub struct NgramBaseline {
    features: HashMap<String, u32>,
    /// `[features, classes]`
    weights: Vec<f32>,
    /// `[classes]`
    bias: Vec<f32>,
}

impl NgramBaseline {
    /// Trains on labelled classes. Deterministic for a seed.
    ///
    /// # Errors
    /// If the rows have no classes.
    pub fn train(data: &Dataset, streams: &Streams) -> Result<NgramBaseline, Error> {
        let Some(labels) = data.classes() else {
            return Err(Error::refused(
                &data.name,
                "classes, for a word-count baseline",
                "scores or no labels",
                "leave the baseline out",
            ));
        };
        let classes = data.target.outputs();
        let mut features: HashMap<String, u32> = HashMap::new();
        let rows: Vec<Vec<u32>> = data
            .examples
            .iter()
            .map(|example| {
                let number = |feature| {
                    let next = features.len() as u32;
                    *features.entry(feature).or_insert(next)
                };
                distinct(ngrams(example).into_iter().map(number).collect())
            })
            .collect();
        let mut model =
            NgramBaseline { weights: vec![0.0; features.len() * classes], features, bias: vec![0.0; classes] };
        let mut squares = vec![0.0f32; model.weights.len()];
        let mut bias_squares = vec![0.0f32; classes];
        let mut order: Vec<usize> = (0..rows.len()).collect();
        for epoch in 0..EPOCHS {
            streams.stream("baseline", &[epoch as u64]).shuffle(&mut order);
            for &row in &order {
                let mut gradient = softmax(model.logits(&rows[row]));
                gradient[labels[row] as usize] -= 1.0;
                for &feature in &rows[row] {
                    let range = feature as usize * classes..(feature as usize + 1) * classes;
                    let cells = model.weights[range.clone()].iter_mut().zip(&mut squares[range]);
                    for ((weight, square), &g) in cells.zip(&gradient) {
                        update(weight, square, g + RIDGE * *weight);
                    }
                }
                for ((bias, square), &g) in model.bias.iter_mut().zip(&mut bias_squares).zip(&gradient) {
                    update(bias, square, g);
                }
            }
        }
        Ok(model)
    }

    /// Logits of a text, one for each class.
    pub fn predict(&self, example: &Example) -> Vec<f32> {
        let known = ngrams(example).into_iter().filter_map(|feature| self.features.get(&feature).copied());
        self.logits(&distinct(known.collect()))
    }

    /// Bytes of the model: a 32-bit weight for each feature and class, and the features' own letters.
    pub fn bytes(&self) -> usize {
        4 * (self.weights.len() + self.bias.len()) + self.features.keys().map(String::len).sum::<usize>()
    }

    fn logits(&self, features: &[u32]) -> Vec<f32> {
        let classes = self.bias.len();
        let mut logits = self.bias.clone();
        for &feature in features {
            let weights = &self.weights[feature as usize * classes..][..classes];
            for (logit, weight) in logits.iter_mut().zip(weights) {
                *logit += weight;
            }
        }
        logits
    }
}

/// Lower-case words and pairs of neighbouring words; those of a second text are marked.
fn ngrams(example: &Example) -> Vec<String> {
    let mut all = Vec::new();
    for (mark, text) in [("", Some(&example.text)), ("2:", example.pair.as_ref())] {
        let Some(text) = text else { continue };
        let text = text.to_lowercase();
        let words: Vec<&str> =
            text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|w| !w.is_empty()).collect();
        all.extend(words.iter().map(|word| format!("{mark}{word}")));
        all.extend(words.windows(2).map(|pair| format!("{mark}{} {}", pair[0], pair[1])));
    }
    all
}

fn distinct(mut features: Vec<u32>) -> Vec<u32> {
    features.sort_unstable();
    features.dedup();
    features
}

fn update(weight: &mut f32, square: &mut f32, gradient: f32) {
    *square += gradient * gradient;
    if *square > 0.0 {
        *weight -= RATE * gradient / square.sqrt();
    }
}

fn softmax(mut logits: Vec<f32>) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for logit in &mut logits {
        *logit = (*logit - largest).exp();
        sum += *logit;
    }
    logits.iter_mut().for_each(|p| *p /= sum);
    logits
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_text::labelled::{Label, LabelSet, Target};

    fn data(rows: &[(&str, u32)]) -> Dataset {
        let example =
            |&(text, class): &(&str, u32)| Example { text: text.into(), pair: None, label: Label::Class(class) };
        Dataset {
            examples: rows.iter().map(example).collect(),
            target: Target::Classes(LabelSet { names: vec!["a".into(), "b".into()] }),
            name: "test".into(),
            sha256: String::new(),
            path: None,
        }
    }

    #[test]
    fn learns_words_and_pairs() {
        let rows = data(&[("good film", 1), ("bad film", 0), ("not good", 0), ("not bad", 1)]);
        let model = NgramBaseline::train(&rows, &Streams::new(1)).unwrap();
        let class = |text: &str| {
            let logits = model.predict(&Example { text: text.into(), pair: None, label: Label::Absent });
            u32::from(logits[1] > logits[0])
        };
        // The last two need pairs of words.
        assert_eq!(["a good film", "a bad film", "not good!", "Not bad"].map(class), [1, 0, 0, 1]);
        assert_eq!(model.weights, NgramBaseline::train(&rows, &Streams::new(1)).unwrap().weights);
    }

    #[test]
    fn scores_are_refused() {
        let mut rows = data(&[("x", 0)]);
        rows.examples[0].label = Label::Score(1.0);
        rows.target = Target::Regression { low: 0.0, high: 5.0 };
        assert!(NgramBaseline::train(&rows, &Streams::new(1)).is_err());
    }
}
