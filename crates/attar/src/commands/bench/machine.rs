//! What the machine can do at most, to hold models against.

use attar_kernels::{Cpu, peak};
use attar_meter::Host;
use serde::Serialize;

use crate::cli::bench::PrecisionArg;

/// The machine.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    /// The processor's name for itself; empty if it tells none.
    pub(super) processor: String,
    /// Operating system and architecture.
    pub(super) system: String,
    /// The instruction set in use.
    pub(super) instructions: &'static str,
    /// Processors that this program may use.
    pub(super) processors: usize,
    /// For each number of threads.
    pub(super) peaks: Vec<Peak>,
    /// The worst that was measured of floats and of bytes, for each number of threads.
    #[serde(skip)]
    worst: Vec<[f64; 2]>,
}

/// What some threads reach together with nothing else to do.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Peak {
    pub(super) threads: usize,
    /// 10⁹ operations in 32-bit floats a second.
    pub(super) f32_gflops: f64,
    /// 10⁹ operations on bytes a second.
    pub(super) int8_gops: f64,
    /// 10⁹ bytes read from main memory a second.
    pub(super) memory_gb_per_s: f64,
}

/// Threads that read memory at most: each takes a buffer of its own, and a few saturate the channels.
const READERS: usize = 16;

impl Machine {
    pub(super) fn measure(threads: &[usize]) -> Machine {
        let facts = Host::local().facts();
        let peaks: Vec<Peak> = threads.iter().map(|&threads| Peak::measure(threads)).collect();
        Machine {
            processor: facts.cpu.name.trim().to_owned(),
            system: facts.system,
            instructions: Cpu::detect().name(),
            processors: super::plan::processors(),
            worst: peaks.iter().map(|peak| [peak.f32_gflops, peak.int8_gops]).collect(),
            peaks,
        }
    }

    /// Measures arithmetic once more and keeps the best: a peak is what was reached at any time. To be called now and
    /// then, as other programs and a changing clock lower it for seconds on end.
    pub(super) fn measure_again(&mut self) {
        for (peak, worst) in self.peaks.iter_mut().zip(&mut self.worst) {
            let again = Peak::measure_arithmetic(peak.threads);
            *worst = [worst[0].min(again[0]), worst[1].min(again[1])];
            (peak.f32_gflops, peak.int8_gops) = (peak.f32_gflops.max(again[0]), peak.int8_gops.max(again[1]));
        }
    }

    /// By which factor the peak changed between its measurements, at least 1.
    pub(super) fn drift(&self) -> f64 {
        let ratios = self
            .peaks
            .iter()
            .zip(&self.worst)
            .flat_map(|(peak, worst)| [peak.f32_gflops / worst[0], peak.int8_gops / worst[1]]);
        ratios.fold(1.0, f64::max)
    }

    /// The peak that a model is held against, in 10⁹ operations a second.
    pub(super) fn peak(&self, precision: PrecisionArg, threads: usize) -> Option<f64> {
        let peak = self.peaks.iter().find(|peak| peak.threads == threads)?;
        Some(match precision {
            PrecisionArg::F32 => peak.f32_gflops,
            PrecisionArg::Int8 => peak.int8_gops,
        })
    }
}

impl Peak {
    fn measure(threads: usize) -> Peak {
        let [f32_gflops, int8_gops] = Peak::measure_arithmetic(threads);
        let memory_gb_per_s = peak::memory_bandwidth(threads.min(READERS)) / 1e9;
        Peak { threads, f32_gflops, int8_gops, memory_gb_per_s }
    }

    /// Of floats and of bytes.
    fn measure_arithmetic(threads: usize) -> [f64; 2] {
        let cpu = Cpu::detect();
        [peak::peak_f32(cpu, threads) / 1e9, peak::peak_int8(cpu, threads) / 1e9]
    }
}
