//! What the objectives of a step compare.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{LayerMap, Projection, Semantics, WeightPair};
use crate::engine::{Geometry, Trace, mean_pool};

/// The labels of a batch on the device.
#[derive(Debug, Clone)]
pub enum BatchLabels {
    /// Class numbers `[B]`; of all words that have tags; or the tokens at which answers begin, then those at which they end, `[2B]`.
    Classes(Tensor<1, Int>),
    /// Class numbers `[B]`, and how much each row counts `[B]`.
    WeightedClasses(Tensor<1, Int>, Box<Tensor<1>>),
    /// 1 where a row has the label, else 0, `[B, K]`.
    LabelSets(Tensor<2>),
    /// Scores `[B, 1]`.
    Scores(Tensor<2>),
    /// What stood at the masked rows, `[M]`.
    Pieces(Tensor<1, Int>),
}

impl BatchLabels {
    /// The same labels as a model numbers them that has another number for each class of the data.
    pub(crate) fn of_model(self, classes: Option<&[usize]>) -> BatchLabels {
        let Some(order) = classes else { return self };
        let numbers = |device: &Device, order: &[usize]| {
            let order: Vec<i32> = order.iter().map(|&class| class as i32).collect();
            Tensor::<1, Int>::from_data(TensorData::new(order.clone(), [order.len()]), device)
        };
        match self {
            BatchLabels::Classes(classes) => BatchLabels::Classes(numbers(&classes.device(), order).select(0, classes)),
            BatchLabels::WeightedClasses(classes, weights) => {
                BatchLabels::WeightedClasses(numbers(&classes.device(), order).select(0, classes), weights)
            }
            BatchLabels::LabelSets(present) => {
                // Column `order[class]` of the model's is column `class` of the data's.
                let mut columns = vec![0; order.len()];
                order.iter().enumerate().for_each(|(class, &model)| columns[model] = class);
                BatchLabels::LabelSets(present.clone().select(1, numbers(&present.device(), &columns)))
            }
            other @ (BatchLabels::Scores(_) | BatchLabels::Pieces(_)) => other,
        }
    }
}

/// Traces of student and teacher on one batch, and what belongs to it.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// Trace of the student.
    pub student: &'a Trace,
    /// Trace of the teacher on the same tokens.
    pub teacher: Option<&'a Trace>,
    /// Labels, where the data have them.
    pub labels: Option<&'a BatchLabels>,
    /// Projections of student states: one for all levels, or one for each, embeddings first; none
    /// where widths are equal.
    pub projections: &'a [Projection],
    /// Pieces of the first of the student's two vocabularies, where it learns a second one.
    pub first_pieces: Option<usize>,
    /// Weights of both, where a term compares them.
    pub weights: Option<WeightPair<'a>>,
    /// The traces by tokens, where those above are by words.
    pub tokens: Option<TokenLevel<'a>>,
    /// How the tokens, or the words, lie.
    pub geometry: &'a Geometry,
    /// Which arithmetic.
    pub semantics: Semantics,
    /// Whether logits are of labels that do not exclude one another.
    pub multi_label: bool,
}

/// Traces by the tokens of each model, with how these lie.
#[derive(Debug, Clone, Copy)]
pub struct TokenLevel<'a> {
    /// The student's.
    pub student: (&'a Trace, &'a Geometry),
    /// The teacher's.
    pub teacher: (&'a Trace, &'a Geometry),
}

impl Comparison<'_> {
    /// The means of the last layers' outputs over all tokens of each sequence, `[B, H]`: the student's and the teacher's.
    ///
    /// # Panics
    /// If there is no teacher.
    pub fn means(&self) -> [Tensor<2>; 2] {
        let TokenLevel { student, teacher } = self
            .tokens
            .unwrap_or(TokenLevel { student: (self.student, self.geometry), teacher: (self.teacher(), self.geometry) });
        [student, teacher].map(|(trace, geometry)| mean_pool(trace.last(), geometry))
    }

    /// The sum of a term over the layer pairs of a map.
    ///
    /// # Panics
    /// If the map does not fit; plans refuse that before any compute.
    #[track_caller]
    pub fn sum_over_layers(&self, map: &LayerMap, term: impl Fn(usize, usize) -> Tensor<1>) -> Tensor<1> {
        let pairs =
            map.pairs(self.student.layers.len(), self.teacher().layers.len()).expect("the plan checked the map");
        let terms = pairs.into_iter().map(|[student, teacher]| term(student, teacher));
        terms.reduce(|a, b| a + b).expect("a map has pairs")
    }

    /// The teacher's trace.
    ///
    /// # Panics
    /// If there is none; plans refuse a term that needs one.
    #[track_caller]
    pub fn teacher(&self) -> &Trace {
        self.teacher.expect("a term that needs a teacher has one")
    }

    /// The projection of the student's states at a level, embeddings first.
    pub fn projection(&self, level: usize) -> Option<&Projection> {
        match self.projections {
            [] => None,
            [shared] => Some(shared),
            levels => Some(&levels[level]),
        }
    }

    /// The student's logits.
    ///
    /// # Panics
    /// If it has no head; plans refuse a term that needs one.
    #[track_caller]
    pub fn student_logits(&self) -> Tensor<2> {
        self.student.logits.clone().expect("a student that predicts has logits")
    }

    /// The teacher's logits.
    ///
    /// # Panics
    /// As [`Comparison::teacher`], or if it has no head.
    #[track_caller]
    pub fn teacher_logits(&self) -> Tensor<2> {
        self.teacher().logits.clone().expect("a teacher whose answers are learned has logits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_a_models_own_numbers() {
        let device = Default::default();
        // The model calls the data's classes 0, 1 and 2 its 2, 0 and 1.
        let order = [2, 0, 1];
        let classes = BatchLabels::Classes(Tensor::from_ints([1, 0, 2], &device)).of_model(Some(&order));
        let BatchLabels::Classes(classes) = classes else { panic!("{classes:?}") };
        assert_eq!(classes.try_into_vec_as::<i32>().unwrap(), [0, 2, 1]);
        let sets = Tensor::<2>::from_floats([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], &device);
        let sets = BatchLabels::LabelSets(sets).of_model(Some(&order));
        let BatchLabels::LabelSets(sets) = sets else { panic!("{sets:?}") };
        assert_eq!(sets.try_into_vec_as::<f32>().unwrap(), [0.0, 0.0, 1.0, 1.0, 1.0, 0.0]);
    }
}
