//! What a request is refused with.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

/// Kinds of errors, as text-embeddings-inference names them, and two that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum ErrorType {
    /// The server cannot answer anybody (503).
    Unhealthy,
    /// The bundle cannot do what was asked, or its numbers overflowed (424).
    Backend,
    /// Too many texts wait, or a key asks too often (429).
    Overloaded,
    /// The request asks for more than is allowed or for what does not exist (413; 400, 404 or 422 where it has another
    /// form).
    Validation,
    /// A text cannot be tokenized (422).
    Tokenizer,
    /// Nothing was given (400).
    Empty,
    /// No key, or an unknown one (401).
    Unauthorized,
    /// The answer took longer than allowed (503).
    Timeout,
}

/// The body of an answer to a request that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorResponse {
    /// What is wrong, and the way out.
    pub error: String,
    /// Which kind of error it is.
    pub error_type: ErrorType,
}

/// A refusal: status, body, and when to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) body: ErrorResponse,
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    /// A refusal with the usual status of its kind.
    pub(crate) fn new(error_type: ErrorType, error: impl Into<String>) -> Refusal {
        let (status, retry_after) = match error_type {
            ErrorType::Unhealthy => (StatusCode::SERVICE_UNAVAILABLE, None),
            ErrorType::Backend => (StatusCode::FAILED_DEPENDENCY, None),
            ErrorType::Overloaded => (StatusCode::TOO_MANY_REQUESTS, Some(1)),
            ErrorType::Validation => (StatusCode::PAYLOAD_TOO_LARGE, None),
            ErrorType::Tokenizer => (StatusCode::UNPROCESSABLE_ENTITY, None),
            ErrorType::Empty => (StatusCode::BAD_REQUEST, None),
            ErrorType::Unauthorized => (StatusCode::UNAUTHORIZED, None),
            ErrorType::Timeout => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
        };
        Refusal { status, body: ErrorResponse { error: error.into(), error_type }, retry_after }
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Refusal {
        Refusal { status, ..self }
    }

    pub(crate) fn after(self, seconds: u64) -> Refusal {
        Refusal { retry_after: Some(seconds), ..self }
    }

    /// The name by which it is counted.
    pub(crate) fn kind(&self) -> &'static str {
        match self.body.error_type {
            ErrorType::Unhealthy => "unhealthy",
            ErrorType::Backend => "backend",
            ErrorType::Overloaded => "overloaded",
            ErrorType::Validation => "validation",
            ErrorType::Tokenizer => "tokenizer",
            ErrorType::Empty => "empty",
            ErrorType::Unauthorized => "unauthorized",
            ErrorType::Timeout => "timeout",
        }
    }

    /// The answer. The routes of OpenAI have the form that its clients read a message from.
    pub(crate) fn response(&self, is_openai: bool) -> Response<Body> {
        let body = if is_openai {
            let ErrorResponse { error, error_type } = &self.body;
            let code = self.status.as_u16();
            let inner = json!({ "message": error, "type": error_type, "code": code, "param": null });
            json!({ "error": inner, "message": error, "code": code, "type": error_type })
        } else {
            json!(self.body)
        };
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<attar_runtime::Error> for Refusal {
    fn from(error: attar_runtime::Error) -> Refusal {
        let kind = match error {
            attar_runtime::Error::Encode(_) => ErrorType::Tokenizer,
            _ => ErrorType::Backend,
        };
        Refusal::new(kind, error.to_string())
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A bundle cannot be loaded.
    #[error("the bundle `{name}` cannot be served: {source}")]
    Bundle {
        /// The name it was to be served by.
        name: String,
        /// Why.
        source: Box<attar_runtime::Error>,
    },
    /// Two bundles of one name.
    #[error("two bundles are named `{name}`: give one of them another name, as in NAME=PATH")]
    Twice {
        /// The name.
        name: String,
    },
    /// There is no bundle to serve.
    #[error("there is no bundle to serve: name one or more model directories")]
    NoBundle,
    /// A name that cannot stand in an address.
    #[error(
        "`{name}` cannot name a bundle, because names are part of addresses: expected letters, digits, `-`, `_` and `.`"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Two bundles that cannot answer together.
    #[error("`{student}` and `{teacher}` make no cascade: {problem}")]
    Cascade {
        /// The bundle that is asked.
        student: String,
        /// The bundle that answers where it is not sure.
        teacher: String,
        /// What is wrong with them.
        problem: String,
    },
    /// An origin that no browser sends.
    #[error("`{origin}` is not the origin of a page: expected one such as https://example.org, or *")]
    Origin {
        /// The word.
        origin: String,
    },
    /// A line of the file of keys.
    #[error(
        "line {line} of the keys: {problem}; expected a name, the SHA-256 of a key as 64 hexadecimal digits, and at will the requests a minute"
    )]
    Key {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A certificate or key that cannot be used.
    #[error("{} cannot secure connections: {problem}; {expected}", path.display())]
    Tls {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A certificate, and no code for it.
    #[error(
        "this program was built without TLS: build it with `--features tls`, or put a reverse proxy in front of it and leave the \
         certificate out"
    )]
    NoTls,
    /// The system refuses something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}
