//! One task: its models with a seed, and their scores.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use attar_distill::baseline::NgramBaseline;
use attar_distill::recipe::{DataSpec, Recipe, StageLength, TeacherPrecision, TeacherSpec};
use attar_distill::suite::{Making, SuiteRow};
use attar_distill::{ExportedStudent, RunLock, retention};
use attar_meter::Joules;
use attar_model::atomic::write_file;
use attar_text::layout::{Layout, Split};
use attar_text::random::Streams;
use serde::{Deserialize, Serialize};

use super::{Suite, submission};
use crate::commands::distill::train_and_ship;
use crate::commands::eval::{Contender, Row, compare};
use crate::commands::training;
use crate::{console, engine, recipes};

/// What the models of a suite are called.
const TEACHER: &str = "teacher";
const STUDENT: &str = "student";
const SMALL: &str = "student, small integers";
const GOLD: &str = "student of gold labels alone";
/// The file with the scores of a task and a seed.
const SCORES: &str = "scores.json";

/// A data set to make and score models on.
pub(super) struct Task {
    pub(super) layout: Layout,
    pub(super) path: PathBuf,
}

/// Models that are made, with what their making took.
struct Model {
    name: &'static str,
    directory: PathBuf,
    made: Option<Making>,
    /// SHA-256 of configuration and weights.
    fingerprint: String,
}

/// Scores on disk, with the models that they are of.
#[derive(Serialize, Deserialize)]
struct Stored {
    models: BTreeMap<String, String>,
    rows: Vec<SuiteRow>,
}

impl Task {
    pub(super) fn name(&self) -> &'static str {
        self.layout.name()
    }

    /// Makes the models that are missing and scores them, unless they are scored already.
    pub(super) fn run(&self, suite: &Suite<'_>, seed: u64) -> anyhow::Result<Vec<SuiteRow>> {
        let folder = suite.args.out.join(self.slug()).join(format!("seed-{seed}"));
        let models = self.models(suite, seed, &folder)?;
        let fingerprints: BTreeMap<String, String> =
            models.iter().map(|model| (model.name.to_string(), model.fingerprint.clone())).collect();
        let file = folder.join(SCORES);
        if let Some(stored) = stored(&file).filter(|stored| stored.models == fingerprints) {
            return Ok(stored.rows);
        }
        let mut rows = Vec::new();
        for &part in self.layout.scored() {
            rows.extend(self.score(suite, seed, part, &models)?);
        }
        if let (Layout::Glue(task), Some(student)) = (self.layout, models.iter().find(|model| model.name == STUDENT))
            && suite.seeds.first() == Some(&seed)
        {
            submission::write(task, &self.path, &student.directory, suite)?;
        }
        write_file(&file, &serde_json::to_vec_pretty(&Stored { models: fingerprints, rows: rows.clone() })?)?;
        Ok(rows)
    }

    fn models(&self, suite: &Suite<'_>, seed: u64, folder: &Path) -> anyhow::Result<Vec<Model>> {
        let teacher_folder = folder.join("teacher");
        let mut recipe = recipes::suite::teacher(suite.args, self.data(suite), seed)?;
        shorten(&mut recipe, suite.args.steps);
        let teacher = training::execute(recipe, &teacher_folder).context("the teacher")?;
        let student_folder = folder.join("student");
        let mut recipe = self.student(suite, seed, &teacher_folder)?;
        shorten(&mut recipe, suite.args.steps);
        let gold = recipes::suite::gold_only(&recipe, &teacher_folder, recipes::effort(&suite.args.quality))?;
        let (student, small) = train_and_ship(recipe, RunLock::take(&student_folder)?).context("the student")?;
        let mut models = vec![
            Model::trained(TEACHER, &teacher),
            Model::trained(STUDENT, &student),
            // Made of the student, whose fingerprint stands for both.
            Model { name: SMALL, directory: small.directory.into(), ..Model::trained(SMALL, &student) },
        ];
        if !suite.args.no_gold {
            let mut gold = gold;
            shorten(&mut gold, suite.args.steps);
            let gold = training::execute(gold, &folder.join("gold")).context("the student of gold labels alone")?;
            models.push(Model::trained(GOLD, &gold));
        }
        Ok(models)
    }

    fn student(&self, suite: &Suite<'_>, seed: u64, teacher: &Path) -> anyhow::Result<Recipe> {
        let Some(recipe) = &suite.recipe else {
            return recipes::suite::student(suite.args, self.data(suite), seed, teacher);
        };
        let mut recipe = Recipe { seed, data: self.data(suite), ..recipe.clone() };
        let precision = recipe.teacher.as_ref().map_or(TeacherPrecision::default(), |teacher| teacher.precision);
        recipe.teacher = Some(TeacherSpec { path: Some(teacher.to_path_buf()), precision });
        for path in &mut recipe.more.unlabeled {
            *path = path.to_string_lossy().replace("{task}", &self.slug()).into();
        }
        Ok(recipe)
    }

    fn data(&self, suite: &Suite<'_>) -> DataSpec {
        DataSpec::Known {
            layout: self.name().into(),
            path: self.path.clone(),
            dev_share: Some(suite.args.dev_share),
            max_tokens: suite.args.max_tokens,
            rows: suite.args.rows,
        }
    }

    fn score(&self, suite: &Suite<'_>, seed: u64, part: Split, models: &[Model]) -> anyhow::Result<Vec<SuiteRow>> {
        let data = self.layout.load(&self.path, part)?;
        let mut contenders = Vec::new();
        for model in models {
            let args = engine::defaults();
            let session = Box::new(engine::open(&model.directory, &args, suite.threads)?);
            let bytes = engine::shipped(&model.directory, &args)?;
            contenders.push(Contender::Encoder { name: model.name.into(), session, bytes });
        }
        let streams = Streams::new(seed);
        let mut train = self.layout.load(&self.path, Split::Train)?;
        if let Some(rows) = suite.args.rows {
            train = train.take(rows, &streams);
        }
        contenders.push(Contender::Baseline(Box::new(NgramBaseline::train(&train, &streams)?)));
        let energy = recipes::energy(&suite.args.energy)?;
        let energy = (!suite.args.no_speed).then_some(&energy);
        let (rows, notes) = compare(&mut contenders, &data, self.layout.metrics(), energy, seed)?;
        notes.iter().for_each(console::note);
        let teacher = rows.first().map(|row| row.scores.clone()).unwrap_or_default();
        let task = match part {
            Split::Dev => self.name().to_string(),
            part => format!("{}, {}", self.name(), part.name()),
        };
        Ok(rows.into_iter().map(|row| suite_row(&task, seed, row, models, &teacher)).collect())
    }

    /// Its name in files.
    fn slug(&self) -> String {
        self.name().to_lowercase().replace(' ', "-")
    }
}

impl Model {
    fn trained(name: &'static str, exported: &ExportedStudent) -> Model {
        let total = &exported.bill.total;
        let joules = total.energy_kwh.map(|energy| Joules::from(energy.value()).get());
        Model {
            name,
            directory: exported.student.clone(),
            made: Some(Making { seconds: total.active_s.get(), joules }),
            fingerprint: exported.fingerprint.clone(),
        }
    }
}

fn suite_row(task: &str, seed: u64, row: Row, models: &[Model], teacher: &[attar_text::metrics::Score]) -> SuiteRow {
    let made = models.iter().find(|model| model.name == row.name).and_then(|model| model.made);
    SuiteRow {
        task: task.into(),
        seed,
        kept: (row.name != TEACHER).then(|| retention(&row.scores, teacher)).flatten(),
        model: row.name,
        scores: row.scores,
        parameters: row.parameters,
        bytes: row.bytes,
        flops: row.flops,
        micros: row.speed.as_ref().map(|speed| speed.micros),
        joules_per_thousand: row.speed.and_then(|speed| speed.joules_per_thousand).map(|joules| joules.value().get()),
        made,
    }
}

/// Cuts every stage to so many updates.
fn shorten(recipe: &mut Recipe, steps: Option<usize>) {
    let Some(steps) = steps else { return };
    for stage in &mut recipe.stages {
        stage.length = StageLength::Steps(steps);
        stage.evaluate_every = 0;
    }
}

/// Scores that were written before; what cannot be read is made again.
fn stored(file: &Path) -> Option<Stored> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}
