//! What all routes that compute have in common: from the bytes of a request to the bytes of its answer.

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::call::Call;
use crate::connections::Client;
use crate::error::{ErrorType, Refusal};
use crate::event::Event;
use crate::server::Server;

/// A route that computes: its request and its answer are types, from which the document of the interface is made too.
pub(crate) trait Route: Send + 'static {
    /// Where it is.
    const PATH: &'static str;
    /// Where it is besides.
    const ALIASES: &'static [&'static str] = &[];
    /// What it does, in a sentence.
    const SUMMARY: &'static str;
    /// Whether errors have OpenAI's form.
    const IS_OPENAI: bool = false;
    type Request: DeserializeOwned + JsonSchema + Send + 'static;
    type Answer: Serialize + JsonSchema + Send + 'static;

    /// The bundle that the request itself names.
    fn bundle(_request: &Self::Request) -> Option<&str> {
        None
    }

    /// Answers.
    fn answer(call: &mut Call, request: Self::Request) -> impl Future<Output = Result<Self::Answer, Refusal>> + Send;
}

/// The name of the key that a request came with.
#[derive(Debug, Clone)]
pub(crate) struct KeyName(pub(crate) String);

/// Answers a request for a route.
pub(crate) async fn respond<R: Route>(
    State(server): State<Arc<Server>>,
    named: Option<Path<String>>,
    key: Option<Extension<KeyName>>,
    request: Request,
) -> Response<Body> {
    let begin = Instant::now();
    let mut call = None;
    let answered = answer::<R>(&server, named.as_ref().map(|name| name.0.as_str()), request, begin, &mut call).await;
    let response = match answered {
        Ok(response) => response,
        Err(refusal) => {
            server.metrics.record_refusal(refusal.kind());
            refusal.response(R::IS_OPENAI)
        }
    };
    let status = response.status().as_u16();
    let bundle = call.as_ref().map_or_else(String::new, |call| call.bundle.name.clone());
    server.metrics.record_answer(R::PATH, &bundle, status);
    let timing = call.as_ref().map(Call::timing).unwrap_or_default();
    (server.on_event)(&Event::Request {
        route: R::PATH,
        bundle,
        key: key.map(|Extension(KeyName(name))| name),
        status,
        inputs: call.as_ref().map_or(0, |call| call.inputs),
        tokens: call.as_ref().map_or(0, |call| call.tokens),
        total_ms: begin.elapsed().as_secs_f64() * 1e3,
        queue_ms: timing.queue.as_secs_f64() * 1e3,
        inference_ms: timing.inference.as_secs_f64() * 1e3,
    });
    response
}

async fn answer<R: Route>(
    server: &Arc<Server>,
    named: Option<&str>,
    request: Request,
    begin: Instant,
    slot: &mut Option<Call>,
) -> Result<Response<Body>, Refusal> {
    let client = request.extensions().get::<Client>().cloned().unwrap_or_default();
    let bytes = body(request, server.limits.max_body).await?;
    let parsed: R::Request = parse(&bytes)?;
    drop(bytes);
    let bundle = match named {
        Some(name) => server.bundle(name)?,
        None => server.bundle_or_default(R::bundle(&parsed))?,
    };
    let call = slot.insert(Call::new(Arc::clone(server), bundle, client, begin));
    let answer = R::answer(call, parsed).await?;
    let text = serde_json::to_vec(&answer)
        .map_err(|_| Refusal::new(ErrorType::Backend, "the answer cannot be written as JSON"))?;
    call.answered();
    let mut response = Response::new(Body::from(text));
    *response.headers_mut() = call.headers();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn body(request: Request, most: usize) -> Result<Bytes, Refusal> {
    let too_long = || {
        let said = format!("the body has more than {most} bytes: send less at a time");
        Refusal::new(ErrorType::Validation, said)
    };
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > most as u64) {
        return Err(too_long());
    }
    to_bytes(request.into_body(), most).await.map_err(|error| {
        if error.to_string().contains("length limit") {
            return too_long();
        }
        Refusal::new(ErrorType::Validation, "the body did not arrive whole: send it again")
            .with_status(StatusCode::BAD_REQUEST)
    })
}

/// Reads JSON: 400 where it is none, 422 where it says something else than the route understands.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Data => understood(&error),
        Category::Syntax | Category::Eof | Category::Io => {
            Refusal::new(ErrorType::Validation, format!("the body is not valid JSON: {error}"))
                .with_status(StatusCode::BAD_REQUEST)
        }
    })
}

/// The refusal of JSON that does not say what a route understands. Errors name values, which may be words of a text: only
/// where something is and what was expected is passed on.
pub(crate) fn understood(error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    let said = match text.find("expected") {
        Some(at) if text.starts_with("invalid") => format!("the body does not fit: {}", &text[at..]),
        _ => format!("the body does not fit: {text}"),
    };
    Refusal::new(ErrorType::Validation, said).with_status(StatusCode::UNPROCESSABLE_ENTITY)
}
