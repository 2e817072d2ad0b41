//! One task: its models with a seed, and their scores.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use attar_distill::RunLock;
use attar_distill::baseline::NgramBaseline;
use attar_distill::model_directory;
use attar_distill::recipe::{DataSpec, Recipe, StageLength, TeacherPrecision, TeacherSpec};
use attar_distill::suite::SuiteRow;
use attar_model::Bundle;
use attar_model::atomic::write_file;
use attar_text::labeled::DataError;
use attar_text::layout::{Layout, Split};
use attar_text::random::Streams;
use serde::{Deserialize, Serialize};

use super::{Suite, submission};
use crate::commands::distill::train_and_ship;
use crate::commands::eval::Contender;
use crate::commands::suite_rows::{GOLD, STUDENT, Scoring, SuiteModel, TEACHER, score};
use crate::commands::training;
use crate::recipes;

/// The file with the scores of a task and a seed.
const SCORES: &str = "scores.json";

/// A data set to make and score models on.
pub(super) struct Task {
    pub(super) layout: Layout,
    pub(super) path: PathBuf,
    /// The part that is learned from.
    learned: Split,
    /// The parts that are scored.
    scored: &'static [Split],
}

/// Scores on disk, with the models that they are of.
#[derive(Serialize, Deserialize)]
struct Stored {
    models: BTreeMap<String, String>,
    /// Whether speed was measured too.
    has_speed: bool,
    rows: Vec<SuiteRow>,
}

impl Task {
    /// The data set in a folder. One without a training part is learned from by its dev part and scored by its test part.
    pub(super) fn of(layout: Layout, path: PathBuf) -> Result<Task, DataError> {
        let (learned, scored) = match layout.load(&path, Split::Train) {
            Ok(_) => {
                for &part in layout.scored() {
                    layout.load(&path, part)?;
                }
                (Split::Train, layout.scored())
            }
            Err(error @ DataError::NoSplit { .. }) => {
                let both = [Split::Dev, Split::TestLabeled].map(|part| layout.load(&path, part));
                if both.iter().any(Result::is_err) {
                    return Err(error);
                }
                (Split::Dev, &[Split::TestLabeled][..])
            }
            Err(error) => return Err(error),
        };
        Ok(Task { layout, path, learned, scored })
    }

    pub(super) fn name(&self) -> &'static str {
        self.layout.name()
    }

    /// Makes the models that are missing and scores them, unless they are scored already.
    pub(super) fn run(&self, suite: &Suite<'_>, seed: u64) -> anyhow::Result<Vec<SuiteRow>> {
        let folder = self.folder(&suite.args.out, seed);
        let models = self.models(suite, seed, &folder)?;
        let fingerprints: BTreeMap<String, String> =
            models.iter().map(|model| (model.name.to_string(), model.fingerprint.clone())).collect();
        let file = folder.join(SCORES);
        if let (Layout::Glue(task), Some(student)) = (self.layout, models.iter().find(|model| model.name == STUDENT))
            && suite.seeds.first() == Some(&seed)
        {
            submission::write(task, &self.path, &student.directory, suite)?;
        }
        let has_speed = !suite.args.no_speed;
        let fits = |stored: &Stored| stored.models == fingerprints && (stored.has_speed || !has_speed);
        if let Some(stored) = stored(&file).filter(fits) {
            return Ok(stored.rows);
        }
        let mut rows = Vec::new();
        for &part in self.scored {
            rows.extend(self.score(suite, seed, part, &models)?);
        }
        write_file(
            &file,
            &serde_json::to_vec_pretty(&Stored { models: fingerprints, has_speed, rows: rows.clone() })?,
        )?;
        Ok(rows)
    }

    fn models(&self, suite: &Suite<'_>, seed: u64, folder: &Path) -> anyhow::Result<Vec<SuiteModel>> {
        let (teacher_folder, teacher) = self.teacher(suite, seed, folder).context("the teacher")?;
        let student_folder = folder.join("student");
        let mut recipe = self.student(suite, seed, &teacher_folder, &student_folder)?;
        shorten(&mut recipe, suite.args.steps);
        let gold = recipes::suite::gold_only(&recipe, &teacher_folder, recipes::effort_of(suite.args.effort))?;
        let (student, small) = train_and_ship(recipe, RunLock::take(&student_folder)?).context("the student")?;
        let mut models = vec![teacher, SuiteModel::trained(STUDENT, &student), SuiteModel::small(&small, &student)];
        if !suite.args.no_gold {
            let mut gold = gold;
            shorten(&mut gold, suite.args.steps);
            let gold = training::execute(gold, &folder.join("gold")).context("the student of gold labels alone")?;
            models.push(SuiteModel::trained(GOLD, &gold));
        }
        Ok(models)
    }

    /// The teacher: one of another suite, or one that is made here. Its folder, and itself.
    fn teacher(&self, suite: &Suite<'_>, seed: u64, folder: &Path) -> anyhow::Result<(PathBuf, SuiteModel)> {
        if let Some(others) = &suite.args.teachers {
            let folder = self.folder(others, seed).join("teacher");
            let directory = model_directory::existing(&folder)?;
            let fingerprint = Bundle::read(&directory)?.fingerprint();
            return Ok((folder, SuiteModel { fingerprint, ..SuiteModel::given(TEACHER, directory) }));
        }
        let encoder = suite.args.teacher.as_deref().context("neither --teacher nor --teachers was given")?;
        let mut recipe = recipes::suite::teacher(suite.args, encoder, self.data(suite), seed)?;
        shorten(&mut recipe, suite.args.steps);
        let folder = folder.join("teacher");
        let exported = training::execute(recipe, &folder)?;
        Ok((folder, SuiteModel::trained(TEACHER, &exported)))
    }

    /// Where a suite keeps the models of this task with this seed.
    fn folder(&self, suite: &Path, seed: u64) -> PathBuf {
        suite.join(self.slug()).join(format!("seed-{seed}"))
    }

    fn student(&self, suite: &Suite<'_>, seed: u64, teacher: &Path, folder: &Path) -> anyhow::Result<Recipe> {
        let Some(recipe) = &suite.recipe else {
            return recipes::suite::student(suite.args, self.data(suite), seed, teacher, folder);
        };
        let mut recipe = Recipe { seed, data: self.data(suite), ..recipe.clone() };
        let theirs = recipe.teacher.take();
        let (precision, trace_cache) =
            theirs.map_or((TeacherPrecision::default(), 0), |t| (t.precision, t.trace_cache));
        recipe.teacher = Some(TeacherSpec { path: Some(teacher.to_path_buf()), precision, trace_cache });
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

    fn score(&self, suite: &Suite<'_>, seed: u64, part: Split, models: &[SuiteModel]) -> anyhow::Result<Vec<SuiteRow>> {
        let streams = Streams::new(seed);
        let mut train = self.layout.load(&self.path, self.learned)?;
        if let Some(rows) = suite.args.rows {
            train = train.take(rows, &streams);
        }
        let baseline = Contender::Baseline(Box::new(NgramBaseline::train(&train, &streams)?));
        let energy = recipes::energy(&suite.args.energy)?;
        let scoring = Scoring {
            task: self.name(),
            part: (self.scored.len() > 1).then(|| part.name()),
            seed,
            data: &self.layout.load(&self.path, part)?,
            metrics: self.layout.metrics(),
            energy: (!suite.args.no_speed).then_some(&energy),
            threads: suite.threads,
        };
        score(models, Some(baseline), &scoring)
    }

    /// Its name in files.
    fn slug(&self) -> String {
        self.name().to_lowercase().replace(' ', "-")
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

/// The rows of all tasks and seeds that a folder holds.
pub(super) fn stored_rows(suite: &Path) -> Vec<SuiteRow> {
    let below = |path: &Path| -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(path).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        paths
    };
    let files = below(suite).into_iter().flat_map(|task| below(&task)).map(|seed| seed.join(SCORES));
    files.filter_map(|file| stored(&file)).flat_map(|stored| stored.rows).collect()
}

/// Scores that were written before; what cannot be read is made again.
fn stored(file: &Path) -> Option<Stored> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}
