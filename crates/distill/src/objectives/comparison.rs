//! What the objectives of a step compare.

use burn::tensor::{Int, Tensor};

use super::{LayerMap, Projection, Semantics, WeightPair};
use crate::engine::{Geometry, Trace, mean_pool};

/// The labels of a batch on the device.
#[derive(Debug, Clone)]
pub enum BatchLabels {
    /// Class numbers `[B]`.
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
