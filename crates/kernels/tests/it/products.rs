//! Products in floats and in bytes, quantization, and what becomes of the sums.

use attar_kernels::{
    Cpu, Epilogue, GELU_COARSE_ERROR, GELU_ERROR, GELU_TANH_ERROR, PackedInt8, PackedMatrix, QuantizedRows,
    QuantizedRowsMut, Rows, TANH_ERROR, quantize_rows, reference,
};
use proptest::prelude::*;

use crate::compare::{Guarded, U, assert_within};
use crate::numbers::{KINDS, Kind, absolute, bytes, doubles, numbers, sizes};

const EPILOGUES: [Epilogue; 6] =
    [Epilogue::Write, Epilogue::Add, Epilogue::Gelu, Epilogue::GeluTanh, Epilogue::Relu, Epilogue::Tanh];

/// Around the tile edges of every instruction set: heights 6 and 8, widths of up to three vectors of 4, 8 and 16 lanes.
const ROWS: [usize; 14] = [0, 1, 7, 2, 5, 6, 8, 9, 12, 13, 15, 16, 17, 25];
const INPUTS: [usize; 11] = [0, 1, 5, 4, 3, 2, 8, 26, 48, 63, 65];
const OUTPUTS: [usize; 28] =
    [0, 1, 5, 17, 3, 4, 7, 8, 9, 11, 12, 13, 15, 16, 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 96, 97];

/// One linear layer and its inputs.
struct Case {
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    there: Vec<f32>,
    shape: [usize; 3],
    /// Numbers between the ends of rows and the beginnings of the next.
    gap: usize,
}

impl Case {
    fn new(kind: Kind, shape: [usize; 3], gap: usize, seed: u64) -> Case {
        let [rows, inputs, outputs] = shape;
        Case {
            x: numbers(kind, rows * inputs, seed),
            weight: numbers(Kind::Ordinary, inputs * outputs, seed + 1),
            bias: numbers(kind, outputs, seed + 2),
            there: numbers(kind, rows * outputs, seed + 3),
            shape,
            gap,
        }
    }

    /// Compares each epilogue of `sums`, whose errors are at most `errors`.
    fn check(&self, what: &str, sums: &[f64], errors: &[f64], apply: impl Fn(&mut Guarded, Epilogue)) {
        let [rows, _, outputs] = self.shape;
        for epilogue in EPILOGUES {
            let what = format!("{what} {epilogue:?} {:?} gap {}", self.shape, self.gap);
            let mut output = Guarded::new(&self.there, rows, outputs, outputs + self.gap);
            apply(&mut output, epilogue);
            let got = output.values(&what);
            if got.is_empty() {
                continue;
            }
            let there = self.there.iter().map(|&x| f64::from(x));
            let expected: Vec<f64> =
                sums.iter().zip(there).map(|(&s, t)| reference::epilogue(epilogue, s, t)).collect();
            let allowed: Vec<f64> =
                (0..sums.len()).map(|i| allowed(epilogue, sums[i], errors[i], self.there[i])).collect();
            assert_within(&what, &got, &expected, &allowed);
        }
    }
}

/// How far a sum after its epilogue may be off: the error of the sum, through a function whose slope is at most 1.13, and that
/// of the function.
fn allowed(epilogue: Epilogue, sum: f64, error: f64, there: f32) -> f64 {
    let size = sum.abs() + error;
    match epilogue {
        Epilogue::Write | Epilogue::Relu => error,
        Epilogue::Add => error + U * (size + f64::from(there.abs())),
        Epilogue::Gelu => 1.13 * error + f64::from(GELU_ERROR) * (size / 5.5).max(1.0),
        Epilogue::GeluCoarse => 1.13 * error + f64::from(GELU_COARSE_ERROR) * (size / 8.0).max(1.0),
        Epilogue::GeluTanh => 1.13 * error + f64::from(GELU_TANH_ERROR) * (size / 4.0).max(1.0),
        Epilogue::Tanh => error + f64::from(TANH_ERROR),
    }
}

/// What `PackedMatrix::apply` states: `(inputs + 2) ε/2 (|b| + Σ |x w|)`.
fn float_errors(case: &Case) -> (Vec<f64>, Vec<f64>) {
    let [x, w, b] = [&case.x, &case.weight, &case.bias].map(|x| doubles(x));
    let sums = reference::linear(&x, &w, &b, case.shape);
    let sizes = reference::linear(&absolute(&x), &absolute(&w), &absolute(&b), case.shape);
    let factor = (case.shape[1] + 2) as f64 * U;
    (sums, sizes.into_iter().map(|size| factor * size + f64::from(f32::MIN_POSITIVE)).collect())
}

fn check_floats(kind: Kind, shape: [usize; 3], gap: usize, seed: u64) {
    let case = Case::new(kind, shape, gap, seed);
    let [rows, inputs, outputs] = shape;
    let (sums, errors) = float_errors(&case);
    let input = Guarded::new(&case.x, rows, inputs, inputs + gap);
    let by_input: Vec<f32> =
        (0..inputs).flat_map(|i| (0..outputs).map(move |o| (i, o))).map(|(i, o)| case.weight[o * inputs + i]).collect();
    for cpu in Cpu::all() {
        let packed = PackedMatrix::new(cpu, &case.weight, &case.bias, inputs, outputs);
        case.check(&format!("{cpu} {kind:?}"), &sums, &errors, |output, epilogue| {
            packed.apply(input.read(), output.view(), epilogue);
        });
        let transposed = PackedMatrix::transposed(cpu, &by_input, &case.bias, inputs, outputs);
        let [mut one, mut other] = [(); 2].map(|()| Guarded::new(&case.there, rows, outputs, outputs + gap));
        packed.apply(input.read(), one.view(), Epilogue::Add);
        transposed.apply(input.read(), other.view(), Epilogue::Add);
        assert_eq!(one.values("packed"), other.values("transposed"), "{cpu} {shape:?}");
    }
}

/// Rows as bytes with what stands beside them.
struct Quantized {
    bytes: Vec<u8>,
    scales: Vec<f32>,
    offsets: Vec<f32>,
    columns: usize,
    cpu: Cpu,
}

/// Bytes of a quantized number.
fn width(cpu: Cpu) -> usize {
    QuantizedRows::stride(cpu, 64) / 64
}

impl Quantized {
    fn new(cpu: Cpu, x: Rows<'_, f32>, rows: usize, columns: usize) -> Quantized {
        // What is beyond the columns of a row may hold anything.
        let bytes = vec![255; rows * QuantizedRows::stride(cpu, columns)];
        let mut rows = Quantized { bytes, scales: vec![f32::NAN; rows], offsets: vec![f32::NAN; rows], columns, cpu };
        let Quantized { bytes, scales, offsets, .. } = &mut rows;
        quantize_rows(cpu, x, QuantizedRowsMut { bytes, scales, offsets, factors: &[] });
        rows
    }

    fn view(&self) -> QuantizedRows<'_> {
        QuantizedRows::new(self.cpu, &self.bytes, self.columns, &self.scales, &self.offsets)
    }

    fn byte(&self, row: usize, column: usize) -> f64 {
        let number = &self.bytes[row * QuantizedRows::stride(self.cpu, self.columns) + column * width(self.cpu)..];
        assert!(number[1..width(self.cpu)].iter().all(|&high| high == 0), "{}: a number beyond 255", self.cpu);
        f64::from(number[0])
    }
}

fn check_bytes(kind: Kind, shape: [usize; 3], gap: usize, seed: u64) {
    let case = Case::new(kind, shape, gap, seed);
    let [rows, inputs, outputs] = shape;
    let input = Guarded::new(&case.x, rows, inputs, inputs + gap);
    let weight = bytes(inputs * outputs, seed + 4);
    let scales: Vec<f32> = numbers(Kind::Ordinary, outputs, seed + 5).iter().map(|x| 1e-3 + x.abs() / 100.0).collect();
    for cpu in Cpu::all() {
        let quantized = Quantized::new(cpu, input.read(), rows, inputs);
        check_quantized(&format!("{cpu} {kind:?} {shape:?}"), &case, &quantized);
        let (mut sums, mut errors) = (Vec::new(), Vec::new());
        for r in 0..rows {
            let (scale, offset) = (f64::from(quantized.scales[r]), f64::from(quantized.offsets[r]));
            for o in 0..outputs {
                let row = &weight[o * inputs..][..inputs];
                let product: f64 = (0..inputs).map(|i| quantized.byte(r, i) * f64::from(row[i])).sum();
                let total: f64 = row.iter().map(|&w| f64::from(w)).sum();
                let bias = f64::from(case.bias[o]);
                let (product, shift) = (product * scale * f64::from(scales[o]), total * offset * f64::from(scales[o]));
                sums.push(product + shift + bias);
                // The sums of bytes are exact; what follows is stated by `PackedInt8::apply`.
                errors.push(8.0 * U * (product.abs() + shift.abs() + bias.abs()) + f64::from(f32::MIN_POSITIVE));
            }
        }
        let packed = PackedInt8::new(cpu, &weight, &scales, &case.bias, inputs, outputs);
        case.check(&format!("{cpu} bytes {kind:?}"), &sums, &errors, |output, epilogue| {
            packed.apply(quantized.view(), output.view(), epilogue);
        });
    }
}

/// A value is off by half a scale, which is the row's range over 255, and by some roundings.
fn check_quantized(what: &str, case: &Case, quantized: &Quantized) {
    let [rows, inputs, _] = case.shape;
    for r in 0..rows {
        let row = &case.x[r * inputs..][..inputs];
        let (scale, offset) = (f64::from(quantized.scales[r]), f64::from(quantized.offsets[r]));
        let low = row.iter().copied().reduce(f32::min).unwrap_or(0.0);
        let high = row.iter().copied().reduce(f32::max).unwrap_or(0.0);
        assert_eq!(offset, f64::from(low), "{what}: the offset is the smallest");
        let range = f64::from(high) - f64::from(low);
        assert!((scale - range / 255.0).abs() <= 3.0 * U * scale, "{what}: scale {scale} of a range of {range}");
        for (c, &x) in row.iter().enumerate() {
            let error = (offset + scale * quantized.byte(r, c) - f64::from(x)).abs();
            let allowed = scale * 0.501;
            assert!(error <= allowed, "{what}: {x} is off by {error:e}, more than {allowed:e}");
        }
    }
}

#[test]
fn floats_at_every_edge() {
    for (i, &rows) in sizes(&ROWS, 3).iter().enumerate() {
        for &inputs in sizes(&INPUTS, 3) {
            for &outputs in sizes(&OUTPUTS, 4) {
                check_floats(Kind::Ordinary, [rows, inputs, outputs], i % 3, 7);
            }
        }
    }
}

#[test]
fn bytes_at_every_edge() {
    for (i, &rows) in sizes(&ROWS, 3).iter().enumerate() {
        for &inputs in sizes(&INPUTS, 3) {
            for &outputs in sizes(&OUTPUTS, 4) {
                check_bytes(Kind::Ordinary, [rows, inputs, outputs], i % 3, 11);
            }
        }
    }
}

#[test]
fn long_sums() {
    for inputs in if cfg!(miri) { vec![130] } else { vec![312, 1200, 3072] } {
        for kind in KINDS {
            check_floats(kind, [3, inputs, 18], 1, 5);
            check_bytes(kind, [3, inputs, 18], 1, 6);
        }
    }
}

/// Bytes at both ends in every place: 255 times -128 and times 127, whose sums overflow 16 bits.
#[test]
fn extreme_bytes_are_summed_exactly() {
    let (inputs, outputs) = (if cfg!(miri) { 9 } else { 4096 }, 21);
    for (input, weight) in [(255, -128), (255, 127), (0, -128), (128, -128), (127, 127)] {
        for cpu in Cpu::all() {
            // In one byte or in two, the lower one first.
            let rows = [&[input, 0][..width(cpu)]; 64].concat().repeat(2 * QuantizedRows::stride(cpu, inputs) / 64);
            let packed = PackedInt8::new(cpu, &vec![weight; inputs * outputs], &[1.0; 21], &[], inputs, outputs);
            let mut y = Guarded::new(&[0.0; 42], 2, outputs, outputs);
            packed.apply(QuantizedRows::new(cpu, &rows, inputs, &[1.0; 2], &[0.0; 2]), y.view(), Epilogue::Write);
            // An integer beyond 2^24 is rounded once, on its way to a float.
            let expected = (inputs as i32 * i32::from(input) * i32::from(weight)) as f32;
            assert_eq!(y.values("extreme"), [expected; 42], "{cpu} {input} {weight}");
        }
    }
}

/// A row's result is bitwise the same by itself and among others.
#[test]
fn rows_are_independent() {
    let [rows, inputs, outputs] = if cfg!(miri) { [4, 5, 9] } else { [23, 48, 100] };
    let case = Case::new(Kind::Ordinary, [rows, inputs, outputs], 0, 3);
    let weight = bytes(inputs * outputs, 4);
    for cpu in Cpu::all() {
        let packed = PackedMatrix::new(cpu, &case.weight, &case.bias, inputs, outputs);
        let packed_bytes = PackedInt8::new(cpu, &weight, &vec![0.01; outputs], &case.bias, inputs, outputs);
        let quantized = Quantized::new(cpu, Rows::new(&case.x, rows, inputs, inputs), rows, inputs);
        for epilogue in EPILOGUES {
            let [mut all, mut all_bytes] = [(); 2].map(|()| Guarded::new(&case.there, rows, outputs, outputs));
            packed.apply(Rows::new(&case.x, rows, inputs, inputs), all.view(), epilogue);
            packed_bytes.apply(quantized.view(), all_bytes.view(), epilogue);
            let (all, all_bytes) = (all.values("all"), all_bytes.values("all"));
            for r in 0..rows {
                let there = &case.there[r * outputs..][..outputs];
                let [mut one, mut one_bytes] = [(); 2].map(|()| Guarded::new(there, 1, outputs, outputs));
                let x = Rows::new(&case.x[r * inputs..], 1, inputs, inputs);
                packed.apply(x, one.view(), epilogue);
                packed_bytes.apply(Quantized::new(cpu, x, 1, inputs).view(), one_bytes.view(), epilogue);
                assert_eq!(one.values("one"), all[r * outputs..][..outputs], "{cpu} {epilogue:?} row {r}");
                assert_eq!(one_bytes.values("one"), all_bytes[r * outputs..][..outputs], "{cpu} {epilogue:?} row {r}");
            }
        }
    }
}

#[test]
fn nan_stays_in_its_row() {
    for cpu in Cpu::all() {
        let packed = PackedMatrix::new(cpu, &[1.0; 20 * 19], &[], 20, 19);
        for epilogue in EPILOGUES {
            let mut x = [0.5; 60];
            x[27] = f32::NAN;
            let mut y = Guarded::new(&[0.0; 57], 3, 19, 19);
            packed.apply(Rows::new(&x, 3, 20, 20), y.view(), epilogue);
            let y = y.values("NaN");
            assert!(y.iter().enumerate().all(|(i, y)| y.is_nan() == (19..38).contains(&i)), "{cpu} {epilogue:?} {y:?}");
        }
        // In bytes a NaN is the row's smallest number, unless the row has no other.
        let mut x = [0.5; 60];
        (x[3], x[40], x[19]) = (f32::NAN, -0.5, 1.5);
        x[20..40].fill(f32::NAN);
        let quantized = Quantized::new(cpu, Rows::new(&x, 3, 20, 20), 3, 20);
        assert_eq!([quantized.offsets[0], quantized.scales[0]], [0.5, 1.0 / 255.0], "{cpu}");
        assert_eq!([quantized.byte(0, 3), quantized.byte(0, 19)], [0.0, 255.0], "{cpu}");
        assert!(quantized.scales[1].is_nan() && !quantized.scales[2].is_nan(), "{cpu} {:?}", quantized.scales);
        // An infinity makes its whole row NaN.
        let quantized = Quantized::new(cpu, Rows::new(&[1.0, f32::INFINITY], 1, 2, 2), 1, 2);
        assert!(!quantized.scales[0].is_finite(), "{cpu}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 64 }, failure_persistence: None, ..Default::default() })]

    /// With scales of 1 and no offset the result is the sum itself, which a float holds exactly up to 2^24.
    #[test]
    fn sums_of_extreme_bytes_are_exact(
        rows in 1..20usize,
        inputs in 1..if cfg!(miri) { 10 } else { 500usize },
        outputs in 1..if cfg!(miri) { 10 } else { 70usize },
        seed in any::<u32>(),
    ) {
        let mut state = u64::from(seed);
        let mut draw = |of: [i32; 6]| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            of[(state >> 33) as usize % of.len()]
        };
        let x: Vec<i32> = (0..rows * inputs).map(|_| draw([0, 1, 127, 128, 254, 255])).collect();
        let weight: Vec<i32> = (0..outputs * inputs).map(|_| draw([-128, -127, -1, 1, 126, 127])).collect();
        let expected: Vec<f32> = x
            .chunks(inputs)
            .flat_map(|x| weight.chunks(inputs).map(|w| x.iter().zip(w).map(|(x, w)| x * w).sum::<i32>() as f32))
            .collect();
        let bytes: Vec<i8> = weight.iter().map(|&w| w as i8).collect();
        for cpu in Cpu::all() {
            let (stride, width) = (QuantizedRows::stride(cpu, inputs), width(cpu));
            // What is beyond the inputs of a row may hold anything.
            let mut stored = vec![255; rows * stride];
            for (row, x) in stored.chunks_mut(stride).zip(x.chunks(inputs)) {
                row.chunks_mut(width).zip(x).for_each(|(to, x)| to.copy_from_slice(&x.to_le_bytes()[..width]));
            }
            let packed = PackedInt8::new(cpu, &bytes, &vec![1.0; outputs], &[], inputs, outputs);
            let (scales, offsets) = (vec![1.0; rows], vec![0.0; rows]);
            let mut y = Guarded::new(&vec![0.0; rows * outputs], rows, outputs, outputs);
            packed.apply(QuantizedRows::new(cpu, &stored, inputs, &scales, &offsets), y.view(), Epilogue::Write);
            prop_assert_eq!(&y.values("extreme"), &expected, "{}", cpu);
        }
    }

    #[test]
    fn any_product(
        rows in 0..30usize,
        inputs in 0..if cfg!(miri) { 10 } else { 200usize },
        outputs in 0..if cfg!(miri) { 20 } else { 130usize },
        gap in 0..20usize,
        kind in prop::sample::select(&KINDS),
        seed in any::<u32>(),
    ) {
        check_floats(kind, [rows, inputs, outputs], gap, u64::from(seed));
        check_bytes(kind, [rows, inputs, outputs], gap, u64::from(seed));
    }
}
