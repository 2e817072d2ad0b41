//! What the benches have in common: what they run on, interleaved timing, numbers.

use std::time::{Duration, Instant};

use attar_kernels::Cpu;

/// The instruction sets to measure: those named on the command line, or the fastest.
pub(crate) fn cpus() -> Vec<Cpu> {
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let all = Cpu::all();
    if named.is_empty() {
        return vec![Cpu::detect()];
    }
    all.into_iter().filter(|cpu| named.iter().any(|name| name == cpu.name())).collect()
}

/// Seconds of each of some pieces of work: the shortest of rounds in which they take turns, so that whatever slows
/// the machine for a while slows all.
pub(crate) fn fastest<const N: usize>(work: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut work = work.map(|work| {
        let repeats = calibrate(work);
        (work, repeats)
    });
    let mut best = [f64::MAX; N];
    for _ in 0..15 {
        for ((work, repeats), best) in work.iter_mut().zip(&mut best) {
            let start = Instant::now();
            for _ in 0..*repeats {
                work();
            }
            *best = best.min(start.elapsed().as_secs_f64() / *repeats as f64);
        }
    }
    best
}

/// How often a piece of work is repeated to take some milliseconds.
fn calibrate(work: &mut dyn FnMut()) -> usize {
    let mut repeats = 1;
    loop {
        let start = Instant::now();
        for _ in 0..repeats {
            work();
        }
        if start.elapsed() > Duration::from_millis(3) {
            return repeats;
        }
        repeats *= 2;
    }
}

/// Numbers between -1 and 1.
pub(crate) fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 7919 % 255) as f32 / 127.0 - 1.0).collect()
}
