//! Progress on standard error while something runs; nothing where that is no terminal.

use std::time::{Duration, Instant};

use attar_distill::train::{Event, Observer};
use indicatif::{ProgressBar, ProgressStyle};

/// Shows a run: stage, updates, loss, speed, power, energy, time left.
pub(crate) struct RunProgress {
    bar: ProgressBar,
    /// Tokens and seconds of late updates, for a speed that follows.
    recent: (f64, f64),
    /// When the energy began, for the mean power.
    last: String,
    drawn: Instant,
}

impl RunProgress {
    pub(crate) fn new() -> RunProgress {
        RunProgress { bar: ProgressBar::hidden(), recent: (0.0, 0.0), last: String::new(), drawn: Instant::now() }
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
            }
            Event::Step(step) => {
                self.bar.set_position(step.step as u64);
                self.recent.0 = 0.95 * self.recent.0 + step.report.tokens as f64;
                self.recent.1 = 0.95 * self.recent.1 + step.seconds;
                if self.drawn.elapsed() < Duration::from_millis(100) {
                    return;
                }
                self.drawn = Instant::now();
                let mut message =
                    format!("loss {:.4} · {:.0} tokens/s", step.report.loss, self.recent.0 / self.recent.1);
                if let Some(watts) = step.watts {
                    message += &format!(" · {watts}");
                }
                if let Some(joules) = step.joules {
                    message += &format!(" · {}", joules.value());
                }
                self.bar.set_message(message + &self.last);
            }
            Event::Evaluated { score, .. } => {
                if let Some(value) = score.value {
                    self.last = format!(" · {} {value:.4}", score.metric.name());
                }
            }
            Event::Finished { .. } => self.bar.finish_and_clear(),
            Event::Began { .. } | Event::Checkpoint { .. } | Event::FrozenHead(_) | Event::Stopped { .. } => {}
        }
    }
}

/// A bar for `total` things of one kind.
pub(crate) fn counting(total: usize, what: &str) -> ProgressBar {
    let bar = bar(total as u64, "{prefix} {bar:24} {pos}/{len} · {eta} left");
    bar.set_prefix(what.to_string());
    bar
}

/// A bar for work that is known in seconds rather than in pieces: to be moved on by milliseconds.
pub(crate) fn timed(seconds: f64, what: &str) -> ProgressBar {
    let bar = bar((seconds * 1e3) as u64, "{prefix} {bar:24} {percent} % · {eta} left");
    bar.set_prefix(what.to_string());
    bar
}

/// A line that turns while something of unknown length goes on.
pub(crate) fn waiting(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_message(what.to_string());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn bar(total: u64, template: &str) -> ProgressBar {
    // The templates are constants of this file.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style)
}
