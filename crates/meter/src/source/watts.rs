//! Watts of one hardware thread, for machines without counters.
//!
//! Two tables. On a physical machine whose processor is listed by name, its thermal design power:
//! `P = TDP · (0.05 + 0.95 u)`, which is the power of the packages. In a guest, or where the name is
//! in no list, the figures by microarchitecture: a thread's share of a whole server at the wall.
//!
//! The intervals come from measured load sweeps on five machines, four of them for the form by name
//! (CodeCarbon's `cpu_load_profiling`, package power by RAPL): the logarithms of measured over modeled power scatter between machines
//! and within them, and the bounds hold 90 % of what a machine that is not among them would show if
//! both are normal. Of two loads of one machine the error is not the same: the ratio of two modeled
//! powers errs beyond ×1.25 in half of all pairs, and within the stated factors in nine of ten.
//! Leaving each machine out in turn, the intervals so made from the others hold 88
//! to 93 % of its points; a test computes and prints this.

use std::sync::OnceLock;

use serde::Deserialize;

use super::Cpu;
use crate::estimate::Spread;
use crate::hardware;
use crate::quantity::Watts;
use crate::table;

/// Power of main memory in watts per gigabyte (10^9 bytes) installed, whatever the load: 1.28 W for a
/// module of 16 GB, as Karyakin and Salem 2017 (doi 10.1145/3076113.3076117) measured it according to pull
/// request 38 of GreenAlgorithms/green-algorithms-tool.
///
/// What else is known lies between a quarter and five times that, which is [`MEMORY_SPREAD`]:
///
/// | W/GB | what | source |
/// |---|---|---|
/// | less than 0.023 | at the wall: 64 GB of DDR4 more drew less than 1.5 W more | issue 14 of GreenAlgorithms/green-algorithms-tool |
/// | 0.07 | idle, 64 GB to 1 TB | figure 2 of doi 10.1145/3466752.3480089, as read in HewlettPackard/sustain-cluster |
/// | 0.08 | a module of 16 GB | doi 10.1145/3076113.3076117 |
/// | 0.19 | idle | Simon et al. 2024 (BoaviztAPI, HotCarbon) |
/// | 0.3725 | a calculator's, from a rule of thumb | Green Algorithms, `referenceValues.csv` @30df2fea |
/// | 0.392 | the same | Cloud Carbon Footprint, 0.000392 kWh/GBh |
///
/// Memory at work (0.54 W/GB in Simon et al.) lies above it: the model does not see accesses.
pub const MEMORY_WATTS_PER_GB: f64 = 0.08;

/// 90 % interval of [`MEMORY_WATTS_PER_GB`], as factors: from 0.02 to 0.40 W/GB.
pub const MEMORY_SPREAD: Spread = Spread::between(0.25, 5.0);

/// What one hardware thread draws, its share of the whole server included (wall power).
#[derive(Debug, Clone, PartialEq)]
pub struct CpuWatts {
    /// Microarchitecture, or what is known of the processor.
    pub microarchitecture: String,
    /// One thread's share of an idle machine.
    pub idle: Watts,
    /// One thread's share of a machine at full load.
    pub full: Watts,
    /// 90 % interval, as factors.
    pub spread: Spread,
    /// 90 % interval of the ratio of two powers of one machine at two loads, as factors: what the error
    /// of the two does not have in common.
    pub between_loads: Spread,
    /// Whose figures these are, and what is uncertain about them.
    pub remarks: Vec<String>,
}

/// Measured over modeled power of a package, by its thermal design power.
const OF_DESIGN_POWER: Spread = Spread::between(0.38, 1.83);
/// Measured over modeled power, by microarchitecture.
const OF_TABLE: Spread = Spread::between(0.35, 3.8);
/// The same of two loads of one machine: 90 % of all pairs of points err by no more.
const PAIRS_OF_DESIGN_POWER: Spread = Spread::factor(2.4);
/// The same by microarchitecture.
pub(crate) const PAIRS_OF_TABLE: Spread = Spread::factor(3.2);
/// What an idle package draws of its thermal design power. Between 0.02 and 0.12 fits the sweeps.
const IDLE_SHARE: f64 = 0.05;
/// By how much neighbors in the table differ: root mean square of the logarithm of their watts.
const NEAR: f64 = 0.28;
/// By how much any two differ: standard deviation of the same.
const ANY: f64 = 0.45;

/// The share of its thermal design power that a package draws at a utilization from 0 to 1, with
/// the factors of its 90 % interval.
pub fn design_power_share(utilization: f64) -> (f64, Spread) {
    (IDLE_SHARE + (1.0 - IDLE_SHARE) * utilization, OF_DESIGN_POWER)
}

/// The figures for a processor in a machine with so many packages and threads.
pub(crate) fn machine_watts(cpu: &Cpu, packages: usize, threads: usize) -> CpuWatts {
    let listed = (!cpu.virtual_machine && !cpu.name.is_empty()).then(|| hardware::processor(&cpu.name).ok()).flatten();
    let Some(listed) = listed.filter(|_| threads > 0) else { return cpu_watts(cpu) };
    let each = listed.watts.get() * packages as f64 / threads as f64;
    let of_packages = if packages > 1 { format!(" ({packages} packages)") } else { String::new() };
    CpuWatts {
        microarchitecture: listed.name.clone(),
        idle: Watts::raw(each * design_power_share(0.0).0),
        full: Watts::raw(each * design_power_share(1.0).0),
        spread: OF_DESIGN_POWER,
        between_loads: PAIRS_OF_DESIGN_POWER,
        remarks: vec![format!("thermal design power {}{of_packages}, {}", listed.watts, listed.origin())],
    }
}

/// The figures for a processor by its microarchitecture. One that no table knows gets the mean of the table and a wider
/// interval.
pub fn cpu_watts(cpu: &Cpu) -> CpuWatts {
    let known = models().iter().find(|model| {
        model.vendor == cpu.vendor
            && model.family == cpu.family
            && (model.model_first..=model.model_last).contains(&cpu.model)
            && (model.stepping_first..=model.stepping_last).contains(&cpu.stepping)
    });
    // A test holds that every row named in the one table stands in the other.
    let found = known.and_then(|model| Some((model, row(&model.row)?)));
    let Some((model, listed)) = found else { return unknown(cpu) };
    let used = listed.stand_in.as_deref().and_then(row).unwrap_or(listed);
    let mut remarks = vec![format!("Cloud Carbon Footprint's figures for {} ({})", used.row, used.license)];
    if model.near {
        remarks
            .push(format!("{} is a near relation of {}, so the interval is wider", model.row, model.microarchitecture));
    }
    if used.row != listed.row {
        remarks.push(format!("{} stands in for {}, so the interval is wider", used.row, listed.row));
    }
    remarks.extend(listed.remark.clone().map(|remark| format!("{}: {remark}", listed.row)));
    CpuWatts {
        microarchitecture: model.microarchitecture.clone(),
        idle: Watts::raw(used.idle_watts),
        full: Watts::raw(used.full_watts),
        between_loads: PAIRS_OF_TABLE,
        spread: if model.near || listed.near || used.near { widened(OF_TABLE, NEAR) } else { OF_TABLE },
        remarks,
    }
}

/// The mean of the rows that are nobody's copy and no outlier.
fn unknown(cpu: &Cpu) -> CpuWatts {
    let sound: Vec<&CpuWattsRow> = rows().iter().filter(|row| row.remark.is_none()).collect();
    let mean =
        |of: fn(&CpuWattsRow) -> f64| Watts::raw(sound.iter().map(|row| of(row)).sum::<f64>() / sound.len() as f64);
    let identity = format!("{} family {} model {}", cpu.vendor, cpu.family, cpu.model);
    let identity = if cpu.vendor.is_empty() { "unknown processor".to_owned() } else { identity };
    CpuWatts {
        remarks: vec![format!(
            "{identity} is in no table: mean of {} microarchitectures of Cloud Carbon Footprint, with a wider interval",
            sound.len()
        )],
        microarchitecture: identity,
        idle: mean(|row| row.idle_watts),
        full: mean(|row| row.full_watts),
        spread: widened(OF_TABLE, ANY),
        between_loads: PAIRS_OF_TABLE,
    }
}

/// Log-normal bounds with a further deviation (of the logarithm) that is independent of theirs.
fn widened(spread: Spread, deviation: f64) -> Spread {
    const Z90: f64 = 1.645;
    let (low, high) = (spread.low().ln(), spread.high().ln());
    let (middle, half) = ((low + high) / 2.0, (high - low) / 2.0);
    let half = Z90 * (half / Z90).hypot(deviation);
    Spread::between((middle - half).exp(), (middle + half).exp())
}

/// A row of `data/cpu-watts.csv`.
#[derive(Debug, Deserialize)]
struct CpuWattsRow {
    row: String,
    idle_watts: f64,
    full_watts: f64,
    stand_in: Option<String>,
    near: bool,
    remark: Option<String>,
    license: String,
}

/// A row of `data/cpu-models.csv`.
#[derive(Debug, Deserialize)]
struct CpuModelRow {
    vendor: String,
    family: u32,
    model_first: u32,
    model_last: u32,
    stepping_first: u32,
    stepping_last: u32,
    microarchitecture: String,
    row: String,
    near: bool,
}

fn row(name: &str) -> Option<&'static CpuWattsRow> {
    rows().iter().find(|row| row.row == name)
}

fn rows() -> &'static [CpuWattsRow] {
    static ROWS: OnceLock<Vec<CpuWattsRow>> = OnceLock::new();
    ROWS.get_or_init(|| table::embedded(include_str!("../../data/cpu-watts.csv")))
}

fn models() -> &'static [CpuModelRow] {
    static MODELS: OnceLock<Vec<CpuModelRow>> = OnceLock::new();
    MODELS.get_or_init(|| table::embedded(include_str!("../../data/cpu-models.csv")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(vendor: &str, family: u32, model: u32, stepping: u32) -> Cpu {
        Cpu { vendor: vendor.into(), family, model, stepping, ..Cpu::default() }
    }

    #[test]
    fn the_tables_are_sound() {
        assert_eq!(rows().len(), 20);
        for (i, a) in rows().iter().enumerate() {
            assert!(0.1 < a.idle_watts && a.idle_watts < a.full_watts && a.full_watts < 10.0, "{a:?}");
            assert!(a.stand_in.as_deref().is_none_or(|name| row(name).is_some()), "{a:?}");
            assert!(rows()[i + 1..].iter().all(|b| a.row != b.row), "{} stands twice", a.row);
        }
        assert!(models().len() > 40);
        for (i, a) in models().iter().enumerate() {
            assert!(row(&a.row).is_some(), "{a:?}");
            assert!(a.model_first <= a.model_last && a.stepping_first <= a.stepping_last, "{a:?}");
            let apart = |b: &CpuModelRow| {
                a.vendor != b.vendor
                    || a.family != b.family
                    || a.model_last < b.model_first
                    || b.model_last < a.model_first
                    || a.stepping_last < b.stepping_first
                    || b.stepping_last < a.stepping_first
            };
            assert!(models()[i + 1..].iter().all(apart), "{a:?} overlaps another row");
        }
    }

    // The unused figures of the outlier stay in the table; nothing else strays that far.
    #[test]
    fn only_the_known_outlier_strays() {
        for row in rows().iter().filter(|row| row.stand_in.is_none() && row.row.starts_with("EPYC")) {
            assert!(row.idle_watts < 1.0 && row.full_watts < 3.0, "{row:?}");
        }
        let outlier = rows().iter().find(|row| row.row == "EPYC 5th Gen").unwrap();
        assert!(outlier.idle_watts > 3.0 && outlier.stand_in.as_deref() == Some("EPYC 4th Gen"));
    }

    #[test]
    fn processors_are_known_by_number() {
        let emerald = cpu_watts(&cpu("GenuineIntel", 6, 207, 2));
        assert_eq!(emerald.microarchitecture, "Emerald Rapids");
        assert_eq!((emerald.idle.get(), emerald.full.get()), (0.814_010_416_666_666_6, 4.482_031_25));
        assert_eq!(emerald.spread, OF_TABLE);
        for (stepping, expected) in [(4, "Skylake"), (7, "Cascade Lake"), (11, "Cooper Lake")] {
            assert_eq!(cpu_watts(&cpu("GenuineIntel", 6, 85, stepping)).microarchitecture, expected);
        }
        assert_eq!(cpu_watts(&cpu("AuthenticAMD", 25, 17, 1)).microarchitecture, "Zen 4");
        assert_eq!(cpu_watts(&cpu("arm-0x41", 8, 0xd40, 1)).spread, widened(OF_TABLE, NEAR));
    }

    #[test]
    fn zen_5_borrows_from_zen_4_and_says_so() {
        let zen5 = cpu_watts(&cpu("AuthenticAMD", 26, 2, 1));
        let zen4 = cpu_watts(&cpu("AuthenticAMD", 25, 17, 1));
        assert_eq!(zen5.microarchitecture, "Zen 5");
        assert_eq!((zen5.idle, zen5.full), (zen4.idle, zen4.full));
        assert!(zen5.spread.high() > zen4.spread.high());
        assert!(zen5.remarks.iter().any(|remark| remark.contains("stands in for EPYC 5th Gen")), "{:?}", zen5.remarks);
    }

    // The deviations are those of the table itself.
    #[test]
    fn relations_are_as_near_as_the_table_says() {
        let full = |name: &str| row(name).unwrap().full_watts.ln();
        let chains: [&[&str]; 2] = [
            &[
                "Sandy Bridge",
                "Ivy Bridge",
                "Haswell",
                "Broadwell",
                "Skylake",
                "Cascade Lake",
                "Ice Lake",
                "Sapphire Rapids",
                "Emerald Rapids",
                "Granite Rapids",
            ],
            &["EPYC 1st Gen", "EPYC 2nd Gen", "EPYC 3rd Gen", "EPYC 4th Gen"],
        ];
        let steps: Vec<f64> =
            chains.iter().flat_map(|chain| chain.windows(2).map(|pair| full(pair[0]) - full(pair[1]))).collect();
        let near = (steps.iter().map(|step| step * step).sum::<f64>() / steps.len() as f64).sqrt();
        assert!((near - NEAR).abs() < 0.005, "{near}");
        let all: Vec<f64> = rows().iter().filter(|row| row.remark.is_none()).map(|row| row.full_watts.ln()).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let any = (all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (all.len() - 1) as f64).sqrt();
        assert!((any - ANY).abs() < 0.005, "{any}");
    }

    #[test]
    fn a_machine_of_its_own_goes_by_the_name_of_its_processor() {
        let named = Cpu { name: "Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz".into(), ..cpu("GenuineIntel", 6, 63, 2) };
        let two = machine_watts(&named, 2, 24);
        assert_eq!((two.idle.get() * 24.0, two.full.get() * 24.0), (8.5, 170.0));
        assert_eq!(two.spread, OF_DESIGN_POWER);
        assert!(two.remarks[0].contains("85.0 W (2 packages)"), "{:?}", two.remarks);
        // In a guest the name says nothing of how many of its threads this machine has.
        let guest = Cpu { virtual_machine: true, ..named };
        assert_eq!(machine_watts(&guest, 2, 24), cpu_watts(&guest));
        assert_eq!(machine_watts(&cpu("GenuineIntel", 6, 63, 2), 1, 12).microarchitecture, "Haswell");
    }

    #[test]
    fn an_unknown_processor_gets_the_mean_and_a_wider_interval() {
        let unknown = cpu_watts(&cpu("GenuineIntel", 6, 183, 1));
        assert!(unknown.remarks[0].contains("family 6 model 183"), "{:?}", unknown.remarks);
        assert!(0.5 < unknown.idle.get() && unknown.idle < unknown.full && unknown.full.get() < 6.0, "{unknown:?}");
        assert_eq!(unknown.spread, widened(OF_TABLE, ANY));
        assert_eq!(cpu_watts(&Cpu::default()).microarchitecture, "unknown processor");
    }
}
