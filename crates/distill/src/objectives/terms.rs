//! Objectives as a recipe names them, and their values for a pair of traces.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::layer_map::LayerMap;
use super::{
    Projection, Semantics, attention, binary_cross_entropy, contrast, cosine_tokens, cross_entropy, hidden, regression,
    relation, soft_binary_cross_entropy, soft_cross_entropy, weighted_cross_entropy,
};
use crate::engine::{Geometry, Trace, third};
use crate::train::Parts;

/// One named loss term.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Objective {
    /// Squared difference of the embedding outputs.
    Embedding {
        /// Factor of the term in the sum.
        #[serde(default = "one")]
        weight: f64,
    },
    /// Squared difference of the layers' outputs, summed over layers.
    Hidden {
        /// Factor of the term in the sum.
        #[serde(default = "one")]
        weight: f64,
        /// Which layers meet.
        #[serde(default)]
        map: LayerMap,
    },
    /// Squared difference of the attention scores, summed over layers. Needs equal numbers of heads.
    Attention {
        /// Factor of the term in the sum.
        #[serde(default = "one")]
        weight: f64,
        /// Which layers meet.
        #[serde(default)]
        map: LayerMap,
    },
    /// Relations among queries, among keys and among values of the student's last layer and one
    /// teacher layer. Neither widths nor numbers of heads need be equal.
    Relation {
        /// Factor of the term in the sum.
        #[serde(default = "one")]
        weight: f64,
        /// Relation heads; a divisor of both widths.
        heads: usize,
        /// Teacher layer, counted from 1; its last one if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        layer: Option<usize>,
    },
    /// 1 - cos of the last layers' outputs, over tokens. Needs equal widths.
    Cosine {
        /// Factor of the term in the sum.
        #[serde(default = "one")]
        weight: f64,
    },
    /// The teacher's predictions.
    Soft {
        /// Factor of the term in the sum.
        #[serde(default = "one")]
        weight: f64,
        /// T: divides the logits of both sides.
        #[serde(default = "one")]
        temperature: f64,
    },
    /// The labels of the data.
    Gold {
        /// Factor of the term in the sum.
        #[serde(default = "one")]
        weight: f64,
    },
    /// Vectors that the classifier reads: those of one class near each other and far from those of other classes.
    Contrast {
        /// Factor of the term in the sum.
        #[serde(default = "one")]
        weight: f64,
    },
}

impl Objective {
    /// Name in logs and checkpoints.
    pub fn name(&self) -> &'static str {
        match self {
            Objective::Embedding { .. } => "embedding",
            Objective::Hidden { .. } => "hidden",
            Objective::Attention { .. } => "attention",
            Objective::Relation { .. } => "relation",
            Objective::Cosine { .. } => "cosine",
            Objective::Soft { .. } => "soft",
            Objective::Gold { .. } => "gold",
            Objective::Contrast { .. } => "contrast",
        }
    }

    /// Factor of the term in the sum.
    pub fn weight(&self) -> f64 {
        match *self {
            Objective::Embedding { weight }
            | Objective::Hidden { weight, .. }
            | Objective::Attention { weight, .. }
            | Objective::Relation { weight, .. }
            | Objective::Cosine { weight }
            | Objective::Soft { weight, .. }
            | Objective::Gold { weight }
            | Objective::Contrast { weight } => weight,
        }
    }

    /// True if the term looks at a teacher.
    pub fn needs_teacher(&self) -> bool {
        !self.needs_labels()
    }

    /// True if the term looks at the labels of the data.
    pub fn needs_labels(&self) -> bool {
        matches!(self, Objective::Gold { .. } | Objective::Contrast { .. })
    }

    /// True if the term looks inside the layers, not only at the output.
    pub fn needs_layers(&self) -> bool {
        !self.needs_labels() && !matches!(self, Objective::Soft { .. })
    }

    /// True if the term compares states through a projection.
    pub fn projects(&self) -> bool {
        matches!(self, Objective::Embedding { .. } | Objective::Hidden { .. })
    }

    /// Notes which parts of a teacher the term looks at, for a student of so many layers.
    pub(crate) fn look(&self, student: usize, parts: &mut Parts) {
        let teacher = parts.layers.len();
        let mapped = |map: &LayerMap| map.pairs(student, teacher).expect("the plan checked the map");
        match self {
            Objective::Embedding { .. } => parts.embeddings = true,
            Objective::Hidden { map, .. } => {
                mapped(map).into_iter().for_each(|[_, t]| parts.layers[t - 1].hidden = true)
            }
            Objective::Attention { map, .. } => {
                mapped(map).into_iter().for_each(|[_, t]| parts.layers[t - 1].scores = true);
            }
            Objective::Relation { layer, .. } => {
                let layer = layer.unwrap_or(teacher);
                parts.layers[layer - 1].qkv = true;
            }
            // The last layer's output is always there, and so are the logits.
            Objective::Cosine { .. } | Objective::Soft { .. } | Objective::Gold { .. } | Objective::Contrast { .. } => {
            }
        }
    }

    /// True if the term trains the prediction of labels, so that a metric can choose a checkpoint.
    pub fn predicts(&self) -> bool {
        matches!(self, Objective::Gold { .. } | Objective::Soft { .. })
    }
}

/// The labels of a batch on the device.
#[derive(Debug, Clone)]
pub enum Gold {
    /// Class numbers `[B]`.
    Classes(Tensor<1, Int>),
    /// Class numbers `[B]`, and how much each row counts `[B]`.
    WeightedClasses(Tensor<1, Int>, Box<Tensor<1>>),
    /// Whether each label is there, 1 or 0, `[B, K]`.
    LabelSets(Tensor<2>),
    /// Scores `[B, 1]`.
    Scores(Tensor<2>),
}

/// What objectives compare in one step.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// Trace of the student.
    pub student: &'a Trace,
    /// Trace of the teacher on the same tokens.
    pub teacher: Option<&'a Trace>,
    /// Labels, where the data have them.
    pub gold: Option<&'a Gold>,
    /// Projections of student states: one for all levels, or one for each, embeddings first; none
    /// where widths are equal.
    pub projections: &'a [Projection],
    /// How the tokens lie.
    pub geometry: &'a Geometry,
    /// Which arithmetic.
    pub semantics: Semantics,
    /// Whether logits are of labels that do not exclude one another.
    pub multi_label: bool,
}

impl Comparison<'_> {
    /// Value of a term before its weight, `[1]`.
    ///
    /// # Panics
    /// If the term needs something that is not there or does not fit; plans refuse that before any
    /// compute.
    pub fn term(&self, objective: &Objective) -> Tensor<1> {
        let student = self.student;
        match objective {
            Objective::Embedding { .. } => hidden(student.hidden(0), self.teacher().hidden(0), self.projection(0)),
            Objective::Hidden { map, .. } => {
                self.over_layers(map, |s, t| hidden(student.hidden(s), self.teacher().hidden(t), self.projection(s)))
            }
            Objective::Attention { map, .. } => self.over_layers(map, |s, t| {
                let [student, teacher] =
                    [(student, s), (self.teacher(), t)].map(|(trace, l)| &trace.layers[l - 1].scores);
                attention(student, teacher, self.geometry, self.semantics)
            }),
            Objective::Relation { heads, layer, .. } => {
                let teacher = self.teacher();
                let layer = layer.unwrap_or(teacher.layers.len());
                let [student, teacher] = [student.layers.last(), teacher.layers.get(layer - 1)]
                    .map(|layer| &layer.expect("an encoder has layers").qkv);
                let part = |part| relation(&third(student, part), &third(teacher, part), *heads, self.geometry);
                part(0) + part(1) + part(2)
            }
            Objective::Cosine { .. } => cosine_tokens(student.last(), self.teacher().last()),
            Objective::Soft { temperature, .. } => {
                let [student, teacher] = [student, self.teacher()].map(logits);
                match (self.gold, self.semantics) {
                    _ if self.multi_label => soft_binary_cross_entropy(student, teacher, *temperature),
                    // A score has no classes to soften. The published code trains it on gold.
                    (Some(Gold::Scores(gold)), Semantics::Reference) => regression(student, gold.clone()),
                    _ if student.dims()[1] == 1 => regression(student, teacher),
                    _ => soft_cross_entropy(student, teacher, *temperature, self.semantics),
                }
            }
            Objective::Gold { .. } => match self.gold.expect("a gold objective has labels") {
                Gold::Classes(classes) => cross_entropy(logits(student), classes.clone()),
                Gold::WeightedClasses(classes, weights) => {
                    weighted_cross_entropy(logits(student), classes.clone(), weights.as_ref().clone())
                }
                Gold::LabelSets(labels) => binary_cross_entropy(logits(student), labels.clone()),
                Gold::Scores(scores) => regression(logits(student), scores.clone()),
            },
            Objective::Contrast { .. } => {
                let sentences = student.sentences.clone().expect("the plan checked that there is a classifier");
                match self.gold {
                    Some(Gold::Classes(classes) | Gold::WeightedClasses(classes, _)) => {
                        contrast(sentences, classes.clone())
                    }
                    _ => panic!("the plan checked that rows have classes"),
                }
            }
        }
    }

    fn over_layers(&self, map: &LayerMap, term: impl Fn(usize, usize) -> Tensor<1>) -> Tensor<1> {
        let pairs =
            map.pairs(self.student.layers.len(), self.teacher().layers.len()).expect("the plan checked the map");
        let terms = pairs.into_iter().map(|[s, t]| term(s, t));
        terms.reduce(|a, b| a + b).expect("a map has pairs")
    }

    fn teacher(&self) -> &Trace {
        self.teacher.expect("a teacher objective has a teacher")
    }

    fn projection(&self, level: usize) -> Option<&Projection> {
        match self.projections {
            [] => None,
            [shared] => Some(shared),
            levels => Some(&levels[level]),
        }
    }
}

fn logits(trace: &Trace) -> Tensor<2> {
    trace.logits.clone().expect("a predicting objective has logits")
}

fn one() -> f64 {
    1.0
}
