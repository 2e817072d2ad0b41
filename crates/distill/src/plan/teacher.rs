//! Who teaches.

use std::path::Path;

use attar_model::{Bundle, Head, Target as Answer};
use attar_text::labelled::Target;

use crate::{Error, labels, model_directory};

/// A teacher and how its classes stand to the data's.
#[derive(Debug)]
pub struct PlannedTeacher {
    /// The model.
    pub bundle: Bundle,
    /// For each class of the data the teacher's number for it, where the orders differ.
    pub classes: Option<Vec<usize>>,
}

impl PlannedTeacher {
    pub(super) fn read(path: &Path, target: &Target, notes: &mut Vec<String>) -> Result<PlannedTeacher, Error> {
        let bundle = model_directory::read(path)?;
        let classes = match (&bundle.config.head, target) {
            (Head::Classification { target: Answer::Labels(names) }, Target::Classes(data))
            | (Head::Classification { target: Answer::MultiLabel(names) }, Target::MultiLabel(data)) => {
                labels::order(&format!("teacher {}", path.display()), names, &data.names, notes)?
            }
            // A teacher of states alone is fine; what needs its predictions is checked with the stages.
            _ => None,
        };
        Ok(PlannedTeacher { bundle, classes })
    }

    /// True if the teacher answers what the data ask.
    pub fn answers(&self, target: &Target) -> bool {
        match (&self.bundle.config.head, target) {
            (Head::Classification { target: Answer::Labels(names) }, Target::Classes(labels))
            | (Head::Classification { target: Answer::MultiLabel(names) }, Target::MultiLabel(labels)) => {
                names.len() == labels.len()
            }
            (Head::Classification { target: Answer::Regression }, Target::Regression { .. }) => true,
            _ => false,
        }
    }
}
