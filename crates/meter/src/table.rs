//! The embedded tables: comma-separated, with `#` lines that name source and license.

use serde::de::DeserializeOwned;

/// Parses a table that is compiled into the program.
///
/// # Panics
/// If the text is not such a table, which a test of each table rules out.
pub fn embedded<T: DeserializeOwned>(text: &str) -> Vec<T> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
    // The text never changes after compilation, and a test of each table parses it whole.
    #[expect(clippy::expect_used, reason = "constant input, parsed by a test of each table")]
    reader.deserialize().collect::<Result<_, _>>().expect("embedded table")
}

/// The names nearest to one that is not known, the best first.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>, count: usize) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let mut scored: Vec<(f64, &str)> =
        known.into_iter().map(|name| (strsim::jaro_winkler(&wanted, &name.to_lowercase()), name)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(count).map(|(_, name)| name).collect()
}
