//! Matrix products in floats and in bytes: `cargo bench -p attar-kernels --bench products [-- avx2 avx512-vnni …]`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its results")]

#[path = "shared/machine.rs"]
mod machine;
mod shared;

use attar_kernels::{
    Buffer, Epilogue, PackedInt8, PackedMatrix, QuantizedRows, QuantizedRowsMut, Rows, RowsMut, quantize_rows,
};

use machine::Machine;
use shared::{cpus, fastest, numbers};

/// Inputs and outputs of the layers of encoders that are 312, 768, 192 and 48 wide.
const LAYERS: [(usize, usize); 13] = [
    (312, 936),
    (312, 312),
    (312, 1200),
    (1200, 312),
    (768, 2304),
    (768, 768),
    (768, 3072),
    (3072, 768),
    (192, 576),
    (192, 768),
    (768, 192),
    (48, 144),
    (192, 48),
];

fn main() {
    for cpu in cpus() {
        let machine = Machine::measure(cpu);
        println!("rows x inputs x outputs: f32, int8; what quantizing the inputs and GELU add to int8");
        for (inputs, outputs) in LAYERS {
            for rows in [32, 128] {
                println!("{}", line(&machine, [rows, inputs, outputs]));
            }
        }
    }
}

fn line(machine: &Machine, [rows, inputs, outputs]: [usize; 3]) -> String {
    let cpu = machine.cpu;
    let (x, weight) = (numbers(rows * inputs), numbers(inputs * outputs));
    let bytes: Vec<i8> = weight.iter().map(|x| (x * 127.0) as i8).collect();
    let packed = PackedMatrix::new(cpu, &weight, &[], inputs, outputs);
    let packed_bytes = PackedInt8::new(cpu, &bytes, &vec![1.0 / 127.0; outputs], &[], inputs, outputs);
    let x = Rows::new(&x, rows, inputs, inputs);
    let stride = QuantizedRows::stride(cpu, inputs);
    let (mut q, mut again) = (Buffer::<u8>::zeros(rows * stride), Buffer::<u8>::zeros(rows * stride));
    let (mut scales, mut offsets) = (vec![0.0; rows], vec![0.0; rows]);
    let to = QuantizedRowsMut { bytes: &mut q, scales: &mut scales, offsets: &mut offsets, factors: &[] };
    quantize_rows(cpu, x, to);
    let q = QuantizedRows::new(cpu, &q, inputs, &scales, &offsets);
    let (mut scales, mut offsets) = (scales.clone(), offsets.clone());
    let [mut y1, mut y2, mut y3] = [(); 3].map(|()| Buffer::<f32>::zeros(rows * outputs));
    let [floats, integers, with_gelu, quantizing] = fastest([
        &mut || packed.apply(x, RowsMut::new(&mut y1, rows, outputs, outputs), Epilogue::Write),
        &mut || packed_bytes.apply(q, RowsMut::new(&mut y2, rows, outputs, outputs), Epilogue::Write),
        &mut || packed_bytes.apply(q, RowsMut::new(&mut y3, rows, outputs, outputs), Epilogue::Gelu),
        &mut || {
            let to = QuantizedRowsMut { bytes: &mut again, scales: &mut scales, offsets: &mut offsets, factors: &[] };
            quantize_rows(cpu, x, to);
        },
    ]);
    let operations = (2 * rows * inputs * outputs) as f64;
    format!(
        "{rows:4} x {inputs:4} x {outputs:4}: {}, {}, quantizing {:4.1} %, GELU {:4.1} %",
        machine.floats.share(operations, floats),
        machine.bytes.share(operations, integers),
        100.0 * quantizing / integers,
        100.0 * (with_gelu - integers) / integers,
    )
}
