//! Classes that count more than their rows.

use std::path::Path;

use attar_distill::ExportedStudent;
use attar_distill::plan::Plan;
use attar_distill::recipe::Recipe;
use attar_text::metrics::Metric;
use attar_text::tokenizer::{TrainOptions, train_wordpiece};

use crate::run;

/// A word that a quarter of its rows have for the rare class: whoever counts rows never answers that class, whoever counts
/// classes answers it wherever the word is.
const ODD: [(&str, &str, usize); 3] =
    [("an odd thing", "rare", 10), ("an odd thing", "usual", 30), ("a plain thing", "usual", 160)];

fn rows(folder: &Path) {
    let lines: String =
        ODD.iter().flat_map(|(text, label, count)| vec![format!("{text}\t{label}\n"); *count]).collect();
    std::fs::write(folder.join("rows.tsv"), format!("text\tlabel\n{lines}")).unwrap();
    let tokenizer = folder.join("tokenizer");
    std::fs::create_dir(&tokenizer).unwrap();
    train_wordpiece(ODD.iter().map(|(text, ..)| text), TrainOptions::new(60)).unwrap().save(&tokenizer).unwrap();
}

fn recipe(folder: &Path, stage: &str) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    format!(
        r#"
        data = {{ kind = "table", train = "{0}", dev = "{0}", max-tokens = 8 }}
        student = {{ from = "shape", layers = 1, hidden = 16, heads = 2, feed-forward = 32, tokenizer = "{1}" }}
        energy = {{ source = "off" }}
        [[stage]]
        name = "gold"
        length = {{ epochs = 12 }}
        rate = 5e-3
        objective = [{{ kind = "gold" }}]
        {stage}
        "#,
        at("rows.tsv"),
        at("tokenizer")
    )
}

/// Rows answered with the rare class, and the rows of it found.
fn rare(exported: &ExportedStudent) -> (u64, Option<f64>) {
    let classes = &exported.scores.as_ref().unwrap().classes.as_ref().unwrap().classes;
    let rare = classes.iter().find(|class| class.name == "rare").unwrap();
    (rare.predicted, rare.recall)
}

#[test]
fn a_rare_class_is_answered_where_classes_count_alike() {
    let folder = tempfile::tempdir().unwrap();
    rows(folder.path());
    let out = |name: &str| folder.path().join(name);
    let (plan, plain) = run(&recipe(folder.path(), ""), &out("plain"));
    assert_eq!(plan.labeled().unwrap().metrics[0], Metric::Accuracy);
    assert_eq!(rare(&plain), (0, Some(0.0)));
    let (plan, balanced) = run(&recipe(folder.path(), "class-weights = \"balanced\""), &out("balanced"));
    assert_eq!(plan.stages()[0].class_weights, Some(vec![10.0, 200.0 / 380.0]));
    assert_eq!(rare(&balanced), (40, Some(1.0)));
    // Accuracy, by which a model is best that never answers the rare class, chooses no checkpoint.
    assert_eq!(plan.labeled().unwrap().metrics[0], Metric::MacroF1);
    assert!(plan.notes().iter().any(|note| note.contains("macro-F1")), "{:?}", plan.notes());
    let (plan, named) = run(&recipe(folder.path(), "class-weights = { rare = 8.0 }"), &out("named"));
    assert_eq!(plan.stages()[0].class_weights, Some(vec![8.0, 1.0]));
    assert_eq!(rare(&named), (40, Some(1.0)));

    // A student that begins with the linear model over the frozen encoder begins with the same weights.
    let frozen = |stage: &str| {
        let shape = recipe(folder.path(), stage).replace("5e-3", "1e-12").replace("epochs = 12", "epochs = 1");
        let model = format!(
            "student = {{ from = \"model\", path = \"{}\", new-head = true, head = \"frozen\" }}",
            out("plain").display()
        );
        let student = shape.lines().find(|line| line.contains("student = ")).unwrap().to_owned();
        shape.replace(&student, &model)
    };
    assert_eq!(rare(&run(&frozen(""), &out("frozen")).1).0, 0);
    assert_eq!(rare(&run(&frozen("class-weights = \"balanced\""), &out("frozen balanced")).1), (40, Some(1.0)));
}

#[test]
fn weights_that_weigh_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    rows(folder.path());
    let refused = |stage: &str, change: (&str, &str)| {
        let text = recipe(folder.path(), stage).replace(change.0, change.1);
        Plan::new(Recipe::parse(&text).unwrap()).unwrap_err().to_string()
    };
    let same = ("gold", "gold");
    let error = refused("class-weights = { rar = 8.0 }", same);
    assert!(error.contains("rare, usual") && error.contains("\"rar\"") && error.contains("balanced"), "{error}");
    for wrong in ["0.0", "-1.0", "inf", "nan", "1e-30", "1e300"] {
        let error = refused(&format!("class-weights = {{ rare = {wrong} }}"), same);
        assert!(error.contains("a weight from 1e-6 to 1e6 for the class \"rare\""), "{error}");
    }
    let error = refused("class-weights = \"balanced\"", ("\"gold\" }]", "\"soft\" }]"));
    assert!(error.contains("the objective `gold`"), "{error}");
    let unknown = Recipe::parse(&recipe(folder.path(), "class-weights = \"balancd\"")).unwrap_err();
    assert!(unknown.to_string().contains("balanced"), "{unknown}");
}
