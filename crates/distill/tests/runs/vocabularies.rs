//! Students with pieces of their own, whose states are compared with the teacher's word by word.

use std::path::Path;

use attar_distill::plan::Plan;
use attar_distill::recipe::Recipe;
use attar_distill::train::{Event, Observer, train};
use attar_distill::{RunDirectory, export};
use attar_model::Bundle;
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use attar_text::tokenizer::{Tokenizer, TrainOptions, WordPieceOptions, train_wordpiece};
use attar_text::vocabulary::Vocabulary;

use super::run;

const DATA: &str = r#"
    data = { kind = "embedded", rows = 300, dev-rows = 60, max-tokens = 32 }
    energy = { source = "off" }
"#;

pub(super) fn save(tokenizer: &Tokenizer, folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    tokenizer.save(folder).unwrap();
}

/// A folder with a teacher that has so many pieces.
pub(super) fn workshop(pieces: usize) -> (tempfile::TempDir, Tokenizer) {
    let folder = tempfile::tempdir().unwrap();
    let rows = synthetic::generate(&Streams::new(42), 300, Split::Train).examples;
    // Rare words have a piece too where there is room.
    let options = TrainOptions { min_frequency: 1, ..TrainOptions::new(pieces) };
    let tokenizer = train_wordpiece(rows.iter().map(|row| &row.text), options).unwrap();
    save(&tokenizer, &folder.path().join("tokenizer"));
    let recipe = format!(
        r#"{DATA}
        student = {{ from = "shape", layers = 2, hidden = 16, heads = 2, feed-forward = 32, tokenizer = "{}" }}
        stage = [{{ name = "gold", objective = [{{ kind = "gold" }}], length = {{ steps = 60 }}, rate = 0.01 }}]
        "#,
        folder.path().join("tokenizer").display()
    );
    run(&recipe, &folder.path().join("teacher"));
    (folder, tokenizer)
}

pub(super) fn student(folder: &Path, student: &str) -> String {
    format!(
        r#"{DATA}
        teacher = {{ path = "{}" }}
        student = {{ from = "teacher", layers = [2]{student} }}
        [[stage]]
        name = "all"
        objective = [
          {{ kind = "embedding" }}, {{ kind = "hidden", map = "top" }}, {{ kind = "attention", map = "top" }},
          {{ kind = "relation", heads = 2 }}, {{ kind = "cosine" }}, {{ kind = "patient", map = "top" }},
          {{ kind = "pooled" }}, {{ kind = "soft" }},
        ]
        projection = "none"
        length = {{ steps = 30 }}
        dropout = false
        rate = 0.01
        "#,
        folder.join("teacher").display()
    )
}

#[derive(Default)]
pub(super) struct Losses(pub(super) Vec<f64>);

impl Observer for Losses {
    fn event(&mut self, event: &Event) {
        if let Event::Step(step) = event {
            self.0.push(step.report.loss);
        }
    }
}

/// The losses of a run, and the student's folder.
fn losses(recipe: &str, out: &Path) -> (Vec<f64>, Plan) {
    let plan = Plan::new(Recipe::parse(recipe).unwrap()).unwrap();
    let directory = RunDirectory::open(out, &plan).unwrap();
    let mut losses = Losses::default();
    let trained = train(&plan, &directory, &mut losses).unwrap();
    export(&plan, &directory, trained).unwrap();
    (losses.0, plan)
}

#[test]
fn words_of_one_piece_are_compared_as_pieces_are() {
    // So many pieces that each word is one.
    let (folder, tokenizer) = workshop(3000);
    let folder = folder.path();
    // The same pieces with other ids, and one that the teacher does not have, so that there is no table of ids.
    let count = tokenizer.vocabulary_size() as u32;
    let special = 5;
    let ids = (0..special).chain((special..count).rev());
    let mut turned: Vec<String> = ids.map(|id| tokenizer.token(id).unwrap()).collect();
    let save_pieces = |pieces: Vec<String>, name: &str| {
        let vocabulary = Vocabulary::from_tokens(pieces).unwrap();
        save(&Tokenizer::from_vocabulary(vocabulary, WordPieceOptions::uncased()).unwrap(), &folder.join(name));
    };
    save_pieces(turned.clone(), "renamed");
    turned.push("##zqx".into());
    save_pieces(turned, "turned");
    let (plain, _) = losses(&student(folder, ""), &folder.join("plain"));
    let own = format!(r#", tokenizer = "{}""#, folder.join("turned").display());
    let (by_words, plan) = losses(&student(folder, &own), &folder.join("by-words"));
    assert!(plan.notes().iter().any(|note| note.contains("word by word")), "{:?}", plan.notes());
    assert!(plan.teacher_ids().is_none());
    for (a, b) in plain.iter().zip(&by_words) {
        assert!((a - b).abs() < 2e-4 * (1.0 + a), "{plain:?} and {by_words:?}");
    }
    // Without that piece the teacher reads the student's pieces under its own ids.
    let own = format!(r#", tokenizer = "{}""#, folder.join("renamed").display());
    let (renamed, plan) = losses(&student(folder, &own), &folder.join("by-ids"));
    assert_eq!(plan.teacher_ids().unwrap()[5], count - 1);
    for (a, b) in plain.iter().zip(&renamed) {
        assert!((a - b).abs() < 2e-4 * (1.0 + a), "{plain:?} and {renamed:?}");
    }
}

#[test]
fn a_student_of_few_pieces_learns_word_by_word() {
    let (folder, _) = workshop(600);
    let folder = folder.path();
    let rows = synthetic::generate(&Streams::new(42), 300, Split::Train).examples;
    let few = train_wordpiece(rows.iter().map(|row| &row.text), TrainOptions::new(90)).unwrap();
    save(&few, &folder.join("few"));
    let own = |more: &str| format!(r#", tokenizer = "{}"{more}"#, folder.join("few").display());
    let (mean, plan) = losses(&student(folder, &own("")), &folder.join("mean"));
    assert_eq!(plan.student().config.vocabulary, few.vocabulary_size());
    assert!(mean[29] < 0.7 * mean[0], "{mean:?}");
    let (random, _) = losses(&student(folder, &own(r#", embeddings = "random""#)), &folder.join("random"));
    assert!(mean[0] < random[0], "the teacher's pieces are the better beginning: {mean:?} and {random:?}");
    // It is written with its own pieces, and its teacher was scored with all of the teacher's.
    let written = Tokenizer::from_dir(&folder.join("mean/student")).unwrap();
    assert_eq!(written.vocabulary_size(), few.vocabulary_size());
    let [teacher, of_student] = [folder.join("teacher/student"), folder.join("mean/student")]
        .map(|path| Bundle::read(&path).unwrap().provenance.unwrap()["scores"].clone());
    assert_eq!(of_student["teacher"]["scores"][0]["value"], teacher["student"][0]["value"]);
    // A narrower one, whose directions come from the teacher's own reading.
    let narrow = own(", hidden = 8, feed-forward = 16");
    let recipe = student(folder, &narrow).replace(r#"projection = "none""#, r#"projection = "shared""#);
    let recipe = recipe.replace(r#"{ kind = "cosine" }, { kind = "patient", map = "top" },"#, "");
    let (losses, _) = losses(&recipe, &folder.join("narrow"));
    assert!(losses[29] < losses[0], "{losses:?}");
}

#[test]
fn what_cannot_be_compared_word_by_word_is_refused() {
    let (folder, _) = workshop(600);
    let folder = folder.path();
    let few = train_wordpiece(["lights on please"; 2], TrainOptions::new(60)).unwrap();
    save(&few, &folder.join("few"));
    let own = format!(r#", tokenizer = "{}""#, folder.join("few").display());
    let refused = |text: String| Plan::new(Recipe::parse(&text).unwrap()).unwrap_err().to_string();
    let reference = refused(format!("semantics = \"reference\"\n{}", student(folder, &own)));
    assert!(reference.contains("semantics") && reference.contains("other pieces"), "{reference}");
    std::fs::write(folder.join("text.txt"), "lights on please\n").unwrap();
    let corpus =
        format!(r#"data = {{ kind = "corpus", files = ["{}"], held-out = 0 }}"#, folder.join("text.txt").display());
    let data = r#"data = { kind = "embedded", rows = 300, dev-rows = 60, max-tokens = 32 }"#;
    let raw = student(folder, &own).replace(data, &corpus).replace(r#", { kind = "soft" }"#, "");
    let raw = refused(raw.replace(r#"{ kind = "soft" },"#, ""));
    assert!(raw.contains("raw text") && raw.contains("word by word"), "{raw}");
}
