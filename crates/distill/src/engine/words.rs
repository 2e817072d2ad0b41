//! Traces of two models with vocabularies of their own, brought to the words that both read.
//!
//! The states of a word are the mean of those of its pieces. Attention scores and relations are computed anew from the
//! means of queries and keys: as products are linear, a word's score is the mean over all pairs of its pieces. What a bias
//! adds by the distance of two tokens is left out of it, for words have other distances.

use std::ops::Range;
use std::sync::Arc;

use attar_text::align::Alignment;
use burn::tensor::{Device, Tensor};

use super::encoder::{LayerTrace, Trace};
use super::layout::{Geometry, Layout};
use super::operations::Implementation;
use super::required::{RequiredLayer, RequiredOutputs};

/// The words of a batch on both sides.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    teacher: Arc<[Range<u32>]>,
    student: Arc<[Range<u32>]>,
    /// How the words lie: sequences of words in place of tokens.
    geometry: Geometry,
}

/// What a student is compared with: the trace of its teacher.
#[derive(Debug, Clone, Copy)]
pub struct TeacherTrace<'a> {
    /// The teacher's trace, by tokens or by words.
    pub(crate) trace: &'a Trace,
    /// The trace by tokens.
    pub(crate) tokens: &'a Trace,
    /// How the teacher's tokens lie, and the words that it shares with the student, where both have vocabularies of their
    /// own.
    pub(crate) words: Option<(&'a Geometry, &'a Words)>,
}

impl<'a> From<&'a Trace> for TeacherTrace<'a> {
    /// A teacher that reads the student's tokens.
    fn from(trace: &'a Trace) -> TeacherTrace<'a> {
        TeacherTrace { trace, tokens: trace, words: None }
    }
}

impl Words {
    /// The words of a batch, and how many of them each sequence has.
    pub(crate) fn new(alignment: Alignment, counts: &[u32], device: &Device) -> Words {
        Words {
            teacher: alignment.teacher.into(),
            student: alignment.student.into(),
            geometry: Geometry::new(Layout::ragged(counts), device),
        }
    }

    /// How the words lie.
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// A teacher's trace by words: its last layer, and what else is required of it.
    pub(crate) fn of_teacher(&self, trace: &Trace, heads: usize, required: &RequiredOutputs) -> Trace {
        self.pooled(trace, &self.teacher, heads, required)
    }

    /// A student's trace by words. It keeps what its layers left of these parts.
    pub(crate) fn of_student(&self, trace: &Trace, heads: usize, parts: RequiredLayer) -> Trace {
        let layers = vec![parts; trace.layers.len()];
        let required = RequiredOutputs { embeddings: true, layers, ..RequiredOutputs::of(super::Keep::Output, 0) };
        self.pooled(trace, &self.student, heads, &required)
    }

    fn pooled(&self, trace: &Trace, words: &Arc<[Range<u32>]>, heads: usize, required: &RequiredOutputs) -> Trace {
        let mean = |states: &Tensor<2>| Implementation::of(states).segment_mean(states.clone(), words);
        let last = trace.layers.len().saturating_sub(1);
        let layers = trace.layers.iter().enumerate().map(|(index, layer)| {
            // A pass that keeps the output alone has one layer, the last one.
            let place = index + required.layers.len().saturating_sub(trace.layers.len());
            let parts = required.layers.get(place).copied().unwrap_or_default();
            let reads_scores = parts.scores || parts.qkv;
            let qkv = if reads_scores { mean(&layer.qkv) } else { layer.qkv.clone() };
            let scores = match parts.scores {
                true => Implementation::of(&qkv).attention_scores(&qkv, heads, &self.geometry, None),
                false => layer.scores.clone(),
            };
            let hidden = if parts.hidden || index == last { mean(&layer.hidden) } else { layer.hidden.clone() };
            LayerTrace { qkv, scores, hidden }
        });
        Trace {
            embeddings: if required.embeddings { mean(&trace.embeddings) } else { trace.embeddings.clone() },
            layers: layers.collect(),
            ..trace.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_differentiated_alike_by_both_implementations() {
        let device = Device::flex().autodiff();
        let words: Arc<[Range<u32>]> = [0..1, 1..4, 5..7].into();
        let numbers: Vec<f32> = (0..14).map(|i| (i as f32).sin()).collect();
        let results = [Implementation::Fused, Implementation::Composed].map(|implementation| {
            let x = Tensor::<1>::from_floats(&numbers[..], &device).reshape([7, 2]).require_grad();
            let y = implementation.segment_mean(x.clone(), &words);
            let value = y.clone().try_into_vec_as::<f32>().unwrap();
            let gradients = y.powi_scalar(2).sum().backward();
            (value, x.grad(&gradients).unwrap().try_into_vec_as::<f32>().unwrap())
        });
        let [(ours, our_gradient), (theirs, their_gradient)] = results;
        assert!((ours[2] - (numbers[2] + numbers[4] + numbers[6]) / 3.0).abs() < 1e-6);
        for (a, b) in ours.iter().chain(&our_gradient).zip(theirs.iter().chain(&their_gradient)) {
            assert!((a - b).abs() < 1e-6, "{a} and {b}");
        }
        assert_eq!(our_gradient[8..10], [0.0, 0.0], "a piece of no word");
    }
}
