//! What goes row by row: layer normalization, gathering, means, lengths.

use attar_kernels::{
    Cpu, EmbeddingTable, Norm, QuantizedRows, QuantizedRowsMut, gather, layer_norm, mean, normalize_length,
    quantize_rows, reference,
};
use proptest::prelude::*;

use crate::compare::{Guarded, U, assert_within};
use crate::numbers::{KINDS, Kind, absolute, bytes, doubles, numbers, sizes};

const COLUMNS: [usize; 22] = [0, 1, 5, 17, 2, 3, 4, 7, 8, 9, 12, 15, 16, 24, 31, 32, 33, 48, 63, 65, 312, 768];

fn check_layer_norm(kind: Kind, [rows, columns]: [usize; 2], gap: usize, epsilon: f32, seed: u64) {
    let x = numbers(kind, rows * columns, seed);
    let (gain, bias) = (numbers(Kind::Ordinary, columns, seed + 1), numbers(Kind::Ordinary, columns, seed + 2));
    let (wide_gain, wide_bias) = (doubles(&gain), doubles(&bias));
    let (mut expected, mut allowed) = (Vec::new(), Vec::new());
    for row in doubles(&x).chunks(columns.max(1)) {
        let y = reference::layer_norm(row, &wide_gain, &wide_bias, f64::from(epsilon));
        let deviation = (reference::moments(row).1 + f64::from(epsilon)).sqrt();
        let largest = row.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
        let error = (columns as f64 / 8.0 + 8.0) * U * (1.0 + largest / deviation);
        allowed.extend((0..columns).map(|c| error * wide_gain[c].abs() + 2.0 * U * (wide_bias[c].abs() + y[c].abs())));
        expected.extend(y);
    }
    for cpu in Cpu::all() {
        let what = format!("{cpu} {kind:?} [{rows}, {columns}] gap {gap}");
        let mut plain = Guarded::new(&x, rows, columns, columns + gap);
        let norm = Norm { gain: &gain, bias: &bias, epsilon };
        layer_norm(cpu, plain.view(), norm, None);
        let got = plain.values(&what);
        if !got.is_empty() {
            assert_within(&what, &got, &expected, &allowed);
        }
        // With bytes: the same numbers, and the bytes that these would give.
        let stride = QuantizedRows::stride(cpu, columns);
        let [mut with, mut after] = [(); 2].map(|()| (vec![0; rows * stride], vec![0.0; rows], vec![0.0; rows]));
        let mut both = Guarded::new(&x, rows, columns, columns + gap);
        layer_norm(cpu, both.view(), norm, Some(to(&mut with, &[])));
        assert_eq!(both.values(&what), got, "{what}");
        quantize_rows(cpu, plain.read(), to(&mut after, &[]));
        assert_eq!(with, after, "{what}");
        // With factors: the same numbers again, and the bytes of their products.
        let factors: Vec<f32> = gain.iter().map(|gain| 0.01 + gain.abs()).collect();
        let mut again = Guarded::new(&x, rows, columns, columns + gap);
        layer_norm(cpu, again.view(), norm, Some(to(&mut with, &factors)));
        assert_eq!(again.values(&what), got, "{what}");
        quantize_rows(cpu, again.read(), to(&mut after, &factors));
        assert_eq!(with, after, "{what}, factors");
        let products: Vec<f32> = got.iter().zip(factors.iter().cycle()).map(|(x, factor)| x * factor).collect();
        quantize_rows(cpu, Guarded::new(&products, rows, columns, columns).read(), to(&mut after, &[]));
        assert_eq!(with, after, "{what}, products");
    }
}

/// Bytes, scales and offsets, to be written.
fn to<'a>((bytes, scales, offsets): &'a mut (Vec<u8>, Vec<f32>, Vec<f32>), factors: &'a [f32]) -> QuantizedRowsMut<'a> {
    QuantizedRowsMut { bytes, scales, offsets, factors }
}

#[test]
fn layer_norm_at_every_edge() {
    for &columns in sizes(&COLUMNS, 4) {
        for (i, rows) in [0, 1, 3].into_iter().enumerate() {
            for kind in KINDS {
                check_layer_norm(kind, [rows, columns], i, 1e-12, 5);
                check_layer_norm(kind, [rows, columns], i, 1e-5, 6);
            }
        }
    }
}

#[test]
fn nan_stays_in_its_row() {
    for cpu in Cpu::all() {
        for place in [0, 18] {
            let mut x = numbers(Kind::Ordinary, 3 * 19, 4);
            x[19 + place] = f32::NAN;
            let mut y = Guarded::new(&x, 3, 19, 19);
            let stride = QuantizedRows::stride(cpu, 19);
            let (mut bytes, mut scales, mut offsets) = (vec![0; 3 * stride], [0.0; 3], [0.0; 3]);
            let to = QuantizedRowsMut { bytes: &mut bytes, scales: &mut scales, offsets: &mut offsets, factors: &[] };
            layer_norm(cpu, y.view(), Norm { gain: &[1.0; 19], bias: &[0.0; 19], epsilon: 1e-12 }, Some(to));
            let y = y.values("NaN");
            assert!(y.iter().enumerate().all(|(i, y)| y.is_nan() == (19..38).contains(&i)), "{cpu} {y:?}");
            assert_eq!(scales.map(f32::is_nan), [false, true, false], "{cpu}");
        }
    }
}

/// A table of `rows` rows in each precision.
struct Tables {
    numbers: Vec<f32>,
    bytes: Vec<i8>,
    halves: Vec<u8>,
    scales: Vec<f32>,
    group_scales: Vec<f32>,
    group: usize,
}

impl Tables {
    fn new(rows: usize, columns: usize, group: usize, seed: u64) -> Tables {
        Tables {
            numbers: numbers(Kind::Ordinary, rows * columns, seed),
            bytes: bytes(rows * columns, seed + 1),
            halves: bytes(rows * columns.div_ceil(2), seed + 2).into_iter().map(i8::cast_unsigned).collect(),
            scales: numbers(Kind::Ordinary, rows, seed + 3),
            group_scales: numbers(Kind::Ordinary, rows * columns.div_ceil(group), seed + 4),
            group,
        }
    }

    fn each(&self) -> [EmbeddingTable<'_>; 3] {
        [
            EmbeddingTable::F32(&self.numbers),
            EmbeddingTable::Int8 { bytes: &self.bytes, scales: &self.scales },
            EmbeddingTable::Int4 { bytes: &self.halves, scales: &self.group_scales, group: self.group },
        ]
    }
}

fn check_gather(ids: &[u32], columns: usize, gap: usize, seed: u64) {
    let rows = 1 + ids.iter().copied().max().unwrap_or(0) as usize;
    let tables = Tables::new(rows, columns, 2 + 2 * (seed as usize % 20), seed);
    let there = numbers(Kind::Ordinary, ids.len() * columns, seed + 9);
    for (table, add) in tables.each().into_iter().flat_map(|table| [(table, false), (table, true)]) {
        let rows: Vec<f64> = ids.iter().flat_map(|&id| reference::row(table, id as usize, columns)).collect();
        let base: Vec<f64> = there.iter().map(|&x| if add { f64::from(x) } else { 0.0 }).collect();
        let expected: Vec<f64> = rows.iter().zip(&base).map(|(row, base)| row + base).collect();
        // One rounding of the product and one of the sum.
        let allowed: Vec<f64> = rows.iter().zip(&base).map(|(row, base)| 2.0 * U * (row.abs() + base.abs())).collect();
        for cpu in Cpu::all() {
            let what = format!("{cpu} {} ids of {columns} columns, add {add}", ids.len());
            let mut output = Guarded::new(&there, ids.len(), columns, columns + gap);
            gather(cpu, table, ids, output.view(), add);
            let got = output.values(&what);
            if !got.is_empty() {
                assert_within(&what, &got, &expected, &allowed);
            }
            if let (EmbeddingTable::F32(_), false) = (table, add) {
                assert_eq!(doubles(&got), expected, "{what}: a copy");
            }
        }
    }
}

#[test]
fn gather_at_every_edge() {
    for (i, &columns) in sizes(&COLUMNS, 4).iter().enumerate() {
        for ids in [&[][..], &[0], &[3, 0, 3, 6]] {
            check_gather(ids, columns, i % 3, i as u64);
        }
    }
}

#[test]
#[cfg(panic = "unwind")]
fn ids_outside_the_table_are_refused() {
    let tables = Tables::new(4, 5, 2, 1);
    for table in tables.each() {
        let outcome = std::panic::catch_unwind(|| {
            gather(Cpu::detect(), table, &[0, 4], Guarded::new(&[0.0; 10], 2, 5, 5).view(), false);
        });
        assert!(outcome.is_err(), "{table:?}");
    }
}

#[test]
fn vectors_are_normalized_to_length_one() {
    for kind in [Kind::Ordinary, Kind::Huge, Kind::Shifted, Kind::Outliers] {
        let mut x = numbers(kind, 77, 2);
        normalize_length(&mut x);
        let length: f64 = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        assert!((length - 1.0).abs() <= 4.0 * U, "{kind:?} {length}");
    }
    // A zero vector stays zero.
    let mut zero = [0.0; 3];
    normalize_length(&mut zero);
    assert_eq!(zero, [0.0; 3]);
    normalize_length(&mut []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 64 }, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_layer_norm(
        rows in 0..6usize,
        columns in 0..if cfg!(miri) { 30 } else { 900usize },
        gap in 0..20usize,
        kind in prop::sample::select(&KINDS),
        seed in any::<u32>(),
    ) {
        check_layer_norm(kind, [rows, columns], gap, 1e-12, u64::from(seed));
    }

    #[test]
    fn any_gather(
        ids in prop::collection::vec(0..50u32, 0..10),
        columns in 0..if cfg!(miri) { 20 } else { 400usize },
        gap in 0..20usize,
        seed in any::<u32>(),
    ) {
        check_gather(&ids, columns, gap, u64::from(seed));
    }

    #[test]
    fn any_mean(
        rows in 1..if cfg!(miri) { 5 } else { 130usize },
        columns in 0..70usize,
        gap in 0..20usize,
        kind in prop::sample::select(&KINDS),
        seed in any::<u32>(),
    ) {
        let x = numbers(kind, rows * columns, u64::from(seed));
        let states = Guarded::new(&x, rows, columns, columns + gap);
        let mut got = vec![f32::NAN; columns];
        mean(states.read(), &mut got);
        let column = |x: &[f64], c: usize| x.iter().skip(c).step_by(columns).sum::<f64>() / rows as f64;
        let (x, sizes) = (doubles(&x), absolute(&doubles(&x)));
        let expected: Vec<f64> = (0..columns).map(|c| column(&x, c)).collect();
        let bound = |c| (rows + 2) as f64 * U * column(&sizes, c) + f64::from(f32::MIN_POSITIVE);
        let allowed: Vec<f64> = (0..columns).map(bound).collect();
        if columns > 0 {
            assert_within("mean", &got, &expected, &allowed);
        }
    }
}
