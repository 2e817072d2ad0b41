//! Runs over raw text: masked language modeling, and a teacher's states before it knows a task.

use std::path::{Path, PathBuf};

use attar_distill::plan::{Cost, Plan};
use attar_distill::recipe::Recipe;
use attar_distill::train::{Event, Observer, train};
use attar_distill::{Error, RunDirectory, export};
use attar_model::{Bundle, Head};
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use attar_text::tokenizer::{Tokenizer, TrainOptions, train_wordpiece};

use super::run;
use super::weight_schedule::Reports;

/// A folder with text in two files and a tokenizer.
fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rows = synthetic::generate(&Streams::new(1), 600, Split::Train).examples;
    for (name, part) in [("a.txt", &rows[..300]), ("b.txt", &rows[300..])] {
        // A document is ten commands.
        let documents =
            part.chunks(10).map(|rows| rows.iter().map(|row| format!("{}\n", row.text)).collect::<String>());
        std::fs::write(folder.path().join(name), documents.collect::<Vec<_>>().join("\n")).unwrap();
    }
    let tokenizer = train_wordpiece(rows.iter().map(|row| &row.text), TrainOptions::new(400)).unwrap();
    std::fs::create_dir(folder.path().join("tokenizer")).unwrap();
    tokenizer.save(&folder.path().join("tokenizer")).unwrap();
    folder
}

fn recipe(folder: &Path, rest: &str) -> String {
    let folder = folder.display();
    format!(
        r#"
        data = {{ kind = "corpus", files = ["{folder}/a.txt", "{folder}/b.txt"], max-tokens = 24, held-out = 20 }}
        energy = {{ source = "off" }}
        checkpoint = {{ every = 3 }}
        {}
        "#,
        rest.replace("FOLDER", &folder.to_string())
    )
}

const SHAPE: &str =
    r#"from = "shape", layers = 2, hidden = 16, heads = 2, feed-forward = 32, tokenizer = "FOLDER/tokenizer""#;

fn pretraining(folder: &Path, steps: usize) -> String {
    let stage = format!(
        r#"
        student = {{ {SHAPE} }}
        [[stage]]
        name = "guess"
        objective = [{{ kind = "masked-lm", whole-words = true }}]
        length = {{ steps = {steps} }}
        evaluate-every = 5
        batch-rows = 16
        rate = 0.01
        "#
    );
    recipe(folder, &stage)
}

/// Stops after so many updates and remembers what was said of held-out text.
#[derive(Default)]
struct Watch {
    stops_after: Option<usize>,
    done: usize,
    losses: Vec<f64>,
}

impl Observer for Watch {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Step(step) => self.done = step.step,
            Event::HeldOut { loss, .. } => self.losses.push(loss.loss),
            _ => {}
        }
    }

    fn stops(&mut self) -> bool {
        self.stops_after == Some(self.done)
    }
}

#[test]
fn an_encoder_learns_to_guess_pieces_and_resumes_to_the_bit() {
    let folder = workshop();
    let text = pretraining(folder.path(), 40);
    let plan = Plan::new(Recipe::parse(&text).unwrap()).unwrap();
    assert!(plan.labeled().is_none());
    assert_eq!(plan.student().config.head, Head::MaskedLm);
    // The head guesses a seventh of the tokens.
    let (rows, tokens) = plan.stages()[0].volume();
    let config = &plan.student().config;
    let each = |encoder: bool| {
        let flops = attar_model::flops(config, (tokens / rows) as usize);
        if encoder { flops.encoder() } else { flops.total() - flops.encoder() }
    };
    let expected = 3.0 * rows as f64 * (each(true) + 0.15 * each(false));
    let cost = Cost::of(&plan).flops();
    assert!((cost / expected - 1.0).abs() < 0.05, "{cost} and {expected}");
    let execute = |out: PathBuf, stops_after: Option<usize>| {
        let directory = RunDirectory::open(&out, &plan).unwrap();
        let mut first = Watch { stops_after, ..Watch::default() };
        match (train(&plan, &directory, &mut first), stops_after) {
            (Err(Error::Stopped { .. }), Some(_)) => {
                drop(directory);
                let directory = RunDirectory::open(&out, &plan).unwrap();
                let mut rest = Watch::default();
                let trained = train(&plan, &directory, &mut rest).unwrap();
                (export(&plan, &directory, trained).unwrap(), rest)
            }
            (trained, None) => (export(&plan, &directory, trained.unwrap()).unwrap(), first),
            (other, _) => panic!("{other:?}"),
        }
    };
    let (whole, watch) = execute(folder.path().join("whole"), None);
    let loss = whole.held_out.as_ref().unwrap();
    assert_eq!(loss.sequences, 20);
    assert_eq!(watch.losses.len(), 8);
    assert_eq!(watch.losses.last(), Some(&loss.loss), "the last weights are kept");
    assert!(watch.losses[0] > loss.loss + 0.5, "{:?}", watch.losses);
    assert!((loss.perplexity.unwrap() - loss.terms["masked-lm"].exp()).abs() < 1e-9);
    assert!(loss.perplexity.unwrap() < 200.0, "of 400 pieces: {loss:?}");

    let (resumed, rest) = execute(folder.path().join("resumed"), Some(17));
    assert_eq!(resumed.fingerprint, whole.fingerprint);
    assert_eq!(resumed.held_out, whole.held_out);
    assert_eq!(rest.losses, watch.losses[3..]);

    // What it leaves is a language model, and says what it is.
    let bundle = Bundle::read(&whole.student).unwrap();
    assert_eq!(bundle.config.head, Head::MaskedLm);
    let card = bundle.card.unwrap();
    for part in ["fill-mask", "Loss on held-out text", "perplexity", "a.txt and 1 more (391 sequences)"] {
        assert!(card.contains(part), "{part} is not in {card}");
    }
    // It is trained further with its head, and fine-tuned without.
    let more = text.replace(
        &SHAPE.replace("FOLDER", &folder.path().display().to_string()),
        &format!(r#"from = "model", path = "{}""#, whole.student.display()),
    );
    let further = Plan::new(Recipe::parse(&more).unwrap()).unwrap();
    assert_eq!(further.student().weights, bundle.weights);
}

#[test]
fn a_teacher_that_knows_no_task_teaches_its_states() {
    let folder = workshop();
    let (_, teacher) = run(&pretraining(folder.path(), 40), &folder.path().join("teacher"));
    let general = |student: &str, vocabulary: &str| {
        let stage = format!(
            r#"
            teacher = {{ path = "{}" }}
            student = {{ {student}{vocabulary} }}
            [[stage]]
            name = "general"
            objective = [{{ kind = "embedding" }}, {{ kind = "hidden" }}, {{ kind = "attention" }}]
            projection = "shared"
            length = {{ steps = 60 }}
            evaluate-every = 20
            batch-rows = 16
            rate = 0.01
            "#,
            teacher.student.display()
        );
        recipe(folder.path(), &stage)
    };
    let shape = r#"from = "shape", layers = 1, hidden = 8, heads = 2, feed-forward = 16"#;
    let pruned = r#"from = "teacher", layers = [2], hidden = 8, heads = 2, feed-forward = 16"#;
    let mut begun = Vec::new();
    for (index, (student, vocabulary)) in [(shape, ""), (pruned, ""), (shape, ", vocabulary = 150")].iter().enumerate()
    {
        let plan = Plan::new(Recipe::parse(&general(student, vocabulary)).unwrap()).unwrap();
        assert_eq!(plan.student().config.head, Head::None);
        let directory = RunDirectory::open(&folder.path().join(format!("student-{index}")), &plan).unwrap();
        let mut watch = Watch::default();
        let trained = train(&plan, &directory, &mut watch).unwrap();
        let exported = export(&plan, &directory, trained).unwrap();
        assert!(watch.losses[0] > exported.held_out.as_ref().unwrap().loss, "{:?}", watch.losses);
        assert_eq!(exported.held_out.unwrap().terms.len(), 3);
        begun.push(watch.losses[0]);
        let bundle = Bundle::read(&exported.student).unwrap();
        assert!(bundle.card.unwrap().contains("attar embed"));
        let pieces = Tokenizer::from_dir(&exported.student).unwrap().vocabulary_size();
        assert_eq!(pieces, if vocabulary.is_empty() { plan.tokenizer().vocabulary_size() } else { 150 });
    }
    assert!(begun[1] < begun[0], "what is cut out of the teacher begins nearer to it: {begun:?}");
}

#[test]
fn weights_are_compared_across_vocabularies() {
    let folder = workshop();
    let (_, teacher) = run(&pretraining(folder.path(), 30), &folder.path().join("teacher"));
    let rows = synthetic::generate(&Streams::new(1), 600, Split::Train).examples;
    let pieces = folder.path().join("pieces");
    std::fs::create_dir(&pieces).unwrap();
    train_wordpiece(rows.iter().map(|row| &row.text), TrainOptions::new(120)).unwrap().save(&pieces).unwrap();
    let text = |layers: usize, map: &str| {
        let stage = format!(
            r#"
            teacher = {{ path = "{}" }}
            student = {{ from = "shape", layers = {layers}, hidden = 8, heads = 2, feed-forward = 16, tokenizer = "{}" }}
            [[stage]]
            name = "weights"
            objective = [
              {{ kind = "masked-lm" }},
              {{ kind = "shared-projection"{map} }},
              {{ kind = "shared-projection", direction = "up", vectors = false{map} }},
            ]
            length = {{ steps = 60 }}
            evaluate-every = 20
            batch-rows = 16
            rate = 0.01
            "#,
            teacher.student.display(),
            pieces.display()
        );
        recipe(folder.path(), &stage)
    };
    let plan = Plan::new(Recipe::parse(&text(2, "")).unwrap()).unwrap();
    assert_eq!(Cost::of(&plan).stages[0].teacher_flops, 0.0, "the teacher reads no text");
    let directory = RunDirectory::open(&folder.path().join("student"), &plan).unwrap();
    let mut watch = Watch::default();
    let trained = train(&plan, &directory, &mut watch).unwrap();
    let exported = export(&plan, &directory, trained).unwrap();
    assert!(watch.losses[0] > exported.held_out.unwrap().loss + 0.1, "{:?}", watch.losses);
    let bundle = Bundle::read(&exported.student).unwrap();
    assert!(bundle.weights.iter().all(|(name, _)| !name.contains("projection")), "projections are not shipped");
    assert!(bundle.card.unwrap().contains("distilled"));
    // Weights do not depend on the text: however many micro-batches an update has, they are compared once.
    let weights_alone = |accumulate: usize| {
        let text = text(2, "").replace("{ kind = \"masked-lm\" },", "").replace("steps = 60", "steps = 4");
        let text = text.replace("rate = 0.01", &format!("rate = 0.01\n            accumulate = {accumulate}"));
        let plan = Plan::new(Recipe::parse(&text).unwrap()).unwrap();
        let directory = RunDirectory::open(&folder.path().join(format!("weights-{accumulate}")), &plan).unwrap();
        let mut steps = Reports::default();
        train(&plan, &directory, &mut steps).unwrap();
        steps.0
    };
    let (one, five) = (weights_alone(1), weights_alone(5));
    for (a, b) in one.iter().zip(&five) {
        assert!((a.loss - b.loss).abs() < 1e-5 * a.loss && (a.norm - b.norm).abs() < 1e-4 * a.norm, "{a:?} {b:?}");
        assert!((a.terms["shared-projection"] - b.terms["shared-projection"]).abs() < 1e-5 * a.loss, "{a:?} {b:?}");
    }
    assert_eq!(five.len(), 4);
    // The loss on held-out text has every term, whatever the last micro-batch left out.
    let several = text(2, "")
        .replace("steps = 60", "steps = 4")
        .replace("rate = 0.01", "rate = 0.01\n            accumulate = 3");
    let (_, exported) = run(&several, &folder.path().join("several"));
    let held_out = exported.held_out.unwrap();
    assert!(held_out.loss.is_finite() && held_out.terms.values().all(|term| *term > 0.0), "{held_out:?}");
    assert_eq!(held_out.terms.len(), 2);
    let refused = |text: String| Plan::new(Recipe::parse(&text).unwrap()).unwrap_err().to_string();
    assert!(refused(text(1, "")).contains("name the pairs"), "{}", refused(text(1, "")));
    Plan::new(Recipe::parse(&text(1, r#", map = "top""#)).unwrap()).unwrap();
    assert!(refused(text(2, "").replace("hidden = 8", "hidden = 24")).contains("at most 16"));
}

#[test]
fn a_second_vocabulary_is_learned_beside_the_first() {
    let folder = workshop();
    let (_, first) = run(&pretraining(folder.path(), 60), &folder.path().join("first"));
    let rows = synthetic::generate(&Streams::new(1), 600, Split::Train).examples;
    let pieces = folder.path().join("pieces");
    std::fs::create_dir(&pieces).unwrap();
    let second = train_wordpiece(rows.iter().map(|row| &row.text), TrainOptions::new(150)).unwrap();
    second.save(&pieces).unwrap();
    let mix =
        format!(r#"held-out = 20, mix = {{ tokenizer = "{}", share = 0.3, last-share = 0.9 }}"#, pieces.display());
    let model = format!(r#"from = "model", path = "{}""#, first.student.display());
    let shape = SHAPE.replace("FOLDER", &folder.path().display().to_string());
    let text = pretraining(folder.path(), 40).replace("held-out = 20", &mix).replace(&shape, &model);
    let plan = Plan::new(Recipe::parse(&text).unwrap()).unwrap();
    let directory = RunDirectory::open(&folder.path().join("mixed"), &plan).unwrap();
    let mut watch = Watch { stops_after: Some(22), ..Watch::default() };
    assert!(matches!(train(&plan, &directory, &mut watch), Err(Error::Stopped { .. })));
    drop(directory);
    let directory = RunDirectory::open(&folder.path().join("mixed"), &plan).unwrap();
    let mut rest = Watch::default();
    let trained = train(&plan, &directory, &mut rest).unwrap();
    let exported = export(&plan, &directory, trained).unwrap();
    let loss = exported.held_out.unwrap();
    assert!(watch.losses[0] > loss.loss + 0.1, "{:?} then {:?}", watch.losses, rest.losses);
    // What comes out reads the second vocabulary alone.
    let bundle = Bundle::read(&exported.student).unwrap();
    assert_eq!((bundle.config.vocabulary, bundle.config.head.clone()), (second.vocabulary_size(), Head::MaskedLm));
    assert_eq!(exported.parameters, attar_model::Size::of(&bundle.config).parameters());
    let written = Tokenizer::from_dir(&exported.student).unwrap();
    assert_eq!(
        (0..150).map(|id| written.token(id)).collect::<Vec<_>>(),
        (0..150).map(|id| second.token(id)).collect::<Vec<_>>()
    );
    // A run that was never stopped ends in the same bytes.
    let whole = RunDirectory::open(&folder.path().join("whole"), &plan).unwrap();
    let trained = train(&plan, &whole, &mut Watch::default()).unwrap();
    assert_eq!(export(&plan, &whole, trained).unwrap().fingerprint, exported.fingerprint);

    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Plan::new(Recipe::parse(&text.replace(from, to)).unwrap()).unwrap_err().to_string()
    };
    assert!(refused(&model, &shape).contains("knows one vocabulary"));
    assert!(refused("share = 0.3", "share = 1.3").contains("from 0 to 1"));
    assert!(refused("max-tokens = 24", "max-tokens = 6").contains("at least 8"));
}

#[test]
fn narrow_embeddings_are_learned_inside_a_model_and_begin_a_student() {
    let folder = workshop();
    let (_, first) = run(&pretraining(folder.path(), 60), &folder.path().join("first"));
    let rows = synthetic::generate(&Streams::new(1), 600, Split::Train).examples;
    let pieces = folder.path().join("pieces");
    std::fs::create_dir(&pieces).unwrap();
    train_wordpiece(rows.iter().map(|row| &row.text), TrainOptions::new(150)).unwrap().save(&pieces).unwrap();
    let mix = |width: usize| {
        format!(r#"held-out = 20, mix = {{ tokenizer = "{}", share = 0.5, width = {width} }}"#, pieces.display())
    };
    let model = format!(r#"from = "model", path = "{}""#, first.student.display());
    let shape = SHAPE.replace("FOLDER", &folder.path().display().to_string());
    let text = |width| pretraining(folder.path(), 40).replace("held-out = 20", &mix(width)).replace(&shape, &model);
    // Broken off and resumed.
    let plan = Plan::new(Recipe::parse(&text(6)).unwrap()).unwrap();
    let mixed = folder.path().join("mixed");
    let directory = RunDirectory::open(&mixed, &plan).unwrap();
    let mut watch = Watch { stops_after: Some(22), ..Watch::default() };
    assert!(matches!(train(&plan, &directory, &mut watch), Err(Error::Stopped { .. })));
    let trained = train(&plan, &directory, &mut Watch::default()).unwrap();
    let exported = export(&plan, &directory, trained).unwrap();
    assert!(watch.losses[0] > exported.held_out.as_ref().unwrap().loss + 0.1, "{:?}", watch.losses);
    let (_, whole) = run(&text(6), &folder.path().join("whole"));
    assert_eq!(whole.fingerprint, exported.fingerprint);

    // The model is an ordinary one of its own width. Its rows are lifted ones: with `W e + b` for each, differences of rows span six
    // dimensions, those of special tokens aside.
    let bundle = Bundle::read(&exported.student).unwrap();
    let narrow = Bundle::read_narrow_embeddings(&exported.student).unwrap().unwrap();
    let (pieces_count, hidden) = (bundle.config.vocabulary, bundle.config.hidden);
    assert_eq!(narrow.shape, [pieces_count, 6]);
    let table = &bundle.weights.get("embeddings.word_embeddings.weight").unwrap().data;
    let special = 5;
    let difference = |row: usize, column: usize| {
        f64::from(table[(special + 1 + row) * hidden + column]) - f64::from(table[special * hidden + column])
    };
    let differences = nalgebra::DMatrix::from_fn(pieces_count - special - 1, hidden, difference);
    let values = differences.singular_values();
    assert!(values[5] > 1e-2 * values[0] && values[6] < 1e-5 * values[0], "{values:?}");

    // A student of that width begins with them.
    let own = format!(
        r#"from = "shape", layers = 1, hidden = 6, heads = 2, feed-forward = 12, tokenizer = "{}", embeddings = "{}""#,
        pieces.display(),
        mixed.display()
    );
    let alone = |own: &str| pretraining(folder.path(), 1).replace(&shape, own).replace("rate = 0.01", "rate = 1e-9");
    let (_, student) = run(&alone(&own), &folder.path().join("student"));
    let begun = Bundle::read(&student.student).unwrap();
    let own_rows = &begun.weights.get("embeddings.word_embeddings.weight").unwrap().data;
    assert!(own_rows.iter().zip(&narrow.data).all(|(a, b)| (a - b).abs() < 1e-6));

    let refused = |text: String| Plan::new(Recipe::parse(&text).unwrap()).unwrap_err().to_string();
    assert!(refused(text(99)).contains("from 1 to"), "{}", refused(text(99)));
    let wide = own.replace("hidden = 6", "hidden = 8");
    assert!(refused(alone(&wide)).contains("give the student that width"), "{}", refused(alone(&wide)));
    let without = own.replace(&mixed.display().to_string(), &first.student.display().to_string());
    assert!(refused(alone(&without)).contains("--second-width"), "{}", refused(alone(&without)));
}

#[test]
fn what_raw_text_cannot_give_is_refused() {
    let folder = workshop();
    let guess = pretraining(folder.path(), 4);
    let refused = |text: &str| Plan::new(Recipe::parse(text).unwrap()).unwrap_err().to_string();
    let with = |from: &str, to: &str| {
        assert!(guess.contains(from), "{from}");
        refused(&guess.replace(from, to))
    };
    for (from, to, expected) in [
        ("held-out = 20", "held-out = 2000", "lower `held-out`"),
        ("max-tokens = 24", "max-tokens = 2", "`max-tokens` from 3"),
        ("b.txt", "c.txt", "c.txt"),
        (r#"{ kind = "masked-lm", whole-words = true }"#, r#"{ kind = "gold" }"#, "raw text"),
        (r#"{ kind = "masked-lm", whole-words = true }"#, r#"{ kind = "hidden" }"#, "a teacher"),
        ("whole-words = true", "share = 1.5", "below 1"),
    ] {
        let error = with(from, to);
        assert!(error.contains(expected), "expected {expected:?} in {error:?}");
    }
    // Labeled rows have other objectives.
    let corpus = guess.lines().find(|line| line.contains("\"corpus\"")).unwrap();
    let error = refused(&guess.replace(corpus, r#"data = { kind = "embedded", rows = 40 }"#));
    assert!(error.contains("raw text") && error.contains("corpus"), "{error}");
    std::fs::write(folder.path().join("b.txt"), "\n\n").unwrap();
    std::fs::write(folder.path().join("a.txt"), "").unwrap();
    assert!(refused(&guess).contains("blank lines alone"));
}
