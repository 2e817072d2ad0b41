//! Dense layers over the vector of a text.

use attar_kernels::normalize_length;
use attar_model::{Projection, ProjectionActivation};

/// The vector after all projections, divided by its Euclidean norm at the end if `normalize`.
pub(crate) fn apply_all(projections: &[Projection], mut vector: Vec<f32>, normalize: bool) -> Vec<f32> {
    for projection in projections {
        if projection.normalized_input {
            normalize_length(&mut vector);
        }
        vector = apply(projection, &vector);
    }
    if normalize {
        normalize_length(&mut vector);
    }
    vector
}

fn apply(projection: &Projection, vector: &[f32]) -> Vec<f32> {
    let activation = |x: f32| match projection.activation {
        ProjectionActivation::Identity => x,
        ProjectionActivation::Tanh => x.tanh(),
        ProjectionActivation::Relu if x < 0.0 => 0.0,
        ProjectionActivation::Relu => x,
    };
    let rows = projection.weight.data.chunks_exact(vector.len());
    let sums = rows.map(|row| row.iter().zip(vector).map(|(weight, x)| weight * x).sum::<f32>());
    match &projection.bias {
        Some(bias) => sums.zip(&bias.data).map(|(sum, bias)| activation(sum + bias)).collect(),
        None => sums.map(activation).collect(),
    }
}

#[cfg(test)]
mod tests {
    use attar_model::Tensor;

    use super::*;

    #[test]
    fn layers_follow_each_other() {
        let first = Projection {
            normalized_input: true,
            weight: Tensor::new(vec![2, 2], vec![1.0, 0.0, 0.5, -1.0]),
            bias: Some(Tensor::new(vec![2], vec![0.0, 0.1])),
            activation: ProjectionActivation::Relu,
        };
        let second = Projection {
            normalized_input: false,
            weight: Tensor::new(vec![1, 2], vec![-1.0, 1.0]),
            bias: None,
            activation: ProjectionActivation::Tanh,
        };
        // (3, 4) has the length 5, so (0.6, 0.8), then (0.6, max(0.3 - 0.8 + 0.1, 0)).
        let out = apply_all(std::slice::from_ref(&first), vec![3.0, 4.0], false);
        assert!((out[0] - 0.6).abs() < 1e-6 && out[1] == 0.0, "{out:?}");
        let out = apply_all(&[first, second], vec![3.0, 4.0], false);
        assert!((out[0] - (-0.6f32).tanh()).abs() < 1e-6, "{out:?}");
    }
}
