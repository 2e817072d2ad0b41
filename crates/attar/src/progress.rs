//! Progress on standard error while something runs: a bar on a terminal, elsewhere a line now and then.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use attar_distill::begin::BeginningProgress;
use attar_distill::train::{Event, Observer};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::signals::Watch;
use crate::{console, tables};

/// Least time between two lines where there is no terminal: a log stays short, and shows that the program is alive.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows a run: stage, updates, loss, speed, power, energy, time left. A signal to end stops the run.
pub(crate) struct RunProgress {
    bar: ProgressBar,
    lines: PlainLines,
    /// Stage, its updates, and those done when it began or went on.
    stage: (String, usize, usize),
    began: Instant,
    /// Tokens and seconds of late updates, for a speed that follows.
    recent: (f64, f64),
    /// The last score.
    last: String,
    drawn: Instant,
    signals: Watch,
    has_said_so: bool,
}

impl RunProgress {
    pub(crate) fn new() -> RunProgress {
        RunProgress {
            bar: ProgressBar::hidden(),
            lines: PlainLines::new(),
            stage: Default::default(),
            began: Instant::now(),
            recent: (0.0, 0.0),
            last: String::new(),
            drawn: Instant::now(),
            signals: Watch::begin(),
            has_said_so: false,
        }
    }

    /// `loss 0.1234 · 5678 tokens/s · …`
    fn message(&self, step: &attar_distill::train::Step) -> String {
        let mut message = format!("loss {:.4} · {:.0} tokens/s", step.report.loss, self.recent.0 / self.recent.1);
        if let Some(watts) = step.watts {
            message += &format!(" · {watts}");
        }
        if let Some(joules) = step.joules {
            message += &format!(" · {}", joules.value());
        }
        message + &self.last
    }

    /// ` · 3 min 20 s left`, once there is something to tell it by.
    fn left(&self, done: usize) -> String {
        let (_, steps, before) = &self.stage;
        let each = self.began.elapsed().as_secs_f64() / done.saturating_sub(*before).max(1) as f64;
        format!(" · {} left", tables::seconds(each * steps.saturating_sub(done) as f64))
    }
}

impl RunProgress {
    /// A bar for each thing that is computed before the first update.
    fn show_beginning(&mut self, progress: BeginningProgress) {
        let BeginningProgress { what, done, of } = progress;
        if self.stage.0 != what {
            self.bar.finish_and_clear();
            self.bar = bar(of as u64, "{prefix} {bar:24} {pos}/{len} · {eta} left");
            self.bar.set_prefix(what);
            self.stage = (what.to_string(), of, 0);
            self.began = Instant::now();
        }
        self.bar.set_position(done as u64);
        if self.lines.is_due() {
            self.lines.say(format!("{what} {done}/{of}{}", self.left(done)));
        }
        if done == of {
            self.bar.finish_and_clear();
        }
    }
}

impl Observer for RunProgress {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Stage { name, steps, done, .. } => {
                self.bar.finish_and_clear();
                self.bar = bar(*steps as u64, "{prefix} {bar:24} {pos}/{len} · {msg} · {eta} left");
                self.bar.set_prefix(name.clone());
                // An estimate of what remains must not count what was done before a resumption.
                self.bar.set_position(*done as u64);
                self.bar.reset_eta();
                self.stage = (name.clone(), *steps, *done);
                self.began = Instant::now();
            }
            Event::Step(step) => {
                self.bar.set_position(step.step as u64);
                self.recent.0 = 0.95 * self.recent.0 + step.report.tokens as f64;
                self.recent.1 = 0.95 * self.recent.1 + step.seconds;
                if self.lines.is_due() {
                    let (name, steps, _) = &self.stage;
                    let (message, left) = (self.message(step), self.left(step.step));
                    self.lines.say(format!("{name} {}/{steps} · {message}{left}", step.step));
                }
                if self.drawn.elapsed() >= Duration::from_millis(100) {
                    self.drawn = Instant::now();
                    self.bar.set_message(self.message(step));
                }
            }
            Event::Evaluated { stage, step, score, .. } => {
                if let Some(value) = score.value {
                    if (*stage, *step) == (0, 0) {
                        let metric = score.metric.name();
                        let text =
                            format!("before training, a linear head over the frozen encoder: {metric} {value:.4}");
                        self.bar.suspend(|| console::note(text));
                    }
                    self.last = format!(" · {} {value:.4}", score.metric.name());
                }
            }
            Event::HeldOut { loss, .. } => {
                self.last = match loss.perplexity {
                    Some(perplexity) => format!(" · held-out perplexity {perplexity:.2}"),
                    None => format!(" · held-out loss {:.4}", loss.loss),
                };
            }
            Event::Stored { .. } => {
                console::note("this run had ended before: nothing was computed, and this is what it left");
            }
            Event::Finished { .. } => self.bar.finish_and_clear(),
            Event::WeakTeacher { accuracy, majority, rows } => console::warning(format!(
                "the teacher is right on {:.1} % of {rows} held-out rows; always predicting the most frequent class would score \
                 {:.1} %: check that its labels are those of the data and that it was trained long enough",
                100.0 * accuracy,
                100.0 * majority
            )),
            Event::Beginning(progress) => self.show_beginning(*progress),
            Event::Began { .. } | Event::Checkpoint { .. } | Event::FrozenHead(_) | Event::Stopped { .. } => {}
        }
    }

    fn stops(&mut self) -> bool {
        let stops = self.signals.is_asked();
        if stops && !self.has_said_so {
            self.has_said_so = true;
            self.bar.finish_and_clear();
            console::note("stopping: a checkpoint is written first; once more ends at once");
        }
        stops
    }
}

/// Counts things of one kind that are done.
pub(crate) struct Counting {
    bar: ProgressBar,
    lines: PlainLines,
    what: String,
}

impl Counting {
    /// So many more are done.
    pub(crate) fn inc(&mut self, more: u64) {
        self.set_position(self.bar.position() + more);
    }

    /// So many are done.
    pub(crate) fn set_position(&mut self, done: u64) {
        self.bar.set_position(done);
        if self.lines.is_due() {
            let total = self.bar.length().map_or(String::new(), |total| format!("/{total}"));
            self.lines.say(format!("{} {}{total}", self.what, self.bar.position()));
        }
    }

    /// Leaves the terminal as it was.
    pub(crate) fn finish_and_clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// A bar for `total` things of one kind.
pub(crate) fn counting(total: usize, what: &str) -> Counting {
    let bar = bar(total as u64, "{prefix} {bar:24} {pos}/{len} · {eta} left");
    bar.set_prefix(what.to_string());
    Counting { bar, lines: PlainLines::new(), what: what.to_string() }
}

/// A count of things of one kind whose number is not known before. Where answers go to a terminal they are progress enough.
pub(crate) fn counting_up(what: &str) -> Counting {
    let is_shown = !std::io::stdout().is_terminal();
    let bar = ProgressBar::with_draw_target(None, if is_shown { target() } else { ProgressDrawTarget::hidden() })
        .with_style(style("{spinner} {prefix} {pos} · {per_sec}"));
    bar.set_prefix(what.to_string());
    Counting { bar, lines: PlainLines::new(), what: what.to_string() }
}

/// A bar for work that is known in seconds rather than in pieces: to be moved on by milliseconds.
pub(crate) fn timed(seconds: f64, what: &str) -> ProgressBar {
    let bar = bar((seconds * 1e3) as u64, "{prefix} {bar:24} {percent} % · {eta} left");
    bar.set_prefix(what.to_string());
    bar
}

/// A spinner for work of unknown length.
pub(crate) fn waiting(what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target());
    bar.set_style(ProgressStyle::default_spinner());
    bar.set_message(what.to_string());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn bar(total: u64, template: &str) -> ProgressBar {
    ProgressBar::with_draw_target(Some(total), target()).with_style(style(template))
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn target() -> ProgressDrawTarget {
    if console::is_quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() }
}

/// Plain lines where standard error is no terminal, with time between them.
struct PlainLines {
    /// When the last one was said, or when the waiting began.
    last: Instant,
    is_wanted: bool,
}

impl PlainLines {
    fn new() -> PlainLines {
        PlainLines { last: Instant::now(), is_wanted: !console::is_quiet() && !std::io::stderr().is_terminal() }
    }

    fn is_due(&self) -> bool {
        self.is_wanted && self.last.elapsed() >= LINE_EVERY
    }

    fn say(&mut self, line: impl AsRef<str>) {
        self.last = Instant::now();
        console::aside(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_distance() {
        let at = |seconds: u64, is_wanted: bool| {
            let last = Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
            PlainLines { last, is_wanted }
        };
        assert!(at(60, true).is_due());
        assert!(!at(60, false).is_due());
        assert!(!at(1, true).is_due());
        let mut lines = at(60, true);
        lines.say("teacher 10/100");
        assert!(!lines.is_due());
    }
}
