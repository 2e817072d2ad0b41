//! From a bundle to a graph: the parts that all others are made of.

use std::borrow::Cow;
use std::collections::BTreeMap;

use attar_model::quantized::{Int8Matrix, QuantizedTensor, ScaleChoice};
use attar_model::{Activation, Bundle, EncoderConfig};

use super::Precision;
use super::graph::{Attribute, Graph};
use super::int8::{Input, Levels};
use super::proto::data_type;

/// A graph in the making, and where its numbers come from.
pub(crate) struct Build<'a> {
    pub(crate) graph: Graph,
    pub(crate) bundle: &'a Bundle,
    precision: Precision,
    /// Values that were quantized, by the name of what they were made of.
    pub(super) quantized: BTreeMap<String, Levels>,
}

impl<'a> Build<'a> {
    pub(crate) fn new(bundle: &'a Bundle, precision: Precision, opset: i64) -> Build<'a> {
        Build { graph: Graph::new("encoder", opset), bundle, precision, quantized: BTreeMap::new() }
    }

    pub(crate) fn config(&self) -> &'a EncoderConfig {
        &self.bundle.config
    }

    /// The elements of a tensor as floats.
    ///
    /// # Panics
    /// If the bundle lacks it: reading one checks that it does not.
    pub(crate) fn numbers(&self, name: &str) -> Cow<'a, [f32]> {
        match self.stored(name) {
            Stored::Floats(data) => data,
            Stored::Int8(matrix) => Cow::Owned(matrix.dequantize().data),
        }
    }

    fn stored(&self, name: &str) -> Stored<'a> {
        let floats = self.bundle.weights.get(name).map(|tensor| Stored::Floats(Cow::Borrowed(&tensor.data[..])));
        let quantized = self.bundle.quantized.as_ref().and_then(|weights| weights.get(name)).map(of_quantized);
        let found = match self.precision {
            Precision::F32 => floats.or(quantized),
            Precision::Int8 => quantized.or(floats),
        };
        found.unwrap_or_else(|| panic!("a bundle without `{name}`"))
    }

    /// The table of word vectors in small integers, if they are stored so and wanted so.
    pub(crate) fn int8_table(&self, name: &str) -> Option<Cow<'a, Int8Matrix>> {
        match self.stored(name) {
            Stored::Int8(matrix) if self.precision == Precision::Int8 => Some(matrix),
            _ => None,
        }
    }

    /// A layer in floats: `x W + b`, of `x` `[…, inputs]`.
    pub(crate) fn dense(&mut self, x: &str, name: &str, inputs: usize, outputs: usize, to: &str) -> String {
        let weight = transposed(&self.numbers(&format!("{name}.weight")), outputs, inputs);
        let weight = self.graph.floats(&format!("{name}.weight"), &[inputs, outputs], &weight);
        let bias = self.graph.floats(&format!("{name}.bias"), &[outputs], &self.numbers(&format!("{name}.bias")));
        let product = self.graph.apply("MatMul", &[x, &weight], &format!("{to}.product"), &[]);
        self.graph.apply("Add", &[&product, &bias], to, &[])
    }

    /// A layer of the encoder in the precision of the export.
    pub(crate) fn linear(&mut self, x: Input<'_>, name: &str, inputs: usize, outputs: usize, to: &str) -> String {
        match self.int8_layers(&[name]) {
            Some(matrices) => self.int8(x, &matrices[0], name, to),
            None => self.dense(x.name(), name, inputs, outputs, to),
        }
    }

    /// Query, key and value. In int8 they read the same quantized rows.
    pub(crate) fn projections(&mut self, x: &str, names: &[String; 3], width: usize, to: [&str; 3]) {
        let matrices = self.int8_layers(&names.each_ref().map(String::as_str));
        for (index, (name, to)) in names.iter().zip(to).enumerate() {
            match &matrices {
                Some(matrices) => self.int8(Input::Normalized(x), &matrices[index], name, to),
                None => self.dense(x, name, width, width, to),
            };
        }
    }

    /// The int8 weights of layers that read the same, if all of them are computed in int8.
    fn int8_layers(&self, names: &[&str]) -> Option<Vec<Cow<'a, Int8Matrix>>> {
        if self.precision == Precision::F32 {
            return None;
        }
        let has_quantized = self.bundle.quantized.is_some();
        let layer = |name: &&str| match self.stored(&format!("{name}.weight")) {
            Stored::Int8(matrix) => Some(matrix),
            // What `attar quantize` keeps in floats is computed in floats.
            Stored::Floats(_) if has_quantized => None,
            Stored::Floats(_) => {
                let tensor = self.bundle.weights.get(&format!("{name}.weight"))?;
                Int8Matrix::quantize(tensor, ScaleChoice::MaxAbs).ok().map(Cow::Owned)
            }
        };
        let matrices: Vec<_> = names.iter().map(layer).collect::<Option<_>>()?;
        // As `attar` itself: layers that read the same read the same quantized rows.
        let column_scales = matrices[0].column_scales();
        matrices.iter().all(|matrix| matrix.column_scales() == column_scales).then_some(matrices)
    }

    /// Layer normalization over the last dimension.
    pub(crate) fn norm(&mut self, x: &str, name: &str, to: &str) -> String {
        let [gain, bias] = ["weight", "bias"].map(|part| {
            let (name, numbers) = (format!("{name}.{part}"), self.numbers(&format!("{name}.{part}")));
            self.graph.floats(&name, &[numbers.len()], &numbers)
        });
        let epsilon = Attribute::Float("epsilon", self.config().layer_norm_eps as f32);
        self.graph.apply("LayerNormalization", &[x, &gain, &bias], to, &[Attribute::Integer("axis", -1), epsilon])
    }

    /// The function inside the feed-forward block.
    pub(crate) fn activate(&mut self, activation: Activation, x: &str, to: &str) -> String {
        let at = |part: &str| format!("{to}.{part}");
        match activation {
            Activation::Relu => self.graph.apply("Relu", &[x], to, &[]),
            Activation::Gelu => {
                let root = self.number("root_of_two", std::f32::consts::SQRT_2);
                let scaled = self.graph.apply("Div", &[x, &root], &at("scaled"), &[]);
                let erf = self.graph.apply("Erf", &[&scaled], &at("erf"), &[]);
                self.halved_product(x, &erf, to)
            }
            Activation::GeluNew => {
                let cubic = self.number("gelu_cubic", 0.044_715);
                let scale = self.number("root_of_two_by_pi", (2.0 / std::f32::consts::PI).sqrt());
                let square = self.graph.apply("Mul", &[x, x], &at("square"), &[]);
                let cube = self.graph.apply("Mul", &[&square, x], &at("cube"), &[]);
                let small = self.graph.apply("Mul", &[&cube, &cubic], &at("small"), &[]);
                let sum = self.graph.apply("Add", &[x, &small], &at("sum"), &[]);
                let scaled = self.graph.apply("Mul", &[&sum, &scale], &at("scaled"), &[]);
                let tanh = self.graph.apply("Tanh", &[&scaled], &at("tanh"), &[]);
                self.halved_product(x, &tanh, to)
            }
        }
    }

    /// `x (1 + y) / 2`.
    fn halved_product(&mut self, x: &str, y: &str, to: &str) -> String {
        let [one, half] = [("one", 1.0), ("half", 0.5)].map(|(name, value)| self.number(name, value));
        let more = self.graph.apply("Add", &[y, &one], &format!("{to}.more"), &[]);
        let product = self.graph.apply("Mul", &[x, &more], &format!("{to}.whole"), &[]);
        self.graph.apply("Mul", &[&product, &half], to, &[])
    }

    /// A constant number that several nodes share.
    pub(crate) fn number(&mut self, name: &str, value: f32) -> String {
        if self.graph.has(name) { name.to_owned() } else { self.graph.scalar(name, value) }
    }

    /// A constant list that several nodes share.
    pub(crate) fn list(&mut self, name: &str, values: &[i64]) -> String {
        if self.graph.has(name) { name.to_owned() } else { self.graph.integers(name, values) }
    }

    /// Integers as floats.
    pub(crate) fn as_floats(&mut self, x: &str, to: &str) -> String {
        self.graph.apply("Cast", &[x], to, &[Attribute::Integer("to", i64::from(data_type::FLOAT))])
    }
}

enum Stored<'a> {
    Floats(Cow<'a, [f32]>),
    Int8(Cow<'a, Int8Matrix>),
}

fn of_quantized(tensor: &QuantizedTensor) -> Stored<'_> {
    match tensor {
        QuantizedTensor::F32(tensor) | QuantizedTensor::F16(tensor) => Stored::Floats(Cow::Borrowed(&tensor.data)),
        QuantizedTensor::Int8(matrix) => Stored::Int8(Cow::Borrowed(matrix)),
        // The operators know no 4-bit tables of that kind; in 8 bits the error is a sixteenth of what it is already.
        QuantizedTensor::Int4(matrix) => {
            let numbers = matrix.dequantize();
            match Int8Matrix::quantize(&numbers, ScaleChoice::MaxAbs) {
                Ok(matrix) => Stored::Int8(Cow::Owned(matrix)),
                Err(_) => Stored::Floats(Cow::Owned(numbers.data)),
            }
        }
    }
}

/// A matrix `[rows, columns]` as `[columns, rows]`.
pub(crate) fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let column = |column: usize| (0..rows).map(move |row| matrix[row * columns + column]);
    (0..columns).flat_map(column).collect()
}
