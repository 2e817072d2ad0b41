//! Weights of objectives that change over a stage.

use attar_distill::RunDirectory;
use attar_distill::plan::Plan;
use attar_distill::recipe::Recipe;
use attar_distill::train::{Event, Observer, StepReport, train};

use super::vocabularies::{student, workshop};

#[derive(Default)]
pub(super) struct Reports(pub(super) Vec<StepReport>);

impl Observer for Reports {
    fn event(&mut self, event: &Event) {
        if let Event::Step(step) = event {
            self.0.push(step.report.clone());
        }
    }
}

#[test]
fn gold_labels_are_mixed_in() {
    let (folder, _) = workshop(300);
    let folder = folder.path();
    let text = student(folder, "");
    let (start, end) = (text.find("objective = [").unwrap(), text.find("projection").unwrap());
    let terms = r#"objective = [{ kind = "soft", weight = 2.0 }, { kind = "gold", weight = 0.5 }]
        weight-schedule = { soft = [1.0, 0.25], gold = [0.0, 1.0] }
        "#;
    let text = text.replace(&text[start..end], terms).replace("steps = 30", "steps = 5");
    let plan = Plan::new(Recipe::parse(&text).unwrap()).unwrap();
    let directory = RunDirectory::open(&folder.join("run"), &plan).unwrap();
    let mut reports = Reports::default();
    train(&plan, &directory, &mut reports).unwrap();
    assert_eq!(reports.0.len(), 5);
    for (step, report) in reports.0.iter().enumerate() {
        let done = step as f64 / 4.0;
        let expected = 2.0 * (1.0 - 0.75 * done) * report.terms["soft"] + 0.5 * done * report.terms["gold"];
        assert!((report.loss - expected).abs() < 1e-5 * expected, "{step}: {} and {expected}", report.loss);
    }
}
