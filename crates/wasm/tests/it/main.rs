//! Models as scripts see them: natively, and under node and in Chromium where those are.
#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its files has failed")]

mod models;
mod native;
mod scripts;
