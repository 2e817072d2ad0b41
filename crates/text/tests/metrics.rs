//! Metrics against recorded values of scikit-learn, scipy and seqeval: 1e-9.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use attar_testing::{fixtures, json};
use attar_text::metrics::{
    Confusion, Metric, Predictions, Tagging, entity_scores, expected_calibration_error, mean_absolute_error,
    mean_squared_error, pearson, spearman, top_class,
};
use serde_json::Value;

/// 64-bit arithmetic in another order.
const TOLERANCE: f64 = 1e-9;

fn classes(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|class| class.as_u64().unwrap() as u32).collect()
}

/// Numbers, where JSON has none written as "nan" and "inf".
fn numbers(value: &Value) -> Vec<f64> {
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap());
    value.as_array().unwrap().iter().map(number).collect()
}

fn tags(value: &Value) -> Vec<Vec<String>> {
    let sentence =
        |value: &Value| value.as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect();
    value.as_array().unwrap().iter().map(sentence).collect()
}

fn probabilities(value: &Value) -> (Vec<f64>, usize) {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(numbers).collect();
    let classes = rows.first().map_or(2, Vec::len);
    (rows.concat(), classes)
}

/// Compares every metric under `expected`, "undefined" included; returns how many there were.
#[track_caller]
fn compare(what: &str, expected: &Value, got: impl Fn(&str) -> Option<f64>) -> usize {
    let expected = expected.as_object().unwrap();
    for (name, expected) in expected {
        let got = got(name);
        match expected.as_f64() {
            Some(expected) => {
                let got = got.unwrap_or_else(|| panic!("{what}: {name} is undefined, expected {expected}"));
                assert!((got - expected).abs() <= TOLERANCE, "{what}: {name} is {got}, expected {expected}");
            }
            None => {
                assert_eq!(expected, "undefined", "{what}: {name}");
                assert_eq!(got, None, "{what}: {name}");
            }
        }
    }
    expected.len()
}

fn of_classes(confusion: &Confusion, name: &str) -> Option<f64> {
    match name {
        "accuracy" => confusion.accuracy(),
        "f1_macro" => confusion.macro_f1(),
        "f1_macro_all_classes" => confusion.macro_f1_all_classes(),
        "f1_micro" => confusion.micro_f1(),
        "f1_weighted" => confusion.weighted_f1(),
        "matthews" => confusion.matthews(),
        "f1_binary" => confusion.f1(1),
        "precision_binary" => confusion.precision(1),
        "recall_binary" => confusion.recall(1),
        other => panic!("unknown metric {other}"),
    }
}

fn of_numbers(truth: &[f64], predicted: &[f64], name: &str) -> Option<f64> {
    match name {
        "pearson" => pearson(truth, predicted),
        "spearman" => spearman(truth, predicted),
        "mse" => mean_squared_error(truth, predicted),
        "mae" => mean_absolute_error(truth, predicted),
        other => panic!("unknown metric {other}"),
    }
}

#[test]
fn classification() {
    let dir = fixtures("metrics");
    let mut compared = 0;
    for (index, case) in json(&dir.join("classification.json")).as_array().unwrap().iter().enumerate() {
        let (truth, predicted) = (classes(&case["y_true"]), classes(&case["y_pred"]));
        let count = case["classes"].as_u64().unwrap() as usize;
        let confusion = Confusion::new(&truth, &predicted, count);
        let mut expected = case["expected"].clone();
        let matrix = expected.as_object_mut().unwrap().remove("confusion_rows_true").unwrap();
        for (t, row) in matrix.as_array().unwrap().iter().enumerate() {
            for (p, expected) in row.as_array().unwrap().iter().enumerate() {
                assert_eq!(confusion.count(t as u32, p as u32), expected.as_u64().unwrap());
            }
        }
        compared += compare(&format!("case {index}"), &expected, |name| of_classes(&confusion, name));
        let predictions = Predictions::Classes { truth: &truth, predicted: &predicted, classes: count };
        for (metric, name) in [
            (Metric::Accuracy, "accuracy"),
            (Metric::MacroF1, "f1_macro"),
            (Metric::WeightedF1, "f1_weighted"),
            (Metric::Matthews, "matthews"),
        ] {
            assert_eq!(metric.compute(&predictions).unwrap(), of_classes(&confusion, name));
        }
    }
    assert!(compared > 0);
}

#[test]
fn correlation() {
    let dir = fixtures("metrics");
    let mut compared = 0;
    for case in json(&dir.join("correlation.json")).as_array().unwrap() {
        let (truth, predicted) = (numbers(&case["y_true"]), numbers(&case["y_pred"]));
        // The mean squared error of numbers around 1e6 is compared relative to its size.
        let mut expected = case["expected"].clone();
        for large in ["mse", "mae"] {
            let value = expected[large].as_f64().unwrap();
            if value > 1e3 {
                expected.as_object_mut().unwrap().remove(large);
                let got = of_numbers(&truth, &predicted, large).unwrap();
                attar_testing::assert_close_relative(large, got, value, 1e-12);
                compared += 1;
            }
        }
        compared += compare(&case["kind"].to_string(), &expected, |name| of_numbers(&truth, &predicted, name));
    }
    assert!(compared > 0);
}

#[test]
fn calibration() {
    let dir = fixtures("metrics");
    let mut compared = 0;
    for case in json(&dir.join("calibration.json")).as_array().unwrap() {
        let (probabilities, count) = probabilities(&case["probs"]);
        let truth = classes(&case["y_true"]);
        compared += compare(&case["kind"].to_string(), &case["expected"], |name| {
            assert_eq!(name, "ece_15");
            expected_calibration_error(&probabilities, count, &truth)
        });
    }
    assert!(compared > 0);
}

#[test]
fn entities() {
    let dir = fixtures("metrics");
    let mut compared = 0;
    for (index, case) in json(&dir.join("entities.json")).as_array().unwrap().iter().enumerate() {
        let (truth, predicted) = (tags(&case["y_true"]), tags(&case["y_pred"]));
        for (key, tagging) in [("lenient", Tagging::Lenient), ("strict_iob2", Tagging::StrictIob2)] {
            let scores = entity_scores(&truth, &predicted, tagging).unwrap();
            compared += compare(&format!("case {index} {key}"), &case["expected"][key], |name| {
                // The library says 0 where nothing was predicted or nothing is true; 0/0 is undefined here.
                match name {
                    "precision" => scores.precision.or(Some(0.0)),
                    "recall" => scores.recall.or(Some(0.0)),
                    "f1" => scores.f1,
                    "f1_macro" => scores.macro_f1,
                    other => panic!("unknown metric {other}"),
                }
            });
        }
    }
    assert!(compared > 0);
}

#[test]
fn degenerate() {
    let dir = fixtures("metrics");
    let mut compared = 0;
    for case in json(&dir.join("degenerate.json")).as_array().unwrap() {
        let what = format!("{} {}", case["kind"], case["name"]);
        let (truth, predicted, expected) = (&case["y_true"], &case["y_pred"], &case["expected"]);
        compared += match case["kind"].as_str().unwrap() {
            "binary" => {
                let confusion = Confusion::new(&classes(truth), &classes(predicted), 2);
                compare(&what, expected, |name| of_classes(&confusion, name))
            }
            "regression" => compare(&what, expected, |name| of_numbers(&numbers(truth), &numbers(predicted), name)),
            "calibration" => {
                let ((probabilities, count), truth) = (probabilities(predicted), classes(truth));
                compare(&what, expected, |name| match name {
                    "ece_15" => expected_calibration_error(&probabilities, count, &truth),
                    "accuracy" => {
                        let predicted: Option<Vec<u32>> = probabilities.chunks(count).map(top_class).collect();
                        Confusion::new(&truth, &predicted?, count).accuracy()
                    }
                    other => panic!("unknown metric {other}"),
                })
            }
            "entities" => {
                let scores = entity_scores(&tags(truth), &tags(predicted), Tagging::Lenient).unwrap();
                compare(&what, expected, |_| scores.f1)
            }
            other => panic!("unknown kind {other}"),
        };
    }
    assert!(compared > 0);
}
