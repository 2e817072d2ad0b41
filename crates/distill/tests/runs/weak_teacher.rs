//! A teacher that is worse than a constant is doubted.

use std::fmt::Write;

use attar_distill::RunDirectory;
use attar_distill::plan::Plan;
use attar_distill::recipe::Recipe;
use attar_distill::train::{Event, Observer, train};
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;

use super::vocabularies::workshop;

#[derive(Default)]
struct Doubts(Vec<(f64, f64, usize)>);

impl Observer for Doubts {
    fn event(&mut self, event: &Event) {
        if let Event::WeakTeacher { accuracy, majority, rows } = event {
            self.0.push((*accuracy, *majority, *rows));
        }
    }
}

#[test]
fn a_teacher_of_other_labels_is_doubted() {
    let (folder, _) = workshop(300);
    let folder = folder.path();
    let rows = synthetic::generate(&Streams::new(42), 300, Split::Train);
    let (classes, names) = (rows.classes().unwrap(), &rows.target.labels().unwrap().names);
    // Of the others two rows in three have the same label, which the teacher was not told.
    let doubts = |name: &str| {
        let mut table = String::from("text\tlabel\n");
        for (index, (row, &class)) in rows.examples.iter().zip(&classes).enumerate() {
            let class = if name == "others" && index % 3 > 0 { 0 } else { class };
            writeln!(table, "{}\t{}", row.text, names[class as usize]).unwrap();
        }
        let path = folder.join(format!("{name}.tsv"));
        std::fs::write(&path, table).unwrap();
        let recipe = format!(
            r#"
            data = {{ kind = "table", train = "{}", labels = {names:?}, max-tokens = 32 }}
            energy = {{ source = "off" }}
            teacher = {{ path = "{}" }}
            student = {{ from = "teacher", layers = [2] }}
            stage = [{{ name = "answers", objective = [{{ kind = "soft" }}], length = {{ steps = 2 }} }}]
            "#,
            path.display(),
            folder.join("teacher").display()
        );
        let plan = Plan::new(Recipe::parse(&recipe).unwrap()).unwrap();
        let directory = RunDirectory::open(&folder.join(format!("run-{name}")), &plan).unwrap();
        let mut doubts = Doubts::default();
        train(&plan, &directory, &mut doubts).unwrap();
        (doubts.0, plan.labeled().unwrap().dev.len())
    };
    assert_eq!(doubts("own").0, []);
    let (told, dev_rows) = doubts("others");
    let [(accuracy, majority, rows)] = told[..] else { panic!("told once, got {told:?}") };
    assert!(accuracy < majority && majority < 1.0, "{accuracy} {majority}");
    assert_eq!(rows, dev_rows);
}
