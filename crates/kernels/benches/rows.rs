//! What goes over activations and parameters once, and so at most as fast as memory: layer normalization,
//! quantization, GELU, AdamW. `cargo bench -p attar-kernels --bench rows [-- avx2 avx512-vnni …]`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

mod shared;

use attar_kernels::{
    AdamWUpdate, Buffer, Cpu, Norm, QuantizedRows, QuantizedRowsMut, Rows, RowsMut, adamw, gelu, gelu_backward,
    layer_norm, peak, quantize_rows,
};

use shared::{cpus, fastest, numbers};

fn main() {
    println!("memory is read at {:.1} GB/s by one thread", peak::memory_bandwidth(1) * 1e-9);
    for cpu in cpus() {
        println!("{cpu}, one thread, ns a number");
        for columns in [48, 192, 312, 768, 1200, 3072] {
            println!("{}", line(cpu, 128, columns));
        }
    }
    element_wise();
}

fn line(cpu: Cpu, rows: usize, columns: usize) -> String {
    let x = numbers(rows * columns);
    let (gain, bias) = (vec![1.0; columns], vec![0.0; columns]);
    let norm = Norm { gain: &gain, bias: &bias, epsilon: 1e-12 };
    let [mut plain, mut both, mut scaled]: [Buffer<f32>; 3] = [(); 3].map(|()| x.iter().copied().collect());
    let bytes = || Buffer::<u8>::zeros(rows * QuantizedRows::stride(cpu, columns));
    let mut quantized = [(); 4].map(|()| (bytes(), vec![0.0; rows], vec![0.0; rows]));
    let [a, b, c, d] = &mut quantized;
    let factors = vec![1.0; columns];
    let times = fastest([
        &mut || layer_norm(cpu, RowsMut::new(&mut plain, rows, columns, columns), norm, None),
        &mut || {
            layer_norm(cpu, RowsMut::new(&mut both, rows, columns, columns), norm, Some(to(a, &[])));
        },
        &mut || {
            layer_norm(cpu, RowsMut::new(&mut scaled, rows, columns, columns), norm, Some(to(b, &factors)));
        },
        &mut || quantize_rows(cpu, Rows::new(&x, rows, columns, columns), to(c, &[])),
        &mut || quantize_rows(cpu, Rows::new(&x, rows, columns, columns), to(d, &factors)),
    ]);
    let [norm, with_bytes, with_factors, quantize, factors] = times.map(|time| time * 1e9 / (rows * columns) as f64);
    format!(
        "{rows} x {columns:4}: layer norm {norm:.3}, and bytes {with_bytes:.3}, by factors {with_factors:.3}; \
         quantize {quantize:.3}, by factors {factors:.3}"
    )
}

fn to<'a>(
    (bytes, scales, offsets): &'a mut (Buffer<u8>, Vec<f32>, Vec<f32>),
    factors: &'a [f32],
) -> QuantizedRowsMut<'a> {
    QuantizedRowsMut { bytes, scales, offsets, factors }
}

/// What runs on all threads: feed-forward activations of 400 tokens, and the parameters of TinyBERT's layers.
fn element_wise() {
    println!("{}, {} threads", Cpu::detect(), rayon::current_num_threads());
    for count in [400 * 1200, 400 * 3072] {
        let (x, [mut y, mut dx]) = (numbers(count), [vec![0.0; count], vec![0.0; count]]);
        let times = fastest([&mut || gelu(&x, &mut y), &mut || gelu_backward(&x, &x, &mut dx)]);
        let [forward, backward] = times.map(|time| time * 1e9 / count as f64);
        println!("{count:8} activations: GELU {forward:.3} ns each, its gradient {backward:.3}");
    }
    let count = 4_700_000;
    let update =
        AdamWUpdate { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, scale: 1.0, kept: 1.0, rate: 1e-5, correction: 1.0 };
    let (mut p, g, mut m, mut v) = (numbers(count), numbers(count), vec![0.0; count], vec![0.1; count]);
    let [time] = fastest([&mut || adamw(&mut p, &g, &mut m, &mut v, &update)]);
    // Four arrays are read and three written.
    println!(
        "{count:8} parameters: AdamW {:.3} ns each, {:.1} GB/s",
        time * 1e9 / count as f64,
        28e-9 * count as f64 / time
    );
}
