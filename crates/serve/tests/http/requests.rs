//! Bodies of all kinds: an answer or a clear refusal, never silence.

use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::client::Running;
use crate::models::all;

const ROUTES: [&str; 11] = [
    "/",
    "/embed",
    "/embed_all",
    "/models/intents/predict",
    "/models/pairs/rerank",
    "/models/vectors/similarity",
    "/v1/embeddings",
    "/models/tags/tag",
    "/models/answers/answer",
    "/tokenize",
    "/decode",
];

fn server() -> &'static Running {
    static SERVER: OnceLock<Running> = OnceLock::new();
    SERVER.get_or_init(|| Running::new(all(), |_| ()))
}

/// Values as requests hold them, at the right and the wrong places.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0_u32..120).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "(Ada|wrote|London| ){0,30}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        let key = prop_oneof![
            Just("inputs"),
            Just("ids"),
            Just("input"),
            Just("query"),
            Just("texts"),
            Just("question"),
            Just("context"),
            Just("source_sentence"),
            Just("sentences"),
            Just("truncate"),
            Just("truncation_direction"),
            Just("dimensions"),
            Just("normalize"),
            Just("raw_scores"),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((key, inner), 0..5).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_body_gets_an_answer(route in 0_usize..ROUTES.len(), inputs in value(), other in value()) {
        let mut body = json!({ "inputs": inputs, "ids": inputs, "input": inputs, "query": "Ada", "texts": inputs });
        if let (Value::Object(body), Value::Object(other)) = (&mut body, other) {
            body.extend(other);
        }
        let answer = server().post(ROUTES[route], &body);
        prop_assert!([200, 400, 404, 413, 422, 424].contains(&answer.status), "{answer:?} to {body}");
        let parsed = answer.json();
        prop_assert!(answer.status == 200 || parsed["error"].is_string() || parsed["error"]["message"].is_string());
    }

    #[test]
    fn all_bytes_get_an_answer(route in 0_usize..ROUTES.len(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let answer = server().ask("POST", ROUTES[route], &[], &bytes);
        prop_assert!([400, 422].contains(&answer.status), "{answer:?}");
    }
}

#[test]
fn the_server_is_well_after_all_of_that() {
    let answer = server().post("/models/vectors/embed", &json!({ "inputs": "Ada" }));
    assert_eq!(answer.status, 200);
    assert_eq!(server().get("/health").status, 200);
}
