//! Vectors of one class near each other, whatever the classifier reads.

use attar_distill::RunDirectory;
use attar_distill::plan::Plan;
use attar_distill::recipe::Recipe;
use attar_distill::train::{Event, Observer, train};
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use attar_text::tokenizer::{TrainOptions, train_wordpiece};

/// The values of the term, update after update.
struct Contrast(Vec<f64>);

impl Observer for Contrast {
    fn event(&mut self, event: &Event) {
        if let Event::Step(step) = event {
            self.0.extend(step.report.terms.get("contrast"));
        }
    }
}

fn recipe(tokenizer: &str, classifier: &str, data: &str) -> String {
    format!(
        r#"
        data = {data}
        energy = {{ source = "off" }}
        [student]
        from = "shape"
        layers = 1
        hidden = 32
        heads = 2
        feed-forward = 64
        tokenizer = "{tokenizer}"
        classifier = "{classifier}"
        [[stage]]
        name = "few"
        length = {{ steps = 60 }}
        rate = 3e-3
        objective = [{{ kind = "gold" }}, {{ kind = "contrast" }}]
        "#
    )
}

#[test]
fn it_falls_for_what_each_classifier_reads() {
    let folder = tempfile::tempdir().unwrap();
    let texts = synthetic::generate(&Streams::new(1), 200, Split::Train);
    let tokenizer = folder.path().join("tokenizer");
    std::fs::create_dir(&tokenizer).unwrap();
    let words = texts.examples.iter().map(|example| &example.text);
    train_wordpiece(words, TrainOptions::new(300)).unwrap().save(&tokenizer).unwrap();
    let tokenizer = tokenizer.display().to_string();
    for classifier in ["first-token", "mean"] {
        let data = r#"{ kind = "embedded", rows = 200, dev-rows = 40 }"#;
        let plan = Plan::new(Recipe::parse(&recipe(&tokenizer, classifier, data)).unwrap()).unwrap();
        let mut contrast = Contrast(Vec::new());
        train(&plan, &RunDirectory::open(&folder.path().join(classifier), &plan).unwrap(), &mut contrast).unwrap();
        assert_eq!(contrast.0.len(), 60, "{classifier}: each update tells the term");
        let [first, last] = [&contrast.0[..10], &contrast.0[50..]].map(|few| few.iter().sum::<f64>() / 10.0);
        assert!(last < 0.7 * first, "{classifier}: from {first} to {last}");
    }

    // A score is no class.
    let rows = folder.path().join("rows.tsv");
    std::fs::write(&rows, format!("text\tlabel\n{}", "some text\t1.0\nother text\t2.0\n".repeat(10))).unwrap();
    let data = format!(r#"{{ kind = "table", train = "{}", regression = [0, 5], dev-share = 0.2 }}"#, rows.display());
    let error = Plan::new(Recipe::parse(&recipe(&tokenizer, "mean", &data)).unwrap()).unwrap_err().to_string();
    assert!(error.contains("contrast") && error.contains("class"), "{error}");
}
