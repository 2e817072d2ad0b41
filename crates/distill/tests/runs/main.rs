//! Whole runs over tables: plan, training and what is delivered.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod beginnings;
mod class_weights;
mod contrast;
mod corpus;
mod gradual;
mod memory;
mod several_labels;
mod tags;
mod traces;
mod vocabularies;
mod weak_teacher;
mod weight_schedule;

use std::path::Path;

use attar_distill::plan::Plan;
use attar_distill::recipe::Recipe;
use attar_distill::train::{Event, Observer, train};
use attar_distill::{ExportedStudent, RunDirectory, export};
use attar_text::metrics::Metric;

struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: &Event) {}
}

/// Executes a recipe in a folder of its own.
fn run(recipe: &str, out: &Path) -> (Plan, ExportedStudent) {
    let plan = Plan::new(Recipe::parse(recipe).unwrap()).unwrap();
    let directory = RunDirectory::open(out, &plan).unwrap();
    let trained = train(&plan, &directory, &mut Silent).unwrap();
    let exported = export(&plan, &directory, trained).unwrap();
    (plan, exported)
}

/// A student of a new shape with the tokenizer of this folder.
fn new_student(folder: &Path, layers: usize, heads: usize) -> String {
    let tokenizer = folder.join("tokenizer").display().to_string();
    format!(
        "student = {{ from = \"shape\", layers = {layers}, hidden = 32, heads = {heads}, feed-forward = 64, tokenizer = \"{tokenizer}\" }}\n"
    )
}

/// What the delivered student scores.
fn value(exported: &ExportedStudent, metric: Metric) -> f64 {
    let scores = &exported.scores.as_ref().unwrap().student;
    scores.iter().find(|score| score.metric == metric).unwrap().value.unwrap()
}
