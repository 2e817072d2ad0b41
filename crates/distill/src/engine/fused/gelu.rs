//! The erf GELU.

use attar_kernels::train::pool;
use burn::tensor::Tensor;

use super::primitive::{Primitive, like, numbers, recycle};
use super::{Operation, Parents, run};

/// The erf GELU of each number.
pub(in crate::engine) fn gelu(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(run(Gelu, [x.into_dispatch()]))
}

#[derive(Debug, Clone)]
struct Gelu;

impl Operation<1> for Gelu {
    type Saved = Primitive;

    fn forward(&self, [x]: &[Primitive; 1]) -> (Primitive, Primitive) {
        let mut y = pool::acquire(numbers(x).len());
        attar_kernels::gelu(numbers(x), &mut y);
        (like(x, y), x.clone())
    }

    fn backward(&self, x: Primitive, dy: Primitive, mut parents: Parents<'_, 1>) {
        let mut dx = pool::acquire(numbers(&x).len());
        attar_kernels::gelu_backward(numbers(&x), numbers(&dy), &mut dx);
        parents.register(0, like(&x, dx));
        recycle(dy);
        recycle(x);
    }
}
