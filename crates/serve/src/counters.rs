//! A page of counters for Prometheus, read anew at an interval.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::connections;
use crate::limits::{Limited, Limits};
use crate::signals::shutdown;

/// The type that OpenMetrics asks for.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves what `read` says at `/metrics`, as OpenMetrics text, until a signal ends the program. `read` is called every
/// `interval`, not by requests; `started` gets the address.
///
/// # Errors
/// If the system refuses an event loop or the listener.
pub fn serve_counters(
    listener: TcpListener,
    interval: Duration,
    mut read: impl FnMut() -> String,
    started: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    // A scrape gets what the last reading said: counters are cumulative, so none is lost between two.
    let page = Arc::new(Mutex::new(read()));
    let shown = Arc::clone(&page);
    let metrics = move || {
        let text = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        async move { ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response() }
    };
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/", get(|| async { "attar energy: counters are at /metrics\n" }));
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let end = shutdown();
        started(listener.local_addr()?);
        let mut clock = tokio::time::interval(interval);
        let reading = async {
            loop {
                clock.tick().await;
                let text = read();
                *page.lock().unwrap_or_else(PoisonError::into_inner) = text;
            }
        };
        tokio::select! {
            () = connections::serve(Limited::new(listener, Limits::default()), app, end) => Ok(()),
            () = reading => Ok(()),
        }
    })
}
