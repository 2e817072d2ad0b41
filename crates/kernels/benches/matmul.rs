//! Scratch.
#![allow(missing_docs, clippy::print_stdout)]
use attar_kernels::*;
use std::time::Instant;

fn best(mut f: impl FnMut()) -> f64 {
    f();
    let mut best = f64::MAX;
    for _ in 0..15 {
        let mut n = 1;
        loop {
            let s = Instant::now();
            for _ in 0..n {
                f();
            }
            let t = s.elapsed().as_secs_f64();
            if t > 0.004 {
                best = best.min(t / n as f64);
                break;
            }
            n *= 2;
        }
    }
    best
}

fn main() {
    for cpu in Cpu::all().into_iter().rev().take(1) {
        for (k, n) in [
            (312, 936),
            (312, 312),
            (312, 1200),
            (1200, 312),
            (768, 768),
            (768, 3072),
            (3072, 768),
            (192, 576),
            (192, 768),
            (768, 192),
            (48, 144),
            (48, 192),
            (192, 48),
        ] {
            for rows in [32usize, 128] {
                let w: Vec<f32> = (0..k * n).map(|i| ((i * 7919) % 255) as f32 / 127.0 - 1.0).collect();
                let wq: Vec<i8> = w.iter().map(|x| (x * 127.0) as i8).collect();
                let x: Vec<f32> = (0..rows * k).map(|i| ((i * 7907) % 255) as f32 / 127.0 - 1.0).collect();
                let mut y = Buffer::<f32>::zeros(rows * n);
                let packed = PackedMatrix::new(cpu, &w, &[], k, n);
                let ops = (2 * rows * k * n) as f64;
                let f =
                    best(|| packed.apply(Rows::new(&x, rows, k, k), RowsMut::new(&mut y, rows, n, n), Finish::Write));
                let bytes = PackedBytes::new(cpu, &wq, &vec![1.0 / 127.0; n], &[], k, n);
                let mut q = Buffer::<u8>::zeros(rows * QuantisedRows::stride(k));
                let (mut s, mut o) = (vec![0.0; rows], vec![0.0; rows]);
                let quant = best(|| quantise_rows(cpu, Rows::new(&x, rows, k, k), &mut q, &mut s, &mut o));
                let i = best(|| {
                    bytes.apply(QuantisedRows::new(&q, k, &s, &o), RowsMut::new(&mut y, rows, n, n), Finish::Write)
                });
                let ig = best(|| {
                    bytes.apply(QuantisedRows::new(&q, k, &s, &o), RowsMut::new(&mut y, rows, n, n), Finish::Gelu)
                });
                println!(
                    "{:12} {rows:4} x {k:4} x {n:4}: f32 {:7.1} GFLOP/s  int8 {:7.1} GOP/s  quantise {:5.1} % of it, gelu {:5.1} %",
                    cpu.name(),
                    ops / f * 1e-9,
                    ops / i * 1e-9,
                    quant / i * 100.,
                    (ig - i) / i * 100.
                );
            }
        }
    }
}
