//! Quantizing and back: the bounds that the documentation states, and the edges.

use attar_model::Tensor;
use attar_model::quantized::{Int4Group, Int4Matrix, Int8Matrix, MatrixError, ScaleChoice};
use proptest::collection::vec;
use proptest::prelude::*;

const GROUPS: [Int4Group; 3] = [Int4Group::Row, Int4Group::Columns32, Int4Group::Columns64];
const CHOICES: [ScaleChoice; 2] = [ScaleChoice::MaxAbs, ScaleChoice::LeastSquares];

/// The stated bound of the error of a number that is not clipped.
fn half_a_step(scale: f32) -> f64 {
    f64::from(scale) / 2.0 * (1.0 + 2f64.powi(-15)) + 2f64.powi(-142)
}

/// Numbers of all magnitudes, and of one, as weights are.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -1.0f32..1.0,
        1 => any::<f32>().prop_filter("finite", |number| number.is_finite()),
        1 => Just(0.0),
    ]
}

fn matrix() -> impl Strategy<Value = Tensor> {
    (0usize..5, 0usize..150).prop_flat_map(|(rows, columns)| {
        vec(number(), rows * columns).prop_map(move |data| Tensor::new(vec![rows, columns], data))
    })
}

/// Checks each number against the scale it has, and returns the sum of squared errors.
fn check(
    tensor: &Tensor,
    back: &Tensor,
    scale_of: impl Fn(usize, usize) -> f32,
    levels: f64,
    choice: ScaleChoice,
) -> f64 {
    assert_eq!(back.shape, tensor.shape);
    let columns = tensor.shape[1];
    let mut sum = 0.0;
    for (at, (&number, &again)) in tensor.data.iter().zip(&back.data).enumerate() {
        let scale = scale_of(at / columns, at % columns);
        let (number, again) = (f64::from(number), f64::from(again));
        let reach = levels * f64::from(scale);
        let clipped = (number.abs() - reach).max(0.0);
        // What MaxAbs takes for the largest is rounded: that alone is beyond reach, and within the small terms.
        let bound = if choice == ScaleChoice::MaxAbs { half_a_step(scale) } else { half_a_step(scale) + clipped };
        assert!((number - again).abs() <= bound, "{number} came back as {again}, scale {scale}");
        sum += (number - again).powi(2);
    }
    sum
}

fn int8_error(tensor: &Tensor, choice: ScaleChoice) -> f64 {
    let matrix = Int8Matrix::quantize(tensor, choice).unwrap();
    assert!(matrix.values().iter().all(|&value| value >= -127));
    check(tensor, &matrix.dequantize(), |row, _| matrix.scales()[row], 127.0, choice)
}

fn int4_error(tensor: &Tensor, group: Int4Group, choice: ScaleChoice) -> f64 {
    let matrix = Int4Matrix::quantize(tensor, group, choice).unwrap();
    let scale = |row, column: usize| matrix.row(row).1[column / matrix.group_columns()];
    // The parts it is made of make the same matrix, so all its invariants hold.
    let (packed, scales) = (matrix.packed().to_vec(), matrix.scales().to_vec());
    assert_eq!(Int4Matrix::new(matrix.rows(), matrix.columns(), group, packed, scales).as_ref(), Ok(&matrix));
    check(tensor, &matrix.dequantize(), scale, 7.0, choice)
}

proptest! {
    #[test]
    fn every_number_comes_back_within_half_a_step(tensor in matrix()) {
        let [whole, best] = CHOICES.map(|choice| int8_error(&tensor, choice));
        prop_assert!(best <= whole * (1.0 + 1e-6), "{best} of {whole}");
        for group in GROUPS {
            let [whole, best] = CHOICES.map(|choice| int4_error(&tensor, group, choice));
            prop_assert!(best <= whole * (1.0 + 1e-6), "{best} of {whole}");
        }
    }

    #[test]
    fn values_are_kept_by_quantizing_again(values in vec(-127i8..=127, 1..40), scale in 1e-30f32..1e30) {
        let mut values = values;
        // The largest integer is there, so the scale is found again.
        values.push(127);
        let matrix = Int8Matrix::new(1, values.len(), values, vec![scale]).unwrap();
        let again = Int8Matrix::quantize(&matrix.dequantize(), ScaleChoice::MaxAbs).unwrap();
        prop_assert_eq!(again.values(), matrix.values());
    }
}

#[test]
fn the_bound_is_met_and_would_be_missed_by_less() {
    // Half-way between two integers: the error is the whole bound but for the small terms.
    let tensor = Tensor::new(vec![1, 2], vec![127.0, 2.5]);
    let back = Int8Matrix::quantize(&tensor, ScaleChoice::MaxAbs).unwrap().dequantize();
    assert_eq!(back.data, [127.0, 2.0]);
    let tensor = Tensor::new(vec![1, 3], vec![-7.0, 2.5, 0.5]);
    let back = Int4Matrix::quantize(&tensor, Int4Group::Row, ScaleChoice::MaxAbs).unwrap().dequantize();
    assert_eq!(back.data, [-7.0, 2.0, 0.0]);
}

#[test]
fn rows_of_zeros_stay_zeros_and_do_not_touch_others() {
    let tensor = Tensor::new(vec![3, 2], vec![0.0, -0.0, 1.0, 0.5, 0.0, 0.0]);
    for choice in CHOICES {
        let int8 = Int8Matrix::quantize(&tensor, choice).unwrap();
        assert_eq!((int8.scales()[0], int8.scales()[2]), (0.0, 0.0));
        let int4 = Int4Matrix::quantize(&tensor, Int4Group::Row, choice).unwrap();
        for back in [int8.dequantize(), int4.dequantize()] {
            assert_eq!([&back.data[..2], &back.data[4..]].concat(), [0.0; 4]);
            assert!(back.data[2] > 0.9);
        }
    }
}

#[test]
fn empty_matrices_are_matrices() {
    for shape in [vec![0, 5], vec![4, 0], vec![0, 0]] {
        let tensor = Tensor::zeros(shape.clone());
        for choice in CHOICES {
            let int8 = Int8Matrix::quantize(&tensor, choice).unwrap();
            assert_eq!((int8.scales().len(), int8.dequantize()), (shape[0], tensor.clone()));
            for group in GROUPS {
                let int4 = Int4Matrix::quantize(&tensor, group, choice).unwrap();
                assert_eq!((int4.scales().len(), int4.dequantize()), (shape[0], tensor.clone()));
            }
        }
    }
}

#[test]
fn extreme_numbers_keep_the_bound_and_stay_finite() {
    let least = f32::from_bits(1);
    let rows = [
        [f32::MAX, -f32::MAX, 1.0, 0.0],
        [f32::MAX / 3.0, f32::MAX, -1e38, least],
        [least, -least, 0.0, 3.0 * least],
        [f32::MIN_POSITIVE, -f32::MIN_POSITIVE, f32::MIN_POSITIVE / 2.0, least],
        [1e30, 1e-30, -1e-30, 0.0],
    ];
    let tensor = Tensor::new(vec![5, 4], rows.concat());
    for choice in CHOICES {
        int8_error(&tensor, choice);
        int4_error(&tensor, Int4Group::Row, choice);
        for back in [
            Int8Matrix::quantize(&tensor, choice).unwrap().dequantize(),
            Int4Matrix::quantize(&tensor, Int4Group::Row, choice).unwrap().dequantize(),
        ] {
            assert!(back.data.iter().all(|number| number.is_finite()), "{back:?}");
        }
    }
}

#[test]
fn what_is_no_matrix_of_finite_numbers_is_refused() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut tensor = Tensor::zeros(vec![3, 4]);
        tensor.data[6] = bad;
        for error in [
            Int8Matrix::quantize(&tensor, ScaleChoice::MaxAbs).unwrap_err(),
            Int4Matrix::quantize(&tensor, Int4Group::Row, ScaleChoice::MaxAbs).unwrap_err(),
        ] {
            assert!(matches!(error, MatrixError::NotFinite { row: 1, column: 2, .. }), "{error}");
        }
    }
    for shape in [vec![], vec![4], vec![2, 2, 2]] {
        let error = Int8Matrix::quantize(&Tensor::zeros(shape.clone()), ScaleChoice::MaxAbs).unwrap_err();
        assert_eq!(error, MatrixError::Rank { shape });
    }
}

#[test]
fn columns_with_scales_come_back_within_half_a_step_of_their_own() {
    let tensor = Tensor::new(vec![2, 3], vec![0.5, 40.0, -0.02, -1.0, 3.0, 0.01]);
    let column_scales = vec![1.0, 32.0, 0.015625];
    let matrix = Int8Matrix::quantize_columns(&tensor, column_scales.clone(), ScaleChoice::MaxAbs).unwrap();
    assert_eq!(matrix.column_scales(), column_scales);
    let back = matrix.dequantize();
    let plain = Int8Matrix::quantize(&tensor, ScaleChoice::MaxAbs).unwrap().dequantize();
    for row in 0..2 {
        let (_, scale) = matrix.row(row);
        for (column, column_scale) in column_scales.iter().enumerate() {
            let (at, step) = (row * 3 + column, scale * column_scale);
            assert!((back.data[at] - tensor.data[at]).abs() <= 0.501 * step, "{at}: {} of {}", back.data[at], step);
        }
    }
    // One scale a row has no level left for the last column.
    assert_eq!([plain.data[2], plain.data[5]], [0.0; 2]);
    assert!(back.data[2] < -0.015 && back.data[5] > 0.005, "{back:?}");

    let with =
        |scales: &[f32]| Int8Matrix::new(1, 2, vec![1, 2], vec![1.0]).unwrap().with_column_scales(scales.to_vec());
    assert!(with(&[]).is_ok() && with(&[0.5, 2.0]).is_ok());
    assert!(matches!(with(&[1.0; 3]), Err(MatrixError::Length { got: 3, .. })));
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY, 0.1, 1e6] {
        assert!(matches!(with(&[1.0, bad]), Err(MatrixError::ColumnScale { at: 1, .. })), "{bad}");
        let quantized = Int8Matrix::quantize_columns(&tensor, vec![1.0, bad, 1.0], ScaleChoice::MaxAbs);
        assert!(matches!(quantized, Err(MatrixError::ColumnScale { at: 1, .. })), "{bad}");
    }
}

#[test]
fn parts_that_make_no_matrix_are_refused() {
    let int8 = |values: &[i8], scales: &[f32]| Int8Matrix::new(2, 2, values.to_vec(), scales.to_vec());
    assert!(int8(&[1, -127, 127, 0], &[0.0, 2.0]).is_ok());
    assert!(matches!(int8(&[1, 2, 3], &[1.0; 2]), Err(MatrixError::Length { got: 3, .. })));
    assert!(matches!(int8(&[0; 4], &[1.0; 3]), Err(MatrixError::Length { got: 3, .. })));
    assert!(matches!(int8(&[0, 0, -128, 0], &[1.0; 2]), Err(MatrixError::Value { row: 1, column: 0, .. })));
    for bad in [-1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(matches!(int8(&[0; 4], &[1.0, bad]), Err(MatrixError::Scale { at: 1, .. })), "{bad}");
    }
    assert!(matches!(Int8Matrix::new(usize::MAX, 2, vec![], vec![]), Err(MatrixError::Length { .. })));

    let int4 = |packed: &[u8]| Int4Matrix::new(2, 3, Int4Group::Row, packed.to_vec(), vec![1.0; 2]);
    let matrix = int4(&[0x71, 0x09, 0xf2, 0x0f]).unwrap();
    assert_eq!(matrix.dequantize().data, [1.0, 7.0, -7.0, 2.0, -1.0, -1.0]);
    assert!(matches!(int4(&[0; 3]), Err(MatrixError::Length { got: 3, .. })));
    assert!(matches!(int4(&[0, 0, 0x80, 0]), Err(MatrixError::Value { row: 1, column: 1, value: -8, .. })));
    assert!(matches!(int4(&[0x08, 0, 0, 0]), Err(MatrixError::Value { row: 0, column: 0, value: -8, .. })));
    assert_eq!(int4(&[0, 0, 0, 0x10]), Err(MatrixError::Padding { row: 1 }));
    let grouped = |scales| Int4Matrix::new(1, 70, Int4Group::Columns32, vec![0; 35], vec![1.0; scales]);
    assert!(grouped(3).is_ok() && grouped(2).is_err() && grouped(4).is_err());
}

#[test]
fn groups_are_cut_from_the_first_column() {
    // 70 columns: groups of 32, 32 and 6, each of its own magnitude.
    let data: Vec<f32> = (0..70).map(|column| [7.0, 70.0, 0.7][column / 32]).collect();
    let tensor = Tensor::new(vec![1, 70], data);
    let matrix = Int4Matrix::quantize(&tensor, Int4Group::Columns32, ScaleChoice::MaxAbs).unwrap();
    assert_eq!(matrix.scales(), [1.0, 10.0, 0.7 / 7.0]);
    assert_eq!(matrix.dequantize().data[..64], tensor.data[..64]);
    // A group as wide as the row is the row.
    let narrow = Tensor::zeros(vec![2, 32]);
    let matrix = Int4Matrix::quantize(&narrow, Int4Group::Columns32, ScaleChoice::MaxAbs).unwrap();
    assert_eq!((matrix.group(), matrix.group_columns()), (Int4Group::Row, 32));
}
