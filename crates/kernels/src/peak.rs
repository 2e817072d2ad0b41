//! Peak performance of the machine, measured, so that a share of it means something.
//!
//! Arithmetic on registers alone gives the peak of an instruction set, a read of a buffer larger than any cache the
//! bandwidth of memory. Each is the best of several short runs, since other load on the machine only slows them down.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::buffer::Buffer;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;
use crate::team::{Pinning, Team};

/// Number of runs, of which the best counts.
const RUNS: usize = 50;
/// Shortest duration of a run: short, so that some runs are undisturbed by other load.
const RUN: Duration = Duration::from_millis(1);
/// Bytes that each thread reads for the bandwidth of memory.
const READ: usize = 256 << 20;

/// Floating-point operations per second of fused multiplications and additions (two each) in 32 bits, on that many
/// threads at once.
pub fn peak_f32(cpu: Cpu, threads: usize) -> f64 {
    rate(threads, |repeats| cpu.run(Fused(repeats)))
}

/// Operations per second of products of bytes summed in 32 bits (a multiplication and an addition are two), on that many
/// threads at once.
pub fn peak_int8(cpu: Cpu, threads: usize) -> f64 {
    rate(threads, |repeats| cpu.run_integers(Dots(repeats)))
}

/// Bytes per second read from memory, on that many threads at once, each through 256 MiB of its own.
pub fn memory_bandwidth(threads: usize) -> f64 {
    let mut team = Team::new(threads, &Pinning::Free);
    let mut buffers: Vec<Buffer<f32>> = (0..team.threads()).map(|_| Buffer::default()).collect();
    // Each thread writes its own first, so that the pages are local to it and not all the shared page of zeros.
    team.run(&mut buffers, |_, buffer| *buffer = (0..READ / size_of::<f32>()).map(|i| i as f32).collect());
    let cpu = Cpu::detect();
    let bytes = (buffers.len() * READ) as f64;
    let once = |team: &mut Team, buffers: &mut [Buffer<f32>]| {
        let start = Instant::now();
        team.run(buffers, |_, buffer| _ = black_box(cpu.run(Sum(buffer))));
        bytes / start.elapsed().as_secs_f64()
    };
    (0..RUNS / 5).map(|_| once(&mut team, &mut buffers)).fold(0.0, f64::max)
}

/// The best rate of `work`, which is given the number of repeats and returns the operations that it did.
fn rate(threads: usize, work: impl Fn(usize) -> f64 + Sync) -> f64 {
    let mut team = Team::new(threads, &Pinning::Free);
    let mut counts = vec![0.0; team.threads()];
    let (mut repeats, mut best) = (1 << 12, 0.0f64);
    let mut runs = 0;
    while runs < RUNS {
        let start = Instant::now();
        team.run(&mut counts, |_, count| *count = work(repeats));
        let time = start.elapsed();
        if time < RUN {
            repeats *= 2;
        } else {
            runs += 1;
            best = best.max(counts.iter().sum::<f64>() / time.as_secs_f64());
        }
    }
    best
}

/// Independent running sums: more than any processor's units times their latency, and no more than there are registers.
const CHAINS: usize = 12;

struct Fused(usize);

impl Kernel for Fused {
    type Output = f64;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> f64 {
        // Unknown to the compiler; sums that neither vanish nor overflow.
        let (factor, addend) = (isa.splat(black_box(0.5)), isa.splat(black_box(1.0)));
        let mut sums = [isa.zero(); CHAINS];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = isa.splat(black_box(i as f32));
        }
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = isa.fma(*sum, factor, addend);
            }
        }
        for sum in sums {
            black_box(isa.sum(sum));
        }
        (self.0 * CHAINS * I::LANES * 2) as f64
    }
}

struct Dots(usize);

impl Kernel for Dots {
    type Output = f64;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> f64 {
        // A tile of six rows and two vectors, as of a product, whose inputs change: the compiler would see through
        // sums of equal products.
        let inputs: [u8; 480] = black_box(std::array::from_fn(|i| i as u8));
        let bytes: [i8; 2 * 64] = black_box(std::array::from_fn(|i| i as i8));
        // SAFETY: bytes for the widest weights are there, twice.
        let mut weights = [unsafe { isa.load_weights(bytes.as_ptr()) }; 2];
        for (weights, bytes) in weights.iter_mut().zip(bytes.chunks_exact(64)) {
            // SAFETY: as above.
            *weights = unsafe { isa.load_weights(bytes.as_ptr()) };
        }
        let mut sums = [[isa.zero_sum(); 2]; CHAINS / 2];
        for repeat in 0..self.0 {
            let inputs = &inputs[repeat * 48 % 480..][..48];
            for (sums, inputs) in sums.iter_mut().zip(inputs.chunks_exact(8)) {
                // SAFETY: the bytes of the longest group are there.
                let inputs = unsafe { isa.load_inputs(inputs.as_ptr(), inputs.as_ptr()) };
                for (sum, &weights) in sums.iter_mut().zip(&weights) {
                    *sum = isa.dot(*sum, inputs, weights);
                }
            }
        }
        for sum in sums.as_flattened() {
            black_box(isa.sum(isa.sum_to_floats(*sum, I::ROWS - 1)));
        }
        (self.0 * CHAINS * I::LANES * I::GROUP * I::ROWS * 2) as f64
    }
}

struct Sum<'a>(&'a [f32]);

impl Kernel for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> f32 {
        let mut sums = [isa.zero(); 8];
        for part in self.0.chunks_exact(8 * I::LANES) {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = isa.add(*sum, isa.load_slice(&part[v * I::LANES..]));
            }
        }
        sums.into_iter().fold(0.0, |total, sum| total + isa.sum(sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // No test asserts a time, only that rates are numbers and operations are counted correctly.
    #[test]
    fn operations_are_counted() {
        for cpu in Cpu::all() {
            assert!(cpu.run(Fused(10)) >= 10.0 * 2.0 * 4.0 * CHAINS as f64, "{cpu}");
            let group = cpu.run_integers(Dots(20)) / cpu.run(Fused(20));
            assert!([2.0, 4.0, 16.0].contains(&group), "{cpu}: 2, 4 or 16 products where floats have one, not {group}");
            assert_eq!(cpu.run(Sum(&[0.5; 1024])), 512.0, "{cpu}");
        }
    }

    #[test]
    #[cfg(not(miri))]
    fn rates_are_positive() {
        let (floats, bytes) = (peak_f32(Cpu::detect(), 1), peak_int8(Cpu::detect(), 2));
        assert!(floats.is_finite() && floats > 0.0 && bytes.is_finite() && bytes > 0.0);
    }
}
