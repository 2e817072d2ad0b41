//! Ledgers of one machine that lie over each other in time: what both saw is counted once.
//!
//! Every meter charges the whole machine, so two that ran at once on it saw the same joules: a run
//! inside another, or two side by side. The one that was looked at longest keeps its windows; of the
//! others what lies outside remains, component by component.

use std::collections::BTreeMap;
use std::fmt;

use attar_meter::source::Component;
use attar_meter::{LedgerHeader, Seconds, Window};
use serde::Serialize;

/// Two meters whose times overlap.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overlap {
    /// The ledger of which only the rest is counted.
    pub ledger: String,
    /// The ledgers that it overlaps, which were counted first, or the one whose machine may be the same.
    pub within: String,
    /// How long both ran.
    #[serde(rename = "seconds")]
    pub time: Seconds,
    /// Whether it is known to be one machine. Otherwise both are counted.
    pub one_machine: bool,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ledger, within, time, one_machine } = self;
        if *one_machine {
            return write!(
                f,
                "{ledger} metered the same machine as {within} at the same time for {time}: that energy is counted once"
            );
        }
        write!(
            f,
            "{ledger} and {within} metered for {time} at the same time on machines that look alike, and the ledgers do \
             not tell whether it was one machine: both are counted, so if it was, that energy is counted twice"
        )
    }
}

/// What one meter wrote.
pub(super) struct Metered {
    pub(super) ledger: String,
    pub(super) header: Option<LedgerHeader>,
    pub(super) windows: Vec<Window>,
}

/// Less than this is a step of a clock.
const LEAST: f64 = 1e-3;

/// Takes out of the windows what another meter of the same machine has counted already.
pub(super) fn count_once(meters: &mut [Metered]) -> Vec<Overlap> {
    if meters.len() < 2 {
        return Vec::new();
    }
    let covers: Vec<Cover> = meters.iter().map(|meter| Cover::of(&meter.windows)).collect();
    let mut overlaps = unsure(meters, &covers);
    let mut machines: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, meter) in meters.iter().enumerate() {
        if let Some(boot) = meter.header.as_ref().and_then(|header| header.host.boot.clone()) {
            machines.entry(boot).or_default().push(place);
        }
    }
    for mut places in machines.into_values().filter(|places| places.len() > 1) {
        // Stable: of two that are equally long the first is kept.
        places.sort_by(|a, b| covers[*b].length().total_cmp(&covers[*a].length()));
        let (mut kept, mut names, mut places_kept) = (Vec::<&Cover>::new(), Vec::<String>::new(), Vec::<usize>::new());
        for place in places {
            let own = &covers[place];
            let shared: f64 = own.all.iter().map(|span| covered(&kept, None, *span)).sum();
            if shared >= LEAST {
                let lies_in = |cover: &Cover| own.all.iter().any(|span| inside(&cover.all, *span) > 0.0);
                let others = kept.iter().zip(&names).filter(|(cover, _)| lies_in(cover));
                let within = others.map(|(_, ledger)| ledger.as_str()).collect::<Vec<_>>().join(" and ");
                let ledger = meters[place].ledger.clone();
                for other in &places_kept {
                    hand_over(meters, place, *other);
                }
                overlaps.push(Overlap { ledger, within, time: seconds(shared), one_machine: true });
                meters[place].windows.iter_mut().for_each(|window| leave_rest(window, &kept));
                // What is wholly inside is gone, but for its gaps.
                let counts = |window: &Window| !window.energy.is_empty() || window.active_s.get() > 0.0;
                meters[place].windows.retain(|window| counts(window) || !window.gaps.is_empty());
            }
            places_kept.push(place);
            kept.push(own);
            names.push(meters[place].ledger.clone());
        }
    }
    overlaps
}

/// Where another rank of the same job keeps the windows, the CPU time of this rank moves from its others to
/// its own: the job's share of the machine is that of all its ranks.
fn hand_over(meters: &mut [Metered], from: usize, to: usize) {
    let job = |place: usize| meters[place].header.as_ref().and_then(|header| header.job.as_ref());
    if !job(from).zip(job(to)).is_some_and(|(a, b)| a.is_other_rank_of_same_job(b)) {
        return;
    }
    let given: Vec<(Span, f64)> = {
        let told = meters[from].windows.iter().filter_map(|window| Some((span_of(window), window.cpu_s?.get())));
        told.filter(|(span, cpu)| span.1 > span.0 && *cpu > 0.0).collect()
    };
    for window in &mut meters[to].windows {
        let (start, end) = span_of(window);
        let Some((own, others)) = window.cpu_s.zip(window.others_cpu_s).filter(|_| end > start) else { continue };
        // Of windows that share a span each takes by its time.
        let part = (window.active_s.get() / (end - start)).min(1.0);
        let first = given.partition_point(|(span, _)| span.1 <= start);
        let inside = given[first..].iter().take_while(|(span, _)| span.0 < end);
        let moved: f64 =
            inside.map(|(span, cpu)| cpu * (span.1.min(end) - span.0.max(start)) / (span.1 - span.0)).sum();
        let moved = (moved * part).min(others.get());
        window.cpu_s = Some(seconds(own.get() + moved));
        window.others_cpu_s = Some(seconds(others.get() - moved));
    }
}

/// Meters of machines that look alike and ran at the same time, but do not tell which machine it was.
fn unsure(meters: &[Metered], covers: &[Cover]) -> Vec<Overlap> {
    let mut found = Vec::new();
    let silent = |place: &usize| meters[*place].header.as_ref().is_some_and(|header| header.host.boot.is_none());
    let begin = |place: &usize| covers[*place].all.first().map_or(f64::INFINITY, |span| span.0);
    let end = |place: &usize| covers[*place].all.last().map_or(f64::NEG_INFINITY, |span| span.1);
    let mut silent: Vec<usize> = (0..meters.len()).filter(silent).collect();
    silent.sort_by(|a, b| begin(a).total_cmp(&begin(b)));
    for (number, other) in silent.iter().enumerate() {
        // In the order of their beginnings only those that begin before this one ends can overlap.
        for place in silent[number + 1..].iter().take_while(|place| begin(place) < end(other)) {
            let hosts = [place, other].map(|place| meters[*place].header.as_ref().map(|header| &header.host));
            let [Some(a), Some(b)] = hosts else { continue };
            if a != b {
                continue;
            }
            let shared: f64 = covers[*place].all.iter().map(|span| inside(&covers[*other].all, *span)).sum();
            if shared >= LEAST {
                let (ledger, within) = (meters[*place].ledger.clone(), meters[*other].ledger.clone());
                found.push(Overlap { ledger, within, time: seconds(shared), one_machine: false });
            }
        }
    }
    found
}

/// Leaves of a window what no other meter has.
fn leave_rest(window: &mut Window, kept: &[&Cover]) {
    let span = span_of(window);
    let share = |component| {
        let length = span.1 - span.0;
        let covered = if length > 0.0 { covered(kept, component, span) / length } else { 0.0 };
        // A quantum of time left over is rounding.
        if covered > 1.0 - 1e-9 { 0.0 } else { 1.0 - covered }
    };
    let left = share(None);
    for time in [&mut window.active_s].into_iter().chain(&mut window.cpu_s).chain(&mut window.others_cpu_s) {
        *time = seconds(time.get() * left);
    }
    window.energy.retain(|component, energy| {
        let left = share(Some(*component));
        energy.joules = energy.joules.scaled(left);
        left > 0.0
    });
}

/// Times at which a meter read something, each list in order and without overlap.
struct Cover {
    all: Vec<Span>,
    components: BTreeMap<Component, Vec<Span>>,
}

/// From one moment to another, in seconds of UTC.
type Span = (f64, f64);

impl Cover {
    fn of(windows: &[Window]) -> Self {
        let mut spans: Vec<(Span, Vec<Component>)> =
            windows.iter().map(|window| (span_of(window), window.energy.keys().copied().collect())).collect();
        spans.sort_by(|(a, _), (b, _)| a.0.total_cmp(&b.0));
        let mut cover = Self { all: Vec::new(), components: BTreeMap::new() };
        for (span, components) in spans {
            extend(&mut cover.all, span);
            for component in components {
                extend(cover.components.entry(component).or_default(), span);
            }
        }
        cover
    }

    fn length(&self) -> f64 {
        self.all.iter().map(|(start, end)| end - start).sum()
    }

    /// The times in which a component was counted: the machine contains all of them.
    fn of_component(&self, component: Option<Component>) -> Vec<&[Span]> {
        match component {
            None => vec![&self.all],
            Some(Component::Machine) => self.components.values().map(Vec::as_slice).take(1).collect(),
            Some(part) => {
                let of = [self.components.get(&part), self.components.get(&Component::Machine)];
                of.into_iter().flatten().map(Vec::as_slice).collect()
            }
        }
    }
}

fn span_of(window: &Window) -> Span {
    let at = |time: jiff::Timestamp| time.as_nanosecond() as f64 * 1e-9;
    (at(window.start), at(window.end).max(at(window.start)))
}

fn extend(spans: &mut Vec<Span>, span: Span) {
    match spans.last_mut() {
        Some(last) if span.0 <= last.1 => last.1 = last.1.max(span.1),
        _ => spans.push(span),
    }
}

/// How much of a span lies inside of others.
fn inside(spans: &[Span], (start, end): Span) -> f64 {
    let first = spans.partition_point(|span| span.1 <= start);
    let later = spans[first..].iter().take_while(|span| span.0 < end);
    later.map(|span| span.1.min(end) - span.0.max(start)).sum()
}

/// How much of a span the kept meters cover together.
fn covered(kept: &[&Cover], component: Option<Component>, span: Span) -> f64 {
    let lists = kept.iter().flat_map(|cover| cover.of_component(component));
    let clipped = lists.flat_map(|spans| {
        let first = spans.partition_point(|other| other.1 <= span.0);
        spans[first..].iter().take_while(|other| other.0 < span.1)
    });
    let mut parts: Vec<Span> = clipped.copied().collect();
    parts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut union = Vec::new();
    parts.into_iter().for_each(|part| extend(&mut union, part));
    inside(&union, span)
}

fn seconds(seconds: f64) -> Seconds {
    // Differences of checked times are finite, and not negative.
    Seconds::new(seconds.max(0.0)).unwrap_or(Seconds::ZERO)
}
