//! The teacher of a plan.

use attar_model::{Bundle, Head, Target as Answer};
use attar_text::labeled::Target;

use super::Model;
use crate::data::LabeledData;
use crate::{Error, labels};

/// A teacher and how its classes stand to the data's.
#[derive(Debug)]
pub struct PlannedTeacher {
    /// What cards call it.
    pub name: String,
    /// The model.
    pub bundle: Bundle,
    /// For each class of the data the teacher's number for it, where the orders differ.
    pub classes: Option<Vec<usize>>,
}

impl PlannedTeacher {
    pub(super) fn new(
        model: Model,
        rows: Option<&LabeledData>,
        notes: &mut Vec<String>,
    ) -> Result<PlannedTeacher, Error> {
        let Model { name, bundle, .. } = model;
        notes.extend(bundle.notes.iter().cloned());
        note_prompt(&name, &bundle, notes);
        let classes = match (&bundle.config.head, rows.map(|rows| (&rows.train.target, rows.class_order))) {
            (Head::Classification { target: Answer::Labels(names) }, Some((Target::Classes(data), order)))
            | (Head::Classification { target: Answer::MultiLabel(names) }, Some((Target::MultiLabel(data), order)))
            | (Head::TokenClassification { labels: names }, Some((Target::Tags(data), order))) => {
                labels::order(&format!("teacher {name}"), names, &data.names, order, notes)?
            }
            // A teacher of states alone is fine; what needs its predictions is checked with the stages.
            _ => None,
        };
        Ok(PlannedTeacher { name, bundle, classes })
    }

    /// True if the teacher answers what the data ask.
    pub fn answers(&self, target: &Target) -> bool {
        match (&self.bundle.config.head, target) {
            (Head::Classification { target: Answer::Labels(names) }, Target::Classes(labels))
            | (Head::Classification { target: Answer::MultiLabel(names) }, Target::MultiLabel(labels))
            | (Head::TokenClassification { labels: names }, Target::Tags(labels)) => names.len() == labels.len(),
            (Head::Classification { target: Answer::Regression }, Target::Regression { .. })
            | (Head::QuestionAnswering, Target::Answers { .. }) => true,
            _ => false,
        }
    }
}

/// Says of a model that is made for prompts that training puts none before its texts.
pub(super) fn note_prompt(name: &str, bundle: &Bundle, notes: &mut Vec<String>) {
    if let Some(prompt) = bundle.prompts.default_text().filter(|prompt| !prompt.is_empty()) {
        notes.push(format!(
            "{name} puts {prompt:?} before texts whose vectors are asked for; here it reads texts as they are: put the prompt \
             into them if they are to have it"
        ));
    }
}
