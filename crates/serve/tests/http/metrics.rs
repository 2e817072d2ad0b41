//! What is counted, under which names.

use serde_json::json;

use crate::client::{Running, wait_for};
use crate::models::{all, bundle};

fn value(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn requests_batches_and_refusals_are_counted() {
    let server = Running::new(all(), |_| ());
    server.post("/embed", &json!({ "inputs": "Ada" })).ok();
    server.post("/embed", &json!({ "inputs": ["Ada", "wrote"] })).ok();
    server.post("/models/tags/tag", &json!({ "inputs": "Ada" })).ok();
    assert_eq!(server.post("/models/vectors/predict", &json!({ "inputs": "a" })).status, 424);
    let answer = server.get("/metrics");
    assert!(answer.headers["content-type"].starts_with("application/openmetrics-text"));
    let text = &answer.body;
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1, "{text}");
    for (name, expected) in [
        (r#"te_request_count{method="single"}"#, 2.0),
        (r#"te_request_count{method="batch"}"#, 1.0),
        (r#"te_request_success{method="single"}"#, 2.0),
        (r#"te_request_failure{err="backend"}"#, 1.0),
        ("te_request_duration_count", 3.0),
        ("te_embed_count", 3.0),
        ("te_embed_success", 3.0),
        ("te_embed_duration_count", 3.0),
        ("te_embed_tokenization_duration_count", 3.0),
        ("te_embed_queue_duration_count", 3.0),
        ("te_embed_inference_duration_count", 3.0),
        ("te_predict_count", 0.0),
        ("te_request_input_length_count", 4.0),
        ("te_queue_size", 0.0),
        (r#"attar_texts_total{bundle="intents"}"#, 3.0),
        (r#"attar_requests_total{route="/embed",bundle="intents",status="200"}"#, 2.0),
        (r#"attar_requests_total{route="/predict",bundle="vectors",status="424"}"#, 1.0),
    ] {
        assert_eq!(value(text, name), Some(expected), "{name} in\n{text}");
    }
    let tokens = value(text, "te_batch_next_tokens_sum").unwrap();
    assert_eq!(Some(tokens), value(text, "te_request_input_length_sum"));
    assert!(value(text, "te_batch_next_size_sum") == Some(4.0));
}

#[test]
fn inputs_are_counted_by_what_is_computed_of_them() {
    let server = Running::new(all(), |_| ());
    server.post("/predict", &json!({ "inputs": [["Ada"], ["wrote"]] })).ok();
    let pairs = json!({ "query": "Ada", "texts": ["wrote", "notes", "never"] });
    server.post("/models/pairs/rerank", &pairs).ok();
    // Too long to be computed as it is: it came, and has no result.
    let long = json!({ "inputs": "Ada wrote notes ".repeat(100), "truncate": false });
    assert_eq!(server.post("/predict", &long).status, 413);
    let text = server.get("/metrics").body;
    for (name, expected) in [
        ("te_predict_count", 6.0),
        ("te_predict_success", 5.0),
        ("te_predict_duration_count", 5.0),
        ("te_predict_inference_duration_count", 5.0),
        ("te_embed_count", 0.0),
    ] {
        assert_eq!(value(&text, name), Some(expected), "{name} in\n{text}");
    }
    let sum = |name: &str| value(&text, &format!("te_predict_{name}_sum")).unwrap();
    assert!(sum("duration") >= sum("inference_duration") && sum("inference_duration") > 0.0, "{text}");
}

#[test]
fn joules_and_grams_are_counted_with_their_method() {
    let server = Running::new(vec![bundle("vectors")], |_| ());
    let joules = r#"attar_served_energy_joules_total{bundle="vectors",method="fixed",bound="value"}"#;
    let read = || {
        server.post("/embed", &json!({ "inputs": vec!["Ada wrote notes on the engine"; 64] })).ok();
        server.get("/metrics").body
    };
    let mut text = String::new();
    wait_for(|| {
        text = read();
        text.contains("attar_served_energy_joules_total")
    });
    let line = text.lines().find(|line| line.starts_with("attar_served_energy_joules_total")).unwrap();
    assert!(line.contains(r#"bundle="vectors""#) && line.contains("method="), "{joules}: {line}");
    let machine = text.lines().find(|line| line.starts_with("attar_energy_joules_total")).unwrap();
    let number = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
    // Computing is a part of what the machine drew.
    assert!(0.0 < number(line) && number(line) <= number(machine), "{line}\n{machine}");
    assert!(text.contains("attar_served_carbon_grams_total"), "{text}");
    let energy = server.get("/energy").ok();
    assert!(energy["vectors"]["joules_per_1000_inputs"].as_f64().unwrap() > 0.0, "{energy}");
    assert!(energy["vectors"]["method"].is_string() && energy["vectors"]["grams_co2e_per_1000_inputs"].is_number());
}
