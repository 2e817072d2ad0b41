//! `/admin/reload`: reads the bundles again.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::error::{ErrorType, Refusal};
use crate::reload::{ReloadOutcome, ReloadedPart};
use crate::server::Server;

/// Reads bundles and certificate again and says what was accepted.
pub(super) async fn reload(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response<Body> {
    // A page of another site may send requests to this machine by its visitor's browser.
    if headers.contains_key(header::ORIGIN) {
        let said = "pages may not reload bundles: use curl, or send the process SIGHUP";
        return Refusal::new(ErrorType::Unauthorized, said).with_status(StatusCode::FORBIDDEN).response(false);
    }
    let outcomes = server.reload_all().await;
    let is_whole = outcomes.iter().all(|outcome| outcome.error.is_none());
    let list: Vec<Value> = outcomes.into_iter().map(row).collect();
    let mut response = Response::new(Body::from(json!(list).to_string()));
    if !is_whole {
        *response.status_mut() = StatusCode::FAILED_DEPENDENCY;
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn row(outcome: ReloadOutcome) -> Value {
    let mut row = Map::new();
    match outcome.part {
        ReloadedPart::Bundle(name) => row.insert("bundle".into(), json!(name)),
        ReloadedPart::Certificate => row.insert("certificate".into(), json!(true)),
    };
    row.insert("outcome".into(), json!(if outcome.error.is_none() { "accepted" } else { "refused" }));
    if let Some(error) = outcome.error {
        row.insert("error".into(), json!(error));
    }
    Value::Object(row)
}
