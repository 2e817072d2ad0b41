//! Operations with a body of their own on the CPU engine, as extensions of burn's backends.
//!
//! An operation has one output and a hand-written backward pass; both are in `attar_kernels`. Its composed counterpart in
//! [`operations`](super::operations) runs everywhere else and is what it is tested against.

mod autodiff;
mod join;
mod primitive;

use std::sync::Arc;

use attar_kernels::train::{self, Activation, FeedForward, Linear, Mask, Ragged};
use attar_kernels::{Cpu, Norm};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

pub(crate) use join::Join;
pub(crate) use primitive::recycle;
use primitive::{Primitive, columns, flat, matrix, numbers};

/// The parameters of a LayerNorm that are no tensors, and what is dropped before it.
#[derive(Debug, Clone)]
pub(super) struct NormOptions {
    /// Added to the variance, inside the root.
    pub epsilon: f32,
    /// `[N, H]`
    pub mask: Option<Arc<Mask>>,
}

/// How attention is cut into heads and sequences.
#[derive(Debug, Clone)]
pub(super) struct Attention {
    /// A
    pub heads: usize,
    /// The sequences.
    pub ragged: Arc<Ragged>,
    /// Where the gradients of queries, keys and values meet.
    pub qkv: Join,
    /// Where the gradients of the scores meet.
    pub scores: Join,
}

/// The operations.
#[backend_extension(Flex, Autodiff)]
pub(super) trait Fused: Backend {
    /// The erf GELU.
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `x W + b`; the gradients of `x` may meet others.
    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        join: Join,
    ) -> FloatTensor<Self>;
    /// `Q Kᵀ / √D`, ragged.
    fn fused_scores(qkv: FloatTensor<Self>, attention: Attention) -> FloatTensor<Self>;
    /// `dropout(softmax(scores)) V`
    fn fused_context(
        scores: FloatTensor<Self>,
        qkv: FloatTensor<Self>,
        attention: Attention,
        mask: Option<Arc<Mask>>,
    ) -> FloatTensor<Self>;
    /// `LayerNorm(dropout(x W + b) + residual)`; the gradients of the residual may meet others.
    fn fused_residual_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        options: NormOptions,
        join: Join,
    ) -> FloatTensor<Self>;
    /// `LayerNorm(dropout(act(x W₁ + b₁) W₂ + b₂) + x)`
    fn fused_feed_forward(
        x: FloatTensor<Self>,
        inner_weight: FloatTensor<Self>,
        inner_bias: FloatTensor<Self>,
        outer_weight: FloatTensor<Self>,
        outer_bias: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        activation: Activation,
        options: NormOptions,
    ) -> FloatTensor<Self>;
    /// `Σ (a - b)²`, `[1]`; the gradients of `a` may meet others.
    fn fused_squared_difference(a: FloatTensor<Self>, b: FloatTensor<Self>, join: Join) -> FloatTensor<Self>;
}

/// The erf GELU of a tensor on the CPU engine.
pub(super) fn gelu(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_gelu(x.into_dispatch()))
}

/// `x W + b`
pub(super) fn linear(x: Tensor<2>, layer: &super::Linear, join: Join) -> Tensor<2> {
    let [weight, bias] = [layer.weight.clone().into_dispatch(), layer.bias.clone().into_dispatch()];
    Tensor::from_dispatch(Dispatch::fused_linear(x.into_dispatch(), weight, bias, join))
}

/// Ragged scores `[P]`.
pub(super) fn attention_scores(qkv: Tensor<2>, attention: Attention) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::fused_scores(qkv.into_dispatch(), attention))
}

/// The context `[N, H]`.
pub(super) fn attention_context(
    scores: Tensor<1>,
    qkv: Tensor<2>,
    attention: Attention,
    mask: Option<Arc<Mask>>,
) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_context(scores.into_dispatch(), qkv.into_dispatch(), attention, mask))
}

/// `LayerNorm(dropout(x W + b) + residual)`
pub(super) fn linear_residual_norm(
    x: Tensor<2>,
    layer: &super::Linear,
    residual: Tensor<2>,
    norm: &super::operations::Norm,
    mask: Option<Arc<Mask>>,
    join: Join,
) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_residual_norm(
        x.into_dispatch(),
        layer.weight.clone().into_dispatch(),
        layer.bias.clone().into_dispatch(),
        residual.into_dispatch(),
        norm.gain.clone().into_dispatch(),
        norm.bias.clone().into_dispatch(),
        NormOptions { epsilon: norm.epsilon as f32, mask },
        join,
    ))
}

/// `LayerNorm(dropout(act(x W₁ + b₁) W₂ + b₂) + x)`
pub(super) fn feed_forward(
    x: Tensor<2>,
    [inner, outer]: [&super::Linear; 2],
    activation: attar_model::Activation,
    norm: &super::operations::Norm,
    mask: Option<Arc<Mask>>,
) -> Tensor<2> {
    let activation = match activation {
        attar_model::Activation::Gelu => Activation::Gelu,
        attar_model::Activation::GeluNew => Activation::GeluTanh,
        attar_model::Activation::Relu => Activation::Relu,
    };
    Tensor::from_dispatch(Dispatch::fused_feed_forward(
        x.into_dispatch(),
        inner.weight.clone().into_dispatch(),
        inner.bias.clone().into_dispatch(),
        outer.weight.clone().into_dispatch(),
        outer.bias.clone().into_dispatch(),
        norm.gain.clone().into_dispatch(),
        norm.bias.clone().into_dispatch(),
        activation,
        NormOptions { epsilon: norm.epsilon as f32, mask },
    ))
}

/// `Σ (a - b)²`, `[1]`, of two tensors of one shape.
pub(super) fn squared_difference<const D: usize>(a: Tensor<D>, b: Tensor<D>, join: Join) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::fused_squared_difference(a.into_dispatch(), b.into_dispatch(), join))
}

impl Fused for Flex {
    fn fused_gelu(x: Primitive) -> Primitive {
        let x = x.to_contiguous();
        let mut y = train::pool::acquire(numbers(&x).len());
        attar_kernels::gelu(numbers(&x), &mut y);
        primitive::like(&x, y)
    }

    fn fused_linear(x: Primitive, weight: Primitive, bias: Primitive, _: Join) -> Primitive {
        let [x, weight, bias] = [x, weight, bias].map(|t| t.to_contiguous());
        let (rows, layer) = (primitive::rows(&x), layer(&weight, &bias));
        matrix(train::linear(Cpu::detect(), numbers(&x), rows, layer), rows, layer.outputs())
    }

    fn fused_scores(qkv: Primitive, attention: Attention) -> Primitive {
        let qkv = qkv.to_contiguous();
        flat(train::attention_scores(Cpu::detect(), numbers(&qkv), attention.heads, &attention.ragged))
    }

    fn fused_context(
        scores: Primitive,
        qkv: Primitive,
        Attention { heads, ragged, .. }: Attention,
        mask: Option<Arc<Mask>>,
    ) -> Primitive {
        let [scores, qkv] = [scores, qkv].map(|t| t.to_contiguous());
        let (scores, values) = (numbers(&scores), numbers(&qkv));
        let context = train::attention_context(Cpu::detect(), scores, values, heads, &ragged, mask.as_deref());
        matrix(context, ragged.rows(), columns(&qkv) / 3)
    }

    fn fused_residual_norm(
        x: Primitive,
        weight: Primitive,
        bias: Primitive,
        residual: Primitive,
        gain: Primitive,
        shift: Primitive,
        options: NormOptions,
        _: Join,
    ) -> Primitive {
        let tensors = [x, weight, bias, residual, gain, shift].map(|t| t.to_contiguous());
        residual_norm(&tensors, &options).0
    }

    fn fused_feed_forward(
        x: Primitive,
        inner_weight: Primitive,
        inner_bias: Primitive,
        outer_weight: Primitive,
        outer_bias: Primitive,
        gain: Primitive,
        shift: Primitive,
        activation: Activation,
        options: NormOptions,
    ) -> Primitive {
        let tensors = [x, inner_weight, inner_bias, outer_weight, outer_bias, gain, shift].map(|t| t.to_contiguous());
        feed_forward_of(&tensors, activation, &options).0
    }

    fn fused_squared_difference(a: Primitive, b: Primitive, _: Join) -> Primitive {
        let [a, b] = [a, b].map(|t| t.to_contiguous());
        flat(vec![train::squared_difference(numbers(&a), numbers(&b)) as f32])
    }
}

fn layer<'a>(weight: &'a Primitive, bias: &'a Primitive) -> Linear<'a> {
    Linear { weight: numbers(weight), bias: numbers(bias), inputs: primitive::rows(weight) }
}

fn norm<'a>(gain: &'a Primitive, shift: &'a Primitive, options: &NormOptions) -> Norm<'a> {
    Norm { gain: numbers(gain), bias: numbers(shift), epsilon: options.epsilon }
}

/// The result, and what its backward pass needs.
fn residual_norm(
    [x, weight, bias, residual, gain, shift]: &[Primitive; 6],
    options: &NormOptions,
) -> (Primitive, train::ResidualNormKept) {
    let (rows, layer, norm) = (primitive::rows(x), layer(weight, bias), norm(gain, shift, options));
    let mask = options.mask.as_deref();
    let (y, kept) = train::linear_residual_norm(Cpu::detect(), numbers(x), rows, layer, numbers(residual), norm, mask);
    (matrix(y, rows, layer.outputs()), kept)
}

fn block<'a>(
    [_, inner_weight, inner_bias, outer_weight, outer_bias, gain, shift]: &'a [Primitive; 7],
    activation: Activation,
    options: &NormOptions,
) -> FeedForward<'a> {
    let (inner, outer) = (layer(inner_weight, inner_bias), layer(outer_weight, outer_bias));
    FeedForward { inner, activation, outer, norm: norm(gain, shift, options) }
}

/// The result, and what its backward pass needs.
fn feed_forward_of(
    tensors: &[Primitive; 7],
    activation: Activation,
    options: &NormOptions,
) -> (Primitive, train::FeedForwardKept) {
    let (x, rows) = (&tensors[0], primitive::rows(&tensors[0]));
    let layers = block(tensors, activation, options);
    let (y, kept) = train::feed_forward(Cpu::detect(), numbers(x), rows, layers, options.mask.as_deref());
    (matrix(y, rows, columns(x)), kept)
}
