//! Texts that a user gives on the command line or through standard input.

use std::io::BufRead;

use anyhow::Context;

/// The texts given, or the lines of standard input.
pub(crate) fn given(texts: &[String]) -> anyhow::Result<Vec<String>> {
    if !texts.is_empty() {
        return Ok(texts.to_vec());
    }
    let lines: Result<Vec<String>, _> = std::io::stdin().lock().lines().collect();
    let lines = lines.context("standard input is not text in UTF-8")?;
    anyhow::ensure!(!lines.is_empty(), "no texts: give some as arguments, or one a line on standard input");
    Ok(lines)
}
