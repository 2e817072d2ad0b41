//! What a plan is made from: read from disk, or given by a program.

use std::ops::Range;
use std::path::Path;

use attar_model::Bundle;
use attar_text::labeled::{Dataset, Label};
use attar_text::random::Streams;
use attar_text::tokenizer::Tokenizer;

use crate::data::{LabeledData, check_classes, metrics, unify_answer_targets};
use crate::labels::ClassOrder;
use crate::recipe::{DataSpec, Recipe, StudentSpec};
use crate::{Error, model_directory};

/// A model in memory with the tokenizer that belongs to it.
#[derive(Debug, Clone)]
pub struct Model {
    /// What notes, errors and cards call it.
    pub name: String,
    /// Configuration and weights.
    pub bundle: Bundle,
    /// From text to its token ids.
    pub tokenizer: Tokenizer,
}

impl Model {
    /// Reads a model directory, or that of a run.
    ///
    /// # Errors
    /// If there is none or it is damaged.
    pub fn read(path: &Path) -> Result<Model, Error> {
        let dir = model_directory::existing(path)?;
        let (bundle, tokenizer) = (Bundle::read(&dir)?, Tokenizer::from_dir(&dir)?);
        Ok(Model { name: model_directory::name(path), bundle, tokenizer })
    }
}

/// What a program has in memory, in place of what a recipe names on disk. What is `None` is read as the recipe says.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Rows to learn from, for a recipe with `data = { kind = "memory" }`.
    pub train: Option<Dataset>,
    /// Rows to choose and score by; if `None`, the recipe's `dev-share` of the others is held out.
    pub dev: Option<Dataset>,
    /// The teacher, for a recipe with a table `[teacher]` without `path`.
    pub teacher: Option<Model>,
    /// The student to train further, for a recipe with `student = { from = "model" }` without `path`.
    pub student: Option<Model>,
    /// The tokenizer of a student of a new shape, for a recipe without one.
    pub tokenizer: Option<Tokenizer>,
}

impl Inputs {
    /// The labeled rows, read or given.
    pub(super) fn data(&mut self, recipe: &Recipe, streams: &Streams) -> Result<LabeledData, Error> {
        let given = self.train.take();
        if given.is_none() && self.dev.is_some() {
            return Err(Error::refused("data", "`Inputs::train` beside `Inputs::dev`", "dev rows alone", "give both"));
        }
        let DataSpec::Memory { dev_share, metric, max_tokens } = &recipe.data else {
            if given.is_some() {
                return Err(unused("data", "rows", "set `data = { kind = \"memory\" }`"));
            }
            return LabeledData::load(&recipe.data, streams);
        };
        let Some(whole) = given else { return LabeledData::load(&recipe.data, streams) };
        let mut notes = Vec::new();
        let (mut train, mut dev) = match self.dev.take() {
            Some(dev) => (whole, dev),
            None => {
                let (train, dev, held_out) = whole.hold_out(*dev_share, streams)?;
                notes.push(held_out.note());
                (train, dev)
            }
        };
        check_classes(&train)?;
        unify_answer_targets(&mut train, &mut dev)?;
        if train.target != dev.target {
            let out = "make both sets with the same target";
            return Err(Error::refused("data", "dev rows with the labels of the training rows", "other labels", out));
        }
        check_answers(&train)?;
        check_answers(&dev)?;
        let metrics = metrics(metric.as_deref(), &train.target)?;
        // The program knows the order of its classes.
        let class_order = ClassOrder::Stated;
        Ok(LabeledData { train, dev, metrics, max_tokens: *max_tokens, class_order, notes })
    }

    /// The teacher, read or given; `None` if the recipe has none.
    pub(super) fn teacher(&mut self, recipe: &Recipe) -> Result<Option<Model>, Error> {
        let given = self.teacher.take();
        let Some(spec) = &recipe.teacher else {
            return match given {
                Some(_) => Err(unused("teacher", "a teacher", "add a table `[teacher]` without `path`")),
                None => Ok(None),
            };
        };
        match (&spec.path, given) {
            (Some(_), Some(_)) => Err(unused("teacher", "a teacher", "leave `path` out")),
            (Some(path), None) => Model::read(path).map(Some),
            (None, Some(model)) => Ok(Some(model)),
            (None, None) => {
                Err(Error::refused("teacher", "a `path`, or a model from the program", "neither", "add `path`"))
            }
        }
    }

    /// The student that a recipe trains further, if the program gives it.
    pub(super) fn student(&mut self, recipe: &Recipe) -> Result<Option<Model>, Error> {
        match (&recipe.student, self.student.take()) {
            (StudentSpec::Model { path: Some(_), .. }, Some(_)) => {
                Err(unused("student", "a student", "leave `path` out"))
            }
            (StudentSpec::Model { path: None, .. }, None) => {
                Err(Error::refused("student", "a `path`, or a model from the program", "neither", "add `path`"))
            }
            (StudentSpec::Model { .. }, given) => Ok(given),
            (_, Some(_)) => Err(unused("student", "a student", "set `from = \"model\"`")),
            (_, None) => Ok(None),
        }
    }

    /// The tokenizer whose pieces the student has, all or some.
    pub(super) fn tokenizer(
        &mut self,
        recipe: &Recipe,
        teacher: Option<&Model>,
        student: Option<&Model>,
    ) -> Result<Tokenizer, Error> {
        let of_teacher = |expected: &str, got: &str, out: &str| match teacher {
            Some(teacher) => Ok(teacher.tokenizer.clone()),
            None => Err(Error::refused("student", expected, got, out)),
        };
        match (&recipe.student, student, self.tokenizer.take()) {
            (StudentSpec::Shape { tokenizer: None, .. }, _, Some(given)) => Ok(given),
            (_, _, Some(_)) => {
                Err(unused("student", "a tokenizer", "set `from = \"shape\"` and leave `tokenizer` out"))
            }
            (StudentSpec::Model { path: Some(path), .. }, _, None) => {
                Ok(Tokenizer::from_dir(&model_directory::existing(path)?)?)
            }
            (StudentSpec::Model { path: None, .. }, student, None) => {
                Ok(student.expect("the caller checked that the program gives it").tokenizer.clone())
            }
            (StudentSpec::Teacher { tokenizer: None, .. }, _, None) => {
                of_teacher("a teacher to begin from", "none", "add `[teacher]` with its `path`")
            }
            (
                StudentSpec::Shape { tokenizer: Some(folder), .. }
                | StudentSpec::Teacher { tokenizer: Some(folder), .. },
                _,
                None,
            ) => Ok(Tokenizer::from_dir(&model_directory::locate(folder))?),
            (StudentSpec::Shape { tokenizer: None, .. }, _, None) => {
                of_teacher("a tokenizer", "neither `tokenizer` nor a teacher", "add `tokenizer = \"DIR\"`")
            }
        }
    }
}

/// Whether answers are parts of their contexts.
fn check_answers(data: &Dataset) -> Result<(), Error> {
    for (row, example) in data.examples.iter().enumerate() {
        let Label::Answers(ranges) = &example.label else { continue };
        let context = example.pair.as_deref();
        let is_part =
            |range: &Range<usize>| !range.is_empty() && context.is_some_and(|c| c.get(range.clone()).is_some());
        if context.is_none() || !ranges.iter().all(is_part) {
            let (place, got) = (format!("row {} of {}", row + 1, data.name), format!("{ranges:?}"));
            let out = "correct the ranges, or leave the row out";
            return Err(Error::refused(place, "answers as ranges of bytes of the context, `pair`", got, out));
        }
    }
    Ok(())
}

/// Something that a program gives and the recipe does not ask for.
fn unused(place: &str, what: &str, way_out: &str) -> Error {
    Error::refused(place, "only what the recipe leaves open", format!("{what} from the program"), way_out)
}
