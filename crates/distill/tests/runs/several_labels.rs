//! Texts with several labels, or none: teachers, students and baselines.

use std::path::Path;

use attar_distill::baseline::NgramBaseline;
use attar_distill::plan::{Beginning, Plan};
use attar_distill::recipe::Recipe;
use attar_distill::score::{Answers, Truth};
use attar_model::{Bundle, Head, Target};
use attar_runtime::{Options, Precision, Session, Text};
use attar_text::metrics::Metric;
use attar_text::random::Streams;
use attar_text::tokenizer::{TrainOptions, train_wordpiece};

use crate::{new_student, run, value};

/// Words that each speak of a label, and words that say nothing.
const WORDS: [(&str, &str); 3] = [("button", "ui"), ("crash", "bug"), ("slow", "speed")];
const OTHERS: [&str; 4] = ["the", "page", "here", "today"];

/// Texts of all combinations of labels.
fn rows(folder: &Path, count: usize) {
    let mut stream = Streams::new(3).stream("rows", &[]);
    let mut lines = String::from("text\tlabel\n");
    for _ in 0..count {
        let there = WORDS.map(|_| stream.chance(0.4));
        let mut words: Vec<&str> =
            WORDS.iter().zip(there).filter(|(_, there)| *there).map(|((word, _), _)| *word).collect();
        words.extend(OTHERS.iter().filter(|_| stream.chance(0.5)));
        words.push("thing");
        stream.shuffle(&mut words);
        let labels: Vec<&str> =
            WORDS.iter().zip(there).filter(|(_, there)| *there).map(|((_, label), _)| *label).collect();
        lines += &format!("{}\t{}\n", words.join(" "), labels.join(";"));
    }
    std::fs::write(folder.join("rows.tsv"), lines).unwrap();
    let tokenizer = folder.join("tokenizer");
    std::fs::create_dir(&tokenizer).unwrap();
    let words = WORDS.map(|(word, _)| word).into_iter().chain(OTHERS).chain(["thing"]);
    let text = words.collect::<Vec<_>>().join(" ");
    train_wordpiece([text], TrainOptions::new(100)).unwrap().save(&tokenizer).unwrap();
}

fn recipe(folder: &Path, rest: &str) -> String {
    format!(
        "data = {{ kind = \"table\", train = \"{}\", multi-label = \";\", dev-share = 0.2, max-tokens = 48 }}\n\
         energy = {{ source = \"off\" }}\n{rest}",
        folder.join("rows.tsv").display()
    )
}

fn teacher(folder: &Path) -> String {
    recipe(folder, &(new_student(folder, 1, 2) + &stage("gold", "epochs = 15", "3e-3")))
}

fn stage(objective: &str, length: &str, rate: &str) -> String {
    format!(
        "[[stage]]\nname = \"all\"\nlength = {{ {length} }}\nrate = {rate}\nbatch-rows = 16\n\
         objective = [{{ kind = \"{objective}\" }}]\n"
    )
}

#[test]
fn labels_are_taught_and_learned_each_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    rows(folder, 300);
    let (plan, taught) = run(&teacher(folder), &folder.join("teacher"));
    assert_eq!(plan.labeled().unwrap().metrics, [Metric::MicroF1, Metric::MacroF1, Metric::SubsetAccuracy]);
    assert!(value(&taught, Metric::SubsetAccuracy) > 0.9, "{:?}", taught.scores);
    let report = taught.scores.as_ref().unwrap().classes.as_ref().unwrap();
    let names: Vec<&str> = report.classes.iter().map(|class| class.name.as_str()).collect();
    assert_eq!((names, &report.matrix), (vec!["bug", "speed", "ui"], &None));

    // What the directory says, and what it answers.
    let config = std::fs::read_to_string(folder.join("teacher/student/config.json")).unwrap();
    assert!(config.contains("\"problem_type\": \"multi_label_classification\""), "{config}");
    let bundle = Bundle::read(&folder.join("teacher/student")).unwrap();
    let any = Target::MultiLabel(names_of(&["bug", "speed", "ui"]));
    assert_eq!(bundle.config.head, Head::Classification { target: any });
    let mut session = Session::load(&folder.join("teacher/student"), &Options::all_threads(Precision::F32)).unwrap();
    let texts: [Text<'_>; 2] = [("the slow button thing", None), ("the page today thing", None)];
    let logits = session.logits(&texts, |_| ()).unwrap();
    assert_eq!(
        Answers::from_logits(&logits, &plan.labeled().unwrap().dev.target),
        Answers::LabelSets(vec![vec![1, 2], vec![]])
    );

    // A student that sees the teacher's sigmoids alone, on noisy copies too.
    let student = |objective: &str| {
        recipe(
            folder,
            &format!(
                "teacher = {{ path = \"{}\" }}\nmore = {{ noisy-copies = 1 }}\n\
                 student = {{ from = \"shape\", layers = 1, hidden = 16, heads = 2, feed-forward = 32 }}\n{}",
                folder.join("teacher").display(),
                stage(objective, "epochs = 15", "5e-3")
            ),
        )
    };
    let (_, learned) = run(&student("soft"), &folder.join("student"));
    assert!(value(&learned, Metric::MicroF1) > 0.9, "{:?}", learned.scores);
    let teacher = learned.scores.as_ref().unwrap().teacher.as_ref().unwrap();
    assert!(teacher.agreement.value.unwrap() > 0.8 && teacher.retention.unwrap() > 0.9, "{teacher:?}");
    let refused = |text: String| Plan::new(Recipe::parse(&text).unwrap()).unwrap_err().to_string();
    let error = refused(format!("semantics = \"reference\"\n{}", student("soft")));
    assert!(error.contains("several labels") && error.contains("clean"), "{error}");

    // The head of an encoder begins as a linear model for each label.
    let frozen = "student = { from = \"model\", path = \"PATH\", new-head = true, head = \"frozen\" }\n"
        .replace("PATH", &folder.join("teacher").display().to_string());
    let (plan, begun) = run(&recipe(folder, &(frozen + &stage("gold", "epochs = 1", "1e-12"))), &folder.join("frozen"));
    assert_eq!(plan.student().beginning, Beginning::FrozenHead);
    assert!(value(&begun, Metric::MicroF1) > 0.9, "{:?}", begun.scores);

    let both = teacher_with(folder, "").replace("multi-label", "regression = [0.0, 1.0], multi-label");
    assert!(refused(both).contains("`multi-label` or `regression`"), "a row has labels or a score");
    let nothing = teacher_with(folder, "").replace("multi-label = \";\"", "multi-label = \"\"");
    assert!(refused(nothing).contains("a separator"), "an empty separator separates nothing");
    let weights = teacher_with(folder, "class-weights = \"balanced\"");
    assert!(refused(weights).contains("rows with one class each"), "class weights weigh classes");
    // A teacher of several labels knows no classes, though it has as many outputs.
    let rows: String = (0..60).map(|row| format!("thing {row}\t{}\n", ["a", "b", "c"][row % 3])).collect();
    std::fs::write(folder.join("rows.tsv"), format!("text\tlabel\n{rows}")).unwrap();
    let error = refused(student("soft").replace("multi-label = \";\", ", ""));
    assert!(
        error.contains("a model of classes, 3 outputs")
            && error.contains("a model of several labels a text, 3 outputs"),
        "{error}"
    );
}

fn names_of(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn teacher_with(folder: &Path, key: &str) -> String {
    teacher(folder) + key + "\n"
}

#[test]
fn the_baseline_answers_each_label() {
    let folder = tempfile::tempdir().unwrap();
    rows(folder.path(), 200);
    let plan = Plan::new(Recipe::parse(&teacher(folder.path())).unwrap()).unwrap();
    let data = plan.labeled().unwrap();
    let model = NgramBaseline::train(&data.train, &Streams::new(1)).unwrap();
    let logits: Vec<Vec<f32>> = data.dev.examples.iter().map(|example| model.predict(example)).collect();
    let answers = Answers::from_logits(&logits, &data.dev.target);
    let value = Truth::of(&data.dev).unwrap().value(Metric::MicroF1, &answers).unwrap().unwrap();
    assert!(value > 0.95, "{value}");
}
