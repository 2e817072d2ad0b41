//! `/predict`: classes of texts and of pairs, with their probabilities.

use std::sync::Arc;

use attar_model::Target;
use attar_runtime::probabilities;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::encode::{Source, Truncation, TruncationDirection};
use crate::error::{ErrorType, Refusal};
use crate::route::Route;

/// A text, a pair `[text, text]`, or a list of texts and pairs `[[text], [text, text]]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a string, a pair of strings [string, string], or a list of lists of one or two strings"
)]
pub(crate) enum PredictInput {
    Text(String),
    Pair(Vec<String>),
    Batch(Vec<Vec<String>>),
}

impl PredictInput {
    fn sources(self) -> Result<(Vec<Source>, bool), Refusal> {
        let source = |mut texts: Vec<String>| match (texts.len(), texts.pop()) {
            (1, Some(text)) => Ok(Source::Text(text)),
            (2, Some(second)) => Ok(Source::Pair(texts.pop().unwrap_or_default(), second)),
            (count, _) => {
                let said =
                    format!("an input is one string or two, got {count}; for several texts send [[text], [text]]");
                let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
                Err(Refusal::new(ErrorType::Validation, said).with_status(status))
            }
        };
        Ok(match self {
            PredictInput::Text(text) => (vec![Source::Text(text)], false),
            PredictInput::Pair(texts) if texts.is_empty() => (Vec::new(), true),
            PredictInput::Pair(texts) => (vec![source(texts)?], false),
            PredictInput::Batch(items) => (items.into_iter().map(source).collect::<Result<_, _>>()?, true),
        })
    }
}

/// What `/predict` is asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PredictRequest {
    inputs: PredictInput,
    /// Whether texts that are too long are cut; else the server decides.
    truncate: Option<bool>,
    #[serde(default)]
    truncation_direction: TruncationDirection,
    /// Logits in place of probabilities.
    #[serde(default)]
    raw_scores: bool,
}

/// A class and its probability, or the number that a bundle predicts.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Prediction {
    score: f32,
    // An answer names every class, so names are shared and not copied.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    label: Arc<str>,
}

fn as_text<S: serde::Serializer>(label: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(label)
}

/// The classes of a text, the most probable first; a list of those where the inputs were one.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum PredictResponse {
    Single(Vec<Prediction>),
    Batch(Vec<Vec<Prediction>>),
}

/// `/predict`.
pub(crate) enum Predict {}

impl Route for Predict {
    const PATH: &'static str = "/predict";
    const SUMMARY: &'static str = "Classes of texts, or the number that a bundle predicts";
    type Request = PredictRequest;
    type Answer = PredictResponse;

    async fn answer(call: &mut Call, request: PredictRequest) -> Result<PredictResponse, Refusal> {
        let bundle = Arc::clone(&call.bundle);
        let target = bundle.target()?;
        let (sources, is_batch) = request.inputs.sources()?;
        call.begin(sources.len(), is_batch)?;
        if call.bundle.compares && sources.iter().any(|source| !matches!(source, Source::Pair(..))) {
            let said = "this bundle compares two texts: send pairs [text, text]";
            return Err(Refusal::new(ErrorType::Backend, said));
        }
        let truncation = Truncation { direction: request.truncation_direction, ..call.truncation(request.truncate) };
        let logits = call.logits(sources, truncation).await?;
        let mut all: Vec<Vec<Prediction>> =
            logits.into_iter().map(|logits| predictions(target, &bundle.labels, &logits, request.raw_scores)).collect();
        Ok(match (is_batch, all.pop()) {
            (false, Some(only)) => PredictResponse::Single(only),
            (_, last) => PredictResponse::Batch(all.into_iter().chain(last).collect()),
        })
    }
}

/// Labels with their scores, the greatest first. A number is what it is, whatever is asked for.
fn predictions(target: &Target, labels: &[Arc<str>], logits: &[f32], raw_scores: bool) -> Vec<Prediction> {
    let scores = match target {
        Target::Labels(_) | Target::MultiLabel(_) if !raw_scores => {
            probabilities(target, logits).into_iter().map(|probability| probability as f32).collect()
        }
        _ => logits.to_vec(),
    };
    let mut all: Vec<Prediction> =
        labels.iter().zip(scores).map(|(label, score)| Prediction { score, label: Arc::clone(label) }).collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    all
}

/// The probability of a logit alone.
pub(crate) fn sigmoid(logit: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::shared_labels;

    #[test]
    fn the_most_probable_class_comes_first() {
        let target = Target::Labels(vec!["no".into(), "yes".into()]);
        let shown = |target: &Target, logits: &[f32], raw| -> Vec<(String, f32)> {
            let labels = shared_labels(target);
            predictions(target, &labels, logits, raw).into_iter().map(|p| (p.label.to_string(), p.score)).collect()
        };
        let both = shown(&target, &[0.0, 3.0_f32.ln()], false);
        assert_eq!(both[0].0, "yes");
        assert!((both[0].1 - 0.75).abs() < 1e-6 && (both[1].1 - 0.25).abs() < 1e-6);
        assert_eq!(shown(&target, &[2.0, -1.0], true), [("no".into(), 2.0), ("yes".into(), -1.0)]);
        let several = Target::MultiLabel(vec!["bug".into(), "ui".into()]);
        assert!((shown(&several, &[2.0, 0.0], false)[0].1 - 0.880797).abs() < 1e-6);
        assert_eq!(shown(&Target::Regression, &[2.5], false), [("score".into(), 2.5)]);
    }

    #[test]
    fn inputs_are_one_text_or_two_or_a_list_of_such() {
        let sources = |json: &str| -> Option<(Vec<Source>, bool)> {
            serde_json::from_str::<PredictInput>(json).ok()?.sources().ok()
        };
        let (text, pair) = (Source::Text("a".into()), Source::Pair("a".into(), "b".into()));
        assert_eq!(sources(r#""a""#), Some((vec![text.clone()], false)));
        assert_eq!(sources(r#"["a"]"#), Some((vec![text.clone()], false)));
        assert_eq!(sources(r#"["a", "b"]"#), Some((vec![pair.clone()], false)));
        assert_eq!(sources(r#"[["a"], ["a", "b"]]"#), Some((vec![text, pair], true)));
        assert_eq!(sources("[]"), Some((vec![], true)));
        for wrong in [r#"["a", "b", "c"]"#, r#"[["a", "b", "c"]]"#, r#"[[]]"#, r#"[1]"#, r#"{"a": "b"}"#, "null"] {
            assert_eq!(sources(wrong), None, "{wrong}");
        }
    }
}
