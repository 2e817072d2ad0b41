//! Classifies texts: `cargo run --release -p attar-runtime --example classify -- DIR "some text" "another"`.

use std::path::Path;

use attar_model::Target;
use attar_runtime::{Options, Precision, Session};

#[expect(clippy::print_stdout, reason = "the answers are what this program is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: classify DIR TEXT…")?;
    let texts: Vec<String> = arguments.collect();
    for (text, answer) in texts.iter().zip(classify(folder.as_ref(), &texts)?) {
        println!("{text}: {answer}");
    }
    Ok(())
}

/// The label, the labels or the score of each text.
pub(crate) fn classify(model: &Path, texts: &[String]) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut session = Session::load(model, &Options::all_threads(Precision::F32))?;
    let inputs: Vec<(&str, Option<&str>)> = texts.iter().map(|text| (text.as_str(), None)).collect();
    let logits = session.logits(&inputs, |_| ())?;
    let target = session.target()?;
    let answer = |row: &Vec<f32>| match target {
        Target::Labels(names) => {
            let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
            names[best].clone()
        }
        Target::MultiLabel(names) => {
            let likely = names.iter().zip(row).filter(|(_, logit)| **logit > 0.0);
            likely.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        }
        Target::Regression => row[0].to_string(),
    };
    Ok(logits.iter().map(answer).collect())
}
