//! What a meter says so far, in the text format of OpenMetrics, for Prometheus and its like.
//!
//! Energy goes out as cumulative counters and never as a gauge: what is used between two scrapes
//! is in the next one, however seldom they come.

use std::fmt;

use attar_meter::{Estimate, Quantity, Totals, Watts};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::bill::Bill;

/// Totals, the mean power of the last interval and the carbon of a bill over the same totals, as
/// OpenMetrics text (`application/openmetrics-text; version=1.0.0; charset=utf-8`).
///
/// | metric | type | labels |
/// |---|---|---|
/// | `attar_energy_joules_total` | counter | `component`, `method`, `bound` (`value`, `low`, `high`) |
/// | `attar_energy_active_seconds_total` | counter | `phase` |
/// | `attar_energy_gaps_total` | counter | `of`, `kind` |
/// | `attar_energy_carbon_grams_total` | counter | `bound` |
/// | `attar_energy_power_watts` | gauge | `bound` |
/// | `attar_energy_info` | info | `version`, `grid`, `g_per_kwh`, `pue` |
///
/// Never add up over `bound`: these are the three numbers of one interval. What is not known is
/// absent, so a given power, whose error nobody knows, has a `value` alone. The carbon counter starts anew when the grid or the PUE changes, which the info tells.
pub fn exposition(totals: &Totals, power: Option<Estimate<Watts>>, bill: &Bill) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape::new(totals, power, bill)));
    let mut out = String::new();
    // Writing to memory does not fail, and no metric here is one that the encoder refuses.
    _ = text::encode(&mut out, &registry);
    out
}

type Labels = Vec<(&'static str, String)>;

/// Everything that goes out, in order, so that equal totals give equal bytes.
#[derive(Debug)]
struct Scrape {
    families: Vec<MetricFamily>,
    info: Labels,
}

#[derive(Debug)]
struct MetricFamily {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    samples: Vec<(Labels, MetricSample)>,
}

#[derive(Debug, Clone, Copy)]
enum MetricSample {
    Counter(f64),
    Count(u64),
    Gauge(f64),
}

impl Scrape {
    fn new(totals: &Totals, power: Option<Estimate<Watts>>, bill: &Bill) -> Self {
        let joules = totals.components.iter().flat_map(|(component, energy)| {
            let labels = vec![("component", component.to_string()), ("method", energy.method.to_string())];
            bounds(labels, energy.joules, MetricSample::Counter)
        });
        let active = totals.phases.iter();
        let active =
            active.map(|phase| (vec![("phase", phase.phase.clone())], MetricSample::Counter(phase.active.get())));
        let gaps = totals.gaps.iter().map(|gap| {
            let kind = serde_json::to_value(gap.kind).ok().and_then(|kind| Some(kind.as_str()?.to_owned()));
            let kind = kind.unwrap_or_else(|| gap.kind.to_string());
            (vec![("of", gap.of.clone()), ("kind", kind)], MetricSample::Count(gap.times.into()))
        });
        let carbon = bill.total.carbon_g.map(|carbon| bounds(Vec::new(), carbon, MetricSample::Counter));
        let power = power.map(|power| bounds(Vec::new(), power, MetricSample::Gauge));
        let family = |name, help, unit, samples| MetricFamily { name, help, unit, samples };
        Self {
            families: vec![
                family("attar_energy", "Energy that the machine drew", Some(Unit::Joules), joules.collect()),
                family("attar_energy_active", "Time spent in each phase", Some(Unit::Seconds), active.collect()),
                family("attar_energy_gaps", "Problems met while reading", None, gaps.collect()),
                family(
                    "attar_energy_carbon",
                    "Greenhouse gas of the building's energy, as CO2 equivalent",
                    Some(Unit::Grams),
                    carbon.unwrap_or_default(),
                ),
                family(
                    "attar_energy_power",
                    "Mean power of the machine in the last interval",
                    Some(Unit::Other("watts".to_owned())),
                    power.unwrap_or_default(),
                ),
            ],
            info: vec![
                ("version", env!("CARGO_PKG_VERSION").to_owned()),
                ("grid", bill.grid.region.clone()),
                ("g_per_kwh", bill.grid.g_per_kwh.get().to_string()),
                ("pue", bill.tariff.pue().get().to_string()),
            ],
        }
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in self.families.iter().filter(|family| !family.samples.is_empty()) {
            let kind = match family.samples[0].1 {
                MetricSample::Counter(_) | MetricSample::Count(_) => MetricType::Counter,
                MetricSample::Gauge(_) => MetricType::Gauge,
            };
            let mut metric = encoder.encode_descriptor(family.name, family.help, family.unit.as_ref(), kind)?;
            for (labels, sample) in &family.samples {
                let one = metric.encode_family(labels)?;
                match sample {
                    MetricSample::Counter(number) => ConstCounter::new(*number).encode(one)?,
                    MetricSample::Count(number) => ConstCounter::new(*number).encode(one)?,
                    MetricSample::Gauge(number) => ConstGauge::new(*number).encode(one)?,
                }
            }
        }
        let info = Info::new(self.info.clone());
        let metric = encoder.encode_descriptor("attar_energy", "Basis of the numbers", None, MetricType::Info)?;
        info.encode(metric)
    }
}

/// A sample for each of the three numbers.
fn bounds<Q: Quantity>(
    labels: Labels,
    estimate: Estimate<Q>,
    sample: fn(f64) -> MetricSample,
) -> Vec<(Labels, MetricSample)> {
    let mut all = vec![("value", estimate.value())];
    if estimate.has_interval() {
        all.extend([("low", estimate.low()), ("high", estimate.high())]);
    }
    let one = |(bound, quantity): (&str, Q)| {
        let labels = labels.iter().cloned().chain([("bound", bound.to_owned())]).collect();
        (labels, sample(quantity.magnitude()))
    };
    all.into_iter().map(one).collect()
}
