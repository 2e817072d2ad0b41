//! All routes, and who may ask them.

mod admin;
mod any;
mod embed;
mod info;
mod openai;
mod predict;
mod rerank;
mod similarity;
mod tokens;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, header};
use axum::middleware::{self, Next};
use axum::routing::{get, post};
use serde_json::Value;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::document::Document;
use crate::error::{ErrorType, Refusal, ServeError};
use crate::page;
use crate::route::{KeyName, Route, respond};
use crate::server::Server;

/// Refuses what no browser sends as an origin.
pub(crate) fn check_origins(origins: &[String]) -> Result<(), ServeError> {
    let is_origin = |origin: &String| {
        let host = origin.strip_prefix("https://").or(origin.strip_prefix("http://"));
        origin == "*"
            || host.is_some_and(|host| !host.is_empty() && !host.contains('/')) && HeaderValue::from_str(origin).is_ok()
    };
    match origins.iter().find(|origin| !is_origin(origin)) {
        Some(origin) => Err(ServeError::Origin { origin: origin.clone() }),
        None => Ok(()),
    }
}

/// Routes that compute, in the order of the document.
struct Computing {
    router: Router<Arc<Server>>,
    document: Document,
}

impl Computing {
    fn with<R: Route>(self) -> Computing {
        let mut router = self.router;
        for path in [R::PATH].iter().chain(R::ALIASES) {
            router = router.route(path, post(respond::<R>));
        }
        let of_bundle = format!("/models/{{bundle}}{}", R::PATH);
        let router = router.route(&of_bundle, post(respond::<R>));
        Computing { router, document: self.document.with::<R>() }
    }

    fn all() -> Computing {
        Computing { router: Router::new(), document: Document::new() }
            .with::<predict::Predict>()
            .with::<embed::Embed>()
            .with::<embed::EmbedAll>()
            .with::<similarity::Similarity>()
            .with::<rerank::Rerank>()
            .with::<openai::Embeddings>()
            .with::<words::TagWords>()
            .with::<words::AnswerQuestion>()
            .with::<tokens::Tokenize>()
            .with::<tokens::Decode>()
            .with::<any::Invocations>()
    }
}

/// The document of the interface.
pub(crate) fn document() -> Value {
    Computing::all().document.finish()
}

/// The routes of a server; whether an operator may act without a key, because only this machine can ask.
pub(crate) fn router(server: Arc<Server>, is_local: bool) -> Router {
    let document = Arc::new(document().to_string());
    let described = move || {
        let text = String::clone(&document);
        async move { ([(header::CONTENT_TYPE, "application/json")], text) }
    };
    let mut guarded = Computing::all()
        .router
        .route("/info", get(info::info))
        .route("/models/{bundle}/info", get(info::info))
        .route("/models", get(info::models))
        .route("/v1/models", get(info::openai_models))
        .route("/energy", get(info::energy));
    if is_local || server.keys.is_some() {
        guarded = guarded.route("/admin/reload", post(admin::reload));
    }
    let guarded = guarded.route_layer(middleware::from_fn_with_state(Arc::clone(&server), authorize));
    let open = Router::new()
        .route("/", get(page::page))
        .route("/health", get(info::health))
        .route("/ping", get(info::health))
        .route("/metrics", get(info::metrics))
        .route("/openapi.json", get(described.clone()))
        .route("/api-doc/openapi.json", get(described));
    let mut app =
        guarded.merge(open).fallback(unknown).method_not_allowed_fallback(wrong_method).with_state(Arc::clone(&server));
    if !server.cors.is_empty() {
        app = app.layer(cors(&server.cors));
    }
    app
}

fn cors(origins: &[String]) -> CorsLayer {
    let allowed = match origins.iter().any(|origin| origin == "*") {
        true => AllowOrigin::any(),
        false => AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok())),
    };
    CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
        .allow_origin(allowed)
}

/// Lets those through who have a key, where keys are wanted.
async fn authorize(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response<Body> {
    let Some(keys) = &server.keys else { return next.run(request).await };
    let given = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    match keys.check(given, server.start.elapsed()) {
        Ok(name) => {
            request.extensions_mut().insert(KeyName(name.to_owned()));
            next.run(request).await
        }
        Err(refusal) => {
            server.metrics.record_refusal(refusal.kind());
            let is_openai = request.uri().path().ends_with("/embeddings");
            refusal.response(is_openai)
        }
    }
}

async fn unknown() -> Response<Body> {
    let said = "there is no such route: see /openapi.json";
    Refusal::new(ErrorType::Validation, said).with_status(axum::http::StatusCode::NOT_FOUND).response(false)
}

async fn wrong_method() -> Response<Body> {
    let said = "this route does not have this method: see /openapi.json";
    Refusal::new(ErrorType::Validation, said).with_status(axum::http::StatusCode::METHOD_NOT_ALLOWED).response(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_origins() {
        let check = |origin: &str| check_origins(&[origin.to_owned()]).is_ok();
        assert!(check("*") && check("https://example.org") && check("http://localhost:3000"));
        for wrong in ["example.org", "https://", "https://example.org/page", "https://a\nb", ""] {
            assert!(!check(wrong), "{wrong}");
        }
    }
}
