//! The programs under `examples` run.

use attar_testing::fixture_models;

#[path = "../examples/classify.rs"]
#[expect(dead_code, reason = "a test has arguments of its own")]
mod classify;

#[test]
fn classify_answers_every_text() {
    let texts = ["a fine film".to_string(), "lights on".to_string()];
    let answered = fixture_models().into_iter().filter(|model| {
        let answers = classify::classify(&model.dir, &texts);
        answers.is_ok_and(|answers| answers.len() == texts.len())
    });
    assert!(answered.count() > 0, "no fixture has a tokenizer and a classifier");
}
