//! What runs found, for people and for programs: one [`Report`], shown as a page, as Markdown, as JSON, and as what inventories
//! of models ask for.
//!
//! A report is plain data: whoever makes it has read the run's files and computed what had to be ([`Run`]). What it shows
//! is decided once, as a list of blocks, so that page and Markdown cannot disagree. What a
//! run lacks stands in [`Run::left_out`] with its reason, and is shown.
//!
//! The page is one file: no script, nothing from the network, colors for dark mode and for paper, charts of
//! [`attar_chart`]. Names and texts come from users and are escaped wherever they are shown; a policy in the page forbids
//! everything else.

mod boamps;
mod charts;
mod cyclonedx;
mod document;
mod html;
mod inventory;
mod markdown;
mod numbers;
mod report;
mod run;
mod sections;
mod style;

pub use inventory::Inventory;
pub use report::{REPORT_SCHEMA, Report, Suite, SuiteLine};
pub use run::{
    Attention, Bin, BreakEvenFacts, Calibration, Curve, EnergyReport, Fact, LeftOut, MOST_TOKENS, Mistake, ModelKind,
    ReportedModel, Run, RunData, Speed, Stage, TokenAttention,
};
