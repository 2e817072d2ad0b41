//! `attar predict`: texts in, labels, scores, tags or answers out.

mod files;
mod lines;
mod words;

use std::path::Path;

use anyhow::{bail, ensure};
use attar_distill::labels::{self, ClassOrder};
use attar_distill::model_directory;
use attar_model::{Head, Target};
use attar_runtime::probabilities;
use serde::Serialize;

use crate::cli::PredictArgs;
use crate::cli::data::ClassNames;
use crate::{console, engine};

use super::texts::Texts;

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
    /// Whether the model has seen a part of the text only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl<'a> Prediction<'a> {
    /// The labels more likely than not, with their probabilities.
    fn likely(&self) -> impl Iterator<Item = (&'a str, f64)> {
        self.probabilities.iter().copied().filter(|(_, probability)| *probability > 0.5)
    }
}

pub(crate) fn run(args: &PredictArgs, threads: Option<usize>) -> anyhow::Result<()> {
    let mut session = engine::open(&args.model, &args.engine, threads)?;
    if args.labels.is_some() && !matches!(session.config().head, Head::Classification { .. }) {
        bail!("--labels names the classes of a text, and this model has none: leave it out");
    }
    let pair = args.pair.as_deref();
    match session.config().head {
        Head::TokenClassification { .. } => {
            ensure!(pair.is_none(), "this model tags the words of single texts: leave --pair out");
            return match &args.data {
                Some(data) => files::run(&mut session, None, data, args),
                None => words::tag(&mut session, &mut Texts::new(&args.texts), args),
            };
        }
        Head::QuestionAnswering => {
            return match &args.data {
                Some(data) => files::run(&mut session, None, data, args),
                None => words::answer(&mut session, &mut Texts::new(&args.texts), args),
            };
        }
        _ => {}
    }
    if args.data.is_none() && pair.is_some() {
        ensure!(
            args.texts.len() == 1,
            "--pair goes with a single text, got {}",
            match args.texts.len() {
                0 => "none".to_string(),
                texts => format!("{texts} texts"),
            }
        );
    }
    let target = named(&args.model, session.target()?, args.labels.as_ref().map(ClassNames::names))?;
    engine::check_pairs(&args.model, args.pair.is_some(), "give the second text (with --data its column) as --pair")?;
    match &args.data {
        Some(data) => files::run(&mut session, Some(&target), data, args),
        None => lines::run(&mut session, &target, args),
    }
}

/// What a model answers, its classes called as the user calls them.
fn named(model: &Path, target: &Target, names: Option<&[String]>) -> anyhow::Result<Target> {
    let Some(names) = names else { return Ok(target.clone()) };
    let model = model_directory::name(model);
    let renamed = |theirs: &[String]| -> anyhow::Result<Vec<String>> {
        let mut notes = Vec::new();
        let order = labels::order(&model, theirs, names, ClassOrder::Stated, &mut notes)?;
        notes.iter().for_each(console::note);
        let mut all = names.to_vec();
        for (name, class) in names.iter().zip(order.into_iter().flatten()) {
            all[class] = name.clone();
        }
        Ok(all)
    };
    Ok(match target {
        Target::Labels(theirs) => Target::Labels(renamed(theirs)?),
        Target::MultiLabel(theirs) => Target::MultiLabel(renamed(theirs)?),
        Target::Regression => bail!("--labels names classes, and {model} gives scores: leave it out"),
    })
}

fn prediction<'a>(text: &'a str, pair: Option<&'a str>, target: &'a Target, logits: &'a [f32]) -> Prediction<'a> {
    let mut prediction = Prediction {
        text,
        pair,
        labels: None,
        label: None,
        probabilities: Vec::new(),
        logits,
        score: None,
        truncated: false,
    };
    match target {
        Target::Regression => prediction.score = logits.first().map(|&score| f64::from(score)),
        Target::MultiLabel(names) => {
            let probabilities = probabilities(target, logits);
            prediction.probabilities = names.iter().map(String::as_str).zip(probabilities).collect();
            prediction.labels = Some(prediction.likely().map(|(name, _)| name).collect());
        }
        Target::Labels(names) => {
            let probabilities = probabilities(target, logits);
            let best = (0..names.len()).rev().max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
            prediction.label = best.map(|class| names[class].as_str());
            prediction.probabilities = names.iter().map(String::as_str).zip(probabilities).collect();
        }
    }
    prediction
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

    #[test]
    fn classes_are_called_as_the_user_says() {
        let names = |list: &str| -> Vec<String> { list.split(' ').map(str::to_string).collect() };
        let called = |theirs: &str, ours: &str| {
            let target = Target::Labels(names(theirs));
            named(Path::new("m"), &target, Some(&names(ours))).map_err(|error| error.to_string())
        };
        assert_eq!(called("LABEL_0 LABEL_1", "negative positive"), Ok(Target::Labels(names("negative positive"))));
        // Names decide, not places.
        assert_eq!(called("NEGATIVE POSITIVE", "positive negative"), Ok(Target::Labels(names("negative positive"))));
        assert!(called("LABEL_0 LABEL_1", "a b c").unwrap_err().contains("2 classes"));
        assert!(called("bad good", "negative positive").unwrap_err().contains("bad, good"));
        let scores = named(Path::new("m"), &Target::Regression, Some(&names("a b"))).unwrap_err().to_string();
        assert!(scores.contains("leave it out"), "{scores}");
    }
}
