//! Text in, logits and vectors out.

use attar_model::{Pooling, PoolingMode};
use attar_runtime::{Options, Output, Precision, Session, Text};
use attar_testing::{assert_close, json, shared, teacher, tensors};

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&x| f64::from(x)).collect()
}

#[test]
fn texts_of_the_fixtures() {
    let Some(dir) = shared("fixtures/forward") else { return };
    let mut compared = 0;
    for entry in json(&dir.join("index.json")).as_array().unwrap() {
        let dir = dir.join(entry["name"].as_str().unwrap());
        if !dir.join("tokenizer.json").exists() || !dir.join("texts.json").exists() {
            continue;
        }
        let texts = json(&dir.join("texts.json"));
        for threads in [1, 2] {
            let mut session = Session::load(&dir, &Options::new(Precision::F32, threads)).unwrap();
            let rows: Vec<&serde_json::Value> =
                texts.as_array().unwrap().iter().filter(|t| t["logits"].is_array()).collect();
            if rows.is_empty() || session.target().is_err() {
                continue;
            }
            let given: Vec<Text<'_>> =
                rows.iter().map(|row| (row["text"].as_str().unwrap(), row["pair"].as_str())).collect();
            let logits = session.logits(&given, |_| ()).unwrap();
            for (row, logits) in rows.iter().zip(&logits) {
                let expected: Vec<f64> = serde_json::from_value(row["logits"].clone()).unwrap();
                assert_close(&format!("{}: {row}", dir.display()), &wide(logits), &expected, 1e-5);
                compared += 1;
            }
        }
    }
    assert!(compared > 10, "only {compared} texts were compared");
}

/// More texts than a turn takes, of all lengths, in one order and alone.
#[test]
fn order_and_turns_change_nothing() {
    let Some(teacher) = teacher() else { return };
    let words = ["energy", "of", "a", "small", "model", "—", "naïve", "distillation", "!", "[MASK]"];
    let texts: Vec<String> = (0..2100)
        .map(|i| (0..i % 13).map(|j| words[(i * 7 + j) % words.len()]).collect::<Vec<_>>().join(" "))
        .collect();
    let rows: Vec<Text<'_>> = texts.iter().map(|text| (text.as_str(), None)).collect();
    let pooling = Pooling { mode: PoolingMode::Mean, normalise: true };
    let mut session = Session::load_headless(&teacher, &Options::new(Precision::Int8, 2)).unwrap();
    let mut done = 0;
    let all = session.embed(&rows, pooling, |some| done += some).unwrap();
    assert_eq!(done, rows.len());
    let mut alone = session.share(1, &attar_runtime::Pinning::Free);
    for index in [0, 1, 57, 2047, 2048, 2099] {
        assert_eq!(alone.embed(&rows[index..=index], pooling, |_| ()).unwrap()[0], all[index], "{index}");
    }
    assert!(all.iter().all(|row| (row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5));
}

#[test]
fn sentences_of_the_teacher() {
    let Some(dir) = shared("fixtures/minilm") else { return };
    let Some(teacher) = teacher() else { return };
    let sentences = json(&dir.join("sentences.json"));
    let rows = sentences.as_array().or_else(|| sentences["sentences"].as_array()).unwrap();
    let texts: Vec<Text<'_>> = rows.iter().map(|row| (row["text"].as_str().unwrap(), None)).collect();
    let mut session = Session::load_headless(&teacher, &Options::new(Precision::F32, 2)).unwrap();
    let pooling = session.pooling();
    let mut flat = vec![0.0; texts.len() * 384];
    let to = |text: usize, row: &[f32]| flat[text * 384..][..384].copy_from_slice(row);
    session.each(&texts, Output::Vectors(pooling), to, &mut |_| ()).unwrap();
    let expected = &tensors(&dir.join("expected.safetensors"))["embeddings"].data;
    // The fixture's own bound.
    assert_close("embeddings", &wide(&flat), &expected[..flat.len()], 5e-6);
}
