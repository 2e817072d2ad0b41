//! `x W + b` and its gradients.

use super::pool::acquire;
use super::rows::Packed;
use super::weight_gradient::{RightFactor, weight_gradient};
use crate::cpu::Cpu;
use crate::matmul::Epilogue;

/// A linear layer: `weight` `[inputs, outputs]` and `bias` `[outputs]`.
#[derive(Debug, Clone, Copy)]
pub struct Linear<'a> {
    /// `[inputs, outputs]`
    pub weight: &'a [f32],
    /// `[outputs]`
    pub bias: &'a [f32],
    /// Width of an input row.
    pub inputs: usize,
}

impl Linear<'_> {
    /// Width of an output row.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    #[track_caller]
    pub(super) fn check(&self, x: &[f32], rows: usize) {
        assert_eq!(
            self.weight.len(),
            self.inputs * self.outputs(),
            "a weight of [{}, {}]",
            self.inputs,
            self.outputs()
        );
        assert_eq!(x.len(), rows * self.inputs, "{rows} rows of {} inputs", self.inputs);
    }

    pub(super) fn shape(&self) -> [usize; 2] {
        [self.inputs, self.outputs()]
    }
}

/// Gradients of a linear layer.
#[derive(Debug, Clone)]
pub struct LinearGradients {
    /// `[rows, inputs]`, if it was requested.
    pub input: Option<Vec<f32>>,
    /// `[inputs, outputs]`
    pub weight: Vec<f32>,
    /// `[outputs]`
    pub bias: Vec<f32>,
}

/// `x W + b`: `[rows, inputs]` to `[rows, outputs]`.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn linear(cpu: Cpu, x: &[f32], rows: usize, layer: Linear<'_>) -> Vec<f32> {
    layer.check(x, rows);
    let mut y = acquire(rows * layer.outputs());
    Packed::forward(cpu, layer.weight, layer.bias, layer.shape()).apply_parallel(x, &mut y, Epilogue::Write);
    y
}

/// Which gradient of the input [`linear_backward`] computes.
#[derive(Debug)]
pub enum InputGradient {
    /// None.
    Skip,
    /// A new one.
    New,
    /// The layer's, added to this one, `[rows, inputs]`.
    AddTo(Vec<f32>),
}

/// Gradients of [`linear`] where its output has the gradient `dy` `[rows, outputs]`.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn linear_backward(
    cpu: Cpu,
    x: &[f32],
    rows: usize,
    layer: Linear<'_>,
    dy: &[f32],
    input: InputGradient,
) -> LinearGradients {
    layer.check(x, rows);
    let [inputs, outputs] = layer.shape();
    assert_eq!(dy.len(), rows * outputs, "a gradient of {rows} rows of {outputs} outputs");
    let packed = || Packed::backward(cpu, layer.weight, layer.shape());
    let input = match input {
        InputGradient::Skip => None,
        InputGradient::New => {
            let mut dx = acquire(rows * inputs);
            packed().apply_parallel(dy, &mut dx, Epilogue::Write);
            Some(dx)
        }
        InputGradient::AddTo(mut dx) => {
            assert_eq!(dx.len(), rows * inputs, "a gradient of {rows} rows of {inputs} inputs");
            packed().apply_parallel(dy, &mut dx, Epilogue::Add);
            Some(dx)
        }
    };
    let mut bias = vec![0.0; outputs];
    let right = RightFactor { numbers: dy, columns: outputs, activation: None };
    let weight = weight_gradient(cpu, rows, (x, inputs), right, false, Some(&mut bias));
    LinearGradients { input, weight, bias }
}
