//! The model against measured load sweeps: how much of what a machine shows lies inside the interval
//! that other machines give it.
//!
//! CodeCarbon measured five machines from idle to full load, with all threads partly busy and with
//! some threads wholly busy, and recorded what RAPL showed. The first row of each sweep is an
//! artifact of its start and left out.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use attar_meter::source::{Component, Cpu, Liveness, Modeled, Scope, Source};
use attar_meter::{Clock, ManualClock, Spread};
use serde::Deserialize;

/// Half the width of a normal distribution's 90 %, in standard deviations.
const Z90: f64 = 1.645;

#[derive(Deserialize)]
struct Row {
    cpu_name: String,
    cpu_load: f64,
    rapl_power: f64,
}

struct Machine {
    name: &'static str,
    cpu: Cpu,
    packages: usize,
    threads: usize,
    /// Load from 0 to 1, and watts of all packages.
    points: Vec<(f64, f64)>,
}

/// The machines of the sweeps. Family, model and stepping are not in the files; they are those of
/// the named processors.
fn machines(folder: &Path) -> Vec<Machine> {
    let known = [
        ("AMD_EPYC_8024P_8C", "AuthenticAMD", (25, 160, 2), 1, 16),
        ("AMD_Threadripper", "AuthenticAMD", (23, 1, 1), 1, 32),
        ("E3-1240", "GenuineIntel", (6, 58, 9), 1, 8),
        ("E5-1240", "GenuineIntel", (6, 58, 9), 1, 8),
        ("E5-2620", "GenuineIntel", (6, 63, 2), 2, 24),
    ];
    known
        .into_iter()
        .map(|(name, vendor, (family, model, stepping), packages, threads)| {
            let rows: Vec<Row> = ["all", "some"]
                .iter()
                .flat_map(|cores| {
                    let mut reader = csv::Reader::from_path(folder.join(format!("{name}__{cores}_cores.csv"))).unwrap();
                    reader.deserialize().skip(1).collect::<Result<Vec<Row>, _>>().unwrap()
                })
                .collect();
            assert!(rows.len() >= 18, "{name}: {} rows", rows.len());
            let cpu = Cpu {
                vendor: vendor.into(),
                family,
                model,
                stepping,
                name: rows[0].cpu_name.clone(),
                virtual_machine: false,
            };
            let points = rows.iter().map(|row| (row.cpu_load / 100.0, row.rapl_power)).collect();
            Machine { name, cpu, packages, threads, points }
        })
        .collect()
}

impl Machine {
    /// The model as it is stated for this machine.
    fn stated(&self, guest: bool) -> Spread {
        of(self, guest).describe().between_loads_of(Component::Cpu(0))
    }

    /// Measured over modeled power at each load, through the source itself.
    fn ratios(&self, guest: bool) -> Vec<f64> {
        let dir = tempfile::tempdir().unwrap();
        let seconds = 1000;
        let set = |ticks: u64| {
            let threads: String = (0..self.threads).map(|thread| format!("cpu{thread} 0 0 0 0\n")).collect();
            std::fs::write(dir.path().join("stat"), format!("cpu {ticks} 0 0 0 0 0 0\n{threads}")).unwrap();
        };
        let ids: String = (0..self.packages).map(|package| format!("physical id\t: {package}\n\n")).collect();
        std::fs::write(dir.path().join("cpuinfo"), ids).unwrap();
        let cpu = Cpu { virtual_machine: guest, ..self.cpu.clone() };
        let modeled = |load: f64| {
            let clock = ManualClock::new();
            set(0);
            let mut model = Modeled::new(dir.path(), &cpu, Scope::Machine);
            assert_eq!(model.probe(&clock), Liveness::Alive);
            model.read(clock.now()).unwrap();
            clock.advance(Duration::from_secs(seconds), Duration::ZERO);
            set((load * seconds as f64 * 100.0 * self.threads as f64).round() as u64);
            let reading = model.read(clock.now()).unwrap();
            let part = reading.parts.iter().find(|part| part.component == Component::Cpu(0)).unwrap();
            part.energy.value().get() / seconds as f64
        };
        self.points.iter().map(|(load, watts)| watts / modeled(*load)).collect()
    }
}

/// Bounds that hold 90 % of the ratios of a further machine: machines scatter about a common mean,
/// loads about that of their machine, both log-normally.
fn bounds(machines: &[&Vec<f64>]) -> (f64, f64) {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let variance = |values: &[f64]| {
        let center = mean(values);
        values.iter().map(|value| (value - center).powi(2)).sum::<f64>() / (values.len() - 1) as f64
    };
    let logarithms: Vec<Vec<f64>> = machines.iter().map(|all| all.iter().map(|ratio| ratio.ln()).collect()).collect();
    let means: Vec<f64> = logarithms.iter().map(|machine| mean(machine)).collect();
    let within = mean(&logarithms.iter().map(|machine| variance(machine)).collect::<Vec<_>>());
    let between = variance(&means) * (1.0 + 1.0 / means.len() as f64);
    let (center, half) = (mean(&means), Z90 * (within + between).sqrt());
    ((center - half).exp(), (center + half).exp())
}

/// The share of points inside the interval made from the other machines, and the interval from all.
fn leave_one_out(title: &str, ratios: &BTreeMap<&str, Vec<f64>>) -> (f64, (f64, f64)) {
    println!("{title}: measured over modeled power");
    let (mut inside, mut all) = (0, 0);
    for (name, own) in ratios {
        let others: Vec<&Vec<f64>> = ratios.iter().filter(|(other, _)| *other != name).map(|(_, r)| r).collect();
        let (low, high) = bounds(&others);
        let held = own.iter().filter(|ratio| (low..=high).contains(ratio)).count();
        println!("  {name:18} {held:2} of {:2} inside [{low:.2}, {high:.2}] from the others", own.len());
        (inside, all) = (inside + held, all + own.len());
    }
    let share = inside as f64 / all as f64;
    let (low, high) = bounds(&ratios.values().collect::<Vec<_>>());
    println!("  left out one by one: {inside} of {all} inside, {:.1} %; from all [{low:.3}, {high:.3}]", 100.0 * share);
    (share, (low, high))
}

/// By how much the ratio of each two loads is off, as a factor of at least 1.
fn pairs(ratios: &[f64]) -> Vec<f64> {
    let off = |a: f64, b: f64| if a > b { a / b } else { b / a };
    let of = |(place, a): (usize, &f64)| ratios[..place].iter().map(|b| off(*a, *b)).collect::<Vec<_>>();
    ratios.iter().enumerate().flat_map(of).collect()
}

// What two runs on one machine have in common is not all of the model's error: by load it does not cancel.
#[test]
#[ignore = "needs the data sets of ../shared"]
fn of_two_loads_the_error_is_common_in_part_only() {
    let machines = machines(&attar_testing::shared("data/energy/codecarbon/cpu_load_profiling"));
    for (title, guest) in [("by thermal design power", false), ("by microarchitecture", true)] {
        let known: Vec<&Machine> = machines.iter().filter(|machine| guest || machine.name != "E5-1240").collect();
        let all: Vec<(Vec<f64>, f64)> =
            known.iter().map(|machine| (pairs(&machine.ratios(guest)), machine.stated(guest).high())).collect();
        let count =
            |beyond: &dyn Fn(&f64) -> bool| all.iter().flat_map(|(pairs, _)| pairs).filter(|off| beyond(off)).count();
        let total = all.iter().map(|(pairs, _)| pairs.len()).sum::<usize>() as f64;
        let stated = all[0].1;
        let held = count(&|off| *off <= stated) as f64 / total;
        println!(
            "{title}: of {total} pairs {:.1} % err beyond ×1.25, {:.1} % beyond ×2, {:.1} % within ×{stated}",
            100.0 * count(&|off| *off > 1.25) as f64 / total,
            100.0 * count(&|off| *off > 2.0) as f64 / total,
            100.0 * held
        );
        assert!(count(&|off| *off > 1.25) as f64 > 0.45 * total, "the error of the model does not cancel");
        assert!((0.88..=0.95).contains(&held), "{title}: {held} within ×{stated}");
        // Each machine by the pairs of the others.
        let mut inside = 0;
        for (left_out, (own, _)) in all.iter().enumerate() {
            let rest = all.iter().enumerate().filter(|(other, _)| *other != left_out);
            let mut others: Vec<f64> = rest.flat_map(|(_, (pairs, _))| pairs.clone()).collect();
            others.sort_by(f64::total_cmp);
            let bound = others[(0.9 * (others.len() - 1) as f64).ceil() as usize];
            inside += own.iter().filter(|off| **off <= bound).count();
        }
        println!("  left out one by one: {:.1} % inside", 100.0 * inside as f64 / total);
        assert!(inside as f64 > 0.8 * total, "{inside} of {total}");
    }
}

/// The source states what the sweeps give, rounded outwards.
fn states(model: &Modeled, (low, high): (f64, f64)) {
    let stated = model.describe().spread;
    assert!(stated.low() <= low && low < stated.low() + 0.02, "states {stated}, the sweeps give {low:.3}");
    assert!(stated.high() >= high && high > stated.high() * 0.98, "states {stated}, the sweeps give {high:.3}");
}

fn of(machine: &Machine, guest: bool) -> Modeled {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("stat"), "cpu 0 0 0 0\ncpu0 0 0 0 0\n").unwrap();
    let cpu = Cpu { virtual_machine: guest, ..machine.cpu.clone() };
    let mut model = Modeled::new(dir.path(), &cpu, Scope::Machine).without_memory();
    assert_eq!(model.probe(&ManualClock::new()), Liveness::Alive);
    model
}

#[test]
#[ignore = "needs the data sets of ../shared"]
fn the_interval_is_calibrated_on_machines_left_out() {
    let folder = attar_testing::shared("data/energy/codecarbon/cpu_load_profiling");
    let machines = machines(&folder);

    // By thermal design power. The folder named E5-1240 holds files that name an E3-1240 V2 but
    // twice its watts: which processor it was is not known, so it says nothing of one by name.
    let named: BTreeMap<&str, Vec<f64>> =
        machines.iter().filter(|m| m.name != "E5-1240").map(|m| (m.name, m.ratios(false))).collect();
    let (share, interval) = leave_one_out("by thermal design power", &named);
    assert!((0.85..=0.95).contains(&share), "{share}");
    states(&of(&machines[2], false), interval);

    // By microarchitecture, as in a guest. Nothing is known to be wrong with that of any folder.
    let all: BTreeMap<&str, Vec<f64>> = machines.iter().map(|m| (m.name, m.ratios(true))).collect();
    let (share, interval) = leave_one_out("by microarchitecture", &all);
    assert!((0.85..=0.95).contains(&share), "{share}");
    states(&of(&machines[2], true), interval);
}
