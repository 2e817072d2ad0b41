//! What a server tells its operator. No event holds a word of a text.

use std::sync::Arc;

use serde::Serialize;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The server takes requests from now on.
    Listening {
        /// Where, as an address of the web or the path of a socket.
        at: String,
        /// Names of the bundles, the default one first.
        bundles: Vec<String>,
    },
    /// A request was answered.
    Request {
        /// Its route, as `/embed`.
        route: &'static str,
        /// The bundle that it asked.
        bundle: String,
        /// The name of its key, where keys are wanted.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// The status of the answer.
        status: u16,
        /// Inputs.
        inputs: usize,
        /// Tokens of all inputs.
        tokens: usize,
        /// Milliseconds from its arrival to its answer.
        total_ms: f64,
        /// Milliseconds that its inputs waited, their mean.
        queue_ms: f64,
        /// Milliseconds that its inputs were computed, their mean.
        inference_ms: f64,
    },
    /// A bundle was read again and answers from now on.
    Reloaded {
        /// Its name.
        bundle: String,
    },
    /// A bundle could not be read again; its former state stays.
    ReloadRefused {
        /// Its name.
        bundle: String,
        /// Why.
        error: String,
    },
    /// The certificate was read again and secures new connections from now on.
    CertificateReloaded,
    /// The certificate could not be read again; the former one stays.
    CertificateRefused {
        /// Why.
        error: String,
    },
    /// A student in a cascade agrees with its teacher less than its contract promises.
    Drift {
        /// The student.
        student: String,
        /// Its teacher.
        teacher: String,
        /// The latest answers that were put to both, 2,000 at most.
        audits: u64,
        /// Those that were the same.
        agreed: u64,
        /// The share that the contract promises.
        min_agreement: f64,
    },
    /// Something about a bundle that its operator should know.
    Note {
        /// The bundle.
        bundle: String,
        /// A sentence.
        text: String,
    },
    /// No further requests are taken; those that were are answered.
    Stopping,
}

/// Receives the events of a server, on whichever thread they happen.
pub type EventHandler = Arc<dyn Fn(&Event) + Send + Sync>;
