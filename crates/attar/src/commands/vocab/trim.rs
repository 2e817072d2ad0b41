//! `attar vocab trim`: a model with the pieces that a text needs.

use anyhow::Context;
use attar_distill::{ROWS_KEY, model_directory, rules, tokenizer_files};
use attar_model::atomic::WriteMode;
use attar_model::{Bundle, keep_pieces};
use attar_text::tokenizer::{Coverage, Tokenizer, choose_pieces};
use serde::Serialize;
use serde_json::json;

use super::{Covered, MOST_UNKNOWN, over_lines};
use crate::cli::vocab::TrimArgs;
use crate::{console, tables};

#[derive(Serialize)]
struct Trimmed {
    directory: String,
    pieces_before: usize,
    pieces_after: usize,
    /// Pieces of the text that had no room.
    used_left_out: usize,
    parameters_before: usize,
    parameters_after: usize,
    /// About, in 8-bit integers, with the tokenizer.
    bytes_int8_before: usize,
    bytes_int8_after: usize,
    before: Covered,
    after: Covered,
}

pub(super) fn run(args: &TrimArgs) -> anyhow::Result<()> {
    let directory = model_directory::existing(&args.model)?;
    anyhow::ensure!(
        std::fs::read_dir(&args.out).map_or(!args.out.exists(), |mut entries| entries.next().is_none()),
        "{}: expected a folder that is new or empty, found something there; choose another --out",
        args.out.display()
    );
    let whole = Tokenizer::from_dir(&directory)?;
    let mut bundle = Bundle::read(&directory)?;
    let config = &bundle.config;
    let (parameters_before, bytes_int8_before) = (config_parameters(config), rules::shipped_bytes(config));
    let size = match (args.size, args.max_bytes) {
        (Some(size), _) => size,
        (None, budget) => {
            let budget = budget.context("expected --size or --max-bytes, got neither")?;
            rules::pieces_within(config, budget).context("--max-bytes")?
        }
    };

    let text = &args.corpus.text;
    let usage = over_lines(text, "text, whole vocabulary", |lines| whole.usage(lines))?;
    let (counts, before) = (usage.counts, usage.coverage);
    let chosen = choose_pieces(&whole, &counts, size.min(whole.vocabulary_size()))?;
    let trimmed = whole.trimmed(&chosen.keep)?;
    let after = over_lines(text, "text, trimmed vocabulary", |lines| trimmed.tokenizer.coverage(lines))?;
    let unknown = |coverage: Coverage| coverage.unknown_share().unwrap_or(0.0);
    anyhow::ensure!(before.words > 0, "the text has no words: give text like what the model will read");
    anyhow::ensure!(
        unknown(after) <= unknown(before) + MOST_UNKNOWN,
        "{} pieces, special ones included, have no room for the characters of the text: {:.1} % of it would be unknown to the model, \
         expected at most {:.0} % more than now; keep more pieces with a larger --size or --max-bytes",
        trimmed.kept.len(),
        100.0 * unknown(after),
        100.0 * MOST_UNKNOWN
    );

    keep_pieces(&mut bundle.config, &mut bundle.weights, &trimmed.kept)?;
    let max_tokens = bundle.max_tokens.unwrap_or_else(|| bundle.config.usable_positions());
    bundle.tokenizer_files = tokenizer_files(&trimmed.tokenizer, max_tokens)?;
    if bundle.quantized.take().is_some() {
        console::note("the quantized weights are left out: make them again with `attar quantize`");
    }
    // Both speak of the model with all its pieces, but the rows that it was made from are those of the smaller one too.
    bundle.card = None;
    let rows = bundle.provenance.take().and_then(|mut made| Some(made.get_mut(ROWS_KEY)?.take()));
    bundle.provenance = rows.map(|rows| json!({ ROWS_KEY: rows }));
    bundle.write(&args.out, WriteMode::New)?;

    let result = Trimmed {
        directory: args.out.display().to_string(),
        pieces_before: whole.vocabulary_size(),
        pieces_after: trimmed.kept.len(),
        used_left_out: chosen.used_left_out,
        parameters_before,
        parameters_after: config_parameters(&bundle.config),
        bytes_int8_before,
        bytes_int8_after: rules::shipped_bytes(&bundle.config),
        before: Covered::of(before),
        after: Covered::of(after),
    };
    if args.json {
        return console::json(&result);
    }
    let mut table = tables::table(&["", "pieces", "parameters", "bytes in int8", "pieces a word", "unknown"]);
    let row = |name: &str, pieces: usize, parameters: usize, bytes: usize, covered: &Covered| {
        [
            name.to_string(),
            pieces.to_string(),
            parameters.to_string(),
            tables::bytes(bytes as u64),
            covered.pieces_a_word.map_or("–".into(), |value| format!("{value:.3}")),
            covered.unknown_share.map_or("–".into(), |value| format!("{:.3} %", 100.0 * value)),
        ]
    };
    table.add_row(row("before", result.pieces_before, parameters_before, bytes_int8_before, &result.before));
    table.add_row(row("after", result.pieces_after, result.parameters_after, result.bytes_int8_after, &result.after));
    console::say(table.to_string())?;
    if result.used_left_out > 0 {
        console::note(format!(
            "{} rare pieces of the text had no room: words with them are cut into smaller ones",
            result.used_left_out
        ));
    }
    console::say(format!("{}: score it with `attar eval {0} --data …`", result.directory))?;
    Ok(())
}

fn config_parameters(config: &attar_model::EncoderConfig) -> usize {
    attar_model::Size::of(config).parameters()
}
