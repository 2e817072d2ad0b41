//! Runs of a program that has everything in memory.

use attar_distill::plan::{Inputs, Model, Plan};
use attar_distill::recipe::Recipe;
use attar_distill::train::{Event, Observer, train_in_memory};
use attar_distill::{Error, bundle};
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use attar_text::tokenizer::{Limit, Tokenizer, TrainOptions, train_wordpiece};

const TEACHER: &str = r#"
    data = { kind = "memory", max-tokens = 24 }
    energy = { source = "modeled" }
    student = { from = "shape", layers = 2, hidden = 16, heads = 2, feed-forward = 32 }
    stage = [{ name = "gold", objective = [{ kind = "gold" }], length = { steps = 4 }, evaluate-every = 2, batch-rows = 8 }]
"#;
const STUDENT: &str = r#"
    data = { kind = "memory", max-tokens = 24 }
    energy = { source = "modeled" }
    teacher = {}
    student = { from = "teacher", layers = [2] }
    stage = [{ name = "soft", objective = [{ kind = "soft" }], length = { steps = 3 }, batch-rows = 8 }]
"#;

fn inputs() -> (Inputs, Tokenizer) {
    let train = synthetic::generate(&Streams::new(1), 60, Split::Train);
    let tokenizer = train_wordpiece(train.examples.iter().map(|row| &row.text), TrainOptions::new(300)).unwrap();
    (Inputs { train: Some(train), ..Inputs::default() }, tokenizer)
}

fn plan(recipe: &str, inputs: Inputs) -> Result<Plan, Error> {
    Plan::with(Recipe::parse(recipe).unwrap(), inputs)
}

#[test]
fn rows_and_models_in_memory_become_a_student() {
    let (rows, tokenizer) = inputs();
    let first = plan(TEACHER, Inputs { tokenizer: Some(tokenizer.clone()), ..rows.clone() }).unwrap();
    let teacher = train_in_memory(&first, &mut ()).unwrap();
    assert_eq!(teacher.scores.as_ref().unwrap().student[0].rows, first.labeled().unwrap().dev.len());
    let teacher = Model {
        name: "my teacher".into(),
        bundle: bundle(&first, "my teacher", &teacher).unwrap(),
        tokenizer: first.tokenizer().clone(),
    };

    let second = plan(STUDENT, Inputs { teacher: Some(teacher.clone()), ..rows.clone() }).unwrap();
    let student = train_in_memory(&second, &mut ()).unwrap();
    let student = bundle(&second, "mine", &student).unwrap();
    assert!(student.card.as_ref().unwrap().contains("base_model: \"my teacher\""), "{:?}", student.card);
    // What is in memory is what a directory would hold.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("student");
    student.write(&path, attar_model::atomic::WriteMode::New).unwrap();
    let read = Model::read(&path).unwrap();
    assert_eq!((read.bundle.weights, read.bundle.config), (student.weights.clone(), student.config.clone()));
    let [ours, theirs] = [&read.tokenizer, &tokenizer].map(|t| t.encode("lights on", None, Limit::new(24)).unwrap());
    assert_eq!(ours, theirs);

    // The same student is trained further, its head kept.
    let more = STUDENT.replace("teacher = {}", "").replace(r#"from = "teacher", layers = [2]"#, r#"from = "model""#);
    let more = more.replace("soft", "gold");
    let base = Model { name: "mine".into(), bundle: student.clone(), tokenizer };
    let third = plan(&more, Inputs { student: Some(base), ..rows }).unwrap();
    assert_eq!(third.student().weights, student.weights);
}

#[test]
fn what_recipe_and_program_both_say_or_neither_is_refused() {
    let (rows, tokenizer) = inputs();
    let with = |tokenizer| Inputs { tokenizer, ..rows.clone() };
    let refused = |recipe: &str, inputs: Inputs| plan(recipe, inputs).unwrap_err().to_string();
    let none = refused(TEACHER, Inputs { train: None, ..with(Some(tokenizer.clone())) });
    assert!(none.contains("rows in memory") && none.contains("Inputs::train"), "{none}");
    let dev_alone = Inputs { train: None, dev: rows.train.clone(), ..with(Some(tokenizer.clone())) };
    assert!(refused(TEACHER, dev_alone).contains("dev rows alone"));
    assert!(refused(TEACHER, with(None)).contains("neither `tokenizer` nor a teacher"));
    assert!(refused(STUDENT, with(None)).contains("neither; add `path`"));
    let embedded = TEACHER.replace(r#"kind = "memory", max-tokens = 24"#, r#"kind = "embedded", rows = 60"#);
    assert!(refused(&embedded, with(Some(tokenizer))).contains("rows from the program"));
}

/// Stops at the first update.
struct Impatient;

impl Observer for Impatient {
    fn event(&mut self, _: &Event) {}

    fn stops(&mut self) -> bool {
        true
    }
}

#[test]
fn a_stopped_run_in_memory_says_that_it_kept_nothing() {
    let (rows, tokenizer) = inputs();
    let plan = plan(TEACHER, Inputs { tokenizer: Some(tokenizer), ..rows }).unwrap();
    let error = train_in_memory(&plan, &mut Impatient).unwrap_err();
    assert!(matches!(error, Error::Stopped { step: 1, resumable: false, .. }), "{error}");
    assert!(error.to_string().contains("kept nothing"), "{error}");
}
