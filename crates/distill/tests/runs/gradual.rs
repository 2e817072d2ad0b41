//! A student whose feed-forward units go from stage to stage.

use std::path::Path;

use attar_distill::plan::{Cost, Plan, probe};
use attar_distill::recipe::Recipe;
use attar_distill::train::train;
use attar_distill::{Error, RunDirectory};
use attar_model::Bundle;

use super::traces::{StopAfter, outcome};
use super::vocabularies::{student, workshop};

/// The teacher's blocks have 32 units; the student's 8, after stages of these widths.
fn recipe(folder: &Path, widths: &[&str]) -> String {
    let text = student(folder, ", feed-forward = 8");
    let (start, _) = text.split_once("[[stage]]").unwrap();
    let stage = |(index, width): (usize, &&str)| {
        format!(
            r#"
            [[stage]]
            name = "stage-{index}"
            objective = [{{ kind = "hidden", map = "top" }}, {{ kind = "soft" }}]
            projection = "none"
            length = {{ steps = 4 }}
            rate = 0.01
            keep = "last"
            {width}
            "#
        )
    };
    start.to_string() + &widths.iter().enumerate().map(stage).collect::<String>()
}

const WIDTHS: [&str; 3] = ["feed-forward = 32", "feed-forward = 20", ""];

#[test]
fn units_go_from_stage_to_stage() {
    let (folder, _) = workshop(300);
    let folder = folder.path();
    let text = recipe(folder, &WIDTHS);
    let plan = Plan::new(Recipe::parse(&text).unwrap()).unwrap();
    let flops: Vec<f64> =
        Cost::of(&plan).stages.iter().map(|stage| stage.student_flops / stage.tokens as f64).collect();
    assert!(flops[0] > flops[1] && flops[1] > flops[2], "{flops:?}");
    assert!(probe(&plan, 1, || ()).unwrap().seconds > 0.0);
    let (losses, whole) = outcome(&text, &folder.join("whole"));
    assert_eq!(losses.len(), 12);
    let bundle = Bundle::read(&whole.student).unwrap();
    assert_eq!(bundle.config.feed_forward, 8);
    assert_eq!(bundle.weights.get("encoder.layer.0.intermediate.dense.weight").unwrap().shape, [8, 16]);
    // Cut at once, it is another student.
    let (_, at_once) = outcome(&recipe(folder, &["", "", ""]), &folder.join("at-once"));
    assert_ne!(at_once.fingerprint, whole.fingerprint);

    // Broken off inside a stage and where one ends.
    for updates in [2, 4, 7, 8] {
        let out = folder.join(format!("stopped-{updates}"));
        let directory = RunDirectory::open(&out, &plan).unwrap();
        let error = train(&plan, &directory, &mut StopAfter(updates)).unwrap_err();
        assert!(matches!(error, Error::Stopped { .. }), "{error}");
        drop(directory);
        assert_eq!(outcome(&text, &out).1.fingerprint, whole.fingerprint, "after {updates}");
    }
}

#[test]
fn widths_that_grow_or_end_wide_are_refused() {
    let (folder, _) = workshop(300);
    let folder = folder.path();
    let refused = |widths: &[&str]| Plan::new(Recipe::parse(&recipe(folder, widths)).unwrap()).unwrap_err().to_string();
    let grown = refused(&["feed-forward = 16", "feed-forward = 20", ""]);
    assert!(grown.contains("stage stage-1") && grown.contains("from 8, the student's, to 16"), "{grown}");
    assert!(refused(&["feed-forward = 40", "", ""]).contains("to 32"));
    assert!(refused(&["feed-forward = 4", "", ""]).contains("from 8"));
    assert!(refused(&["", "", "feed-forward = 16"]).contains("from 8, the student's, to 8"));
}
