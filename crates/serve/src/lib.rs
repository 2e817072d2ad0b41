//! Bundles over HTTP: the routes of text-embeddings-inference 1.9 and OpenAI's embeddings, so that their clients work
//! unchanged, and besides them tags, answers, and what all of it costs in joules.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use attar_bill::{Factors, Grid, Tariff};
//! use attar_meter::{Meter, MeterOptions};
//! use attar_runtime::{Options, Precision};
//! use attar_serve::{Listening, NamedBundle, ServeOptions, Server};
//!
//! let options = Options::all_threads(Precision::Int8);
//! let bundle = NamedBundle { name: "intents".into(), dir: "runs/intents/student".into(), options };
//! let meter = Meter::start(MeterOptions::default(), None)?;
//! let factors = Factors::new(Grid::world(), Tariff::own_machine());
//! let server = Server::new(ServeOptions::new(vec![bundle]), meter, factors, Arc::new(|_event| ()))?;
//! server.run(Listening::Tcp(std::net::TcpListener::bind("127.0.0.1:8080")?))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The modules, from a connection to a result
//! - `limits`: [`Limited`], connections that end when their clients take too long; `tls`: encrypted ones; `connections`: requests of
//!   clients that send no more, or left. `server`: [`Server`], what all requests share. `routes`: who may ask what; `keys`: [`Keys`]. `route`: from the bytes of a request to the bytes of its answer;
//!   a file of `routes` for each kind of question.
//! - `reload`: reading all of it again while it is served.
//! - `call`: a request on its way; `encode`: from its texts to ids. `batch`: [`BatchPolicy`], which of the texts that wait
//!   are computed together. `engine`: the thread that computes them. `bundle`: what requests need of a model directory.
//! - `cascade`: [`Cascade`], a student that answers for its teacher where it is sure.
//! - `metrics` and `energy`: counters, joules and grams. `event`: [`Event`], what the operator is told. `document`: the
//!   interface in OpenAPI, from the types. `page`: what a browser shows.
//! - `counters`: [`serve_counters`], a page of counters and nothing else.
//!
//! # Guarantees
//! - An answer is to the bit what [`Session`](attar_runtime::Session) gives for its text alone, whatever is computed beside it.
//! - A request that was accepted is answered, though the server is told to end or a bundle is replaced meanwhile.
//! - No event and no counter holds a word of a text.

mod batch;
mod bundle;
mod call;
mod cascade;
mod connections;
mod counters;
mod document;
mod encode;
mod energy;
mod engine;
mod error;
mod event;
mod keys;
mod limits;
mod metrics;
mod page;
mod reload;
mod route;
mod routes;
mod server;
mod signals;
mod tls;

pub use batch::BatchPolicy;
pub use bundle::NamedBundle;
pub use cascade::{Cascade, ReadTerms, Terms};
pub use counters::serve_counters;
pub use error::{ErrorResponse, ErrorType, ServeError};
pub use event::{Event, EventHandler};
pub use keys::Keys;
pub use limits::{Connection, Limited, Limits};
pub use server::{Listening, RequestLimits, ServeOptions, Server};
pub use tls::TlsFiles;

/// The document of the interface, as OpenAPI 3.1.
pub fn openapi() -> serde_json::Value {
    routes::document()
}
