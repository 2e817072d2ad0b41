//! How a run looks in a terminal, and as a line where there is none.

use super::progress::{Progress, Read};
use crate::tables::{self, harmless};

/// From the lowest to the highest.
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The lines of a terminal of this width.
pub(super) fn lines(progress: &Progress, width: usize) -> Vec<String> {
    let mut lines = vec![heading(progress), bar(progress, width)];
    let curve = width.saturating_sub(34).clamp(8, 60);
    // The sum stands above its parts.
    for (name, losses) in progress.losses.iter().rev() {
        let last = losses.last().copied().unwrap_or(f64::NAN);
        lines.push(format!("{:<18} {} {last:.4}", shortened(name, 18), sparkline(losses, curve)));
    }
    lines.extend(score(progress).map(|score| format!("{:<18} {score}", "held-out rows")));
    lines.extend(energy(progress).map(|energy| format!("{:<18} {energy}", "energy")));
    lines.extend(time(progress).map(|time| format!("{:<18} {time}", "time")));
    lines.push(if progress.has_ended() {
        "the run has ended".into()
    } else {
        "ctrl-c ends the view, not the run".into()
    });
    // What does not fit would be drawn as two lines, and the next view could not clear it.
    lines.into_iter().map(|line| shortened(&line, width.saturating_sub(1))).collect()
}

/// Everything in one line.
pub(super) fn line(progress: &Progress) -> String {
    let loss = progress.losses.get("loss").and_then(|losses| losses.last()).map(|loss| format!("loss {loss:.4}"));
    let end = progress.has_ended().then(|| "the run has ended".to_string());
    let parts = [Some(heading(progress)), loss, score(progress), energy(progress), time(progress), end];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn heading(progress: &Progress) -> String {
    let of = progress.stages.map_or_else(String::new, |stages| format!(" of {stages}"));
    if progress.steps == 0 {
        return "before the first update".into();
    }
    format!(
        "stage {}{of}, {}: update {} of {}",
        progress.stage + 1,
        harmless(&progress.name),
        progress.step,
        progress.steps
    )
}

fn bar(progress: &Progress, width: usize) -> String {
    let room = width.saturating_sub(10).clamp(10, 60);
    let share = progress.step as f64 / progress.steps.max(1) as f64;
    let full = ((share * room as f64) as usize).min(room);
    format!("[{}{}] {:.0} %", "█".repeat(full), " ".repeat(room - full), 100.0 * share)
}

fn score(progress: &Progress) -> Option<String> {
    let (metric, last, best) = progress.score.as_ref()?;
    Some(format!("{} {last:.4} (best {best:.4})", harmless(metric)))
}

fn energy(progress: &Progress) -> Option<String> {
    let watts = progress.watts.map(|watts| format!("{:.1} W", watts.value));
    let joules = progress.joules.map(|Read { value, low, high }| {
        let scale = attar_meter::display::scale(value, attar_meter::display::JOULES);
        scale.write_interval(value, low, high)
    });
    let known: Vec<String> = watts.into_iter().chain(joules).collect();
    (!known.is_empty()).then(|| known.join(", "))
}

fn time(progress: &Progress) -> Option<String> {
    let so_far = format!("{} so far", tables::seconds(progress.elapsed()?));
    let left = progress
        .left()
        .filter(|_| !progress.has_ended())
        .map(|left| format!("about {} left in this stage", tables::seconds(left)));
    let speed = (progress.speed > 0.0).then(|| format!("{:.0} tokens/s", progress.speed));
    Some([Some(so_far), left, speed].into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// A curve of at most so many characters: each the mean of equally many numbers, from the lowest to the highest mean.
fn sparkline(numbers: &[f64], most: usize) -> String {
    let each = numbers.len().div_ceil(most.max(1)).max(1);
    let means: Vec<f64> = numbers.chunks(each).map(|part| part.iter().sum::<f64>() / part.len() as f64).collect();
    let (low, high) =
        means.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), mean| (low.min(*mean), high.max(*mean)));
    let spark = |mean: &f64| {
        let share = if high > low { (mean - low) / (high - low) } else { 0.0 };
        SPARKS[((share * 7.0).round() as usize).min(7)]
    };
    means.iter().map(spark).collect()
}

fn shortened(text: &str, most: usize) -> String {
    let mut short: String = harmless(text).chars().take(most).collect();
    if text.chars().count() > most {
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_as_wide_as_their_room() {
        assert_eq!(sparkline(&[1.0, 0.5, 0.0], 10), "█▅▁");
        assert_eq!(sparkline(&[1.0, 1.0], 10), "▁▁");
        assert_eq!(sparkline(&(0..1000).map(f64::from).collect::<Vec<_>>(), 8), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[], 8), "");
        assert_eq!(sparkline(&[f64::NAN, 1.0], 8).chars().count(), 2);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut progress = Progress::of(Some(2));
        progress.name = "a name that is longer than anyone would choose\u{1b}[2J".repeat(3);
        (progress.steps, progress.step) = (100, 50);
        progress.losses.insert("loss".into(), vec![0.5; 500]);
        for width in [40, 80, 200] {
            let lines = lines(&progress, width);
            assert!(lines.iter().all(|line| line.chars().count() < width && !line.contains('\u{1b}')), "{lines:?}");
        }
        progress.watts = Some(Read { value: 12.5, low: 10.0, high: 15.0 });
        progress.joules = Some(Read { value: 5000.0, low: 4000.0, high: 6000.0 });
        let line = line(&progress);
        assert!(line.contains("update 50 of 100 · loss 0.5000 · 12.5 W, 1.39 Wh [1.11, 1.67]"), "{line}");
    }
}
