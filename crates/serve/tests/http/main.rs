//! A server from outside, over sockets: what it answers, what it refuses, what it withstands.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod cascade;
mod client;
mod faults;
mod half_closed;
mod load;
mod metrics;
mod models;
mod refusals;
mod requests;
mod routes;
mod scripts;
#[cfg(feature = "tls")]
mod tls;
