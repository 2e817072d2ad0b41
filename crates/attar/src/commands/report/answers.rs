//! What the models of a run answer to its held-out rows, by the same path as `attar eval`.

use std::path::{Path, PathBuf};

use attar_distill::baseline::{FrozenBaseline, NgramBaseline};
use attar_distill::data::LabeledData;
use attar_distill::model_directory::{self, STUDENT};
use attar_distill::recipe::{DataSpec, Recipe, StudentSpec};
use attar_distill::retention;
use attar_distill::score::Answers;
use attar_report::{Attention, Calibration, Mistake, ModelKind, ReportedModel, Run, RunData, Speed};
use attar_runtime::{Text, softmax};
use attar_text::labeled::{Dataset, Example, Target};
use attar_text::random::Streams;

use super::attention;
use super::facts::size_of;
use super::run_files::RunFiles;
use crate::cli::report::ReportArgs;
use crate::commands::eval::{Contender, EvaluatedModel, compare_answers};
use crate::{console, engine};

/// Mistakes that are shown.
const MISTAKES: usize = 15;

/// The models of a run with what each is.
struct Models {
    kinds: Vec<ModelKind>,
    contenders: Vec<Contender>,
}

impl Models {
    fn push(&mut self, kind: ModelKind, contender: Contender) {
        self.kinds.push(kind);
        self.contenders.push(contender);
    }

    fn place(&self, kind: ModelKind) -> Option<usize> {
        self.kinds.iter().position(|known| *known == kind)
    }

    /// The session of a model that has one.
    fn session(&mut self, kind: ModelKind) -> Option<(&str, &mut attar_runtime::Session)> {
        let place = self.place(kind)?;
        match &mut self.contenders[place] {
            Contender::Encoder { name, session, .. } => Some((name, session)),
            Contender::Frozen { .. } | Contender::Baseline(_) => None,
        }
    }
}

/// Scores as the run wrote them down.
pub(super) fn stored(run: &mut Run, files: &RunFiles, recipe: Option<&Recipe>) -> anyhow::Result<()> {
    run.data = Some(RunData { name: files.manifest.dev.name.clone(), rows: files.manifest.dev.rows });
    let Some(scores) = files.outcome.as_ref().and_then(|outcome| outcome.scores.as_ref()) else {
        run.leave_out("Scores", "the run has not written any down");
        return Ok(());
    };
    let model = |kind, name: String, dir: Option<PathBuf>| -> anyhow::Result<ReportedModel> {
        let size = dir.map(|dir| size_of(&dir, false)).transpose()?;
        let (scores, classes) = (Vec::new(), None);
        let (bytes, parameters) = size.unzip();
        Ok(ReportedModel {
            kind,
            name,
            scores,
            classes,
            difference: None,
            kept: None,
            bytes,
            parameters,
            flops: None,
            speed: None,
        })
    };
    if let Some(teacher) = &scores.teacher {
        let name = recipe.map_or_else(|| "teacher".into(), teacher_name);
        let made = model(ModelKind::Teacher, name, files.teacher())?;
        run.models.push(ReportedModel { scores: teacher.scores.clone(), ..made });
    }
    let kept = scores.teacher.as_ref().and_then(|teacher| teacher.retention);
    let difference = scores.teacher.as_ref().map(|teacher| teacher.difference);
    let made = model(ModelKind::Student, student_name(run, recipe), files.student())?;
    let (scores, classes) = (scores.student.clone(), scores.classes.clone());
    run.models.push(ReportedModel { scores, classes, kept, difference, ..made });
    Ok(())
}

/// Lets the models answer the held-out rows.
pub(super) fn compute(
    run: &mut Run,
    files: &RunFiles,
    recipe: &Recipe,
    args: &ReportArgs,
    threads: Option<usize>,
) -> anyhow::Result<()> {
    let data = match held_out(files, recipe) {
        Ok(data) => data,
        Err(why) => {
            stored(run, files, Some(recipe))?;
            for what in ["Predictions", "Calibration, mistakes and attention"] {
                run.leave_out(what, why.clone());
            }
            return Ok(());
        }
    };
    let mut models = open(run, files, recipe, &data, args, threads)?;
    run.data = Some(RunData { name: data.dev.name.clone(), rows: data.dev.len() });
    let texts: Vec<Text<'_>> = data.dev.examples.iter().map(Example::texts).collect();
    let mut notes = Vec::new();
    let mut logits = Vec::new();
    for contender in &mut models.contenders {
        logits.push(contender.logits(&data.dev, &texts, &mut notes)?);
    }
    notes.iter().for_each(console::note);
    let answers: Vec<Answers> = logits.iter().map(|logits| Answers::from_logits(logits, &data.dev.target)).collect();
    let energy = (!args.no_speed).then_some(&recipe.energy);
    let rows = compare_answers(&mut models.contenders, &answers, &data.dev, &data.metrics, energy, args.seed)?;
    let teacher = models.place(ModelKind::Teacher).map(|place| rows[place].scores.clone());
    run.models = rows
        .into_iter()
        .zip(&models.kinds)
        .map(|(row, &kind)| {
            let kept = teacher
                .as_ref()
                .filter(|_| kind != ModelKind::Teacher)
                .and_then(|teacher| retention(&row.scores, teacher));
            model(kind, row, kept)
        })
        .collect();
    if args.no_speed {
        run.leave_out("Time and energy of a text", "nothing was timed (--no-speed)");
    }
    examine(run, &models, &data.dev, &logits);
    look(run, &mut models, &data.dev, args)
}

/// The rows of a run as it read them, or why they cannot be had.
fn held_out(files: &RunFiles, recipe: &Recipe) -> Result<LabeledData, String> {
    if files.student().is_none() {
        return Err("the run has no student yet".into());
    }
    let obstacle = match recipe.data {
        DataSpec::Corpus { .. } => Some("the run learned from raw text, which has no labels"),
        DataSpec::Answers { .. } => {
            Some("a report predicts whole texts, and here answers are parts of them: `attar eval` scores them")
        }
        DataSpec::Tagged { .. } => {
            Some("a report predicts whole texts, and here words have tags: `attar eval` scores them")
        }
        _ => None,
    };
    if let Some(obstacle) = obstacle {
        return Err(obstacle.into());
    }
    let data = LabeledData::load(&recipe.data, &Streams::new(recipe.seed)).map_err(|e| e.to_string())?;
    if data.dev.content_hash() != files.manifest.dev.sha256 {
        return Err(format!(
            "the held-out rows of {} are not those of the run any more: their hash differs",
            data.dev.name
        ));
    }
    Ok(data)
}

/// The models that there are; of the others, why not.
fn open(
    run: &mut Run,
    files: &RunFiles,
    recipe: &Recipe,
    data: &LabeledData,
    args: &ReportArgs,
    threads: Option<usize>,
) -> anyhow::Result<Models> {
    let mut models = Models { kinds: Vec::new(), contenders: Vec::new() };
    let encoder = |dir: &Path, name: String| -> anyhow::Result<Contender> {
        let options = engine::defaults();
        let session = Box::new(engine::open(dir, &options, threads)?);
        Ok(Contender::Encoder { name, session, bytes: engine::shipped(dir, &options)? })
    };
    match (files.teacher(), &recipe.teacher) {
        (Some(dir), _) => {
            let contender = encoder(&dir, teacher_name(recipe))?;
            // A bare encoder teaches its states and answers nothing.
            if matches!(&contender, Contender::Encoder { session, .. } if session.target().is_ok()) {
                models.push(ModelKind::Teacher, contender);
            } else {
                run.leave_out("Teacher", "it has no head, so it answers nothing");
            }
        }
        (None, Some(_)) => run.leave_out("Teacher", "its folder is not where the recipe says"),
        (None, None) => run.leave_out("Teacher", "the run has none"),
    }
    if let Some(dir) = files.student() {
        models.push(ModelKind::Student, encoder(&dir, student_name(run, Some(recipe)))?);
    }
    match files.small() {
        Some(dir) => {
            models.push(ModelKind::Quantized, encoder(&dir, format!("{}, int8", student_name(run, Some(recipe))))?)
        }
        None => run.leave_out("Int8 student", "the run has no folder `small`; `attar distill` makes one"),
    }
    let streams = Streams::new(args.seed);
    models.push(ModelKind::Ngrams, Contender::Baseline(Box::new(NgramBaseline::train(&data.train, &streams)?)));
    match args.encoder.clone().or_else(|| frozen_encoder(recipe)) {
        Some(dir) => {
            let options = engine::defaults();
            let session = engine::open_headless(&dir, &options, threads)?;
            let baseline = Box::new(FrozenBaseline::train(session, &data.train, &streams)?);
            let name = format!("{}, frozen", model_directory::name(&dir));
            let bytes = engine::shipped(&dir, &options)?;
            models.push(ModelKind::Frozen, Contender::Frozen { name, baseline, bytes });
        }
        None => run
            .leave_out("Frozen encoder", "no encoder is known that the teacher was made from: name one with --encoder"),
    }
    Ok(models)
}

/// The encoder that was fine-tuned into the teacher, or into the run's own model, where it still is.
fn frozen_encoder(recipe: &Recipe) -> Option<PathBuf> {
    let base = |recipe: &Recipe| match &recipe.student {
        StudentSpec::Model { path: Some(path), .. } => Some(path.clone()),
        _ => None,
    };
    let made_by = match recipe.teacher.as_ref().and_then(|teacher| teacher.path.as_ref()) {
        // The folder of its run, or the model in it.
        Some(teacher) => {
            let recipes = [teacher.join("recipe.toml"), teacher.join("../recipe.toml")];
            base(&recipes.iter().find_map(|file| Recipe::read(file).ok())?)
        }
        None => base(recipe),
    };
    made_by.filter(|path| model_directory::locate(path).join("config.json").exists())
}

fn teacher_name(recipe: &Recipe) -> String {
    let path = recipe.teacher.as_ref().and_then(|teacher| teacher.path.as_deref());
    match path.map(model_directory::name) {
        Some(name) if name != "teacher" => format!("teacher ({name})"),
        _ => "teacher".into(),
    }
}

/// What the model of a run is called: one without a teacher is no student.
fn student_name(run: &Run, recipe: Option<&Recipe>) -> String {
    let has_teacher = recipe.is_none_or(|recipe| recipe.teacher.is_some());
    // Beside others its folder stands before it.
    let says_student = run.name.rsplit('/').next() == Some(STUDENT);
    if says_student || !has_teacher { run.name.clone() } else { format!("student ({})", run.name) }
}

fn model(kind: ModelKind, row: EvaluatedModel, kept: Option<f64>) -> ReportedModel {
    let speed = row.speed.map(|speed| Speed {
        micros: speed.micros,
        micros_range: speed.micros_range,
        joules_per_thousand: speed.joules_per_thousand,
    });
    ReportedModel {
        kind,
        name: row.name,
        scores: row.scores,
        classes: row.classes,
        difference: row.difference,
        kept,
        bytes: Some(row.bytes),
        parameters: row.parameters,
        flops: row.flops,
        speed,
    }
}

/// How sure the student is, and what it gets wrong.
fn examine(run: &mut Run, models: &Models, data: &Dataset, logits: &[Vec<Vec<f32>>]) {
    let what = "Calibration and mistakes";
    let Some(student) = models.place(ModelKind::Student) else { return run.leave_out(what, "there is no student") };
    let (Target::Classes(names), Some(truth)) = (&data.target, data.classes()) else {
        return run.leave_out(what, "they are of single classes alone, and these rows ask for something else");
    };
    let shares: Vec<Vec<f64>> = logits[student].iter().map(|row| softmax(row)).collect();
    let flat: Vec<f64> = shares.iter().flatten().copied().collect();
    run.calibration = Some(Calibration::of(&run.models[student].name, &flat, names.len(), &truth));
    let largest = |row: &[f32]| (0..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
    let name = |class: usize| names.name(class as u32).unwrap_or("?").to_string();
    let mut wrong: Vec<(usize, usize)> = logits[student]
        .iter()
        .map(|row| largest(row))
        .enumerate()
        .filter(|(row, class)| truth[*row] as usize != *class)
        .collect();
    wrong.sort_by(|a, b| shares[b.0][b.1].total_cmp(&shares[a.0][a.1]));
    let teacher = models.place(ModelKind::Teacher);
    let mistake = |(row, class): (usize, usize)| Mistake {
        text: data.examples[row].text.clone(),
        pair: data.examples[row].pair.clone(),
        truth: name(truth[row] as usize),
        predicted: name(class),
        probability: shares[row][class],
        teacher: teacher.map(|place| name(largest(&logits[place][row]))),
    };
    if wrong.is_empty() {
        run.leave_out("Mistakes", "the student makes none on the held-out rows");
    }
    run.mistakes = wrong.into_iter().take(MISTAKES).map(mistake).collect();
}

/// Where teacher and student look on a text.
fn look(run: &mut Run, models: &mut Models, data: &Dataset, args: &ReportArgs) -> anyhow::Result<()> {
    let Some(text) = args.sentence.clone().or_else(|| sentence(data)) else {
        run.leave_out("Attention", "there is no text to look at");
        return Ok(());
    };
    let of = |models: &mut Models, kind| {
        models
            .session(kind)
            .map(|(name, session)| (name.to_string(), session))
            .map(|(name, session)| attention::of(&name, session, &text))
    };
    let teacher = of(models, ModelKind::Teacher).transpose()?;
    if let Some(student) = of(models, ModelKind::Student).transpose()? {
        run.attention = Some(Attention { text, teacher, student });
    }
    Ok(())
}

/// A held-out row of a length that can be shown: the first of the best ones.
fn sentence(data: &Dataset) -> Option<String> {
    let words = |text: &str| text.split_whitespace().count();
    let distance = |example: &&Example| words(&example.text).abs_diff(10);
    data.examples.iter().min_by_key(distance).map(|example| example.text.clone())
}
