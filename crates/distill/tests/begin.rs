//! What a student is before its first update, and what becomes of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use attar_distill::plan::{Beginning, Plan};
use attar_distill::recipe::Recipe;
use attar_distill::train::{Event, Observer, train};
use attar_distill::{RunDirectory, export};
use attar_model::atomic::WriteMode;
use attar_model::{Bundle, ClassifierInput, EncoderConfig, Family, Pooling, PoolingMode, Weights};
use attar_runtime::{Options, Precision, Session};
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use attar_text::tokenizer::{TrainOptions, train_wordpiece};

/// A random sentence encoder whose files say that its vectors are means.
fn encoder(folder: &Path) {
    let streams = Streams::new(1);
    let rows = synthetic::generate(&streams, 400, Split::Train);
    let tokenizer = train_wordpiece(rows.examples.iter().map(|e| &e.text), TrainOptions::new(600)).unwrap();
    let config = EncoderConfig {
        layers: 2,
        hidden: 48,
        heads: 4,
        feed_forward: 96,
        vocabulary: tokenizer.vocabulary_size(),
        positions: 40,
        pooler: false,
        initializer_range: 0.1,
        pad_id: tokenizer.pad_id().unwrap(),
        ..EncoderConfig::bert_base()
    };
    let weights = attar_distill::plan::initialize_missing(&config, Weights::new(), &streams);
    let pooling = Some(Pooling { mode: PoolingMode::Mean, normalize: true });
    let tokenizer_files = attar_distill::tokenizer_files(&tokenizer, 40).unwrap();
    let bundle = Bundle { pooling, tokenizer_files, ..Bundle::new(config, weights) };
    bundle.write(folder, WriteMode::New).unwrap();
}

#[derive(Default)]
struct Scores(Vec<(usize, f64)>);

impl Observer for Scores {
    fn event(&mut self, event: &Event) {
        if let Event::Evaluated { step, score, .. } = event {
            self.0.push((*step, score.value.unwrap()));
        }
    }
}

fn run(recipe: &str, out: &Path) -> (Plan, Scores) {
    let plan = Plan::new(Recipe::parse(recipe).unwrap()).unwrap();
    let directory = RunDirectory::open(out, &plan).unwrap();
    let mut scores = Scores::default();
    let trained = train(&plan, &directory, &mut scores).unwrap();
    export(&plan, &directory, trained).unwrap();
    (plan, scores)
}

fn finetune(encoder: &Path, head: &str, rate: &str) -> String {
    format!(
        r#"
        data = {{ kind = "embedded", rows = 300, dev-rows = 150, max-tokens = 24 }}
        student = {{ from = "model", path = "{}", head = "{head}" }}
        energy = {{ source = "off" }}
        [[stage]]
        name = "finetune"
        length = {{ epochs = 2 }}
        rate = {rate}
        objective = [{{ kind = "gold" }}]
        "#,
        encoder.display()
    )
}

#[test]
fn a_head_begins_as_the_linear_model_over_the_frozen_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    encoder(&path("encoder"));
    let (plan, scores) = run(&finetune(&path("encoder"), "frozen", "1e-12"), &path("frozen"));
    assert_eq!(plan.student().beginning, Beginning::FrozenHead);
    assert_eq!(plan.student().config.classifier_input, ClassifierInput::Mean);
    // Scored before any update, and left as it was by a rate of nothing.
    assert_eq!(scores.0[0].0, 0);
    assert_eq!(scores.0[0].1, scores.0.last().unwrap().1);
    let (_, random) = run(&finetune(&path("encoder"), "random", "1e-12"), &path("random"));
    // Chance is a tenth or so of the synthetic set's classes.
    assert!(scores.0[0].1 > random.0.last().unwrap().1 + 0.2, "{:?} against {:?}", scores.0, random.0);

    // A rate that ruins everything ends with the head that it began with, and so does the bundle.
    let (_, ruined) = run(&finetune(&path("encoder"), "frozen", "0.3"), &path("ruined"));
    let worst = ruined.0.last().unwrap().1;
    assert!(worst < ruined.0[0].1, "{:?}", ruined.0);
    let [kept, begun] = ["ruined", "frozen"].map(|name| Bundle::read(&path(name).join("student")).unwrap());
    assert_eq!(kept.pooling, Some(Pooling { mode: PoolingMode::Mean, normalize: false }));
    assert_eq!(kept.config.head, begun.config.head);
}

/// The recipe of a student of one layer of this teacher.
fn distillation(teacher: &Path, student: &str, objective: &str) -> String {
    format!(
        r#"
        data = {{ kind = "embedded", rows = 300, dev-rows = 150, max-tokens = 24 }}
        teacher = {{ path = "{}" }}
        student = {{ {student} }}
        more = {{ noisy-copies = 2 }}
        energy = {{ source = "off" }}
        [[stage]]
        name = "states"
        length = {{ steps = 30 }}
        rate = 1e-3
        objective = [{objective}, {{ kind = "soft" }}]
        "#,
        teacher.display()
    )
}

#[test]
fn a_student_is_cut_out_of_its_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    encoder(&path("encoder"));
    run(&finetune(&path("encoder"), "frozen", "1e-3"), &path("teacher"));
    let student =
        |from: &str, objective: &str| distillation(&path("teacher"), &format!("from = \"teacher\", {from}"), objective);
    let hidden = "{ kind = \"hidden\", map = [[1, 2]] }";
    for (name, from, shape) in [
        ("layers", "layers = [2]", (48, 4, 96)),
        ("units", "layers = [2], feed-forward = 40, vocabulary = 300", (48, 4, 40)),
        ("narrow", "layers = [2], hidden = 24, heads = 2, feed-forward = 40, vocabulary = 300", (24, 2, 40)),
    ] {
        let (plan, scores) = run(&student(from, hidden), &path(name));
        let config = &plan.student().config;
        assert_eq!((config.hidden, config.heads, config.feed_forward, config.layers), (shape.0, shape.1, shape.2, 1));
        assert!(plan.training_rows() > 600, "noisy copies are learned from: {}", plan.training_rows());
        if name != "layers" {
            assert_eq!(config.vocabulary, plan.tokenizer().vocabulary_size());
            assert!(config.vocabulary <= 300 && plan.teacher_ids().unwrap().len() == config.vocabulary);
        }
        // Cut out of a teacher that knows the classes, it knows many of them after a few updates.
        let most = *plan.labeled().unwrap().dev.class_counts().iter().max().unwrap() as f64
            / plan.labeled().unwrap().dev.len() as f64;
        assert!(scores.0.last().unwrap().1 > most + 0.1, "{name}: {:?}, the largest class has {most}", scores.0);
        let mut session = Session::load(&path(name).join("student"), &Options::all_threads(Precision::F32)).unwrap();
        assert_eq!(session.config().classifier_input, ClassifierInput::Mean);
        assert_eq!(session.logits(&[("turn on the lights", None)], |_| ()).unwrap()[0].len(), config.outputs());
    }
    for (from, problem) in [
        ("layers = [3]", "from 1 to 2"),
        ("layers = [2, 1]", "rising order"),
        ("layers = [1], feed-forward = 200", "at most 96"),
        ("layers = [1], heads = 2", "4 heads"),
        ("layers = [1], hidden = 30", "set the hidden width to 28 or 32"),
    ] {
        let error = Plan::new(Recipe::parse(&student(from, hidden)).unwrap()).unwrap_err().to_string();
        assert!(error.contains(problem), "{from}: {error}");
    }
}

/// Of a teacher whose embeddings are as wide as its states, of one whose embeddings are factorized, and of a new shape.
#[test]
fn embeddings_are_factorized() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    encoder(&path("encoder"));
    run(&finetune(&path("encoder"), "frozen", "1e-3"), &path("teacher"));
    let hidden = "{ kind = \"hidden\", map = [[1, 2]] }";
    let first = "{ kind = \"hidden\", map = [[1, 1]] }";
    let small = "feed-forward = 40, vocabulary = 300";
    for (name, teacher, student, objective, (width, embedding)) in [
        ("factorized", "teacher", "from = \"teacher\", layers = [2], embedding-width = 40".into(), hidden, (48, 40)),
        (
            "narrow",
            "teacher",
            format!("from = \"teacher\", layers = [2], hidden = 24, heads = 2, embedding-width = 10, {small}"),
            hidden,
            (24, 10),
        ),
        // As its teacher has them, in fewer columns, and before narrower states.
        ("kept", "factorized", "from = \"teacher\", layers = [1]".into(), first, (48, 40)),
        (
            "again",
            "factorized",
            format!("from = \"teacher\", layers = [1], embedding-width = 9, {small}"),
            first,
            (48, 9),
        ),
        (
            "before",
            "factorized",
            format!("from = \"teacher\", layers = [1], hidden = 44, heads = 4, {small}"),
            first,
            (44, 40),
        ),
        (
            "shape",
            "teacher",
            "from = \"shape\", layers = 1, hidden = 48, heads = 4, feed-forward = 64, embedding-width = 12".into(),
            hidden,
            (48, 12),
        ),
    ] {
        let (plan, scores) = run(&distillation(&path(teacher), &student, objective), &path(name));
        let config = &plan.student().config;
        assert_eq!(
            (config.family, config.hidden, config.embedding),
            (Family::Electra, width, Some(embedding)),
            "{name}"
        );
        let most = *plan.labeled().unwrap().dev.class_counts().iter().max().unwrap() as f64
            / plan.labeled().unwrap().dev.len() as f64;
        // Of random tables, which vary alike in all directions, most of the width is needed; a new shape knows nothing.
        if name == "factorized" {
            assert!(scores.0.last().unwrap().1 > most + 0.1, "{name}: {:?}, the largest class has {most}", scores.0);
        }
        let written = Bundle::read(&path(name).join("student")).unwrap();
        assert_eq!(written.config.embedding, Some(embedding));
        assert_eq!(written.weights.get("embeddings_project.weight").unwrap().shape, [width, embedding]);
        for precision in [Precision::F32, Precision::Int8] {
            let mut session = Session::load(&path(name).join("student"), &Options::all_threads(precision)).unwrap();
            let logits = session.logits(&[("turn on the lights", None)], |_| ()).unwrap();
            assert_eq!(logits[0].len(), config.outputs());
        }
    }
    // What a teacher of the same shape has is taken as it is.
    let taken = Plan::new(
        Recipe::parse(&distillation(&path("factorized"), "from = \"teacher\", layers = [1]", first)).unwrap(),
    );
    let taken = taken.unwrap();
    let theirs = Bundle::read(&path("factorized").join("student")).unwrap().weights;
    for name in ["embeddings.word_embeddings.weight", "embeddings_project.weight", "embeddings_project.bias"] {
        assert_eq!(taken.student().weights.get(name), theirs.get(name), "{name}");
    }
    for (teacher, student, problem) in [
        ("teacher", "from = \"teacher\", layers = [1], embedding-width = 48", "below the hidden width of 48"),
        ("teacher", "from = \"teacher\", layers = [1], embedding-width = 1", "`embedding-width`"),
        ("factorized", "from = \"teacher\", layers = [1], embedding-width = 44", "at most 40, the teacher's"),
        ("factorized", "from = \"teacher\", layers = [1], hidden = 40, heads = 4", "below the hidden width of 40"),
        (
            "teacher",
            "from = \"shape\", layers = 1, hidden = 24, heads = 2, feed-forward = 8, embedding-width = 30",
            "below the hidden width of 24",
        ),
    ] {
        let objective = if teacher == "teacher" { hidden } else { first };
        let recipe = Recipe::parse(&distillation(&path(teacher), student, objective)).unwrap();
        let error = Plan::new(recipe).unwrap_err().to_string();
        assert!(error.contains(problem), "{student}: {error}");
    }
}
