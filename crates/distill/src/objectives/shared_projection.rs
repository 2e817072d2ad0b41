//! Shared projections of parameters (Zhao et al., arXiv 1909.11687, section 3.3).
//!
//! A teacher matrix `[a, b]` and a student matrix `[a', b']` meet through `U` `[a, a']` and `V`
//! `[b, b']`, which are shared by all layers whose dimensions are equal. The loss is the mean squared residual, its squared
//! Frobenius norm over its number of elements. `U` and `V` are learned with the student and dropped
//! at the end. The teacher reads no text, so that it may have another vocabulary.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::term::{LossTerm, Misfit, Setting};
use super::{Comparison, LayerMap, mean_square, one};
use crate::engine::{Encoder, LayerParts, RequiredOutputs, Slot, Values, Width};

/// Squared difference of the layers' weights through projections that all layers share, summed over weights and layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SharedProjection {
    /// Factor of the term in the sum.
    #[serde(default = "one")]
    pub weight: f64,
    /// Which side is projected.
    #[serde(default)]
    pub direction: Direction,
    /// Whether biases and LayerNorms are compared too, by the projection of the width that they lie in.
    #[serde(default = "yes")]
    pub vectors: bool,
    /// Which layers are compared; each with the one of its number, which takes equal depths as the paper has them, if left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<LayerMap>,
}

/// Which side a projection brings to the size of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The teacher's weights to the student's size.
    #[default]
    Down,
    /// The student's weights to the teacher's size.
    Up,
}

/// `U` and `V` of both widths.
#[derive(Debug, Clone)]
pub struct WeightProjections {
    /// For what a matrix reads: `[H, H']` and `[F, F']`.
    reads: [Tensor<2>; 2],
    /// For what it writes.
    writes: [Tensor<2>; 2],
}

/// Weights of a student and of its teacher, with the projections between them.
#[derive(Debug, Clone, Copy)]
pub struct WeightPair<'a> {
    /// The student and its values.
    pub student: (&'a Encoder, &'a Values),
    /// The teacher and its values.
    pub teacher: (&'a Encoder, &'a Values),
    /// What lies between.
    pub projections: &'a WeightProjections,
}

/// What the names of the projections' parameters begin with.
pub(crate) const WEIGHT_PROJECTION: &str = "weight-projection";

impl WeightProjections {
    /// The parameters between a teacher and a student of these hidden and feed-forward widths.
    pub(crate) fn slots(teacher: [usize; 2], student: [usize; 2]) -> Vec<Slot> {
        let names = ["hidden", "feed-forward"];
        let sides = ["reads", "writes"].into_iter();
        let slot = |side: &str, i: usize| {
            Slot::table(format!("{WEIGHT_PROJECTION}.{side}.{}", names[i]), teacher[i], student[i])
        };
        sides.flat_map(|side| [0, 1].map(|i| slot(side, i))).collect()
    }

    /// From values in the order of the slots.
    pub(crate) fn new(mut next: impl FnMut() -> Tensor<2>) -> WeightProjections {
        WeightProjections { reads: [next(), next()], writes: [next(), next()] }
    }

    fn reads(&self, width: Width) -> Tensor<2> {
        self.reads[width as usize].clone()
    }

    fn writes(&self, width: Width) -> Tensor<2> {
        self.writes[width as usize].clone()
    }
}

impl LossTerm for SharedProjection {
    fn weight(&self) -> f64 {
        self.weight
    }

    fn needs_trace(&self) -> bool {
        false
    }

    fn projects_weights(&self) -> bool {
        true
    }

    fn check(&self, setting: &Setting<'_>) -> Result<(), Misfit> {
        let (student, teacher) = (setting.student, setting.teacher());
        if student.layers != teacher.layers && self.map.is_none() {
            return Err(Misfit::new(
                format!("a student of the teacher's {} layers, or a layer map", teacher.layers),
                format!("{} layers", student.layers),
                "name the pairs, such as `map = [[1, 2], [2, 4]]`, or a rule, such as `map = \"top\"`",
            ));
        }
        for (what, ours, theirs) in
            [("hidden", student.hidden, teacher.hidden), ("feed-forward", student.feed_forward, teacher.feed_forward)]
        {
            if ours > theirs {
                let expected = format!("a `{what}` of at most {theirs}, the teacher's");
                return Err(Misfit::new(expected, ours.to_string(), "make the student narrower"));
            }
        }
        self.map.as_ref().map_or(Ok(()), |map| map.check(setting))
    }

    fn mark_required(&self, _: usize, _: &mut RequiredOutputs) {}

    fn value(&self, c: &Comparison<'_>) -> Tensor<1> {
        let pair = c.weights.expect("a stage that compares weights has those of the teacher");
        let ((student, ours), (teacher, theirs)) = (pair.student, pair.teacher);
        let pairs = self.map.clone().unwrap_or_default().pairs(student.config().layers, teacher.config().layers);
        let layers = pairs.expect("the plan checked the map").into_iter().map(|[s, t]| {
            self.layer(&teacher.layer_parts(theirs, t - 1), &student.layer_parts(ours, s - 1), pair.projections)
        });
        layers.reduce(|a, b| a + b).expect("a map has pairs")
    }
}

impl SharedProjection {
    /// The value of one pair of layers.
    fn layer(&self, teacher: &LayerParts, student: &LayerParts, projections: &WeightProjections) -> Tensor<1> {
        let matrices = teacher.matrices.iter().zip(&student.matrices).map(|(t, s)| {
            let (u, v) = (projections.reads(t.reads), projections.writes(t.writes));
            match self.direction {
                Direction::Down => project_down(t.weight.clone(), s.weight.clone(), u, v),
                Direction::Up => project_up(t.weight.clone(), s.weight.clone(), u, v),
            }
        });
        let vectors = teacher.vectors.iter().zip(&student.vectors).map(|((width, t), (_, s))| {
            let v = projections.writes(*width);
            match self.direction {
                Direction::Down => project_down_vector(t.clone(), s.clone(), v),
                Direction::Up => project_up_vector(t.clone(), s.clone(), v),
            }
        });
        let terms = matrices.chain(vectors.filter(|_| self.vectors));
        terms.reduce(|a, b| a + b).expect("a layer has weights")
    }
}

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

fn yes() -> bool {
    true
}
