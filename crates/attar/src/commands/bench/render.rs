//! The result for people: tables for a terminal, and the same as Markdown.

use crate::tables;

use super::result::{BenchReport, BenchRow, Latency, Ratio};

/// A table before it is laid out.
struct Sheet {
    title: String,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// Tables for a terminal.
pub(super) fn tables(report: &BenchReport) -> String {
    let sheets = sheets(report).into_iter().map(|sheet| {
        let mut table = tables::table(&sheet.head);
        table.add_rows(sheet.rows);
        format!("{}\n{table}", sheet.title)
    });
    sheets.chain(report.limit.clone()).collect::<Vec<_>>().join("\n\n")
}

/// Tables in Markdown.
pub(super) fn markdown(report: &BenchReport) -> String {
    let line = |cells: Vec<String>| {
        // A bar in a file's name would begin another cell.
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |", cells.join(" | "))
    };
    let sheets = sheets(report).into_iter().map(|sheet| {
        let rules = (0..sheet.head.len()).map(|column| if column == 0 { "---" } else { "--:" }.to_owned());
        let head = sheet.head.iter().map(|head| (*head).to_owned());
        let lines = [line(head.collect()), line(rules.collect())].into_iter().chain(sheet.rows.into_iter().map(line));
        format!("{}\n\n{}", sheet.title, lines.collect::<Vec<_>>().join("\n"))
    });
    let warnings = report.warnings.iter().map(|warning| format!("> {warning}"));
    sheets.chain(report.limit.clone()).chain(warnings).collect::<Vec<_>>().join("\n\n")
}

fn sheets(report: &BenchReport) -> Vec<Sheet> {
    vec![machine(report), sizes(report), shapes(report), texts(report)]
}

fn machine(report: &BenchReport) -> Sheet {
    let m = &report.machine;
    let name = if m.processor.is_empty() { "unknown processor" } else { &m.processor };
    let rows = m.peaks.iter().map(|peak| {
        vec![
            peak.threads.to_string(),
            format!("{:.0} GFLOP/s", peak.f32_gflops),
            format!("{:.0} GOP/s", peak.int8_gops),
            format!("{:.1} GB/s", peak.memory_gb_per_s),
        ]
    });
    Sheet {
        title: format!("{name}, {} processors, {}, {}: measured peaks", m.processors, m.system, m.instructions),
        head: vec!["threads", "f32", "int8", "memory"],
        rows: rows.collect(),
    }
}

fn sizes(report: &BenchReport) -> Sheet {
    let rows = report.results.iter().map(|row| {
        let start = row.start.as_ref();
        let rss = start.map(|start| start.peak_rss_bytes.map_or("unknown".into(), size));
        let mut cells = names(row);
        cells.extend([
            size(row.bytes_on_disk),
            tables::bytes(row.bytes_in_memory as u64),
            start.map_or_else(dash, |start| milliseconds(start.first_answer_ms)),
            start.map_or_else(dash, |start| milliseconds(start.process_ms)),
            rss.unwrap_or_else(dash),
        ]);
        cells
    });
    let mut head = NAMES.to_vec();
    head.extend(["on disk", "weights in memory", "first answer ms", "whole process ms", "peak RSS"]);
    Sheet { title: "Size, and a start of the program that answers one text".into(), head, rows: rows.collect() }
}

fn shapes(report: &BenchReport) -> Sheet {
    let rows = report.results.iter().flat_map(|row| {
        row.shapes.iter().map(|of| {
            let mut cells = names(row);
            cells.push(format!("{}x{}", of.shape.batch, of.shape.length));
            cells.extend(percentiles(&of.latency));
            cells.extend([
                format!("{:.1}", of.rate.gflops),
                of.rate.share_of_peak.map_or_else(dash, share),
                ratio(of.against.than_first),
                ratio(of.against.than_fewest_threads),
            ]);
            cells
        })
    });
    let mut head = NAMES.to_vec();
    head.extend(["batch x tokens", "p50 ms", "p95 ms", "p99 ms", "GFLOP/s", "of peak", THAN_FIRST, THAN_FEWEST]);
    Sheet { title: format!("From token ids to the answer, {} rounds", report.rounds), head, rows: rows.collect() }
}

fn texts(report: &BenchReport) -> Sheet {
    let rows = report.results.iter().map(|row| {
        let texts = &row.texts;
        let mut cells = names(row);
        cells.extend(percentiles(&texts.single));
        cells.extend([
            tables::count(texts.texts_per_second.round() as u64),
            tables::count(texts.tokens_per_second.round() as u64),
            texts.rate.share_of_peak.map_or_else(dash, share),
            ratio(texts.against.than_first),
            ratio(texts.against.than_fewest_threads),
            texts.joules_per_thousand.map_or_else(dash, |joules| joules.to_string()),
            texts.energy_method.map_or_else(dash, |method| method.to_string()),
        ]);
        cells
    });
    let mut head = NAMES.to_vec();
    head.extend(["one: p50 ms", "p95 ms", "p99 ms", "all: texts/s", "tokens/s", "of peak", THAN_FIRST, THAN_FEWEST]);
    head.extend(["J/1,000 texts [90 %]", "method"]);
    let tokens = report.results.first().map_or(0.0, |row| row.texts.tokens);
    let title = format!(
        "From text to answer: {} texts of {} ({tokens:.1} tokens each), one at a time and all at once",
        tables::count(report.texts.rows as u64),
        report.texts.name
    );
    Sheet { title, head, rows: rows.collect() }
}

const NAMES: [&str; 3] = ["model", "precision", "threads"];
const THAN_FIRST: &str = "x the first";
const THAN_FEWEST: &str = "x fewest threads";

fn names(row: &BenchRow) -> Vec<String> {
    vec![row.model.clone(), row.precision.name().to_owned(), row.threads.to_string()]
}

fn percentiles(latency: &Latency) -> [String; 3] {
    [latency.p50_ms, latency.p95_ms, latency.p99_ms].map(milliseconds)
}

/// Three digits.
fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 1.0 => format!("{ms:.3}"),
        ms if ms < 10.0 => format!("{ms:.2}"),
        ms if ms < 100.0 => format!("{ms:.1}"),
        ms => format!("{ms:.0}"),
    }
}

fn share(share: f64) -> String {
    let percent = 100.0 * share;
    if percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

fn ratio(ratio: Option<Ratio>) -> String {
    ratio.map_or_else(dash, |ratio| format!("{:.2} [{:.2}, {:.2}]", ratio.value, ratio.low, ratio.high))
}

fn size(bytes: u64) -> String {
    tables::bytes(bytes)
}

fn dash() -> String {
    "–".into()
}
