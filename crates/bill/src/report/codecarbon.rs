//! CodeCarbon's `emissions.csv`, for whoever has tools that read it.

use attar_meter::source::Component;
use attar_meter::{Estimate, Joules, KilowattHours};
use csv::WriterBuilder;

use super::{Report, describe};
use crate::grid::GridChoice;

/// The columns of CodeCarbon 3 in its order, and what a report says to each; then four of our own. Energies are in kWh and
/// power in W, both with the PUE as there; emissions in kg and kg/s; time in seconds; memory in GB.
type Field = (&'static str, fn(&Report) -> Option<String>);

const FIELDS: &[Field] = &[
    ("timestamp", |report| {
        Some(report.windows.iter().map(|window| window.end).max()?.strftime("%Y-%m-%dT%H:%M:%S").to_string())
    }),
    ("project_name", |report| Some(report.name.clone())),
    ("run_id", unknown),
    ("experiment_id", unknown),
    ("duration", |report| number(report.totals.active().get())),
    ("emissions", |report| number(kilograms(report)?)),
    ("emissions_rate", |report| rate(report, kilograms(report)?)),
    ("cpu_power", |report| rate(report, watt_seconds(report, is_cpu)?)),
    ("gpu_power", |report| rate(report, watt_seconds(report, is_gpu)?)),
    ("ram_power", |report| rate(report, watt_seconds(report, is_memory)?)),
    ("cpu_energy", |report| number(kilowatt_hours(report, is_cpu)?)),
    ("gpu_energy", |report| number(kilowatt_hours(report, is_gpu)?)),
    ("ram_energy", |report| number(kilowatt_hours(report, is_memory)?)),
    ("energy_consumed", |report| number(report.bill.total.facility_kwh?.value().get())),
    ("water_consumed", |report| number(report.bill.total.water_l?.value().get())),
    ("country_name", |report| {
        (report.bill.grid.choice == GridChoice::Country).then(|| report.bill.grid.region.clone())
    }),
    ("country_iso_code", |report| report.bill.grid.country.clone()),
    ("region", |report| match report.bill.grid.choice {
        GridChoice::Custom => Some(report.bill.grid.region.clone()),
        GridChoice::State => report.bill.grid.region.split_once('/').map(|(_, state)| state.to_owned()),
        _ => None,
    }),
    ("cloud_provider", |report| cloud(report).map(|(provider, _)| provider.to_owned())),
    ("cloud_region", |report| cloud(report).map(|(_, region)| region.to_owned())),
    ("os", |report| one(report.headers.iter().map(|header| header.host.system.clone()))),
    ("python_version", unknown),
    ("codecarbon_version", unknown),
    ("cpu_count", |report| {
        one(report.headers.iter().filter_map(|header| header.host.threads).map(|threads| threads.to_string()))
    }),
    ("cpu_model", |report| one(report.headers.iter().map(|header| header.host.cpu.name.clone()))),
    ("gpu_count", |report| {
        let boards = report.totals.components.keys().filter(|component| is_gpu(component)).count();
        (boards > 0).then(|| boards.to_string())
    }),
    ("gpu_model", unknown),
    ("longitude", unknown),
    ("latitude", unknown),
    ("ram_total_size", |report| {
        one(report
            .headers
            .iter()
            .filter_map(|header| header.host.memory_bytes)
            .map(|bytes| (bytes as f64 / GIGABYTE).to_string()))
    }),
    ("tracking_mode", unknown),
    ("cpu_utilization_percent", unknown),
    ("gpu_utilization_percent", unknown),
    ("ram_utilization_percent", unknown),
    ("ram_used_gb", unknown),
    ("on_cloud", |report| cloud(report).map(|_| "Y".to_owned())),
    ("pue", |report| number(report.bill.tariff.pue().get())),
    ("wue", |report| number(report.bill.water?.site.get())),
    // What CodeCarbon has no columns for: without it a lost counter would look like a small energy.
    ("energy_consumed_low", |report| bound(report, Estimate::low)),
    ("energy_consumed_high", |report| bound(report, Estimate::high)),
    ("energy_method", |report| Some(report.bill.total.method?.to_string())),
    ("energy_missing", |report| {
        let gaps = report.bill.gaps.iter().filter(|gap| gap.kind.misses_energy());
        let gaps: Vec<String> = gaps.map(|gap| format!("{}: {}, {}", gap.of, gap.kind, gap.seconds)).collect();
        (!gaps.is_empty()).then(|| gaps.join("; "))
    }),
];

/// CodeCarbon's gigabyte has 2^30 bytes.
const GIGABYTE: f64 = (1_u64 << 30) as f64;

/// CodeCarbon's `emissions.csv` with a row for each report. What is not known is empty. Names of
/// host or user, addresses and coordinates are never in it.
pub fn emissions_csv<'a>(reports: impl IntoIterator<Item = &'a Report>) -> String {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    let head = FIELDS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    let rows = reports.into_iter().map(|report| FIELDS.iter().map(|(_, of)| of(report).unwrap_or_default()).collect());
    for row in [head].into_iter().chain(rows) {
        // Writing to memory does not fail, and every row has as many fields as the head.
        _ = writer.write_record(row);
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// A bound of the building's energy, where the error is known.
fn bound(report: &Report, of: fn(&Estimate<KilowattHours>) -> KilowattHours) -> Option<String> {
    let energy = report.bill.total.facility_kwh.filter(Estimate::has_interval)?;
    number(of(&energy).get())
}

fn unknown(_: &Report) -> Option<String> {
    None
}

fn number(number: f64) -> Option<String> {
    Some(number.to_string())
}

/// Provider and region, where the grid is that of a cloud's region.
fn cloud(report: &Report) -> Option<(&str, &str)> {
    let grid = &report.bill.grid;
    (grid.choice == GridChoice::Cloud).then(|| grid.region.split_once('/')).flatten()
}

/// What all meters say alike.
fn one(all: impl Iterator<Item = String>) -> Option<String> {
    let distinct = describe::distinct(all);
    (distinct.len() == 1).then(|| distinct.into_iter().next()).flatten()
}

fn kilograms(report: &Report) -> Option<f64> {
    Some(report.bill.total.carbon_g?.value().get() / 1000.0)
}

fn rate(report: &Report, amount: f64) -> Option<String> {
    let seconds = report.totals.active().get();
    (seconds > 0.0).then(|| (amount / seconds).to_string())
}

/// Energy of components of one kind, drawn by the building.
fn watt_seconds(report: &Report, kind: fn(&Component) -> bool) -> Option<f64> {
    let components = report.totals.components.iter().filter(|(component, _)| kind(component));
    let energy = components.map(|(_, energy)| energy.joules).reduce(|a, b| a + b).map(|energy| energy.value())?;
    Some((energy * report.bill.tariff.pue()).get())
}

fn kilowatt_hours(report: &Report, kind: fn(&Component) -> bool) -> Option<f64> {
    let joules = Estimate::exact(Joules::raw(watt_seconds(report, kind)?));
    Some(joules.map(KilowattHours::from).value().get())
}

fn is_cpu(component: &Component) -> bool {
    matches!(component, Component::Cpu(_))
}

fn is_gpu(component: &Component) -> bool {
    matches!(component, Component::Gpu(_))
}

fn is_memory(component: &Component) -> bool {
    matches!(component, Component::Memory(_))
}
