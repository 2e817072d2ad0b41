//! Power over time, thinned to what a plot can show without losing energy.

use std::collections::HashMap;

use attar_meter::{Joules, Window};

/// Energy by spans of time and by series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Profile {
    /// Names of the series: phases, and finally all phases beyond the colors at hand.
    pub(super) series: Vec<String>,
    /// In order of time, each of some length.
    pub(super) spans: Vec<PlotSpan>,
    /// Seconds at which another meter started.
    pub(super) restarts: Vec<f64>,
    /// Seconds from the start of the first span to the end of the last.
    pub(super) length: f64,
}

/// What was drawn from one time to another.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PlotSpan {
    /// Start in seconds.
    pub(super) start: f64,
    /// End in seconds.
    pub(super) end: f64,
    /// Joules by series.
    pub(super) joules: Vec<f64>,
    /// Lower bound of all series together, in joules.
    pub(super) low: f64,
    /// Upper bound of all series together, in joules.
    pub(super) high: f64,
    /// Whether any energy was read.
    pub(super) known: bool,
    /// Whether something went wrong, or no energy was read in a part.
    pub(super) gap: bool,
}

/// Seconds between two windows that are more than rounding.
const HOLE: f64 = 1e-6;

impl Profile {
    /// The windows of meters, one meter after the other, in at most `most` spans and `colors` series
    /// plus one for the rest. The seconds are those on the meters: between them none pass.
    pub(super) fn of(windows: &[Window], colors: usize, most: usize) -> Self {
        let (series, place) = series(windows, colors);
        let (mut spans, mut restarts) = (Vec::<PlotSpan>::new(), Vec::new());
        let (mut offset, mut last) = (0.0, (0.0, 0.0));
        for window in windows {
            let (start, end) = (window.start_s.get(), window.end_s.get());
            let beside = (start, end) == last && !spans.is_empty();
            if start < last.0 {
                // A steady clock does not step back: another meter began.
                offset += last.1;
                restarts.push(offset);
                last = (0.0, 0.0);
            }
            if start > last.1 + HOLE {
                // The windows in between are not there, as after a torn line.
                let hole = PlotSpan::empty(offset + last.1, offset + start, series.len());
                spans.push(PlotSpan { gap: true, ..hole });
            }
            last = (start, end);
            if !beside {
                spans.push(PlotSpan::empty(offset + start, offset + end, series.len()));
            }
            if let Some(span) = spans.last_mut() {
                let slot = place.get(window.phase.as_str()).copied().unwrap_or(series.len() - 1);
                span.add(window, slot);
            }
        }
        let length = spans.iter().map(|span| span.end).fold(0.0, f64::max);
        let spans = thinned(spans, length, most);
        Self { series, spans, restarts, length }
    }

    /// Watts of all series at the highest upper bound.
    pub(super) fn highest(&self) -> f64 {
        self.spans.iter().filter(|span| span.known).map(|span| span.high / span.seconds()).fold(0.0, f64::max)
    }
}

impl PlotSpan {
    /// Its length in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.end - self.start
    }

    fn empty(start: f64, end: f64, series: usize) -> Self {
        Self { start, end, joules: vec![0.0; series], low: 0.0, high: 0.0, known: false, gap: false }
    }

    fn add(&mut self, window: &Window, slot: usize) {
        for energy in window.energy.values() {
            self.joules[slot] += energy.joules.value().get();
            self.low += energy.joules.low().get();
            self.high += energy.joules.high().get();
        }
        self.known |= !window.energy.is_empty();
        self.gap |= !window.gaps.is_empty() || (window.energy.is_empty() && window.active_s.get() > 0.0);
    }

    fn merge(&mut self, other: &Self) {
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        self.joules.iter_mut().zip(&other.joules).for_each(|(so_far, more)| *so_far += more);
        self.low += other.low;
        self.high += other.high;
        self.known |= other.known;
        self.gap |= other.gap;
    }
}

/// The names of the series, and which one each phase belongs to: the phases with the most energy, or
/// time where none was read, have their own, in the order in which they began.
fn series(windows: &[Window], colors: usize) -> (Vec<String>, HashMap<&str, usize>) {
    let mut place: HashMap<&str, usize> = HashMap::new();
    let mut weights: Vec<(&str, Joules, f64)> = Vec::new();
    for window in windows {
        let index = *place.entry(&window.phase).or_insert_with(|| {
            weights.push((&window.phase, Joules::ZERO, 0.0));
            weights.len() - 1
        });
        weights[index].1 += window.energy.values().map(|energy| energy.joules.value()).sum();
        weights[index].2 += window.active_s.get();
    }
    let mut order: Vec<usize> = (0..weights.len()).collect();
    let heavier = |a: &usize, b: &usize| {
        let ((_, energy_a, time_a), (_, energy_b, time_b)) = (weights[*a], weights[*b]);
        energy_b.get().total_cmp(&energy_a.get()).then(time_b.total_cmp(&time_a))
    };
    // Stable, so equals keep the order in which they began.
    order.sort_by(heavier);
    let rest = order.len().saturating_sub(colors);
    order.truncate(colors);
    order.sort_unstable();
    let mut names: Vec<String> = order.iter().map(|index| weights[*index].0.to_owned()).collect();
    let place = order.iter().enumerate().map(|(slot, index)| (weights[*index].0, slot)).collect();
    if rest > 0 {
        names.push(format!("{rest} other phases"));
    }
    (names, place)
}

/// Merges spans whose middles lie in the same of `most` equal parts of the time. None is cut, so
/// energy is neither lost nor moved by more than a part. Spans without length join a neighbor.
fn thinned(spans: Vec<PlotSpan>, length: f64, most: usize) -> Vec<PlotSpan> {
    if length <= 0.0 {
        return Vec::new();
    }
    let part = |span: &PlotSpan| (((span.start + span.end) / 2.0 / length * most as f64) as usize).min(most - 1);
    let (mut out, mut last) = (Vec::<PlotSpan>::new(), None);
    let thin = spans.len() > most;
    for span in spans {
        let this = part(&span);
        match out.last_mut() {
            Some(so_far) if (thin && last == Some(this)) || so_far.seconds() <= 0.0 || span.seconds() <= 0.0 => {
                so_far.merge(&span);
            }
            _ => out.push(span),
        }
        last = Some(this);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_meter::ComponentEnergy;
    use attar_meter::Seconds;
    use attar_meter::source::Component;
    use attar_meter::{Estimate, Method, Spread};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn window(phase: &str, start: f64, end: f64, joules: Option<f64>) -> Window {
        let energy = joules.map(|joules| ComponentEnergy {
            joules: Estimate::with_spread(Joules::raw(joules), Spread::factor(2.0)),
            method: Method::Modeled,
        });
        Window {
            phase: phase.to_owned(),
            start_s: Seconds::raw(start),
            end_s: Seconds::raw(end),
            active_s: Seconds::raw(end - start),
            energy: BTreeMap::from_iter(energy.map(|energy| (Component::Machine, energy))),
            ..crate::report::tests::window()
        }
    }

    #[test]
    fn meters_follow_each_other_and_phases_share_spans() {
        let windows = [
            window("a", 0.0, 10.0, Some(100.0)),
            window("b", 0.0, 10.0, Some(50.0)),
            window("a", 10.0, 12.0, None),
            window("a", 0.0, 5.0, Some(7.0)),
        ];
        let profile = Profile::of(&windows, 7, 100);
        assert_eq!(profile.series, ["a", "b"]);
        assert_eq!((profile.restarts.as_slice(), profile.length), (&[12.0][..], 17.0));
        assert_eq!(profile.spans.len(), 3);
        assert_eq!((profile.spans[0].joules.as_slice(), profile.spans[0].high), (&[100.0, 50.0][..], 300.0));
        assert!(profile.spans[1].gap && !profile.spans[1].known);
        assert_eq!((profile.spans[2].start, profile.spans[2].end), (12.0, 17.0));
        assert_eq!(profile.highest(), 30.0);
    }

    #[test]
    fn a_hole_is_a_gap() {
        let windows = [window("a", 0.0, 10.0, Some(1.0)), window("a", 20.0, 30.0, Some(1.0))];
        let profile = Profile::of(&windows, 7, 100);
        let gaps: Vec<(f64, f64, bool)> = profile.spans.iter().map(|span| (span.start, span.end, span.gap)).collect();
        assert_eq!(gaps, [(0.0, 10.0, false), (10.0, 20.0, true), (20.0, 30.0, false)]);
    }

    #[test]
    fn phases_beyond_the_colors_are_one() {
        let windows: Vec<Window> =
            (0..9).map(|i| window(&format!("p{i}"), f64::from(i), f64::from(i + 1), Some(f64::from(i)))).collect();
        let profile = Profile::of(&windows, 3, 100);
        assert_eq!(profile.series, ["p6", "p7", "p8", "6 other phases"]);
        let others: f64 = profile.spans.iter().map(|span| span.joules[3]).sum();
        assert_eq!(others, 15.0);
    }

    #[test]
    fn spans_without_length_join_a_neighbor() {
        let zero =
            [window("a", 0.0, 0.0, Some(1.0)), window("a", 0.0, 4.0, Some(2.0)), window("a", 4.0, 4.0, Some(3.0))];
        let profile = Profile::of(&zero, 7, 100);
        assert_eq!(profile.spans.len(), 1);
        assert_eq!(profile.spans[0].joules, [6.0]);
        assert_eq!(Profile::of(&zero[..1], 7, 100).spans, []);
    }

    proptest! {
        #[test]
        fn thinning_keeps_the_energy(
            steps in proptest::collection::vec((0.0..3.0_f64, 0u32..1000, 0usize..4, any::<bool>()), 1..300),
            most in 1usize..50,
        ) {
            let mut now = 0.0;
            let windows: Vec<Window> = steps.iter().map(|(length, joules, phase, known)| {
                let start = now;
                now += length;
                window(["a", "b", "c", "d"][*phase], start, now, known.then_some(f64::from(*joules)))
            }).collect();
            let profile = Profile::of(&windows, 2, most);
            // Whole numbers below 2^53 add up exactly.
            let before: f64 = steps.iter().filter(|step| step.3).map(|step| f64::from(step.1)).sum();
            let after: f64 = profile.spans.iter().flat_map(|span| &span.joules).sum();
            prop_assert_eq!(after, if now > 0.0 { before } else { 0.0 });
            prop_assert!(profile.spans.len() <= most.max(1) || steps.len() <= most);
            prop_assert!(profile.spans.iter().all(|span| span.seconds() > 0.0));
            for pair in profile.spans.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
        }
    }
}
