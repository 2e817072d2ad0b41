//! Trains a teacher on rows in memory, distills it, and classifies with the student.
//!
//! Run with `cargo run --release -p attar-distill --example from_memory`.

use attar_distill::bundle;
use attar_distill::plan::{Inputs, Model, Plan};
use attar_distill::recipe::Recipe;
use attar_distill::train::train_in_memory;
use attar_model::atomic::WriteMode;
use attar_runtime::{Options, Precision, Session};
use attar_text::labeled::{Dataset, Example, Label, LabelSet, Target};
use attar_text::tokenizer::{TrainOptions, train_wordpiece};

const TEACHER: &str = r#"
    data = { kind = "memory", max-tokens = 16 }
    student = { from = "shape", layers = 2, hidden = 32, heads = 2, feed-forward = 64 }
    stage = [{ name = "gold", objective = [{ kind = "gold" }], length = { epochs = 30 }, rate = 2e-3, dropout = false }]
"#;
const STUDENT: &str = r#"
    data = { kind = "memory", max-tokens = 16 }
    teacher = {}
    student = { from = "teacher", layers = [2] }
    stage = [{ name = "soft", objective = [{ kind = "soft" }], length = { epochs = 30 }, rate = 2e-3, dropout = false }]
"#;

#[expect(clippy::print_stdout, reason = "the answers are what this program is for")]
pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows = rows();
    let tokenizer = train_wordpiece(rows.examples.iter().map(|row| &row.text), TrainOptions::new(120))?;

    let inputs = Inputs { train: Some(rows.clone()), tokenizer: Some(tokenizer.clone()), ..Inputs::default() };
    let plan = Plan::with(Recipe::parse(TEACHER)?, inputs)?;
    let trained = train_in_memory(&plan, &mut ())?;
    let teacher = Model { name: "teacher".into(), bundle: bundle(&plan, "teacher", &trained)?, tokenizer };

    let inputs = Inputs { train: Some(rows), teacher: Some(teacher), ..Inputs::default() };
    let plan = Plan::with(Recipe::parse(STUDENT)?, inputs)?;
    let trained = train_in_memory(&plan, &mut ())?;
    let scores = trained.scores.as_ref().ok_or("the dev rows have no labels")?;
    let score = &scores.student[0];
    println!("{} {:.3} on {} held-out rows", score.metric, score.value.unwrap_or(f64::NAN), score.rows);
    if let Some(energy) = trained.bill(&plan).total.energy_kwh {
        println!("energy {energy}");
    }

    // `transformers` reads the directory as well.
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("student");
    bundle(&plan, "student", &trained)?.write(&path, WriteMode::New)?;
    let mut session = Session::load(&path, &Options::all_threads(Precision::F32))?;
    for text in ["the soup was lovely", "my toast was stale"] {
        let logits = &session.logits(&[(text, None)], |_| ())?[0];
        println!("{text}: {}", if logits[1] > logits[0] { "good" } else { "bad" });
    }
    Ok(())
}

/// Two hundred reviews of meals.
fn rows() -> Dataset {
    let meals = ["soup", "bread", "rice", "cake", "salad", "pie", "fish", "stew", "pasta", "toast"];
    let words = [["bad", "cold", "stale", "bland", "dull"], ["good", "warm", "fresh", "tasty", "lovely"]];
    let mut examples = Vec::new();
    for (class, words) in words.iter().enumerate() {
        for (word, meal) in words.iter().flat_map(|word| meals.map(|meal| (word, meal))) {
            for opening in ["the", "my"] {
                let text = format!("{opening} {meal} was {word}");
                examples.push(Example { text, pair: None, label: Label::Class(class as u32) });
            }
        }
    }
    let target = Target::Classes(LabelSet { names: vec!["bad".into(), "good".into()] });
    Dataset::in_memory("meals", target, examples)
}
