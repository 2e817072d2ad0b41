//! `attar eval`: models side by side on labeled text.

mod question_answers;
mod word_tags;

use anyhow::{Context, bail};
use attar_distill::baseline::{FrozenBaseline, NgramBaseline};
use attar_distill::labels::{self, ClassOrder};
use attar_distill::model_directory;
use attar_distill::recipe::EnergySpec;
use attar_distill::score::{Agreement, AgreementKind, Answers, Truth};
use attar_model::{EncoderConfig, Size, flops};
use attar_runtime::{Session, Text};
use attar_text::labeled::{Dataset, Example};
use attar_text::metrics::{ClassReport, Difference, Metric, Score};
use attar_text::random::Streams;
use serde::Serialize;

use question_answers::{answers_questions, question_answers, questions};
use word_tags::{tags_words, word_tags};

use crate::cli::EvalArgs;
use crate::held_out::{Division, divide};
use crate::progress::counting;
use crate::speed::{Answer, Speed, measure};
use crate::{class_tables, console, engine, recipes, rows, tables};

/// Texts of the sample that speed is measured on.
const SPEED_TEXTS: usize = 256;

/// A model on a data set.
#[derive(Debug, Serialize)]
pub(crate) struct EvaluatedModel {
    /// What it is called in the table.
    pub(crate) name: String,
    /// Its scores, the metric that decides first.
    pub(crate) scores: Vec<Score>,
    /// How it does on each class; none where scores are asked for.
    pub(crate) classes: Option<ClassReport>,
    /// This model minus the first, paired by row.
    pub(crate) difference: Option<Difference>,
    /// How often it answers like the first one.
    pub(crate) agreement: Option<Agreement>,
    /// Bytes of the files that it answers with: weights, configuration, tokenizer.
    pub(crate) bytes: u64,
    /// Its number of parameters.
    pub(crate) parameters: Option<usize>,
    /// FLOPs of its encoder for 128 tokens.
    pub(crate) flops: Option<f64>,
    /// How fast it answers.
    pub(crate) speed: Option<Speed>,
}

/// A model that is compared.
pub(crate) enum Contender {
    /// An encoder.
    Encoder {
        /// What it is called in the table.
        name: String,
        /// The model.
        session: Box<Session>,
        /// Bytes of its files.
        bytes: u64,
    },
    /// A linear model over an encoder's vectors.
    Frozen {
        /// What it is called in the table.
        name: String,
        /// The model.
        baseline: Box<FrozenBaseline>,
        /// Bytes of the encoder's files.
        bytes: u64,
    },
    /// Counted words.
    Baseline(Box<NgramBaseline>),
}

pub(crate) fn run(args: &EvalArgs, threads: Option<usize>) -> anyhow::Result<()> {
    let energy = recipes::energy(&args.energy)?;
    let mut contenders = Vec::new();
    for path in &args.models {
        let about = || format!("{} cannot be evaluated", path.display());
        let mut session = engine::open(path, &args.engine, threads).with_context(about)?;
        if let Some(max_tokens) = args.scoring.max_tokens {
            session.truncate_to(max_tokens);
        }
        if !tags_words(&session) && !answers_questions(&session) {
            session.target().with_context(about)?;
        }
        let bytes = engine::shipped(path, &args.engine)?;
        contenders.push(Contender::Encoder { name: model_directory::name(path), session: Box::new(session), bytes });
    }
    let first = contenders.iter().find_map(Contender::session).map(|session| &session.config().head);
    let (data, metrics) = rows::labeled(&args.data, &args.scoring, first)?;
    args.models.iter().try_for_each(|model| rows::check_pairs(model, &data))?;
    // A named part of a known data set is used as it is.
    let Division { scored: data, rest } = match args.data.is_dir() {
        true => Division { scored: data, rest: None },
        false => divide(data, &args.models, args.scoring.all_rows)?,
    };
    if args.baseline {
        let train = baseline_rows(args, &data, rest)?;
        let streams = Streams::new(args.seed);
        contenders.push(Contender::Baseline(Box::new(NgramBaseline::train(&train, &streams)?)));
        if let Some(path) = &args.encoder {
            let session = engine::open(path, &args.engine, threads)?;
            let baseline = Box::new(FrozenBaseline::train(session, &train, &streams)?);
            let name = format!("{}, frozen", model_directory::name(path));
            contenders.push(Contender::Frozen { name, baseline, bytes: engine::shipped(path, &args.engine)? });
        }
    }
    let energy = (!args.no_speed).then_some(&energy);
    let (rows, notes) = compare(&mut contenders, &data, &metrics, energy, args.seed)?;
    notes.iter().for_each(console::note);
    let reports: Vec<(&str, &ClassReport)> =
        rows.iter().filter_map(|row| Some((row.name.as_str(), row.classes.as_ref()?))).collect();
    let unanswered = reports.iter().filter_map(|(name, report)| class_tables::never_predicted(name, report));
    unanswered.for_each(console::warning);
    if args.json {
        return console::json(&serde_json::json!({ "data": data.name, "rows": data.len(), "models": rows }));
    }
    console::say(format!("{} ({} rows)", data.name, tables::count(data.len() as u64)))?;
    console::say(render(&rows))?;
    match &reports[..] {
        [] => {}
        [(_, report)] => console::say(format!("\n{}", class_tables::whole(report)))?,
        several => console::say(format!("\n{}", class_tables::by_class(several)))?,
    }
    Ok(())
}

/// What the baseline learns from.
fn baseline_rows(args: &EvalArgs, data: &Dataset, rest: Option<Dataset>) -> anyhow::Result<Dataset> {
    let named = args.train.as_ref().or(args.data.is_dir().then_some(&args.data));
    match (named, rest) {
        (Some(path), _) => {
            let (train, left_out) = rows::to_learn_from(path, &args.scoring, data)?;
            if left_out > 0 {
                console::note(format!(
                    "training rows that the baseline leaves out, because they are scored: {left_out}"
                ));
            }
            Ok(train)
        }
        (None, Some(rest)) => {
            console::note(format!("the baseline learns from the other {} rows of {}", rest.len(), rest.name));
            Ok(rest)
        }
        (None, None) => {
            bail!("--baseline has no rows to learn from beside {}: name some with --train", args.data.display())
        }
    }
}

/// Scores, sizes and speeds of models on the same rows.
pub(crate) fn compare(
    contenders: &mut [Contender],
    data: &Dataset,
    metrics: &[Metric],
    energy: Option<&EnergySpec>,
    seed: u64,
) -> anyhow::Result<(Vec<EvaluatedModel>, Vec<String>)> {
    let texts: Vec<Text<'_>> = data.examples.iter().map(Example::texts).collect();
    let mut notes = Vec::new();
    let mut answers: Vec<Answers> = Vec::new();
    for contender in &mut *contenders {
        answers.push(contender.answers(data, &texts, &mut notes)?);
    }
    Ok((compare_answers(contenders, &answers, data, metrics, energy, seed)?, notes))
}

/// The same where the models have answered already.
pub(crate) fn compare_answers(
    contenders: &mut [Contender],
    answers: &[Answers],
    data: &Dataset,
    metrics: &[Metric],
    energy: Option<&EnergySpec>,
    seed: u64,
) -> anyhow::Result<Vec<EvaluatedModel>> {
    let truth = Truth::of(data).with_context(|| format!("{} has rows without labels", data.name))?;
    let texts: Vec<Text<'_>> = data.examples.iter().map(Example::texts).collect();
    let streams = Streams::new(seed);
    let mut speeds = match energy {
        Some(energy) => speeds(contenders, data, &texts, energy)?.into_iter().map(Some).collect(),
        None => vec![None; contenders.len()],
    };
    let mut rows = Vec::new();
    for (index, contender) in contenders.iter().enumerate() {
        let own = &answers[index];
        let first = (index > 0).then(|| &answers[0]);
        rows.push(EvaluatedModel {
            name: contender.name().to_string(),
            scores: metrics.iter().map(|&m| truth.score(m, own, &streams)).collect::<Result<_, _>>()?,
            classes: truth.class_report(own),
            difference: first.map(|first| truth.difference(metrics[0], own, first, &streams)).transpose()?,
            agreement: first.map(|first| Agreement::of(own, first)),
            bytes: contender.bytes(),
            parameters: contender.parameters(),
            flops: contender.flops(),
            speed: speeds[index].take(),
        });
    }
    Ok(rows)
}

/// The table of a comparison.
pub(crate) fn render(rows: &[EvaluatedModel]) -> String {
    let metric = rows.first().and_then(|row| row.scores.first()).map_or("score", |score| score.metric.name());
    let correlates =
        |row: &EvaluatedModel| row.agreement.is_some_and(|agreement| agreement.kind == AgreementKind::Correlation);
    let agreement = if rows.iter().any(correlates) { "correlation with the first" } else { "same answer as the first" };
    let mut table = tables::table(&[
        "model",
        &format!("{metric} [95 %]"),
        "minus the first [95 %]",
        agreement,
        "bytes",
        "FLOPs",
        "µs/text",
        "J/1,000 texts [90 %]",
    ]);
    let dash = || "–".to_string();
    for row in rows {
        let difference = row.difference.as_ref().and_then(|d| Some((d.value?, d.interval?)));
        table.add_row([
            row.name.clone(),
            row.scores.first().map_or_else(dash, tables::score),
            difference.map_or_else(dash, |(value, i)| format!("{value:+.4} [{:+.4}, {:+.4}]", i.low, i.high)),
            row.agreement.as_ref().and_then(tables::agreement).unwrap_or_else(dash),
            tables::bytes(row.bytes),
            row.flops.map_or_else(dash, tables::flops),
            row.speed.as_ref().map_or_else(dash, |speed| format!("{:.1}", speed.micros)),
            row.speed.as_ref().and_then(|s| s.joules_per_thousand).map_or_else(dash, |joules| joules.to_string()),
        ]);
    }
    let mut text = table.to_string();
    for score in rows.first().map_or(&[][..], |row| &row.scores[1..]) {
        let metric = score.metric;
        let values = rows.iter().filter_map(|row| {
            let score = row.scores.iter().find(|score| score.metric == metric)?;
            Some(format!("{} {}", row.name, tables::score(score)))
        });
        text += &format!("\n{}: {}", metric.name(), values.collect::<Vec<_>>().join("; "));
    }
    text
}

impl Contender {
    fn session(&self) -> Option<&Session> {
        match self {
            Contender::Encoder { session, .. } => Some(session),
            Contender::Frozen { .. } | Contender::Baseline(_) => None,
        }
    }

    /// Its configuration, if it has an encoder.
    fn config(&self) -> Option<&EncoderConfig> {
        match self {
            Contender::Encoder { session, .. } => Some(session.config()),
            Contender::Frozen { baseline, .. } => Some(baseline.session().config()),
            Contender::Baseline(_) => None,
        }
    }

    fn name(&self) -> &str {
        match self {
            Contender::Encoder { name, .. } | Contender::Frozen { name, .. } => name,
            Contender::Baseline(_) => "word n-grams",
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Contender::Encoder { bytes, .. } | Contender::Frozen { bytes, .. } => *bytes,
            Contender::Baseline(baseline) => baseline.bytes() as u64,
        }
    }

    fn parameters(&self) -> Option<usize> {
        self.config().map(|config| Size::of(config).parameters())
    }

    fn flops(&self) -> Option<f64> {
        self.config().map(|config| flops(config, 128).encoder())
    }

    pub(crate) fn answers(
        &mut self,
        data: &Dataset,
        texts: &[Text<'_>],
        notes: &mut Vec<String>,
    ) -> anyhow::Result<Answers> {
        match self {
            Contender::Encoder { name, session, .. } if tags_words(session) || answers_questions(session) => {
                let order = labels::classes(name, &session.config().head, &data.target, ClassOrder::Stated, notes)?;
                let mut bar = counting(texts.len(), name);
                let progress = |done| bar.inc(done as u64);
                let answers = match tags_words(session) {
                    true => word_tags(session, data, order, progress),
                    false => question_answers(session, data, progress),
                };
                bar.finish_and_clear();
                Ok(answers?)
            }
            _ => Ok(Answers::from_logits(&self.logits(data, texts, notes)?, &data.target)),
        }
    }

    /// A number for each class of the data, text by text; or a score.
    pub(crate) fn logits(
        &mut self,
        data: &Dataset,
        texts: &[Text<'_>],
        notes: &mut Vec<String>,
    ) -> anyhow::Result<Vec<Vec<f32>>> {
        Ok(match self {
            Contender::Encoder { name, session, .. } => {
                let head = &session.config().head;
                let order = labels::classes(name, head, &data.target, ClassOrder::Stated, notes)?;
                let mut bar = counting(texts.len(), name);
                let mut logits = session.logits(texts, |done| bar.inc(done as u64))?;
                bar.finish_and_clear();
                if let Some(order) = order {
                    for row in &mut logits {
                        *row = order.iter().map(|&class| row[class]).collect();
                    }
                }
                logits
            }
            Contender::Frozen { baseline, .. } => baseline.predict(texts)?,
            Contender::Baseline(baseline) => data.examples.iter().map(|example| baseline.predict(example)).collect(),
        })
    }
}

fn speeds(
    contenders: &mut [Contender],
    data: &Dataset,
    texts: &[Text<'_>],
    energy: &EnergySpec,
) -> anyhow::Result<Vec<Speed>> {
    // Rows at even distances, so that the sample has the lengths of the whole.
    let step = texts.len().div_ceil(SPEED_TEXTS);
    let sample: Vec<Text<'_>> = texts.iter().step_by(step).copied().collect();
    let examples: Vec<_> = data.examples.iter().step_by(step).collect();
    let mut models: Vec<Answer<'_>> = Vec::new();
    for contender in contenders {
        let (sample, examples) = (&sample, &examples);
        models.push(match contender {
            Contender::Encoder { session, .. } => Box::new(move || {
                if tags_words(session) {
                    session.tag(&sample.iter().map(|(text, _)| *text).collect::<Vec<_>>(), |_| {})?;
                } else if answers_questions(session) {
                    session.answer(&questions(sample.iter().copied()), |_| {})?;
                } else {
                    session.logits(sample, |_| {})?;
                }
                Ok(())
            }),
            Contender::Frozen { baseline, .. } => Box::new(move || {
                baseline.predict(sample)?;
                Ok(())
            }),
            Contender::Baseline(baseline) => Box::new(move || {
                for example in examples {
                    std::hint::black_box(baseline.predict(example));
                }
                Ok(())
            }),
        });
    }
    let mut bar = counting(5 * models.len(), "timing, in turns");
    let speeds = measure(&mut models, sample.len(), energy, || bar.inc(1))?;
    bar.finish_and_clear();
    Ok(speeds)
}
