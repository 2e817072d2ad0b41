//! Layers as integer matrix products, in the patterns that runtimes replace with fused operators.
//!
//! Inputs are quantized to unsigned bytes `q`, weights to signed bytes `V` with one scale `s` per output: `x W ≈
//! scale · s · ((q - zero) V)`. Where input columns have scales, `x` is multiplied by them first. onnxruntime fuses a
//! `MatMulInteger`, its cast, the multiplication by `scale · s` and the bias into one operator, but only if `scale`
//! is a scalar.
//!
//! So rows with similar ranges, as normalization and attention produce them, share one scalar scale. Outputs of an
//! activation function do not: a few of their values are many times larger than the rest, so each token gets its own
//! scale.

use attar_model::Tensor;
use attar_model::quantized::Int8Matrix;

use super::build::Build;
use super::graph::Attribute;
use super::proto::data_type;

/// What a layer reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input<'a> {
    /// Normalized rows, or means of such.
    Normalized(&'a str),
    /// What an activation function lets through: little below 0, and much above it in few places.
    Activated(&'a str),
}

impl<'a> Input<'a> {
    pub(crate) fn name(self) -> &'a str {
        match self {
            Input::Normalized(name) | Input::Activated(name) => name,
        }
    }
}

/// Names of the levels of a value, of the level of 0 and of the scale.
#[derive(Debug, Clone)]
pub(super) struct Levels {
    levels: String,
    zero: String,
    scale: Scale,
}

#[derive(Debug, Clone)]
enum Scale {
    /// One number.
    OfAll(String),
    /// `[…, 1]`.
    OfRows(String),
}

/// The quantized value that stands for 0 in activated rows; smaller values stand for negative inputs.
const ZERO_POINT: u8 = 16;

impl Build<'_> {
    /// A layer as a product of integers.
    pub(super) fn int8(&mut self, x: Input<'_>, matrix: &Int8Matrix, name: &str, to: &str) -> String {
        let column_scales = matrix.column_scales();
        let scaled = (!column_scales.is_empty()).then(|| self.scaled(x.name(), column_scales));
        let read = scaled.as_deref().unwrap_or(x.name());
        let levels = match self.quantized.get(read) {
            Some(known) => known.clone(),
            None => {
                let levels = match x {
                    Input::Normalized(_) => self.levels_of_all(read),
                    Input::Activated(_) => self.levels_of_rows(read),
                };
                self.quantized.insert(read.to_owned(), levels.clone());
                levels
            }
        };
        let Levels { levels, zero, scale } = levels;
        let weights = format!("{name}.weight");
        let (values, scales) = without_saturation(matrix, self.bundle.weights.get(&weights));
        let [outputs, inputs] = [matrix.rows(), matrix.columns()];
        let values = self.graph.bytes(&format!("{weights}.values"), &[inputs, outputs], &values);
        let scales = self.graph.floats(&format!("{weights}.scales"), &[outputs], &scales);
        let bias = self.numbers(&format!("{name}.bias"));
        let bias = self.graph.floats(&format!("{name}.bias"), &[outputs], &bias);
        let weight_zero_point = match self.graph.has("weight_zero_point") {
            true => "weight_zero_point".to_owned(),
            false => self.graph.bytes("weight_zero_point", &[], &[0]),
        };
        let at = |part: &str| format!("{to}.{part}");
        let product =
            self.graph.apply("MatMulInteger", &[&levels, &values, &zero, &weight_zero_point], &at("sums"), &[]);
        let product = self.as_floats(&product, &at("unscaled"));
        let of_all = match &scale {
            Scale::OfAll(scale) => scale.clone(),
            Scale::OfRows(_) => self.runtime_one(),
        };
        let scales = self.graph.apply("Mul", &[&of_all, &scales], &at("scales"), &[]);
        let mut product = self.graph.apply("Mul", &[&product, &scales], &at("product"), &[]);
        if let Scale::OfRows(scale) = &scale {
            product = self.graph.apply("Mul", &[&product, scale], &at("of_rows"), &[]);
        }
        self.graph.apply("Add", &[&product, &bias], to, &[])
    }

    /// Rows times the scales of columns, once for all layers that read them.
    fn scaled(&mut self, x: &str, column_scales: &[f32]) -> String {
        let name = format!("{x}.scaled_columns");
        if self.graph.has(&name) {
            return name;
        }
        let factors = self.graph.floats(&format!("{x}.column_scales"), &[column_scales.len()], column_scales);
        self.graph.apply("Mul", &[x, &factors], &name, &[])
    }

    /// The scalar 1, computed from the input so that constant folding cannot merge it with the scales, which would
    /// break the fusion pattern.
    fn runtime_one(&mut self) -> String {
        let name = "runtime_one";
        if self.graph.has(name) {
            return name.to_owned();
        }
        let size = self.graph.apply("Size", &["input_ids"], "size", &[]);
        let size = self.as_floats(&size, "size.real");
        self.graph.apply("Div", &[&size, &size], name, &[])
    }

    /// All rows as levels of one scale.
    fn levels_of_all(&mut self, x: &str) -> Levels {
        let [levels, scale, zero] = ["levels", "scale", "zero"].map(|part| format!("{x}.int8.{part}"));
        self.graph.apply_many("DynamicQuantizeLinear", &[x], &[&levels, &scale, &zero], &[]);
        Levels { levels, zero, scale: Scale::OfAll(scale) }
    }

    /// Each row as levels of a scale of its own.
    fn levels_of_rows(&mut self, x: &str) -> Levels {
        let at = |part: &str| format!("{x}.int8.{part}");
        let [most, least] = [("ReduceMax", "most"), ("ReduceMin", "least")]
            .map(|(operation, part)| self.extreme(operation, x, &at(part)));
        let [above, below, shortest, middle] = [
            self.number("step_above_zero", 1.0 / f32::from(u8::MAX - ZERO_POINT)),
            self.number("step_below_zero", -1.0 / f32::from(ZERO_POINT)),
            self.number("shortest_step", f32::MIN_POSITIVE * 1e4),
            // A cast truncates, so a half is added to round to nearest.
            self.number("zero_point_and_half", f32::from(ZERO_POINT) + 0.5),
        ];
        let above = self.graph.apply("Mul", &[&most, &above], &at("step_above"), &[]);
        let below = self.graph.apply("Mul", &[&least, &below], &at("step_below"), &[]);
        let scale = self.graph.apply("Max", &[&above, &below], &at("step"), &[]);
        let scale = self.graph.apply("Max", &[&scale, &shortest], &at("scale"), &[]);
        let levels = self.graph.apply("Div", &[x, &scale], &at("scaled"), &[]);
        let levels = self.graph.apply("Add", &[&levels, &middle], &at("positive"), &[]);
        let to = Attribute::Integer("to", i64::from(data_type::UINT8));
        let levels = self.graph.apply("Cast", &[&levels], &at("levels"), &[to]);
        let zero = match self.graph.has("zero_point") {
            true => "zero_point".to_owned(),
            false => self.graph.unsigned("zero_point", &[], vec![ZERO_POINT]),
        };
        Levels { levels, zero, scale: Scale::OfRows(scale) }
    }

    /// The largest or smallest number of each row.
    fn extreme(&mut self, operation: &str, x: &str, to: &str) -> String {
        // The axes are an attribute before version 18, an input from there on.
        let keep = Attribute::Integer("keepdims", 1);
        if self.graph.opset < 18 {
            return self.graph.apply(operation, &[x], to, &[Attribute::Integers("axes", &[-1]), keep]);
        }
        let last = self.list("list_of_last", &[-1]);
        self.graph.apply(operation, &[x, &last], to, &[keep])
    }
}

/// Weights as signed bytes `[inputs, outputs]` and the scale of each output, such that the products of levels and of two weights
/// side by side never exceed 16 bits: `255 · 128 < 2¹⁵`.
///
/// Processors without a product of bytes that adds in 32 bits add two in 16 and clip what exceeds them. So each
/// output's scale is raised, typically by about a quarter, until its largest sum of two adjacent weights of one sign
/// fits. That costs less accuracy than giving every weight one bit less. `exact` holds the unrounded weights,
/// `[outputs, inputs]`, where they are known.
fn without_saturation(matrix: &Int8Matrix, exact: Option<&Tensor>) -> (Vec<i8>, Vec<f32>) {
    let [outputs, inputs] = [matrix.rows(), matrix.columns()];
    let (mut values, mut scales) = (vec![0; outputs * inputs], Vec::with_capacity(outputs));
    for output in 0..outputs {
        let (rounded, scale) = matrix.row(output);
        let column_scale = |column: usize| matrix.column_scales().get(column).copied().unwrap_or(1.0);
        let weight = |column: usize| match exact {
            Some(exact) => exact.data[output * inputs + column] / column_scale(column),
            None => f32::from(rounded[column]) * scale,
        };
        let row: Vec<f32> = (0..inputs).map(weight).collect();
        // Two weights of one sign add up to at most 127 steps; rounding each by at most half a step makes that 128 at
        // most.
        let largest = |pair: &[f32]| match pair {
            &[a, b] if a * b > 0.0 => (a + b).abs(),
            pair => pair.iter().fold(0.0, |most: f32, x| most.max(x.abs())),
        };
        let most = row.chunks(2).map(largest).fold(0.0, f32::max);
        let scale = if most > 0.0 { most / 127.0 } else { 1.0 };
        for (column, weight) in row.iter().enumerate() {
            values[column * outputs + output] = (weight / scale).round() as i8;
        }
        scales.push(scale);
    }
    (values, scales)
}

#[cfg(test)]
mod tests {
    use attar_model::quantized::ScaleChoice;

    use super::*;

    #[test]
    fn two_products_side_by_side_fit_in_16_bits() {
        let number = |i: usize| ((i * 37) % 101) as f32 / 50.0 - 1.0;
        let tensor = Tensor::new(vec![5, 7], (0..35).map(number).collect());
        let matrix = Int8Matrix::quantize(&tensor, ScaleChoice::MaxAbs).unwrap();
        for exact in [Some(&tensor), None] {
            let (values, scales) = without_saturation(&matrix, exact);
            for output in 0..5 {
                let row: Vec<i32> = (0..7).map(|input| i32::from(values[input * 5 + output])).collect();
                for pair in row.chunks(2) {
                    // The largest levels of those that add up.
                    let [most, least] =
                        [1, -1].map(|sign| 255 * pair.iter().map(|&value| (sign * value).max(0)).sum::<i32>());
                    assert!(most <= i32::from(i16::MAX) && least <= -i32::from(i16::MIN), "{pair:?}");
                }
                // Another scale, the same weights.
                for (input, value) in row.iter().enumerate() {
                    let off = (*value as f32 * scales[output] - tensor.data[output * 7 + input]).abs();
                    // Half a step of each rounding, and what is lost in dividing in 32 bits.
                    let before = if exact.is_some() { 0.0 } else { matrix.row(output).1 };
                    let most = 0.5 * (scales[output] + before) * (1.0 + 1e-5);
                    assert!(off <= most, "{off}, at most {most}");
                }
                // The largest pair of one sign shares 127 levels, so one of its weights has half of them.
                assert!(row.iter().any(|value| value.abs() >= 63), "{row:?}");
            }
        }
        let zero = Tensor::zeros(vec![1, 3]);
        let matrix = Int8Matrix::quantize(&zero, ScaleChoice::MaxAbs).unwrap();
        assert_eq!(without_saturation(&matrix, Some(&zero)), (vec![0; 3], vec![1.0]));
    }
}
