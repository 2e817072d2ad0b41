//! A short run on real data: SST-2 and the pretrained teacher, where they are at hand.

use attar_model::{Pooling, PoolingMode};
use attar_runtime::{Options, Precision, Session, Text};
use attar_testing::{shared, teacher};
use attar_text::glue::Task;
use attar_text::layout::{Layout, Split};

use crate::common::{json, succeed, write};

#[test]
#[ignore = "needs the data sets and the pretrained teacher of ../shared"]
fn a_real_teacher_and_its_student() {
    let (encoder, data) = (teacher(), shared("data/glue/SST-2"));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let [encoder, data] = [encoder, data].map(|path| path.canonicalize().unwrap().display().to_string());
    let run = |arguments: &[&str]| json(&succeed(folder, arguments));
    let common = ["--data", &data, "--rows", "3200", "--json", "--threads", "2"];
    let finetune = ["finetune", &encoder, "--epochs", "1", "--out", "teacher"];
    let teacher = run(&[&finetune[..], &common].concat());
    let score = |exported: &serde_json::Value| exported["scores"]["student"][0]["value"].as_f64().unwrap();
    // A hundred updates: 0.51 is the larger class, 0.90 what the whole data give.
    assert!(score(&teacher) > 0.75, "{teacher}");

    let distill = ["distill", "--teacher", "teacher", "--noisy-copies", "0", "--epochs", "1", "--out", "student"];
    let student = run(&[&distill[..], &common].concat());
    // As shipped, a tenth of its teacher in 32-bit floats.
    let small = student["small"]["bytes"].as_u64().unwrap();
    assert!(small < 9_100_000 && small > 2_000_000, "{student}");
    // Cut out of its teacher, it needs few updates.
    assert!(score(&student) > 0.7, "{student}");
    assert!(student["bill"]["total"]["energy_kwh"]["value"].as_f64().unwrap() > 0.0, "{student}");
    assert_eq!(student["scores"]["teacher"]["scores"][0]["value"].as_f64(), Some(score(&teacher)));

    let text = succeed(folder, &["predict", "teacher", "a gorgeous , witty , seductive movie ."]);
    assert!(text.contains("positive"), "{text}");
}

/// Vectors of a quantized sentence encoder beside those of its floats, over texts of several kinds.
///
/// The bounds are measured; docs/performance.md has the figures, also of scales that no texts chose.
#[test]
#[ignore = "needs the data sets and the pretrained teacher of ../shared"]
fn a_quantized_encoder_keeps_its_vectors() {
    let first = |(layout, path, split): (Layout, &str, Split), skipped: usize, count: usize| {
        let rows = layout.load(&shared(path), split).unwrap().examples;
        rows.into_iter().skip(skipped).take(count).map(|row| row.text)
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Sentences beyond those that are compared, and another set.
    let chosen = first((Layout::Glue(Task::Sst2), "data/glue/SST-2", Split::Train), 5_000, 300);
    let chosen: Vec<String> = chosen.chain(first((Layout::AgNews, "data/news/agnews", Split::Dev), 0, 300)).collect();
    write(folder, "texts.txt", &chosen.join("\n"));
    let encoder = teacher().canonicalize().unwrap().display().to_string();
    succeed(folder, &["quantize", &encoder, "--texts", "texts.txt", "--embeddings", "int8", "--out", "small"]);

    let sets = [
        (Layout::Glue(Task::Sst2), "data/glue/SST-2", Split::Train),
        (Layout::Glue(Task::Cola), "data/glue/CoLA", Split::Dev),
        (Layout::Glue(Task::StsB), "data/glue/STS-B", Split::Dev),
        (Layout::Snips, "data/intents/snips", Split::Dev),
    ];
    let texts: Vec<String> = sets.into_iter().flat_map(|set| first(set, 0, 600)).collect();
    let rows: Vec<Text<'_>> = texts.iter().map(|text| (text.as_str(), None)).collect();
    let pooling = Pooling { mode: PoolingMode::Mean, normalize: true };
    let small = folder.join("small");
    let vectors = |path: &std::path::Path, precision| {
        let mut session = Session::load_headless(path, &Options::new(precision, 2)).unwrap();
        session.embed(&rows, pooling, |_| ()).unwrap()
    };
    let (exact, int8) = (vectors(&teacher(), Precision::F32), vectors(&small, Precision::Int8));
    let cosine = |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    let mut cosines: Vec<f64> = exact.iter().zip(&int8).map(cosine).collect();
    cosines.sort_by(f64::total_cmp);
    assert_eq!(cosines.len(), 2400);
    let (least, hundredth) = (cosines[0], cosines[cosines.len() / 100]);
    assert!(least > 0.994 && hundredth > 0.9975, "least {least}, hundredth part {hundredth}");
}
