//! A report of runs, and its forms.

use attar_text::metrics::Spread;
use serde::Serialize;
use serde_json::Value;

use crate::run::Run;
use crate::{document, html, markdown, sections};

/// Number of the schema of reports as JSON. Within it names never change their meaning; new ones may come.
pub const REPORT_SCHEMA: u32 = 1;

/// What one run or several found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What it is about.
    pub title: String,
    /// Version of attar.
    pub attar: String,
    /// When it was made.
    pub time: String,
    /// The runs.
    pub runs: Vec<Run>,
    /// The suites.
    pub suites: Vec<Suite>,
}

/// Models of many tasks, made by several seeds.
#[derive(Debug, Clone, Serialize)]
pub struct Suite {
    /// Its name: that of its folder.
    pub name: String,
    /// A line for each task and model.
    pub lines: Vec<SuiteLine>,
    /// A line for each model: its mean over the tasks.
    pub averages: Vec<SuiteLine>,
}

/// A model on a task, over seeds.
#[derive(Debug, Clone, Serialize)]
pub struct SuiteLine {
    /// The task; of an average how many there are.
    pub task: String,
    /// The model.
    pub model: String,
    /// The metric that decides.
    pub metric: Option<String>,
    /// Its score.
    pub score: Option<Spread>,
    /// What it keeps of its teacher's.
    pub kept: Option<Spread>,
    /// Bytes as shipped.
    pub bytes: Option<u64>,
    /// Microseconds a text.
    pub micros: Option<Spread>,
    /// Joules for 1,000 texts.
    pub joules_per_thousand: Option<Spread>,
}

impl Report {
    /// A page of one file.
    pub fn html(&self) -> String {
        html::page(&self.title, &self.document())
    }

    /// The same with sentences in place of the charts.
    pub fn markdown(&self) -> String {
        markdown::text(&self.document())
    }

    /// Everything as data, with the number of its schema.
    pub fn json(&self) -> Value {
        let mut json = serde_json::json!({ "schema": REPORT_SCHEMA, "kind": "run report" });
        if let (Value::Object(to), Ok(Value::Object(from))) = (&mut json, serde_json::to_value(self)) {
            to.extend(from);
        }
        json
    }

    fn document(&self) -> Vec<document::Block> {
        sections::of(self)
    }
}
