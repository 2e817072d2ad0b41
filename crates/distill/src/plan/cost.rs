//! What a plan will cost, before it runs.

use attar_model::{EncoderConfig, Head, Size, flops};
use serde::Serialize;

use super::{Plan, PlannedStage};
use crate::card_parts::FLOPS_TOKENS;
use crate::objectives::Objective;

/// Arithmetic of a whole plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// Parameters of the student.
    pub student_parameters: usize,
    /// Parameters of the teacher.
    pub teacher_parameters: Option<usize>,
    /// FLOPs of the student's encoder for a text of 128 tokens.
    pub student_flops: f64,
    /// FLOPs of the teacher's encoder for a text of 128 tokens.
    pub teacher_flops: Option<f64>,
    /// Each stage.
    pub stages: Vec<StageCost>,
}

/// Arithmetic of one stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageCost {
    /// Its name.
    pub name: String,
    /// Updates.
    pub steps: usize,
    /// Rows learned from, repetitions counted.
    pub rows: u64,
    /// Real tokens learned from, repetitions counted.
    pub tokens: u64,
    /// FLOPs of the teacher's forward passes.
    pub teacher_flops: f64,
    /// FLOPs of the student's forward and backward passes; a backward pass costs two forward ones.
    pub student_flops: f64,
}

impl Cost {
    /// Counts a plan.
    pub fn of(plan: &Plan) -> Cost {
        let student = &plan.student.config;
        let teacher = plan.teacher.as_ref().map(|teacher| &teacher.bundle.config);
        let encoder = |config: &EncoderConfig| flops(config, FLOPS_TOKENS).encoder();
        Cost {
            student_parameters: Size::of(student).parameters(),
            teacher_parameters: teacher.map(|teacher| Size::of(teacher).parameters()),
            student_flops: encoder(student),
            teacher_flops: teacher.map(encoder),
            stages: (plan.stages.iter().enumerate())
                .map(|(index, stage)| StageCost::of(stage, &plan.stage_config(index), teacher))
                .collect(),
        }
    }

    /// FLOPs of all stages.
    pub fn flops(&self) -> f64 {
        self.stages.iter().map(|stage| stage.teacher_flops + stage.student_flops).sum()
    }
}

impl StageCost {
    fn of(stage: &PlannedStage, student: &EncoderConfig, teacher: Option<&EncoderConfig>) -> StageCost {
        let (rows, tokens) = stage.volume();
        let taught = stage.spec.objectives.iter().any(Objective::needs_trace);
        let forward = |config: &EncoderConfig| stage.forward_flops(config);
        StageCost {
            name: stage.spec.name.clone(),
            steps: stage.steps,
            rows,
            tokens,
            teacher_flops: teacher.filter(|_| taught).map_or(0.0, |teacher| {
                let head = if teacher.head.has_masked_lm() { Head::None } else { teacher.head.clone() };
                forward(&EncoderConfig { head, ..teacher.clone() })
            }),
            student_flops: 3.0 * forward(student),
        }
    }
}
