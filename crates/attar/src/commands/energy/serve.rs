//! `attar energy serve`: joule counters for Prometheus, at `/metrics`.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use attar_bill::{Bill, exposition};
use attar_meter::{CgroupClock, Clock, GapKind, Host, Ledger, Meter, SystemClock};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use super::setup;
use crate::cli::energy::ServeArgs;
use crate::console;
use crate::limits::{Limited, Limits};

/// The type that OpenMetrics asks for.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let factors = setup::placed(&args.place)?;
    let options = setup::meter(&args.source, args.interval)?;
    // Before anything is written, so that a busy address leaves nothing behind.
    let listener = std::net::TcpListener::bind(args.listen)
        .with_context(|| format!("cannot listen on {}; choose another address with --listen", args.listen))?;
    listener.set_nonblocking(true)?;
    let ledger = match &args.out {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
            Some(Ledger::append_to(folder.join("ledger.jsonl"))?)
        }
        None => None,
    };
    let clock: Box<dyn Clock> = match &args.cgroup {
        Some(folder) => Box::new(CgroupClock::new(folder)?),
        None => Box::new(SystemClock::new()),
    };
    let mut meter = Meter::start_on(&Host::local(), clock, options, ledger)?;
    setup::must_read(&args.source, &meter)?;
    meter.name_first_phase("served");
    for reason in meter.reasons() {
        console::note(reason);
    }
    let text =
        move |meter: &Meter| exposition(meter.totals(), meter.power(), &Bill::from_factors(meter.totals(), &factors));
    // A scrape gets what the last reading said: counters are cumulative, so none is lost between two.
    let page = Arc::new(Mutex::new(text(&meter)));
    let shown = Arc::clone(&page);
    let metrics = move || {
        let text = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        async move { ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response() }
    };
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/", get(|| async { "attar energy: counters are at /metrics\n" }));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no event loop")?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        console::note(format!("counters at http://{}/metrics", listener.local_addr()?));
        let mut clock = tokio::time::interval(args.interval);
        let reading = async {
            loop {
                clock.tick().await;
                meter.flush();
                *page.lock().unwrap_or_else(PoisonError::into_inner) = text(&meter);
            }
        };
        tokio::select! {
            served = axum::serve(Limited::new(listener, Limits::default()), app) => served.context("the server stopped"),
            () = reading => Ok(()),
            () = ending() => Ok(()),
        }
    })?;
    // Writes what is left to the ledger.
    for gap in meter.finish().gaps.iter().filter(|gap| gap.kind == GapKind::Unwritten) {
        console::note(gap.to_string());
    }
    Ok(())
}

/// Waits for the signal that ends the program.
#[cfg(unix)]
async fn ending() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn ending() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
