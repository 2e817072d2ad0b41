//! Each error has its status and its kind, and says the way out.

use serde_json::{Value, json};

use crate::client::Running;
use crate::models::all;

#[test]
fn each_error_has_its_status_and_kind() {
    let server = Running::new(all(), |options| {
        options.limits.max_inputs = 3;
        options.limits.max_body = 2000;
        options.auto_truncate = false;
    });
    let long = "Ada ".repeat(60);
    let cases: [(&str, Value, u16, &str, &str); 20] = [
        ("/embed", json!({ "inputs": [] }), 400, "Empty", "cannot be empty"),
        ("/predict", json!({ "inputs": [] }), 400, "Empty", "cannot be empty"),
        ("/tokenize", json!({ "inputs": [] }), 400, "Empty", "cannot be empty"),
        ("/decode", json!({ "ids": [] }), 400, "Empty", "cannot be empty"),
        ("/similarity", json!({ "inputs": { "source_sentence": "a", "sentences": [] } }), 400, "Empty", "empty"),
        ("/embed", json!({ "inputs": "" }), 413, "Validation", "cannot be empty"),
        ("/embed", json!({ "inputs": ["a", "b", "c", "d"] }), 413, "Validation", "maximum allowed batch size 3"),
        ("/embed", json!({ "inputs": long }), 413, "Validation", "must have at most 48 tokens"),
        ("/embed", json!({ "inputs": "x".repeat(3000) }), 413, "Validation", "more than 2000 bytes"),
        ("/embed", json!({ "inputs": "a", "prompt_name": "query" }), 422, "Validation", "no prompt `query`"),
        ("/embed", json!({ "inputs": 5 }), 422, "Validation", "expected a string"),
        ("/embed", json!({ "input": "a" }), 422, "Validation", "inputs"),
        ("/embed", json!({ "inputs": "a", "dimensions": 25 }), 422, "Validation", "from 1 to 24"),
        ("/predict", json!({ "inputs": ["a", "b", "c"] }), 422, "Validation", "one string or two"),
        ("/embed", json!({ "inputs": [1, 100_000] }), 422, "Tokenizer", "100000"),
        ("/models/vectors/predict", json!({ "inputs": "a" }), 424, "Backend", "no classification head"),
        ("/models/intents/rerank", json!({ "query": "a", "texts": ["b"] }), 424, "Backend", "/predict"),
        ("/models/intents/tag", json!({ "inputs": "a" }), 424, "Backend", "tags words"),
        ("/models/intents/answer", json!({ "inputs": { "question": "a", "context": "b" } }), 424, "Backend", "answers"),
        ("/models/nobody/embed", json!({ "inputs": "a" }), 404, "Validation", "intents, topics"),
    ];
    for (path, request, status, kind, said) in cases {
        let answer = server.post(path, &request);
        assert_eq!(answer.status, status, "{path} {request}: {answer:?}");
        assert_eq!(answer.json()["error_type"], kind, "{path}: {answer:?}");
        assert!(answer.json()["error"].as_str().unwrap().contains(said), "{path}: {said}: {answer:?}");
    }
    assert_eq!(server.get("/nowhere").status, 404);
    assert_eq!(server.get("/embed").status, 405);
}

#[test]
fn errors_repeat_no_text() {
    let server = Running::new(all(), |_| ());
    for request in [json!({ "inputs": { "secret": 1 } }), json!({ "inputs": "a", "truncate": "secret" })] {
        let answer = server.post("/embed", &request);
        assert_eq!(answer.status, 422);
        assert!(!answer.body.contains("secret"), "{answer:?}");
    }
    let events = server.events.lock().unwrap();
    assert!(!serde_json::to_string(&*events).unwrap().contains("secret"));
}

#[test]
fn the_clients_of_openai_find_a_message() {
    let server = Running::new(all(), |_| ());
    let answer = server.post("/v1/embeddings", &json!({ "model": "intents", "input": [] }));
    assert_eq!(answer.status, 400);
    let error = &answer.json()["error"];
    assert!(error["message"].as_str().unwrap().contains("cannot be empty"), "{answer:?}");
    assert_eq!((&error["type"], &error["code"]), (&json!("Empty"), &json!(400)));
}

#[test]
fn what_cannot_be_served_is_said_before_anything_listens() {
    use std::sync::Arc;

    use attar_bill::{Factors, Grid, Tariff};
    use attar_serve::{NamedBundle, ServeOptions, Server};

    let refused = |bundles: Vec<NamedBundle>| {
        let factors = Factors::new(Grid::world(), Tariff::own_machine());
        let options = ServeOptions::new(bundles);
        Server::new(options, crate::client::meter(), factors, Arc::new(|_| ())).unwrap_err().to_string()
    };
    let named = |name: &str| NamedBundle { name: name.to_owned(), ..crate::models::bundle("intents") };
    assert!(refused(vec![]).contains("no bundle"));
    assert!(refused(vec![named("a"), named("a")]).contains("two bundles are named `a`"));
    assert!(refused(vec![named("a/b")]).contains("`a/b` cannot name a bundle"));
    let empty = tempfile::tempdir().unwrap();
    let broken = NamedBundle { dir: empty.path().to_owned(), ..named("broken") };
    assert!(refused(vec![broken]).contains("`broken` cannot be served"));
}
