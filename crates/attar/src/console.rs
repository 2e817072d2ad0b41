//! What reaches the terminal: results on standard output, everything else on standard error.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

/// Whether standard error is for warnings and errors alone.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Leaves out notes and progress from now on, or not.
pub(crate) fn be_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Whether notes and progress are left out.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// A line of result.
pub(crate) fn say(text: impl AsRef<str>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.as_ref())
}

/// A result as one JSON document.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    say(serde_json::to_string_pretty(value)?)?;
    Ok(())
}

/// A result as one line of JSON.
pub(crate) fn write_json_line(out: &mut dyn Write, value: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    Ok(out.write_all(b"\n")?)
}

/// The line of JSON that stands for a text without an answer; `unit` is what `place` counts.
pub(crate) fn write_refusal(out: &mut dyn Write, unit: &str, place: usize, problem: &str) -> anyhow::Result<()> {
    write_json_line(out, &serde_json::json!({ unit: place, "error": problem }))
}

/// Something a user should know, beside the result.
pub(crate) fn note(text: impl AsRef<str>) {
    if !is_quiet() {
        // If standard error is closed there is no reader.
        let _ = writeln!(io::stderr().lock(), "note: {}", text.as_ref());
    }
}

/// Something that makes a result worth less than it looks.
pub(crate) fn warning(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "warning: {}", text.as_ref());
}

/// What accompanies the output of another program: lines on standard error.
pub(crate) fn aside(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// Why the command failed, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        // Many errors say their cause themselves.
        if !text.contains(cause.trim_end()) {
            text = format!("{text}: {cause}");
        }
    }
    let _ = writeln!(io::stderr().lock(), "error: {text}");
}
