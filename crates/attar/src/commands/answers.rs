//! Texts in, answers out, turn by turn: what is in memory is a turn, however many texts there are.

use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use anyhow::bail;
use attar_runtime::{Error, Session};
use attar_text::tokenizer::EncodeError;

use super::texts::{Given, Texts};
use crate::cli::OnErrorArg;
use crate::console;
use crate::progress::counting_up;

/// Texts of the first turn: few, so that there are answers at once.
const FIRST_TURN: usize = 16;
/// Texts of a turn at most: many enough for sorting by length to pay.
const TURN: usize = 2048;
/// A turn that took less than this is followed by one twice as large.
const SHORT: Duration = Duration::from_millis(300);

/// What is written of a text.
pub(crate) enum TextOutcome<'a, A> {
    Answered {
        text: &'a str,
        answer: A,
        /// Whether the model has seen a part of the text only.
        is_cut: bool,
    },
    Refused {
        /// Its argument or line.
        place: usize,
        unit: &'static str,
        problem: &'a str,
    },
}

/// Counts what a user should know at the end.
pub(crate) struct Tally {
    on_error: OnErrorArg,
    unit: &'static str,
    texts: usize,
    cut: usize,
    first_cut: Option<usize>,
    refused: usize,
    first_refused: Option<String>,
}

/// Answers all texts: `answer` those of a turn, and `write` appends what is shown of each.
pub(crate) fn answer_all<A>(
    session: &mut Session,
    texts: &mut Texts<'_>,
    on_error: OnErrorArg,
    mut answer: impl FnMut(&mut Session, &[&str]) -> Result<Vec<A>, Error>,
    mut write: impl FnMut(&mut dyn Write, TextOutcome<'_, A>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut bar = counting_up("texts");
    let mut tally = Tally::new(on_error, texts.unit());
    let mut most = FIRST_TURN;
    session.watch_cuts();
    loop {
        let turn = texts.turn(most)?;
        if turn.is_empty() {
            break;
        }
        let began = Instant::now();
        let good: Vec<&str> = turn.iter().filter_map(|given| given.text.as_deref().ok()).collect();
        let mut answers = answer_turn(session, &good, &mut answer).into_iter();
        for Given { place, text } in &turn {
            let answered = match text {
                Ok(_) => answers.next().unwrap_or_else(|| Err("no answer".into())),
                Err(problem) => Err(problem.clone()),
            };
            match (text, answered) {
                (Ok(text), Ok((answer, is_cut))) => {
                    tally.answered(*place, is_cut);
                    write(&mut out, TextOutcome::Answered { text, answer, is_cut })?;
                }
                (_, Err(problem)) => {
                    // What was answered before is not lost.
                    out.flush()?;
                    tally.refused(*place, &problem)?;
                    write(&mut out, TextOutcome::Refused { place: *place, unit: texts.unit(), problem: &problem })?;
                }
                (Err(_), Ok(_)) => {}
            }
        }
        out.flush()?;
        bar.inc(turn.len() as u64);
        if began.elapsed() < SHORT {
            most = (2 * most).min(TURN);
        }
    }
    bar.finish_and_clear();
    tally.tell(session.limit().max_tokens);
    Ok(())
}

/// The answers to the texts of a turn, each with whether the text was cut.
///
/// Where the turn cannot be answered as a whole each text is asked for alone, so that one keeps no other from its answer.
pub(crate) fn answer_turn<T: Copy, A>(
    session: &mut Session,
    texts: &[T],
    mut answer: impl FnMut(&mut Session, &[T]) -> Result<Vec<A>, Error>,
) -> Vec<Result<(A, bool), String>> {
    session.take_cuts();
    if let Ok(answers) = answer(session, texts) {
        let cuts = session.take_cuts();
        return answers
            .into_iter()
            .enumerate()
            .map(|(row, answer)| Ok((answer, cuts.binary_search(&row).is_ok())))
            .collect();
    }
    let mut alone = |text: &T| {
        session.take_cuts();
        let answers = answer(session, std::slice::from_ref(text)).map_err(|error| match error {
            // The row is counted among those asked for together.
            Error::Encode(EncodeError::Row { source, .. }) => source.to_string(),
            other => other.to_string(),
        })?;
        let is_cut = !session.take_cuts().is_empty();
        answers.into_iter().next().map(|answer| (answer, is_cut)).ok_or_else(|| "no answer".to_string())
    };
    texts.iter().map(&mut alone).collect()
}

impl Tally {
    pub(crate) fn new(on_error: OnErrorArg, unit: &'static str) -> Tally {
        Tally { on_error, unit, texts: 0, cut: 0, first_cut: None, refused: 0, first_refused: None }
    }

    /// A text was answered.
    pub(crate) fn answered(&mut self, place: usize, is_cut: bool) {
        self.texts += 1;
        if is_cut {
            self.cut += 1;
            self.first_cut.get_or_insert(place);
        }
    }

    /// A text cannot be answered: the end of all, unless such are to be skipped.
    pub(crate) fn refused(&mut self, place: usize, problem: &str) -> anyhow::Result<()> {
        self.texts += 1;
        self.refused += 1;
        let told = format!("{} {place}: {problem}", self.unit);
        if self.on_error == OnErrorArg::Stop {
            bail!("{told}; --on-error skip answers the others");
        }
        self.first_refused.get_or_insert(told);
        Ok(())
    }

    /// Says what a user should know.
    pub(crate) fn tell(&self, max_tokens: usize) {
        if let Some(first) = &self.first_refused {
            console::warning(format!("{} of {} texts were not answered; the first: {first}", self.refused, self.texts));
        }
        if let Some(first) = self.first_cut {
            console::note(format!(
                "{} of {} texts were cut to the {max_tokens} tokens that the model takes; the first: {} {first}",
                self.cut, self.texts, self.unit
            ));
        }
    }
}
