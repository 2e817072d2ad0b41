//! `attar quickstart`: the whole way once, on data of attar's own, without network or download.

use std::path::Path;

use attar_distill::baseline::NgramBaseline;
use attar_distill::data::LabeledData;
use attar_distill::objectives::{Gold, Objective, Semantics, Soft};
use attar_distill::recipe::{
    CardSpec, CheckpointSpec, ClassifierChoice, DataSpec, DeviceChoice, EmbeddingStart, EnergySpec, MoreSpec, Recipe,
    StageLength, StageSpec, StudentSpec, TeacherPrecision, TeacherSpec,
};
use attar_distill::{ExportedStudent, RunLock, model_directory};
use attar_runtime::{Options, Precision, Session};
use attar_text::random::Streams;
use attar_text::tokenizer::{TrainOptions, train_wordpiece};
use serde_json::json;

use crate::cli::QuickstartArgs;
use crate::{console, recipes, tables};

use super::eval::{Contender, compare, render};
use super::training::execute;

/// Rows to learn from. With half as many, counted words know as much as an encoder.
const ROWS: usize = 16_000;
/// Held-out rows.
const DEV_ROWS: usize = 1200;
/// Tokens of the vocabulary that is learned from the training rows.
const VOCABULARY: usize = 1200;
/// Rows of a batch.
const BATCH_ROWS: usize = 48;

pub(crate) fn run(args: &QuickstartArgs) -> anyhow::Result<()> {
    let spec = DataSpec::Embedded { rows: ROWS, dev_rows: DEV_ROWS, max_tokens: 48 };
    let streams = Streams::new(args.seed);
    let data = LabeledData::load(&spec, &streams)?;
    console::note(format!(
        "{} and {} rows of commands to a home and a shop, made by attar's own grammars",
        tables::count(data.train.len() as u64),
        tables::count(data.dev.len() as u64)
    ));

    // Held to the end: teacher and student rest on the tokenizer.
    let _lock = RunLock::take(&args.out)?;
    let tokenizer_folder = args.out.join("tokenizer");
    std::fs::create_dir_all(&tokenizer_folder)?;
    let texts = data.train.examples.iter().map(|example| example.text.as_str());
    train_wordpiece(texts, TrainOptions::new(VOCABULARY))?.save(&tokenizer_folder)?;

    let teacher_folder = args.out.join("teacher");
    let teacher = execute(teacher(args.seed, spec.clone(), &tokenizer_folder), &teacher_folder)?;
    let student_folder = args.out.join("student");
    let student = execute(student(args.seed, spec, &teacher_folder), &student_folder)?;

    let baseline = NgramBaseline::train(&data.train, &streams)?;
    let mut contenders = Vec::new();
    for (name, folder) in [("teacher", &teacher_folder), ("student", &student_folder)] {
        let dir = model_directory::locate(folder);
        let session = Box::new(Session::load(&dir, &Options::all_threads(Precision::F32))?);
        let bytes = model_directory::shipped_bytes(&dir, false)?;
        contenders.push(Contender::Encoder { name: name.into(), session, bytes });
    }
    contenders.push(Contender::Baseline(Box::new(baseline)));
    let (rows, _) = compare(&mut contenders, &data.dev, &data.metrics, Some(&EnergySpec::default()), args.seed)?;

    if args.json {
        let runs = json!({ "teacher": teacher, "student": student });
        return console::json(&json!({ "models": rows, "runs": runs }));
    }
    console::say(format!("\nheld-out rows: {}\n", tables::count(data.dev.len() as u64)))?;
    console::say(render(&rows))?;
    for (what, exported) in [("teacher, from scratch", &teacher), ("student, from the teacher", &student)] {
        print_bill(what, exported)?;
    }
    console::say(format!("\nstudent: {}", student.student.display()))?;
    console::say(format!(
        "try it:  attar predict {} \"could you dim the lights in the kitchen\"",
        student_folder.display()
    ))?;
    Ok(())
}

fn print_bill(what: &str, exported: &ExportedStudent) -> anyhow::Result<()> {
    console::say(format!("\nbill of the {what}\n{}", tables::bill(&exported.bill)))?;
    Ok(())
}

/// A teacher that begins with random weights.
fn teacher(seed: u64, data: DataSpec, tokenizer: &Path) -> Recipe {
    let shape = StudentSpec::Shape {
        layers: 3,
        hidden: 96,
        embedding_width: None,
        heads: 4,
        feed_forward: 384,
        tokenizer: Some(tokenizer.to_path_buf()),
        embeddings: None,
        classifier: ClassifierChoice::Auto,
        vocabulary: None,
    };
    let gold = vec![Objective::from(Gold { weight: 1.0 })];
    let stages = vec![stage("teacher", gold, 4, 2e-3)];
    recipe(seed, data, None, shape, stages)
}

/// A student of two thirds of the depth and half the width, cut out of its teacher.
fn student(seed: u64, data: DataSpec, teacher: &Path) -> Recipe {
    let shape = StudentSpec::Teacher {
        layers: vec![2, 3],
        hidden: Some(48),
        embedding_width: None,
        heads: Some(4),
        feed_forward: Some(192),
        tokenizer: None,
        embeddings: EmbeddingStart::Mean,
        vocabulary: None,
    };
    let inside = recipes::intermediate(4, 4);
    let soft = vec![Objective::from(Soft { weight: 1.0, temperature: 1.0 })];
    let stages = [stage("intermediate", inside, 2, 4e-3), stage("prediction", soft, 5, 3e-3)];
    // What a teacher says of a text is no label to overfit: with dropout this student is a point worse.
    let stages = stages.map(|stage| StageSpec { dropout: false, ..stage }).to_vec();
    recipe(
        seed,
        data,
        Some(TeacherSpec { path: Some(teacher.to_path_buf()), precision: TeacherPrecision::default(), trace_cache: 0 }),
        shape,
        stages,
    )
}

fn recipe(
    seed: u64,
    data: DataSpec,
    teacher: Option<TeacherSpec>,
    student: StudentSpec,
    stages: Vec<StageSpec>,
) -> Recipe {
    Recipe {
        seed,
        semantics: Semantics::Clean,
        device: DeviceChoice::Cpu,
        data,
        teacher,
        student,
        stages,
        more: MoreSpec::default(),
        checkpoint: CheckpointSpec::default(),
        energy: EnergySpec::default(),
        card: CardSpec::default(),
    }
}

fn stage(name: &str, objectives: Vec<Objective>, epochs: usize, rate: f64) -> StageSpec {
    StageSpec {
        name: name.into(),
        length: StageLength::Epochs(epochs),
        batch_rows: BATCH_ROWS,
        rate,
        ..StageSpec::new(objectives)
    }
}
