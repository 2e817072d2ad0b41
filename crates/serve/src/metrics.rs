//! Counters of a server in OpenMetrics text, under the names of text-embeddings-inference where it has one.

mod inputs;

use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use attar_meter::{Estimate, Quantity};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};

use crate::energy::{EnergyReading, LastReading};

use inputs::InputsByKind;

type Labels = Vec<(&'static str, String)>;

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    energy: LastReading,
    count: Family<Labels, UnsuffixedCounter>,
    success: Family<Labels, UnsuffixedCounter>,
    failure: Family<Labels, UnsuffixedCounter>,
    inputs: InputsByKind,
    duration: Histogram,
    tokenization: Histogram,
    queueing: Histogram,
    inference: Histogram,
    input_length: Histogram,
    batch_size: Histogram,
    batch_tokens: Histogram,
    queue_size: Gauge,
    requests: Family<Labels, Counter>,
    texts: Family<Labels, Counter>,
    tokens: Family<Labels, Counter>,
    reloads: Family<Labels, Counter>,
    certificate_reloads: Family<Labels, Counter>,
    cascade: Family<Labels, Counter>,
    audits: Family<Labels, Counter>,
}

/// Where the time of a request went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timing {
    pub(crate) total: Duration,
    pub(crate) tokenization: Duration,
    pub(crate) queue: Duration,
    pub(crate) inference: Duration,
}

impl Timing {
    /// The time of two computations, one after the other.
    pub(crate) fn plus(self, other: Timing) -> Timing {
        Timing {
            total: self.total + other.total,
            tokenization: self.tokenization + other.tokenization,
            queue: self.queue + other.queue,
            inference: self.inference + other.inference,
        }
    }
}

impl Metrics {
    pub(crate) fn new(energy: LastReading) -> Metrics {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(EnergyOfBundles(LastReading::clone(&energy))));
        let inputs = InputsByKind::new(&mut registry);
        let powers = |count: i32| Histogram::new((0..count).map(|power| 2.0_f64.powi(power)));
        let metrics = Metrics {
            registry: Registry::default(),
            energy,
            count: Family::default(),
            success: Family::default(),
            failure: Family::default(),
            inputs,
            duration: times(),
            tokenization: times(),
            queueing: times(),
            inference: times(),
            input_length: powers(20),
            batch_size: powers(13),
            batch_tokens: powers(21),
            queue_size: Gauge::default(),
            requests: Family::default(),
            texts: Family::default(),
            tokens: Family::default(),
            reloads: Family::default(),
            certificate_reloads: Family::default(),
            cascade: Family::default(),
            audits: Family::default(),
        };
        registry.register(
            "te_request_count",
            "Requests, by whether they hold one input or several",
            metrics.count.clone(),
        );
        registry.register("te_request_success", "Requests that were answered", metrics.success.clone());
        registry.register(
            "te_request_failure",
            "Requests that were refused, by kind of error",
            metrics.failure.clone(),
        );
        for (name, help, histogram) in [
            ("te_request_duration", "Seconds from a request's arrival to its answer", &metrics.duration),
            ("te_request_tokenization_duration", "Seconds of tokenizing a request", &metrics.tokenization),
            ("te_request_queue_duration", "Seconds that a request's inputs waited, their mean", &metrics.queueing),
            (
                "te_request_inference_duration",
                "Seconds that a request's inputs were computed, their mean",
                &metrics.inference,
            ),
            ("te_request_input_length", "Tokens of an input", &metrics.input_length),
            ("te_batch_next_size", "Inputs of a batch", &metrics.batch_size),
            ("te_batch_next_tokens", "Tokens of a batch", &metrics.batch_tokens),
        ] {
            registry.register(name, help, histogram.clone());
        }
        registry.register("te_queue_size", "Inputs that wait", metrics.queue_size.clone());
        registry.register("attar_requests", "Requests by route, bundle and status", metrics.requests.clone());
        registry.register("attar_texts", "Inputs computed, by bundle", metrics.texts.clone());
        registry.register("attar_tokens", "Tokens computed, by bundle", metrics.tokens.clone());
        registry.register("attar_reloads", "Bundles read again, by outcome", metrics.reloads.clone());
        let help = "Certificates read again, by outcome";
        registry.register("attar_certificate_reloads", help, metrics.certificate_reloads.clone());
        let help = "Inputs of a cascade, by who answered them";
        registry.register("attar_cascade_inputs", help, metrics.cascade.clone());
        let help = "Answers of a cascade's student that were also put to its teacher, by whether both agreed";
        registry.register("attar_cascade_audits", help, metrics.audits.clone());
        Metrics { registry, ..metrics }
    }

    /// A request with one input or several came.
    pub(crate) fn record_request(&self, is_batch: bool) {
        self.count.get_or_create(&method(is_batch)).0.inc();
    }

    /// A request was answered.
    pub(crate) fn record_success(&self, is_batch: bool, timing: Timing) {
        self.success.get_or_create(&method(is_batch)).0.inc();
        for (histogram, time) in [
            (&self.duration, timing.total),
            (&self.tokenization, timing.tokenization),
            (&self.queueing, timing.queue),
            (&self.inference, timing.inference),
        ] {
            histogram.observe(time.as_secs_f64());
        }
    }

    /// A request was refused.
    pub(crate) fn record_refusal(&self, kind: &str) {
        self.failure.get_or_create(&vec![("err", kind.to_owned())]).0.inc();
    }

    /// A request has its answer, of whatever kind.
    pub(crate) fn record_answer(&self, route: &str, bundle: &str, status: u16) {
        let labels = vec![("route", route.to_owned()), ("bundle", bundle.to_owned()), ("status", status.to_string())];
        self.requests.get_or_create(&labels).inc();
    }

    /// An input has so many tokens.
    pub(crate) fn record_input(&self, tokens: usize) {
        self.input_length.observe(tokens as f64);
    }

    /// Counters of single inputs.
    pub(crate) fn inputs(&self) -> &InputsByKind {
        &self.inputs
    }

    /// A batch is about to be computed.
    pub(crate) fn record_batch(&self, bundle: &str, texts: usize, tokens: usize) {
        self.batch_size.observe(texts as f64);
        self.batch_tokens.observe(tokens as f64);
        let labels = vec![("bundle", bundle.to_owned())];
        self.texts.get_or_create(&labels).inc_by(texts as u64);
        self.tokens.get_or_create(&labels).inc_by(tokens as u64);
    }

    /// So many inputs wait.
    pub(crate) fn record_queue(&self, waiting: usize) {
        self.queue_size.set(waiting as i64);
    }

    /// A bundle was read again, or refused.
    pub(crate) fn record_reload(&self, bundle: &str, is_accepted: bool) {
        self.reloads.get_or_create(&vec![("bundle", bundle.to_owned()), outcome(is_accepted)]).inc();
    }

    /// The certificate was read again, or refused.
    pub(crate) fn record_certificate_reload(&self, is_accepted: bool) {
        self.certificate_reloads.get_or_create(&vec![outcome(is_accepted)]).inc();
    }

    /// Inputs of a cascade were answered by one of its bundles.
    pub(crate) fn record_cascade(&self, student: &str, answered_by: &str, inputs: usize) {
        let labels = vec![("student", student.to_owned()), ("answered_by", answered_by.to_owned())];
        self.cascade.get_or_create(&labels).inc_by(inputs as u64);
    }

    /// An answer of a cascade's student was held against its teacher's.
    pub(crate) fn record_audit(&self, student: &str, agrees: bool) {
        let labels = vec![("student", student.to_owned()), ("agreed", agrees.to_string())];
        self.audits.get_or_create(&labels).inc();
    }

    /// Inputs computed of a bundle so far.
    pub(crate) fn texts_of(&self, bundle: &str) -> u64 {
        self.texts.get_or_create(&vec![("bundle", bundle.to_owned())]).get()
    }

    /// What energy was used so far.
    pub(crate) fn energy(&self) -> EnergyReading {
        self.energy.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of it, as OpenMetrics text, with the machine's energy counters.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to memory does not fail.
        _ = text::encode(&mut out, &self.registry);
        let counters = self.energy().counters;
        out.truncate(out.trim_end().trim_end_matches("# EOF").len());
        out + &counters
    }
}

/// Seconds. Upper ends as text-embeddings-inference has them: from 15 microseconds by half as much again.
fn times() -> Histogram {
    Histogram::new((0..35).scan(1e-5, |end, _| {
        *end *= 1.5;
        Some(*end)
    }))
}

fn outcome(is_accepted: bool) -> (&'static str, String) {
    ("outcome", if is_accepted { "accepted" } else { "refused" }.to_owned())
}

fn method(is_batch: bool) -> Labels {
    vec![("method", if is_batch { "batch" } else { "single" }.to_owned())]
}

/// A count without the ending `_total` that OpenMetrics wants of counters, so that a name is the one that dashboards of
/// text-embeddings-inference ask for.
#[derive(Debug, Clone, Default)]
struct UnsuffixedCounter(Counter);

impl EncodeMetric for UnsuffixedCounter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&self.0.get())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Unknown
    }
}

impl TypedMetric for UnsuffixedCounter {
    const TYPE: MetricType = MetricType::Unknown;
}

/// Joules and grams of each bundle's computations.
#[derive(Debug)]
struct EnergyOfBundles(LastReading);

impl Collector for EnergyOfBundles {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let bundles = self.0.lock().unwrap_or_else(PoisonError::into_inner).bundles.clone();
        let joules = bundles.iter().flat_map(|energy| {
            let method = energy.method.map_or_else(|| "unknown".to_owned(), |method| method.to_string());
            bounds(vec![("bundle", energy.bundle.clone()), ("method", method)], energy.joules)
        });
        let help = "Energy that the machine drew while it computed a bundle";
        family(&mut encoder, "attar_served_energy", help, &Unit::Joules, joules.collect())?;
        let grams =
            bundles.iter().filter_map(|energy| Some(bounds(vec![("bundle", energy.bundle.clone())], energy.carbon?)));
        let help = "Greenhouse gas of that energy and of the building's share, as CO2 equivalent";
        family(&mut encoder, "attar_served_carbon", help, &Unit::Grams, grams.flatten().collect())
    }
}

fn family(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: &Unit,
    samples: Vec<(Labels, f64)>,
) -> fmt::Result {
    if samples.is_empty() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, Some(unit), MetricType::Counter)?;
    for (labels, number) in samples {
        ConstCounter::new(number).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// A sample for each of the three numbers of an estimate; never to be added up.
fn bounds<Q: Quantity>(labels: Labels, estimate: Estimate<Q>) -> Vec<(Labels, f64)> {
    let mut all = vec![("value", estimate.value())];
    if estimate.has_interval() {
        all.extend([("low", estimate.low()), ("high", estimate.high())]);
    }
    let sample = |(bound, quantity): (&str, Q)| {
        (labels.iter().cloned().chain([("bound", bound.to_owned())]).collect(), quantity.magnitude())
    };
    all.into_iter().map(sample).collect()
}
