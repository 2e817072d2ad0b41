//! What an inventory of models asks of a run.

use serde::Serialize;

use crate::run::{ModelKind, Run};
use crate::{boamps, cyclonedx};

/// What an inventory of models asks of a run beside what a report has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inventory {
    /// License of the model, where one was given.
    pub license: Option<String>,
    /// What the model is for, in the words of the Hugging Face hub: `text-classification`.
    pub task: String,
    /// The model that it was distilled or fine-tuned from.
    pub base: Option<String>,
    /// SHA-256 of its configuration and weights.
    pub fingerprint: Option<String>,
    /// The architecture of its encoder, as its authors write it: `BERT`.
    pub architecture: String,
    /// Its number of parameters.
    pub parameters: Option<usize>,
    /// Its layers.
    pub layers: Option<usize>,
    /// What it was trained on.
    pub data: String,
    /// Rows or sequences of that.
    pub rows: usize,
    /// SHA-256 of them.
    pub data_sha256: String,
    /// Whether it learned from labels; else from raw text.
    pub is_labeled: bool,
}

impl Run {
    /// The run as a bill of materials: CycloneDX 1.6 (JSON), with a model card and its energy.
    ///
    /// `time` is RFC 3339, `attar` the version of the program.
    ///
    /// # Errors
    /// If too little is known; the text says what is missing.
    pub fn cyclonedx(&self, attar: &str, time: &str) -> Result<serde_json::Value, String> {
        cyclonedx::bill_of_materials(self, self.inventory()?, attar, time)
    }

    /// The run's energy as BoAmps has it (JSON).
    ///
    /// # Errors
    /// As [`Run::cyclonedx`].
    pub fn boamps(&self, attar: &str, time: &str) -> Result<serde_json::Value, String> {
        boamps::report(self, self.inventory()?, attar, time)
    }

    fn inventory(&self) -> Result<&Inventory, String> {
        self.inventory
            .as_ref()
            .ok_or_else(|| format!("{}: the run has no model yet, so there is nothing to list", self.name))
    }

    /// The model that was made: the student.
    pub(crate) fn made(&self) -> Option<&crate::run::ReportedModel> {
        self.model(ModelKind::Student)
    }
}

/// `text-classification` in words.
pub(crate) fn in_words(task: &str) -> String {
    task.replace('-', " ")
}
