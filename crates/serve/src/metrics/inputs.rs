//! Counters of single inputs by what is computed of them, as text-embeddings-inference has them for embeddings and classes.

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Timing, UnsuffixedCounter, times};
use crate::engine::Task;

/// Inputs of one kind.
#[derive(Debug)]
pub(crate) struct InputCounters {
    count: UnsuffixedCounter,
    success: UnsuffixedCounter,
    duration: Histogram,
    tokenization: Histogram,
    queueing: Histogram,
    inference: Histogram,
}

impl InputCounters {
    /// Registers the counters of `kind`, as `embed`.
    fn new(kind: &str, what: &str, registry: &mut Registry) -> InputCounters {
        let (count, success) = (UnsuffixedCounter::default(), UnsuffixedCounter::default());
        registry.register(format!("te_{kind}_count"), format!("Inputs to compute {what} of"), count.clone());
        registry.register(
            format!("te_{kind}_success"),
            format!("Inputs of which {what} were computed"),
            success.clone(),
        );
        let mut histogram = |name: &str, help: &str| {
            let histogram = times();
            registry.register(format!("te_{kind}_{name}"), help, histogram.clone());
            histogram
        };
        InputCounters {
            duration: histogram("duration", "Seconds from the beginning of an input's tokenization to its result"),
            tokenization: histogram("tokenization_duration", "Seconds of tokenizing a request's inputs, their mean"),
            queueing: histogram("queue_duration", "Seconds that an input waited"),
            inference: histogram("inference_duration", "Seconds that an input's batch was computed"),
            count,
            success,
        }
    }

    /// So many inputs came.
    pub(crate) fn record_inputs(&self, inputs: usize) {
        self.count.0.inc_by(inputs as u64);
    }

    /// One of them has its result.
    pub(crate) fn record_success(&self, timing: Timing) {
        self.success.0.inc();
        self.duration.observe(timing.total.as_secs_f64());
        self.tokenization.observe(timing.tokenization.as_secs_f64());
        self.queueing.observe(timing.queue.as_secs_f64());
        self.inference.observe(timing.inference.as_secs_f64());
    }
}

/// Inputs of the two kinds that text-embeddings-inference counts apart.
#[derive(Debug)]
pub(crate) struct InputsByKind {
    embed: InputCounters,
    predict: InputCounters,
}

impl InputsByKind {
    pub(super) fn new(registry: &mut Registry) -> InputsByKind {
        let embed = InputCounters::new("embed", "vectors", registry);
        InputsByKind { embed, predict: InputCounters::new("predict", "classes or scores", registry) }
    }

    /// The counters of a task, if it is of one of the kinds.
    pub(crate) fn of(&self, task: Task) -> Option<&InputCounters> {
        match task {
            Task::Vectors(..) | Task::States => Some(&self.embed),
            Task::Logits => Some(&self.predict),
            Task::Tags | Task::Answer => None,
        }
    }
}
