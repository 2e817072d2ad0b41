//! Tensors of the CPU engine as slices and back.

use attar_kernels::Norm;
use attar_kernels::train::{Linear, pool};
use burn::backend::tensor::FloatTensor;
use burn::backend::{DType, Flex};
use burn::tensor::TensorData;

/// A tensor of the CPU engine.
pub(crate) type Primitive = FloatTensor<Flex>;

/// The numbers of a contiguous tensor.
pub(super) fn numbers(tensor: &Primitive) -> &[f32] {
    tensor.as_slice().expect("a contiguous tensor of 32-bit floats")
}

/// Rows of a matrix.
pub(super) fn rows(tensor: &Primitive) -> usize {
    tensor.layout().shape()[0]
}

/// Columns of a matrix.
pub(super) fn columns(tensor: &Primitive) -> usize {
    tensor.layout().shape()[1]
}

/// A vector.
pub(super) fn flat(numbers: Vec<f32>) -> Primitive {
    let length = numbers.len();
    Primitive::from_data(TensorData::new(numbers, [length]))
}

/// A matrix.
pub(super) fn matrix(numbers: Vec<f32>, rows: usize, columns: usize) -> Primitive {
    Primitive::from_data(TensorData::new(numbers, [rows, columns]))
}

/// A linear layer of the kernels over its tensors.
pub(super) fn layer<'a>(weight: &'a Primitive, bias: &'a Primitive) -> Linear<'a> {
    Linear { weight: numbers(weight), bias: numbers(bias), inputs: rows(weight) }
}

/// A LayerNorm of the kernels over its tensors.
pub(super) fn norm<'a>(gain: &'a Primitive, shift: &'a Primitive, epsilon: f32) -> Norm<'a> {
    Norm { gain: numbers(gain), bias: numbers(shift), epsilon }
}

/// Numbers in the shape of a tensor.
pub(super) fn like(tensor: &Primitive, numbers: Vec<f32>) -> Primitive {
    Primitive::from_data(TensorData::new(numbers, tensor.layout().shape().clone()))
}

/// The numbers of a contiguous tensor, copied only if another tensor shares them.
pub(super) fn into_numbers(tensor: Primitive) -> Vec<f32> {
    if !is_sole_owner(&tensor) {
        let shared = numbers(&tensor);
        let mut copy = pool::acquire(shared.len());
        copy.copy_from_slice(shared);
        return copy;
    }
    tensor.into_data().try_into_vec().expect("a tensor of 32-bit floats")
}

/// Keeps the memory of a tensor for the next step, if no other tensor shares it.
pub(crate) fn recycle(tensor: Primitive) {
    if is_sole_owner(&tensor)
        && let Ok(numbers) = tensor.into_data().into_parts().0.try_into_vec()
    {
        pool::release(numbers);
    }
}

/// True if a tensor covers all of its memory and no other tensor shares it.
fn is_sole_owner(tensor: &Primitive) -> bool {
    let whole = tensor.layout().num_elements() * size_of::<f32>() == tensor.bytes().len();
    whole && tensor.is_unique() && tensor.dtype() == DType::F32 && tensor.is_contiguous()
}
