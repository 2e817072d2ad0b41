//! `attar eval`: models side by side on labelled text.

use anyhow::Context;
use attar_distill::baseline::NgramBaseline;
use attar_distill::data::{default_metrics, table};
use attar_distill::labels;
use attar_distill::recipe::{EnergySpec, TableFormat};
use attar_distill::score::{Agreement, Answers, Truth};
use attar_model::hf_config::are_default_labels;
use attar_model::{Size, Target, flops};
use attar_runtime::{Session, Text};
use attar_text::labelled::{Dataset, LabelledSpec, TargetSpec, load};
use attar_text::layout::{Layout, Split};
use attar_text::metrics::{Difference, Metric, Score};
use attar_text::random::Streams;
use serde::Serialize;

use crate::cli::{EvalArgs, EvalDataArgs, SplitArg};
use crate::progress::counting;
use crate::speed::{Answer, Speed, measure};
use crate::{console, engine, recipes, tables};

/// Texts of the sample that speed is measured on.
const SPEED_TEXTS: usize = 256;

/// A model on a data set.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// What it is called in the table.
    pub(crate) name: String,
    /// Its scores, the metric that decides first.
    pub(crate) scores: Vec<Score>,
    /// This model less the first one, paired by row.
    pub(crate) difference: Option<Difference>,
    /// How often it answers like the first one.
    pub(crate) agreement: Option<Agreement>,
    /// Bytes of its parameters.
    pub(crate) bytes: usize,
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
    },
    /// Counted words.
    Baseline(NgramBaseline),
}

pub(crate) fn run(args: &EvalArgs, threads: Option<usize>) -> anyhow::Result<()> {
    let energy = recipes::energy(&args.energy)?;
    let mut contenders = Vec::new();
    for path in &args.models {
        let opened = engine::open(path, &args.engine, threads);
        let mut session = opened.with_context(|| format!("{} cannot be evaluated", path.display()))?;
        if let Some(max_tokens) = args.data.max_tokens {
            session.cut_to(max_tokens);
        }
        session.target().with_context(|| format!("{} cannot be evaluated", path.display()))?;
        contenders.push(Contender::Encoder { name: name_of(path), session: Box::new(session) });
    }
    let first = contenders.iter().find_map(Contender::session);
    let (data, metrics) = labelled(&args.data, first)?;
    if args.baseline {
        let train = training_rows(&args.data)?;
        contenders.push(Contender::Baseline(NgramBaseline::train(&train, &Streams::new(args.seed))?));
    }
    let energy = (!args.no_speed).then_some(&energy);
    let (rows, notes) = compare(&mut contenders, &data, &metrics, energy, args.seed)?;
    notes.iter().for_each(console::note);
    if args.json {
        return console::json(&serde_json::json!({ "data": data.name, "rows": data.len(), "models": rows }));
    }
    console::say(format!("{} ({} rows)", data.name, tables::count(data.len() as u64)))?;
    console::say(render(&rows))?;
    Ok(())
}

/// Scores, sizes and speeds of models on the same rows.
pub(crate) fn compare(
    contenders: &mut [Contender],
    data: &Dataset,
    metrics: &[Metric],
    energy: Option<&EnergySpec>,
    seed: u64,
) -> anyhow::Result<(Vec<Row>, Vec<String>)> {
    let truth = Truth::of(data).with_context(|| format!("{} has rows without labels", data.name))?;
    let texts: Vec<Text<'_>> = data.examples.iter().map(|e| (e.text.as_str(), e.pair.as_deref())).collect();
    let streams = Streams::new(seed);
    let mut notes = Vec::new();
    let mut answers: Vec<Answers> = Vec::new();
    for contender in &mut *contenders {
        answers.push(contender.answers(data, &texts, &mut notes)?);
    }
    let mut speeds = match energy {
        Some(energy) => speeds(contenders, data, &texts, energy)?.into_iter().map(Some).collect(),
        None => vec![None; contenders.len()],
    };
    let mut rows = Vec::new();
    for (index, contender) in contenders.iter().enumerate() {
        let own = &answers[index];
        let first = (index > 0).then(|| &answers[0]);
        rows.push(Row {
            name: contender.name().to_string(),
            scores: metrics.iter().map(|&m| truth.score(m, own, &streams)).collect::<Result<_, _>>()?,
            difference: first.map(|first| truth.difference(metrics[0], own, first, &streams)).transpose()?,
            agreement: first.map(|first| Agreement::of(own, first)),
            bytes: contender.bytes(),
            parameters: contender.parameters(),
            flops: contender.flops(),
            speed: speeds[index].take(),
        });
    }
    Ok((rows, notes))
}

/// The table of a comparison.
pub(crate) fn render(rows: &[Row]) -> String {
    let metric = rows.first().and_then(|row| row.scores.first()).map_or("score", |score| score.metric.name());
    let mut table = tables::table(&[
        "model",
        &format!("{metric} [95 %]"),
        "less the first [95 %]",
        "agreement",
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
            row.agreement.and_then(|a| a.value).map_or_else(dash, |share| format!("{:.1} %", 100.0 * share)),
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
            Contender::Baseline(_) => None,
        }
    }

    fn name(&self) -> &str {
        match self {
            Contender::Encoder { name, .. } => name,
            Contender::Baseline(_) => "word n-grams",
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Contender::Encoder { session, .. } => Size::of(session.config()).bytes_f32(),
            Contender::Baseline(baseline) => baseline.bytes(),
        }
    }

    fn parameters(&self) -> Option<usize> {
        match self {
            Contender::Encoder { session, .. } => Some(Size::of(session.config()).parameters()),
            Contender::Baseline(_) => None,
        }
    }

    fn flops(&self) -> Option<f64> {
        match self {
            Contender::Encoder { session, .. } => Some(flops(session.config(), 128).encoder()),
            Contender::Baseline(_) => None,
        }
    }

    fn answers(&mut self, data: &Dataset, texts: &[Text<'_>], notes: &mut Vec<String>) -> anyhow::Result<Answers> {
        let logits = match self {
            Contender::Encoder { name, session } => {
                let order = labels::classes(name, session.target()?, &data.target, notes)?;
                let bar = counting(texts.len(), name);
                let mut logits = session.logits(texts, |done| bar.inc(done as u64))?;
                bar.finish_and_clear();
                if let Some(order) = order {
                    for row in &mut logits {
                        *row = order.iter().map(|&class| row[class]).collect();
                    }
                }
                logits
            }
            Contender::Baseline(baseline) => data.examples.iter().map(|example| baseline.predict(example)).collect(),
        };
        Ok(Answers::from_logits(&logits, &data.target))
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
                session.logits(sample, |_| {})?;
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
    let bar = counting(5 * models.len(), "timing, in turns");
    let speeds = measure(&mut models, sample.len(), energy, || bar.inc(1))?;
    bar.finish_and_clear();
    Ok(speeds)
}

pub(crate) fn name_of(path: &std::path::Path) -> String {
    let name = |path: &std::path::Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    match name(path) {
        // A run's student is better known by its run.
        Some(student) if student == attar_distill::model_directory::STUDENT => {
            path.parent().and_then(name).unwrap_or(student)
        }
        Some(name) => name,
        None => path.display().to_string(),
    }
}

/// The rows to score by and the metrics that are usual for them.
fn labelled(args: &EvalDataArgs, first: Option<&Session>) -> anyhow::Result<(Dataset, Vec<Metric>)> {
    let (data, usual) = if args.data.is_dir() {
        let layout = layout(args)?;
        let data = match args.split {
            SplitArg::Train => layout.load(&args.data, Split::Train)?,
            SplitArg::Dev => layout.load(&args.data, Split::Dev)?,
            // GLUE keeps the labels of its test rows; some have become known.
            SplitArg::Test => match layout.load(&args.data, Split::TestLabelled) {
                Ok(data) => data,
                Err(_) => layout.load(&args.data, Split::Test)?,
            },
        };
        (data, layout.metrics().to_vec())
    } else {
        let data = table_rows(args, first)?;
        let usual = default_metrics(&data.target);
        (data, usual)
    };
    Ok(match &args.metric {
        Some(name) => (data, vec![Metric::from_name(name)?]),
        None => (data, usual),
    })
}

fn training_rows(args: &EvalDataArgs) -> anyhow::Result<Dataset> {
    anyhow::ensure!(args.data.is_dir(), "--baseline needs training rows: give the folder of a known data set");
    Ok(layout(args)?.load(&args.data, Split::Train)?)
}

fn layout(args: &EvalDataArgs) -> anyhow::Result<Layout> {
    Ok(match &args.layout {
        Some(name) => Layout::from_name(name)?,
        None => Layout::detect(&args.data)?,
    })
}

/// Rows of a table, their labels read as the first model names them.
fn table_rows(args: &EvalDataArgs, first: Option<&Session>) -> anyhow::Result<Dataset> {
    Ok(load(&LabelledSpec {
        table: table(&args.data, TableFormat::default()),
        text: args.text.parse()?,
        pair: args.pair.as_ref().map(|pair| pair.parse()).transpose()?,
        label: Some(args.label.parse()?),
        target: match first.map(Session::target).transpose()? {
            Some(Target::Regression) => TargetSpec::Regression { low: f32::MIN, high: f32::MAX },
            Some(Target::Labels(names)) if !are_default_labels(names) => TargetSpec::Named(names.clone()),
            _ => TargetSpec::Discover,
        },
    })?)
}
