//! `/admin/reload`: reads the bundles again.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::error::{ErrorType, Refusal};
use crate::server::Server;

/// Reads all bundles again and says which were taken.
pub(super) async fn reload(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response<Body> {
    // A page of another site may send requests to this machine by its visitor's browser.
    if headers.contains_key(header::ORIGIN) {
        let said = "pages may not reload bundles: use curl, or send the process SIGHUP";
        return Refusal::new(ErrorType::Unauthorized, said).with_status(StatusCode::FORBIDDEN).response(false);
    }
    let outcomes = server.reload_all().await;
    let is_whole = outcomes.iter().all(|(_, error)| error.is_none());
    let list: Vec<Value> = outcomes
        .into_iter()
        .map(|(bundle, error)| match error {
            None => json!({ "bundle": bundle, "outcome": "taken" }),
            Some(error) => json!({ "bundle": bundle, "outcome": "refused", "error": error }),
        })
        .collect();
    let mut response = Response::new(Body::from(json!(list).to_string()));
    if !is_whole {
        *response.status_mut() = StatusCode::FAILED_DEPENDENCY;
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
