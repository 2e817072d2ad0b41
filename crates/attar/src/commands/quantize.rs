//! `attar quantize`: a model as small integers, as far as its score allows.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use attar_distill::score::Answers;
use attar_distill::{DataFacts, Delivery, model_directory};
use attar_model::atomic::WriteMode;
use attar_model::quantized::{Int4Group, QUANTIZED_FILE, Storage};
use attar_model::{Bundle, Size, WriteWeights};
use attar_runtime::Precision;
use attar_text::metrics::{Difference, Score};
use attar_text::random::Streams;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::data::{DataArgs, ScoringArgs};
use crate::cli::{EmbeddingsArg, QuantizeArgs};
use crate::progress::{counting, waiting};
use crate::quantisation::bench::Bench;
use crate::quantisation::card::{Facts, card};
use crate::quantisation::data::GateData;
use crate::quantisation::gate::keep;
use crate::quantisation::units::{Form, Unit, WORDS, name_of};
use crate::{console, tables};

/// Everything that is shown, and but for the directory everything that `attar.json` says.
#[derive(Serialize)]
struct Report {
    directory: String,
    bytes_f32: usize,
    bytes_quantised: usize,
    /// SHA-256 of configuration and quantised weights.
    fingerprint: String,
    /// None where nothing was scored.
    gate: Option<Gate>,
    parts: Vec<Part>,
}

/// What the score decided by was, and what became of it.
#[derive(Serialize)]
struct Gate {
    data: DataFacts,
    calibration: String,
    max_loss: f64,
    /// Points that were lost in the end.
    loss: f64,
    /// Points that would be lost with everything as int8 that may be.
    loss_of_all: f64,
    f32: Vec<Score>,
    quantised: Vec<Score>,
    /// Quantised less f32, paired by row, in the metric that decides.
    difference: Difference,
}

#[derive(Serialize)]
struct Part {
    name: String,
    /// With this part alone quantised: of the answers to the calibration texts, or of the weights without texts.
    error_alone: f64,
    kept_as: String,
    scales: Option<&'static str>,
    why: Option<&'static str>,
}

pub(crate) fn run(args: &QuantizeArgs) -> anyhow::Result<()> {
    let report = make(args)?;
    if args.json {
        return console::json(&report);
    }
    print(&report)?;
    Ok(())
}

/// A student in the form that ships.
#[derive(Serialize)]
pub(crate) struct Shipped {
    /// Its directory.
    pub(crate) directory: String,
    /// Bytes of all its files that a user needs.
    pub(crate) bytes: u64,
    /// Points of the score that small integers cost; none where nothing was scored.
    loss: Option<f64>,
}

impl Shipped {
    /// The line that a person reads.
    pub(crate) fn summary(&self) -> String {
        let lost = self.loss.map_or("its score was not measured again".into(), |loss| match loss > 0.0 {
            true => format!("{loss:.2} points of the score lost"),
            false => "nothing of the score lost".to_string(),
        });
        format!("as small integers: {}, {} with its tokenizer; {lost}", self.directory, tables::bytes(self.bytes))
    }
}

/// Dev rows below which a score cannot tell which parts hurt.
const FEW_DEV_ROWS: usize = 64;

/// Writes the student of a run as small integers alone, held against the run's own dev rows; what is there already stays.
pub(crate) fn ship(run: &Path, out: &Path, data: &DataArgs, delivery: &Delivery) -> anyhow::Result<Shipped> {
    let dev_rows = delivery.scores.as_ref().and_then(|scores| scores.student.first()).map_or(0, |score| score.rows);
    let mut loss = None;
    if !out.exists() {
        let args = QuantizeArgs {
            model: run.to_path_buf(),
            out: out.to_path_buf(),
            data: data.dev.clone().or(data.data.clone()).filter(|_| dev_rows >= FEW_DEV_ROWS),
            scoring: ScoringArgs {
                layout: data.layout.clone(),
                split: None,
                table: data.table.clone(),
                label: data.label.clone(),
                all_rows: false,
                metric: data.metric.clone(),
                max_tokens: None,
            },
            max_loss: 0.5,
            embeddings: EmbeddingsArg::Auto,
            keep: Vec::new(),
            calibration_rows: 128,
            without_f32: true,
            seed: 42,
            json: false,
        };
        loss = make(&args)?.gate.map(|gate| gate.loss);
    }
    let bytes = model_directory::shipped_bytes(out, true)?;
    Ok(Shipped { directory: out.display().to_string(), bytes, loss })
}

/// Quantizes and writes as the arguments say.
fn make(args: &QuantizeArgs) -> anyhow::Result<Report> {
    ensure!(!args.out.exists(), "{} is there already: name a new folder", args.out.display());
    let directory = model_directory::existing(&args.model)?;
    let bundle = Bundle::read(&directory)?;
    if let Some(quantised) = &bundle.quantized {
        ensure!(
            quantised.source() == bundle.fingerprint(),
            "{} has no f32 weights that its quantised ones were made from: quantise the model it comes from",
            directory.display()
        );
    }
    let units = Unit::all(&bundle.config);
    let asked = Unit::find(&units, &args.keep)?;
    let streams = Streams::new(args.seed);
    let mut notes = Vec::new();
    let data = match &args.data {
        Some(path) => Some(GateData::read(path, args, &directory, &bundle, &streams, &mut notes)?),
        None => {
            notes.push("nothing was scored: give rows with --data, and parts that hurt will be found".into());
            None
        }
    };
    let bench = Bench::new(bundle, rayon::current_num_threads())?;
    let mut choice = Choice { bench, units, asked, args, data: data.as_ref(), streams: &streams };
    let (mut parts, gate) = choice.decide()?;
    parts.sort_by_key(|(place, _)| *place);
    notes.iter().for_each(console::note);

    let mut bundle = choice.bench.bundle;
    let fingerprint = bundle.quantized.as_ref().map_or(String::new(), |weights| weights.fingerprint(&bundle.config));
    let mut report = Report {
        directory: args.out.display().to_string(),
        bytes_f32: Size::of(&bundle.config).bytes_f32(),
        bytes_quantised: bundle.quantized.as_ref().map_or(Ok(0), |w| w.to_bytes(&bundle.config).map(|b| b.len()))?,
        fingerprint,
        gate,
        parts: parts.into_iter().map(|(_, part)| part).collect(),
    };
    bundle.card = Some(card(&Facts {
        names: [&model_directory::name(&args.out), &model_directory::name(&args.model)],
        config: &bundle.config,
        bytes: [report.bytes_quantised, report.bytes_f32],
        scored: report.gate.as_ref().map(|gate| (&gate.data, &gate.quantised[..])),
        has_floats: !args.without_f32,
        provenance: bundle.provenance.as_ref(),
        source: bundle.card.as_deref(),
    }));
    record(&mut bundle, &report)?;
    let weights = if args.without_f32 { WriteWeights::Quantized } else { WriteWeights::All };
    bundle.write_with(&args.out, WriteMode::New, weights)?;
    report.bytes_f32 = written(&args.out.join("model.safetensors")).unwrap_or(report.bytes_f32);
    Ok(report)
}

/// What is decided, and what it is decided by.
struct Choice<'a> {
    bench: Bench,
    units: Vec<Unit>,
    /// Units that the user keeps.
    asked: Vec<usize>,
    args: &'a QuantizeArgs,
    data: Option<&'a GateData>,
    streams: &'a Streams,
}

/// What becomes of each unit, and what the gate saw.
type Decision = (Vec<(usize, Part)>, Option<Gate>);

impl Choice<'_> {
    /// Leaves the weights as they are to be written.
    fn decide(&mut self) -> anyhow::Result<Decision> {
        let exact = match self.data {
            Some(data) => Some((&data.calibration, self.bench.outputs(Precision::F32, &data.calibration)?.0)),
            None => None,
        };
        let texts = exact.as_ref().map(|(texts, exact)| (*texts, &exact[..]));

        let mut bar = counting(self.units.len(), "parts alone");
        let (mut forms, mut parts, mut int4) = (Vec::new(), Vec::new(), None);
        for (place, unit) in self.units.iter().enumerate() {
            let is_asked =
                self.asked.contains(&place) || (unit.is_table() && self.args.embeddings == EmbeddingsArg::F32);
            let storage =
                if unit.name == WORDS && self.args.embeddings == EmbeddingsArg::Int4 { INT4 } else { Storage::Int8 };
            let (form, error_alone) = self.bench.best_alone(unit, storage, texts)?;
            forms.push((!is_asked).then_some(form));
            if unit.name == WORDS && self.args.embeddings == EmbeddingsArg::Auto && self.data.is_some() && !is_asked {
                int4 = Some((place, self.bench.best_alone(unit, INT4, texts)?));
            }
            let why = is_asked.then_some("as asked");
            let name = unit.name.clone();
            parts.push((place, Part { name, error_alone, kept_as: String::new(), scales: None, why }));
            bar.inc(1);
        }
        bar.finish_and_clear();

        for (unit, form) in self.units.iter().zip(&forms) {
            self.bench.put(unit, *form)?;
        }
        let mut gate = None;
        if let Some(data) = self.data {
            let word_place = self.units.iter().position(|unit| unit.name == WORDS);
            let is_fixed = |place: &usize| {
                forms[*place].is_none() || (Some(*place) == word_place && self.args.embeddings != EmbeddingsArg::Auto)
            };
            let mut order: Vec<usize> = (0..self.units.len()).filter(|place| !is_fixed(place)).collect();
            order.sort_by(|&a, &b| parts[b].1.error_alone.total_cmp(&parts[a].1.error_alone));
            gate = Some(self.search(data, &order, &mut forms, &mut parts, int4)?);
        }
        for ((place, part), form) in parts.iter_mut().zip(&forms) {
            part.kept_as = self.bench.storage(&self.units[*place]).to_string();
            part.scales = form.map(|form| name_of(form.scales));
        }
        Ok((parts, gate))
    }

    /// Keeps in floats what the score asks for, then tries the word table as int4, whose place, form and error alone
    /// are given.
    fn search(
        &mut self,
        data: &GateData,
        order: &[usize],
        forms: &mut [Option<Form>],
        parts: &mut [(usize, Part)],
        int4: Option<(usize, (Form, f64))>,
    ) -> anyhow::Result<Gate> {
        let spinner = waiting("scoring");
        let decides = data.metrics[0];
        let (logits, width) = self.bench.outputs(Precision::F32, &data.dev_texts)?;
        let exact = data.answers(&logits, width);
        let value = |answers: &Answers| data.truth().value(decides, answers);
        let best =
            value(&exact)?.with_context(|| format!("{decides} of the f32 model is undefined on {}", data.dev.name))?;
        let sign = if decides.higher_is_better() { 100.0 } else { -100.0 };
        // Differences of shares carry the rounding of doubles.
        let most = self.args.max_loss + 1e-9;
        let loss_of =
            |answers: &Answers| Ok::<_, anyhow::Error>(value(answers)?.map_or(f64::INFINITY, |v| sign * (best - v)));

        let mut kept_now = BTreeSet::new();
        let (units, bench) = (&self.units, &mut self.bench);
        let mut set = |bench: &mut Bench, kept: &BTreeSet<usize>| -> anyhow::Result<()> {
            for &place in kept_now.symmetric_difference(kept) {
                bench.put(&units[place], if kept.contains(&place) { None } else { forms[place] })?;
            }
            kept_now = kept.clone();
            Ok(())
        };
        let mut scored = 0;
        let found = keep(order, most, |kept| {
            scored += 1;
            spinner.set_message(format!("score {scored}: {} of {} parts in f32", kept.len(), order.len()));
            set(bench, kept)?;
            let (logits, width) = bench.outputs(Precision::Int8, &data.dev_texts)?;
            loss_of(&data.answers(&logits, width))
        })?;
        let Some(found) = found else {
            spinner.finish_and_clear();
            bail!(
                "more than {} points of {decides} are lost with every part in f32 that may be: leave the word vectors \
                 to --embeddings auto, or allow more with --max-loss",
                self.args.max_loss
            );
        };
        set(bench, &found.units)?;
        let mut loss = found.loss;
        for &place in &found.units {
            forms[place] = None;
            parts[place].1.why = Some("hurts the score");
        }

        if let Some((place, (form, error))) = int4.filter(|&(place, _)| forms[place].is_some()) {
            spinner.set_message("int4 words");
            let unit = &self.units[place];
            self.bench.put(unit, Some(form))?;
            let (logits, width) = self.bench.outputs(Precision::Int8, &data.dev_texts)?;
            let lost = loss_of(&data.answers(&logits, width))?;
            if lost <= most {
                (forms[place], loss) = (Some(form), lost);
                parts[place].1.error_alone = error;
            } else {
                self.bench.put(unit, forms[place])?;
                parts[place].1.why = Some("int4 hurts the score");
            }
        }
        spinner.finish_and_clear();

        let (logits, width) = self.bench.outputs(Precision::Int8, &data.dev_texts)?;
        let quantised = data.answers(&logits, width);
        let scores = |answers: &Answers| -> anyhow::Result<Vec<Score>> {
            data.metrics.iter().map(|&metric| Ok(data.truth().score(metric, answers, self.streams)?)).collect()
        };
        Ok(Gate {
            data: DataFacts { name: data.dev.name.clone(), rows: data.dev.len(), sha256: data.dev.content_hash() },
            calibration: data.calibration_name.clone(),
            max_loss: self.args.max_loss,
            loss,
            loss_of_all: found.loss_of_none,
            f32: scores(&exact)?,
            quantised: scores(&quantised)?,
            difference: data.truth().difference(decides, &quantised, &exact, self.streams)?,
        })
    }
}

/// A scale for each 32 columns: a row of few columns has one.
const INT4: Storage = Storage::Int4(Int4Group::Columns32);

/// Writes the report into what the bundle says of its making.
fn record(bundle: &mut Bundle, report: &Report) -> anyhow::Result<()> {
    let mut entry = serde_json::to_value(report)?;
    if let Value::Object(entry) = &mut entry {
        entry.remove("directory");
        entry.insert("attar".into(), env!("CARGO_PKG_VERSION").into());
    }
    match bundle.provenance.get_or_insert_with(|| json!({})) {
        Value::Object(provenance) => _ = provenance.insert("quantised".into(), entry),
        other => bail!("attar.json of the model holds {other:.40}, expected an object: remove it"),
    }
    Ok(())
}

fn written(path: &Path) -> Option<usize> {
    std::fs::metadata(path).ok().and_then(|file| usize::try_from(file.len()).ok())
}

fn print(report: &Report) -> std::io::Result<()> {
    let mut table = tables::table(&["part", "error alone", "kept as", "scales", ""]);
    for part in &report.parts {
        table.add_row([
            part.name.clone(),
            format!("{:.2} %", 100.0 * part.error_alone),
            part.kept_as.clone(),
            part.scales.unwrap_or("–").into(),
            part.why.unwrap_or_default().into(),
        ]);
    }
    console::say(format!("{table}\n"))?;
    match &report.gate {
        Some(gate) => {
            let mut table = tables::table(&[&format!("on {}", gate.data.name), "f32", "quantised"]);
            for (exact, quantised) in gate.f32.iter().zip(&gate.quantised) {
                table.add_row([exact.metric.name().into(), tables::score(exact), tables::score(quantised)]);
            }
            console::say(table.to_string())?;
            if let (Some(value), Some(i)) = (gate.difference.value, gate.difference.interval) {
                console::say(format!("quantised less f32: {value:+.4} [{:+.4}, {:+.4}]", i.low, i.high))?;
            }
            let hurt: Vec<&str> =
                report.parts.iter().filter(|p| p.why == Some("hurts the score")).map(|p| p.name.as_str()).collect();
            console::say(format!(
                "{:.2} points lost of {:.2} that may be; {}",
                gate.loss,
                gate.max_loss,
                if hurt.is_empty() {
                    "no part had to stay in f32 for it".to_string()
                } else {
                    format!("all in int8 would lose {:.2}, so these stay in f32: {}", gate.loss_of_all, hurt.join(", "))
                }
            ))?;
            console::say(format!("scales chosen on {}", gate.calibration))?;
        }
        None => console::say("not gated: errors are those of the weights, and no score was measured")?,
    }
    console::say(format!(
        "\n{}: {QUANTIZED_FILE} {}, {:.1} times smaller than {} as f32",
        report.directory,
        tables::bytes(report.bytes_quantised as u64),
        report.bytes_f32 as f64 / report.bytes_quantised.max(1) as f64,
        tables::bytes(report.bytes_f32 as u64),
    ))
}
