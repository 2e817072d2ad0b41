//! Sentences whose words have tags: taggers, their students, and words that a limit cuts off.

use std::path::Path;

use attar_distill::plan::Plan;
use attar_distill::recipe::Recipe;
use attar_model::{Bundle, Head};
use attar_text::metrics::Metric;
use attar_text::tokenizer::{TrainOptions, train_wordpiece};

use crate::{new_student, run, value};

/// Names that are told by the word before them, and of which the tokenizer knows the letters alone.
const NAMES: [&str; 4] = ["abba", "baba", "acba", "bcab"];

/// Sentences, and a tokenizer that cuts their names into pieces.
fn prepare(folder: &Path) {
    let mut lines = String::new();
    for number in 0..120 {
        let name = |step: usize| NAMES[(number / step) % NAMES.len()];
        lines += &format!("we O\nsaw O\n{} B-X\n", name(1));
        if number % 2 == 0 {
            lines += &format!("{} I-X\n", name(4));
        }
        lines += &format!("and O\n{} O\n\n", name(3));
    }
    std::fs::write(folder.join("rows.conll"), lines).unwrap();
    let tokenizer = folder.join("tokenizer");
    std::fs::create_dir(&tokenizer).unwrap();
    train_wordpiece(["we saw and a b c ab cb ca"; 3], TrainOptions::new(40)).unwrap().save(&tokenizer).unwrap();
}

fn recipe(folder: &Path, labels: &str, max_tokens: usize, rest: &str) -> String {
    format!(
        "data = {{ kind = \"tagged\", train = \"{}\", labels = [{labels}], dev-share = 0.25, max-tokens = {max_tokens} }}\n\
         energy = {{ source = \"off\" }}\n{rest}",
        folder.join("rows.conll").display()
    )
}

fn student(folder: &Path) -> String {
    new_student(folder, 1, 2)
}

fn stage(objective: &str, epochs: usize) -> String {
    format!(
        "[[stage]]\nname = \"all\"\nlength = {{ epochs = {epochs} }}\nrate = 3e-3\nbatch-rows = 8\n\
         objective = [{{ kind = \"{objective}\" }}]\n"
    )
}

const TAGS: &str = "\"O\", \"B-X\", \"I-X\"";

#[test]
fn a_student_learns_a_teachers_tags_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    // The teacher has the tags in another order than the student's recipe.
    let teacher = recipe(folder, "\"I-X\", \"O\", \"B-X\"", 48, &(student(folder) + &stage("gold", 20)));
    let (plan, taught) = run(&teacher, &folder.join("teacher"));
    assert_eq!(plan.labeled().unwrap().metrics, [Metric::EntityF1, Metric::Accuracy]);
    assert!(value(&taught, Metric::EntityF1) > 0.9, "{:?}", taught.scores);
    let bundle = Bundle::read(&folder.join("teacher/student")).unwrap();
    assert_eq!(
        bundle.config.head,
        Head::TokenClassification { labels: ["I-X", "O", "B-X"].map(String::from).to_vec() }
    );

    let soft = |cache: usize| {
        let path = folder.join("teacher");
        let rest = format!("teacher = {{ path = \"{}\", trace-cache = {cache} }}\n", path.display());
        recipe(folder, TAGS, 48, &(rest + &student(folder) + &stage("soft", 20)))
    };
    let (_, learned) = run(&soft(0), &folder.join("student"));
    let scores = learned.scores.as_ref().unwrap();
    let of_teacher = scores.teacher.as_ref().unwrap();
    assert_eq!(of_teacher.scores[0].value, taught.scores.as_ref().unwrap().student[0].value);
    assert!(of_teacher.agreement.value.unwrap() > 0.95, "{scores:?}");
    // Cut out of a teacher with another order of tags, a student answers as it does before it has learned anything, and units are
    // chosen by the loss on the right tags.
    for (shape, agreement) in [("", 1.0), (", feed-forward = 48", 0.9)] {
        let teacher = format!("teacher = {{ path = \"{}\" }}\n", folder.join("teacher").display());
        let student = format!("student = {{ from = \"teacher\", layers = [1]{shape} }}\n");
        let text = recipe(folder, TAGS, 48, &(teacher + &student + &stage("soft", 1)));
        let text = text.replace("epochs = 1", "steps = 1").replace("3e-3", "1e-9");
        let (_, cut) = run(&text, &folder.join(format!("cut{}", shape.len())));
        let teacher = cut.scores.as_ref().unwrap().teacher.as_ref().unwrap();
        assert!(teacher.agreement.value.unwrap() >= agreement, "{shape}: {:?}", teacher.agreement);
    }
    // Logits of words are kept exactly.
    let (_, cached) = run(&soft(1_000_000), &folder.join("cached"));
    assert_eq!(cached.fingerprint, learned.fingerprint);
}

#[test]
fn words_past_the_limit_are_told_and_count_as_outside() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    let short = recipe(folder, TAGS, 5, &(student(folder) + &stage("gold", 20)));
    let (plan, exported) = run(&short, &folder.join("short"));
    let note = plan.notes().iter().find(|note| note.contains("they lie past the limit")).unwrap();
    assert!(note.contains("raise `max-tokens`"), "{note}");
    // "we saw" and the first piece of the name are left: its tag is learned, that of a name of two words is not.
    let classes = &exported.scores.as_ref().unwrap().classes.as_ref().unwrap().classes;
    assert_eq!((classes[1].name.as_str(), classes[1].recall), ("B-X", Some(1.0)));
    assert_eq!((classes[2].name.as_str(), classes[2].predicted), ("I-X", 0));
    let support: u64 = classes.iter().map(|class| class.support).sum();
    assert_eq!(plan.labeled().unwrap().dev.tags().unwrap().concat().len() as u64, support);
}

#[test]
fn what_tags_cannot_do_is_refused_by_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    let refused = |text: String| Plan::new(Recipe::parse(&text).unwrap()).unwrap_err().to_string();
    let reference = recipe(folder, TAGS, 48, &(student(folder) + &stage("gold", 1)));
    let error = refused(format!("semantics = \"reference\"\n{reference}"));
    assert!(error.contains("a tag for each word") && error.contains("clean"), "{error}");
    let error = refused(recipe(folder, TAGS, 48, &(student(folder) + &stage("contrast", 1))));
    assert!(error.contains("rows with one class each"), "{error}");
}
