//! `attar predict`: texts in, labels, scores, tags or answers out.

mod files;
mod records;
mod words;

use attar_model::{Head, Target};
use attar_runtime::Text;
use serde::Serialize;

use crate::cli::PredictArgs;
use crate::progress::counting;
use crate::{console, engine, tables};

use super::texts;

/// The answer to one text.
#[derive(Serialize)]
struct Prediction<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<&'a str>,
    /// All labels more likely than not, where a text may have several.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<&'a str>>,
    /// The class, and the probability of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    probabilities: Vec<(&'a str, f64)>,
    /// What the head gave, `[K]`.
    logits: &'a [f32],
    /// The score of a regression.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
}

impl<'a> Prediction<'a> {
    /// The labels more likely than not, with their probabilities.
    fn likely(&self) -> impl Iterator<Item = (&'a str, f64)> {
        self.probabilities.iter().copied().filter(|(_, probability)| *probability > 0.5)
    }
}

pub(crate) fn run(args: &PredictArgs, threads: Option<usize>) -> anyhow::Result<()> {
    let mut session = engine::open(&args.model, &args.engine, threads)?;
    if let Some(data) = &args.data {
        return files::run(&mut session, data, args);
    }
    let given = texts::given(&args.texts)?;
    match session.config().head {
        Head::TokenClassification { .. } => {
            anyhow::ensure!(args.pair.is_none(), "this model tags the words of single texts: leave --pair out");
            return words::tag(&mut session, &given, args.json);
        }
        Head::QuestionAnswering => return words::answer(&mut session, &given, args.pair.as_deref(), args.json),
        _ => {}
    }
    let target = session.target()?.clone();
    if args.pair.is_some() {
        anyhow::ensure!(given.len() == 1, "--pair goes with a single text, got {} texts", given.len());
    }
    let pair = args.pair.as_deref();
    let rows: Vec<Text<'_>> = given.iter().map(|text| (text.as_str(), pair)).collect();
    let mut bar = counting(rows.len(), "texts");
    let logits = session.logits(&rows, |done| bar.inc(done as u64))?;
    bar.finish_and_clear();

    let predictions = given.iter().zip(&logits).map(|(text, logits)| prediction(text, pair, &target, logits));
    if args.json {
        for prediction in predictions {
            console::json_line(&prediction)?;
        }
        return Ok(());
    }
    let mut table = tables::table(&["text", "answer", "probability"]);
    for p in predictions {
        let (answer, probability) = match (p.label, p.score) {
            _ if p.labels.is_some() => {
                let (names, chances): (Vec<&str>, Vec<String>) =
                    p.likely().map(|(name, probability)| (name, format!("{probability:.3}"))).unzip();
                (names.join(", "), chances.join(", "))
            }
            (Some(label), _) => {
                let best = p.probabilities.iter().find(|(name, _)| *name == label);
                (label.to_string(), best.map_or(String::new(), |(_, probability)| format!("{probability:.3}")))
            }
            (None, Some(score)) => (format!("{score:.3}"), String::new()),
            (None, None) => (String::new(), String::new()),
        };
        table.add_row([p.text.to_string(), answer, probability]);
    }
    console::say(table.to_string())?;
    Ok(())
}

fn prediction<'a>(text: &'a str, pair: Option<&'a str>, target: &'a Target, logits: &'a [f32]) -> Prediction<'a> {
    let mut prediction =
        Prediction { text, pair, labels: None, label: None, probabilities: Vec::new(), logits, score: None };
    match target {
        Target::Regression => prediction.score = logits.first().map(|&score| f64::from(score)),
        Target::MultiLabel(names) => {
            let probabilities = logits.iter().map(|&logit| 1.0 / (1.0 + (-f64::from(logit)).exp()));
            prediction.probabilities = names.iter().map(String::as_str).zip(probabilities).collect();
            prediction.labels = Some(prediction.likely().map(|(name, _)| name).collect());
        }
        Target::Labels(names) => {
            let probabilities = softmax(logits);
            let best = (0..names.len()).rev().max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
            prediction.label = best.map(|class| names[class].as_str());
            prediction.probabilities = names.iter().map(String::as_str).zip(probabilities).collect();
        }
    }
    prediction
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits.iter().map(|&x| f64::from(x - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|x| x / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_become_a_label_with_probabilities() {
        let target = Target::Labels(vec!["no".into(), "yes".into()]);
        let logits = [0.0, 3.0f32.ln()];
        let p = prediction("t", None, &target, &logits);
        assert_eq!(p.label, Some("yes"));
        // exp(0) : exp(ln 3), to the precision of a 32-bit logarithm.
        assert!((p.probabilities[1].1 - 0.75).abs() < 1e-6);
        assert_eq!(prediction("t", None, &target, &[1.0, 1.0]).label, Some("no"));
        let several = Target::MultiLabel(vec!["bug".into(), "ui".into(), "slow".into()]);
        let p = prediction("t", None, &several, &[2.0, 0.0, 0.1]);
        assert_eq!((p.label, p.labels.as_deref()), (None, Some(&["bug", "slow"][..])));
        assert!((p.probabilities[0].1 - 0.880797).abs() < 1e-6);
        assert_eq!(prediction("t", None, &several, &[-1.0; 3]).labels, Some(vec![]));
        assert_eq!(prediction("t", None, &Target::Regression, &[2.5]).score, Some(2.5));
    }
}
