//! From the start of a program to its first answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::cli::bench::{FirstAnswerArgs, Threads};
use crate::{console, progress};

use super::contender::{Contender, load, output};
use super::plan::BenchPlan;

/// What starts of one contender took.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// Seconds to the answer.
    pub(super) first_answer: Vec<f64>,
    /// Seconds to the end of the process.
    pub(super) process: Vec<f64>,
    /// Most bytes of memory that were resident, the largest of all starts; nothing where the system does not tell.
    pub(super) peak_rss: Option<u64>,
}

/// What the started program says.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    /// Numbers of the answer.
    width: usize,
    peak_rss_bytes: Option<u64>,
}

/// Starts each contender as a program of its own, in turns.
pub(super) fn run(plan: &BenchPlan, contenders: &[Contender]) -> anyhow::Result<Vec<Starts>> {
    let mut bar = progress::counting(plan.starts * contenders.len(), "starts");
    let mut starts: Vec<Starts> = contenders.iter().map(|_| Starts::default()).collect();
    // The first start of each finds files that may not have been read for long, and does not count.
    for round in 0..=plan.starts {
        if plan.starts == 0 {
            break;
        }
        for turn in 0..contenders.len() {
            let who = (turn + round) % contenders.len();
            let (first_answer, process, answer) = start(plan, &contenders[who])
                .with_context(|| format!("{} gave no answer when started", contenders[who].name))?;
            if round == 0 {
                continue;
            }
            let mine = &mut starts[who];
            mine.first_answer.push(first_answer);
            mine.process.push(process);
            mine.peak_rss = mine.peak_rss.max(answer.peak_rss_bytes);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(starts)
}

/// Seconds to the answer and to the end of one start.
fn start(plan: &BenchPlan, contender: &Contender) -> anyhow::Result<(f64, f64, Answer)> {
    let program = std::env::current_exe().context("the file of this program is not known")?;
    let (text, pair) = plan.texts.typical();
    let lines: Vec<String> = [Some(text), pair.as_ref()].into_iter().flatten().map(|text| one_line(text)).collect();
    let mut command = Command::new(program);
    command.args(["--threads", &contender.threads.to_string(), "first-answer"]);
    command.args(["--precision", contender.precision.name(), "--"]).arg(&contender.directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());

    let began = Instant::now();
    let mut child = command.spawn()?;
    // It reads a few lines at once and ends only after it has answered; a pipe holds them.
    if let Some(mut input) = child.stdin.take() {
        // A child that has died says why on its standard error.
        let _ = writeln!(input, "{}", lines.join("\n"));
    }
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let first_answer = began.elapsed().as_secs_f64();
    let mut complaint = String::new();
    if let Some(mut errors) = child.stderr.take() {
        errors.read_to_string(&mut complaint)?;
    }
    let status = child.wait()?;
    let process = began.elapsed().as_secs_f64();
    ensure!(status.success(), "{}", complaint.trim().trim_start_matches("error: "));
    let answer = serde_json::from_str(&line).with_context(|| format!("it said {line:?}"))?;
    Ok((first_answer, process, answer))
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// `attar first-answer`: what is started. Reads a text, and its pair if there is one, a line each.
pub(crate) fn first_answer(args: &FirstAnswerArgs, threads: Option<&Threads>) -> anyhow::Result<()> {
    let threads = threads.map_or(Ok(1), Threads::one)?;
    let mut session = load(&args.model, args.precision, None)?;
    if threads > 1 {
        session = session.share(threads, &attar_runtime::Pinning::Free);
    }
    let lines: Vec<String> = std::io::stdin().lock().lines().take(2).collect::<Result<_, _>>()?;
    let text = lines.first().context("no text on standard input: give one a line")?;
    let mut width = 0;
    let output = output(&session);
    session.for_each_row(
        &[(text, lines.get(1).map(String::as_str))],
        output,
        |_, row| width = row.len(),
        &mut |_| (),
    )?;
    console::write_json_line(&mut std::io::stdout().lock(), &Answer { width, peak_rss_bytes: peak_rss() })
}

/// Most bytes of memory of this process that were resident at any time, where the system tells.
fn peak_rss() -> Option<u64> {
    high_water(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The high-water mark in the text of Linux's `/proc/self/status`.
fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_found() {
        assert_eq!(high_water("Name:\tattar\nVmPeak:\t  90 kB\nVmHWM:\t   1536 kB\n"), Some(1536 * 1024));
        assert_eq!(high_water("VmHWM:\t many kB\n"), None);
        assert_eq!(high_water(""), None);
    }
}
