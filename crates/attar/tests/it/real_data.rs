//! A short run on real data: SST-2 and the pretrained teacher, where they are at hand.

use attar_testing::{shared, teacher};

use crate::common::{json, succeed};

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
