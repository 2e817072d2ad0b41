//! Prints what this machine can do at most: `cargo run --release -p attar-kernels --example peak`.
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use attar_kernels::{Cpu, peak};

fn main() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for cpu in Cpu::all() {
        for threads in [1, threads] {
            let [floats, bytes] = [peak::peak_f32(cpu, threads), peak::peak_int8(cpu, threads)].map(|rate| rate * 1e-9);
            println!("{:12} {threads} threads: {floats:7.1} GFLOP/s in f32, {bytes:7.1} GOP/s in int8", cpu.name());
        }
    }
    for threads in [1, threads] {
        println!("memory, {threads} threads: {:.1} GB/s", peak::memory_bandwidth(threads) * 1e-9);
    }
}
