//! Questions whose answers are parts of a context: teachers, students, long contexts and questions without an answer.

use std::fmt::Write;
use std::path::Path;

use attar_distill::bundle;
use attar_distill::plan::{Inputs, Model, Plan};
use attar_distill::recipe::Recipe;
use attar_distill::score::Answers;
use attar_distill::train::train_in_memory;
use attar_model::{Bundle, Head};
use attar_runtime::{Options, Precision, Session};
use attar_text::labeled::{Dataset, Example, Label, Target, read_answers};
use attar_text::metrics::Metric;
use attar_text::tokenizer::{TrainOptions, train_wordpiece};
use serde_json::json;

use crate::{new_student, run, value};

const PLACES: [&str; 4] = ["Rome", "New York", "Oslo", "San José"];
const TIMES: [&str; 4] = ["in May", "at noon", "on Monday", "at two"];
const FILLER: [&str; 3] = ["and it was good", "as you know", "so they say"];

/// A context with a place and a time, or one of them alone, among so many other clauses.
fn context(number: usize, fillers: usize, place: Option<&str>, time: Option<&str>) -> String {
    let mut text = String::new();
    for filler in 0..fillers {
        if filler == number % fillers {
            text += "we met";
            place.iter().for_each(|place| write!(text, " near {place}").unwrap());
            time.iter().for_each(|time| write!(text, " {time}").unwrap());
            text += " ";
        }
        write!(text, "{} ", FILLER[(number + filler) % FILLER.len()]).unwrap();
    }
    text.trim_end().to_owned()
}

/// Questions for a place and for a time; of every fourth context the time is missing, where some have no answer.
fn questions(count: usize, fillers: usize, has_unanswerable: bool) -> Dataset {
    let mut examples = Vec::new();
    for number in 0..count {
        let (place, time) = (PLACES[number % 4], TIMES[number / 4 % 4]);
        let is_missing = has_unanswerable && number % 4 == 3;
        let context = context(number, fillers, Some(place), (!is_missing).then_some(time));
        for (question, answer) in [("where did we meet ?", Some(place)), ("when ?", (!is_missing).then_some(time))] {
            let range = answer.map(|answer| {
                let start = context.find(answer).unwrap();
                start..start + answer.len()
            });
            let label = Label::Answers(range.into_iter().collect());
            examples.push(Example { text: question.into(), pair: Some(context.clone()), label });
        }
    }
    Dataset::in_memory("met", Target::Answers { has_unanswerable }, examples)
}

/// The same questions as JSON lines, and a tokenizer that cuts some places into pieces.
fn prepare(folder: &Path, data: &Dataset) {
    let mut lines = String::new();
    for example in &data.examples {
        let (context, Label::Answers(ranges)) = (example.pair.as_ref().unwrap(), &example.label) else { panic!() };
        let texts: Vec<&str> = ranges.iter().map(|range| &context[range.clone()]).collect();
        let starts: Vec<usize> = ranges.iter().map(|range| context[..range.start].chars().count()).collect();
        let answers = json!({ "text": texts, "answer_start": starts });
        writeln!(lines, "{}", json!({ "question": example.text, "context": context, "answers": answers })).unwrap();
    }
    std::fs::write(folder.join("rows.jsonl"), lines).unwrap();
    let tokenizer = folder.join("tokenizer");
    std::fs::create_dir(&tokenizer).unwrap();
    train_wordpiece(words(), TrainOptions::new(110)).unwrap().save(&tokenizer).unwrap();
}

fn words() -> Vec<String> {
    let all = [&["where did we meet ? when near"][..], &PLACES, &TIMES, &FILLER].concat();
    vec![all.join(" "); 3]
}

fn recipe(folder: &Path, max_tokens: usize, rest: &str) -> String {
    format!(
        "data = {{ kind = \"answers\", train = \"{}\", dev-share = 0.25, max-tokens = {max_tokens} }}\n\
         energy = {{ source = \"off\" }}\n{rest}",
        folder.join("rows.jsonl").display()
    )
}

fn student(folder: &Path) -> String {
    new_student(folder, 2, 4)
}

fn stage(objectives: &str, epochs: usize) -> String {
    format!(
        "[[stage]]\nname = \"all\"\nlength = {{ epochs = {epochs} }}\nrate = 3e-3\nbatch-rows = 16\n\
         objective = [{objectives}]\n"
    )
}

const GOLD: &str = "{ kind = \"gold\" }";
const SOFT: &str = "{ kind = \"hidden\" }, { kind = \"soft\", temperature = 2.0 }";

#[test]
fn a_student_learns_a_teachers_answers() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, &questions(160, 2, false));
    let (plan, taught) = run(&recipe(folder, 48, &(student(folder) + &stage(GOLD, 12))), &folder.join("teacher"));
    assert_eq!(plan.labeled().unwrap().metrics, [Metric::AnswerF1, Metric::ExactMatch]);
    assert_eq!(plan.training_rows(), plan.labeled().unwrap().train.len());
    assert!(value(&taught, Metric::ExactMatch) > 0.9, "{:?}", taught.scores);
    let interval = taught.scores.as_ref().unwrap().student[0].interval.unwrap();
    assert!(interval.low <= interval.high && interval.high <= 1.0);
    let bundle = Bundle::read(&folder.join("teacher/student")).unwrap();
    assert_eq!(bundle.config.head, Head::QuestionAnswering);

    // The inference engine, which finds windows and spans by itself, says what the run said of its student.
    let mut session = Session::load(&folder.join("teacher/student"), &Options::new(Precision::F32, 1)).unwrap();
    let dev = &plan.labeled().unwrap().dev;
    let asked: Vec<(&str, &str)> = dev.examples.iter().map(|e| (e.text.as_str(), e.pair.as_deref().unwrap())).collect();
    let answers = Answers::of_spans(&session.answer(&asked, |_| ()).unwrap(), dev);
    let truth = attar_distill::score::Truth::of(dev).unwrap();
    for metric in [Metric::AnswerF1, Metric::ExactMatch] {
        assert_eq!(truth.value(metric, &answers).unwrap(), Some(value(&taught, metric)));
    }

    let soft = |cache: usize| {
        let path = folder.join("teacher");
        let rest = format!("teacher = {{ path = \"{}\", trace-cache = {cache} }}\n", path.display());
        let narrow = student(folder).replace("layers = 2", "layers = 1");
        recipe(folder, 48, &(rest + &narrow + &stage(SOFT, 12)))
    };
    let (_, learned) = run(&soft(0), &folder.join("student"));
    let of_teacher = learned.scores.as_ref().unwrap().teacher.as_ref().unwrap();
    assert_eq!(of_teacher.scores[0].value, taught.scores.as_ref().unwrap().student[0].value);
    assert!(of_teacher.agreement.value.unwrap() > 0.85, "{:?}", learned.scores);
    // Logits of tokens are kept exactly; with states they are not read apart.
    let only = soft(1_000_000).replace("{ kind = \"hidden\" }, ", "");
    let (_, cached) = run(&only, &folder.join("cached"));
    let (_, fresh) = run(&only.replace("trace-cache = 1000000", "trace-cache = 0"), &folder.join("fresh"));
    assert_eq!(cached.fingerprint, fresh.fingerprint);
    // Cut out of its teacher, a student answers as it does before it has learned anything.
    for (shape, agreement) in [("layers = [1, 2]", 1.0), ("layers = [1, 2], feed-forward = 48", 0.8)] {
        let teacher = format!("teacher = {{ path = \"{}\" }}\n", folder.join("teacher").display());
        let student = format!("student = {{ from = \"teacher\", {shape} }}\n");
        let text = recipe(folder, 48, &(teacher + &student + &stage("{ kind = \"soft\" }", 1)));
        let text = text.replace("epochs = 1", "steps = 1").replace("3e-3", "1e-9");
        let (_, cut) = run(&text, &folder.join(format!("cut{}", shape.len())));
        let teacher = cut.scores.as_ref().unwrap().teacher.as_ref().unwrap();
        assert!(teacher.agreement.value.unwrap() >= agreement, "{shape}: {:?}", teacher.agreement);
    }
}

#[test]
fn long_contexts_are_read_in_windows_and_questions_may_have_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let data = questions(160, 6, true);
    prepare(folder, &data);
    // Read from the file the questions are those in memory.
    assert_eq!(read_answers(&folder.join("rows.jsonl")).unwrap().examples, data.examples);
    let (plan, taught) = run(&recipe(folder, 32, &(student(folder) + &stage(GOLD, 12))), &folder.join("teacher"));
    let train = &plan.labeled().unwrap().train;
    assert_eq!(train.target, Target::Answers { has_unanswerable: true });
    assert!(plan.training_rows() > train.len(), "{} {}", plan.training_rows(), train.len());
    let note = format!("{} questions are read in {} windows", train.len(), plan.training_rows());
    assert!(plan.notes().iter().any(|found| found.starts_with(&note)), "{:?}", plan.notes());
    assert!(value(&taught, Metric::ExactMatch) > 0.85, "{:?}", taught.scores);
    // Questions about one context are on one side.
    let dev = &plan.labeled().unwrap().dev;
    let contexts: Vec<&str> = train.examples.iter().filter_map(|example| example.pair.as_deref()).collect();
    assert!(dev.examples.iter().all(|example| !contexts.contains(&example.pair.as_deref().unwrap())));

    // It reads windows of the run's own length.
    let mut session = Session::load(&folder.join("teacher/student"), &Options::new(Precision::F32, 2)).unwrap();
    let asked: Vec<(&str, &str)> = dev.examples.iter().map(|e| (e.text.as_str(), e.pair.as_deref().unwrap())).collect();
    let answers = Answers::of_spans(&session.answer(&asked, |_| ()).unwrap(), dev);
    let truth = attar_distill::score::Truth::of(dev).unwrap();
    assert_eq!(truth.value(Metric::AnswerF1, &answers).unwrap(), Some(value(&taught, Metric::AnswerF1)));
}

#[test]
fn questions_in_memory_become_a_bundle() {
    let text = format!(
        "data = {{ kind = \"memory\", max-tokens = 48, dev-share = 0.25 }}\nenergy = {{ source = \"modeled\" }}\n\
         student = {{ from = \"shape\", layers = 2, hidden = 32, heads = 4, feed-forward = 64 }}\n{}",
        stage(GOLD, 2)
    );
    let tokenizer = train_wordpiece(words(), TrainOptions::new(110)).unwrap();
    let inputs = |train| Inputs { train: Some(train), tokenizer: Some(tokenizer.clone()), ..Inputs::default() };
    let plan = Plan::with(Recipe::parse(&text).unwrap(), inputs(questions(40, 2, true))).unwrap();
    let student = train_in_memory(&plan, &mut ()).unwrap();
    let student = bundle(&plan, "mine", &student).unwrap();
    let card = student.card.as_ref().unwrap();
    for said in ["question-answering", "or to say that there is none", "overlapping windows", "--pair"] {
        assert!(card.contains(said), "{said}: {card}");
    }
    // It keeps the head that it has.
    let more =
        text.replace("from = \"shape\", layers = 2, hidden = 32, heads = 4, feed-forward = 64", "from = \"model\"");
    let base = Model { name: "mine".into(), bundle: student.clone(), tokenizer: tokenizer.clone() };
    let given = Inputs { train: Some(questions(40, 2, true)), student: Some(base), ..Inputs::default() };
    assert_eq!(Plan::with(Recipe::parse(&more).unwrap(), given).unwrap().student().weights, student.weights);

    // Questions to score by that all have an answer are of the same kind.
    let given = Inputs { dev: Some(questions(8, 2, false)), ..inputs(questions(40, 2, true)) };
    let both = Plan::with(Recipe::parse(&text).unwrap(), given).unwrap();
    assert_eq!(both.labeled().unwrap().dev.target, Target::Answers { has_unanswerable: true });

    // Questions to score by have answers; without them the run would end without a score.
    let mut unknown = questions(8, 2, true);
    unknown.examples[5].label = Label::Absent;
    let given = Inputs { dev: Some(unknown), ..inputs(questions(40, 2, true)) };
    let error = Plan::with(Recipe::parse(&text).unwrap(), given).unwrap_err().to_string();
    assert!(error.contains("1 of 16 without a label") && error.contains("--unlabeled"), "{error}");

    let mut wrong = questions(40, 2, false);
    wrong.examples[3].label = Label::Answers(std::iter::once(3..4000).collect());
    let error = Plan::with(Recipe::parse(&text).unwrap(), inputs(wrong)).unwrap_err().to_string();
    assert!(error.contains("row ") && error.contains("3..4000"), "{error}");
}

#[test]
fn what_questions_cannot_do_is_refused_by_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, &questions(40, 2, false));
    let refused = |text: String| Plan::new(Recipe::parse(&text).unwrap()).unwrap_err().to_string();
    let gold = recipe(folder, 48, &(student(folder) + &stage(GOLD, 1)));
    let error = refused(format!("semantics = \"reference\"\n{gold}"));
    assert!(error.contains("answers are parts of a context") && error.contains("clean"), "{error}");
    let error = refused(recipe(folder, 48, &(student(folder) + &stage("{ kind = \"contrast\" }", 1))));
    assert!(error.contains("rows with one class each"), "{error}");
    let error = refused(gold.replace("rate = 3e-3", "rate = 3e-3\nclass-weights = \"balanced\""));
    assert!(error.contains("rows with one class each"), "{error}");
    let error = refused(gold.replace("max-tokens = 48", "metric = \"accuracy\""));
    assert!(error.contains("use answer_f1 or exact_match"), "{error}");
    // The question leaves no room for a window of its context.
    let error = refused(gold.replace("max-tokens = 48", "max-tokens = 8"));
    assert!(error.contains("row 1: windows of 8 tokens with 2 of overlap"), "{error}");
    // Questions to score by have answers; this would show only after the run otherwise.
    std::fs::write(folder.join("dev.jsonl"), r#"{"question": "where?", "context": "in Rome"}"#).unwrap();
    let dev = format!("dev = \"{}\"", folder.join("dev.jsonl").display());
    let error = refused(gold.replace("dev-share = 0.25", &dev));
    assert!(error.contains("1 of 1 without a label") && error.contains("--unlabeled"), "{error}");
    std::fs::write(
        folder.join("rows.jsonl"),
        r#"{"question": "where?", "context": "in Rome", "answers": {"text": ["Rome"], "answer_start": [4]}}"#,
    )
    .unwrap();
    let error = refused(gold);
    assert!(
        error.contains("rows.jsonl") && error.contains("at character 4") && error.contains("stands at 3"),
        "{error}"
    );
}

#[test]
fn pieces_of_another_vocabulary_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, &questions(40, 2, false));
    run(&recipe(folder, 48, &(student(folder) + &stage(GOLD, 1))), &folder.join("teacher"));
    let other = folder.join("other");
    std::fs::create_dir(&other).unwrap();
    let others = words().into_iter().chain(vec!["zebras quickly vex".to_owned(); 3]);
    train_wordpiece(others, TrainOptions::new(140)).unwrap().save(&other).unwrap();
    let teacher = format!("teacher = {{ path = \"{}\" }}\n", folder.join("teacher").display());
    let student = student(folder).replace("tokenizer\" }", "other\" }");
    let text = recipe(folder, 48, &(teacher + &student + &stage(SOFT, 1)));
    let error = Plan::new(Recipe::parse(&text).unwrap()).unwrap_err().to_string();
    assert!(
        error.contains("which has other pieces than its teacher") && error.contains("parts of a context"),
        "{error}"
    );
}
