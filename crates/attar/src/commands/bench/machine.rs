//! What the machine can do at most, to hold models against.

use attar_energy::Host;
use attar_kernels::{Cpu, peak};
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
        Machine {
            processor: facts.cpu.name.trim().to_owned(),
            system: facts.system,
            instructions: Cpu::detect().name(),
            processors: super::plan::processors(),
            peaks: threads.iter().map(|&threads| Peak::measure(threads)).collect(),
        }
    }

    /// Measures once more and keeps the best: a peak is what was reached at any time. Gives the largest change
    /// of arithmetic in either direction, as a factor of at least 1.
    pub(super) fn measure_again(&mut self) -> f64 {
        let mut drift = 1.0f64;
        for peak in &mut self.peaks {
            let again = Peak::measure(peak.threads);
            for (before, after) in [(peak.f32_gflops, again.f32_gflops), (peak.int8_gops, again.int8_gops)] {
                drift = drift.max(before / after).max(after / before);
            }
            *peak = Peak {
                threads: peak.threads,
                f32_gflops: peak.f32_gflops.max(again.f32_gflops),
                int8_gops: peak.int8_gops.max(again.int8_gops),
                memory_gb_per_s: peak.memory_gb_per_s.max(again.memory_gb_per_s),
            };
        }
        drift
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
        let cpu = Cpu::detect();
        Peak {
            threads,
            f32_gflops: peak::peak_f32(cpu, threads) / 1e9,
            int8_gops: peak::peak_int8(cpu, threads) / 1e9,
            memory_gb_per_s: peak::memory_bandwidth(threads.min(READERS)) / 1e9,
        }
    }
}
