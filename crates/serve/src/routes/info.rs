//! What a server says of itself: bundles, health, counters, energy.

use std::sync::Arc;

use attar_model::{Head, Target};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use crate::bundle::Bundle;
use crate::counters::OPEN_METRICS;
use crate::error::{ErrorType, Refusal};
use crate::server::Server;

/// What text-embeddings-inference says of its model, of the bundle that is named or the default one.
pub(super) async fn info(State(server): State<Arc<Server>>, named: Option<Path<String>>) -> Response<Body> {
    let name = named.as_ref().map(|name| name.0.as_str());
    let bundle = match name {
        Some(name) => server.bundle(name),
        None => server.bundle_or_default(None),
    };
    match bundle {
        Ok(bundle) => as_json(&description(&server, &bundle)),
        Err(refusal) => refusal.response(false),
    }
}

/// All bundles, the default one first.
pub(super) async fn models(State(server): State<Arc<Server>>) -> Response<Body> {
    let all: Vec<Value> = server.bundles().iter().map(|bundle| description(&server, bundle)).collect();
    as_json(&json!(all))
}

/// All bundles, as OpenAI lists its models.
pub(super) async fn openai_models(State(server): State<Arc<Server>>) -> Response<Body> {
    let model =
        |bundle: &Arc<Bundle>| json!({ "id": bundle.name, "object": "model", "created": 0, "owned_by": "attar" });
    let data: Vec<Value> = server.bundles().iter().map(model).collect();
    as_json(&json!({ "object": "list", "data": data }))
}

/// Whether texts are computed.
pub(super) async fn health(State(server): State<Arc<Server>>) -> Response<Body> {
    match server.engine.is_healthy() {
        true => Response::new(Body::empty()),
        false => Refusal::new(ErrorType::Unhealthy, "unhealthy").response(false),
    }
}

/// All counters.
pub(super) async fn metrics(State(server): State<Arc<Server>>) -> Response<Body> {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], server.metrics.text()).into_response()
}

/// Joules and grams of a thousand inputs of each bundle, as far as they are known.
pub(super) async fn energy(State(server): State<Arc<Server>>) -> Response<Body> {
    let mut all = Map::new();
    for energy in server.metrics.energy().bundles {
        let texts = server.metrics.texts_of(&energy.bundle);
        if texts == 0 {
            continue;
        }
        let each = 1e3 / texts as f64;
        let joules = energy.joules;
        let mut said = json!({
            "inputs": texts,
            "joules_per_1000_inputs": joules.value().get() * each,
            "method": energy.method.map(|method| method.to_string()),
        });
        if joules.has_interval() {
            said["low"] = json!(joules.low().get() * each);
            said["high"] = json!(joules.high().get() * each);
        }
        if let Some(carbon) = energy.carbon {
            said["grams_co2e_per_1000_inputs"] = json!(carbon.value().get() * each);
        }
        all.insert(energy.bundle, said);
    }
    as_json(&Value::Object(all))
}

fn as_json(value: &Value) -> Response<Body> {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn description(server: &Server, bundle: &Bundle) -> Value {
    let labels = |labels: &[String]| {
        let by_id: Map<String, Value> =
            labels.iter().enumerate().map(|(id, label)| (id.to_string(), json!(label))).collect();
        let by_label: Map<String, Value> =
            labels.iter().enumerate().map(|(id, label)| (label.clone(), json!(id))).collect();
        json!({ "id2label": by_id, "label2id": by_label })
    };
    let kind = match &bundle.head {
        Head::Classification { target: Target::Regression } => json!({ "reranker": labels(&["score".to_owned()]) }),
        Head::Classification { target: Target::Labels(names) | Target::MultiLabel(names) } => {
            json!({ "classifier": labels(names) })
        }
        Head::TokenClassification { labels: names } => json!({ "tagger": labels(names) }),
        Head::QuestionAnswering => json!({ "answerer": {} }),
        Head::None | Head::MaskedLm | Head::Pretraining => json!({ "embedding": { "pooling": bundle.pooling_name() } }),
    };
    json!({
        "model_id": bundle.name,
        "model_sha": null,
        "model_dtype": bundle.data_type(),
        "model_type": kind,
        "max_concurrent_requests": server.batches.max_queue,
        "max_input_length": bundle.max_tokens,
        "max_batch_tokens": server.batches.max_tokens,
        "max_batch_requests": null,
        "max_client_batch_size": server.limits.max_inputs,
        "auto_truncate": server.auto_truncate,
        "tokenization_workers": 1,
        "version": env!("CARGO_PKG_VERSION"),
        "sha": null,
        "docker_label": null,
        "weight_bytes": bundle.bytes,
        "is_for_pairs": bundle.compares,
    })
}
