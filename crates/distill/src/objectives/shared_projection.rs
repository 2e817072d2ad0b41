//! Shared projections of parameters (Zhao et al., arXiv 1909.11687, section 3.3).
//!
//! A teacher matrix `[a, b]` and a student matrix `[a', b']` meet through `U` `[a, a']` and `V`
//! `[b, b']`, which are shared by all layers whose dimensions are equal. The mean over the residual
//! is its squared Frobenius norm divided by its number of elements.

use burn::tensor::Tensor;

use super::mean_square;

/// Teacher projected down: mean of `(Uᵀ W_T V - W_S)²`.
pub fn project_down(teacher: Tensor<2>, student: Tensor<2>, u: Tensor<2>, v: Tensor<2>) -> Tensor<1> {
    mean_square(u.transpose().matmul(teacher).matmul(v), student)
}

/// Student projected up: mean of `(W_T - U W_S Vᵀ)²`.
pub fn project_up(teacher: Tensor<2>, student: Tensor<2>, u: Tensor<2>, v: Tensor<2>) -> Tensor<1> {
    mean_square(u.matmul(student).matmul(v.transpose()), teacher)
}

/// A vector projected down: mean of `(Uᵀ w_T - w_S)²`.
pub fn project_down_vector(teacher: Tensor<1>, student: Tensor<1>, u: Tensor<2>) -> Tensor<1> {
    mean_square(u.transpose().matmul(column(teacher)), column(student))
}

/// A vector projected up: mean of `(w_T - U w_S)²`.
pub fn project_up_vector(teacher: Tensor<1>, student: Tensor<1>, u: Tensor<2>) -> Tensor<1> {
    mean_square(u.matmul(column(student)), column(teacher))
}

fn column(vector: Tensor<1>) -> Tensor<2> {
    let [length] = vector.dims();
    vector.reshape([length, 1])
}
