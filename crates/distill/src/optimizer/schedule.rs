//! Learning-rate schedules: linear warm-up, then one of four curves.

use serde::{Deserialize, Serialize};

/// The curve after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleKind {
    /// Straight to 0 at the last step.
    Linear {},
    /// The peak rate throughout.
    Constant {},
    /// Part of a cosine: half a period falls to 0 at the last step.
    Cosine {
        /// Periods from the end of the warm-up to the last step.
        #[serde(default = "half")]
        cycles: f64,
    },
    /// `(peak - end) (1 - p)^power + end` at the share `p` of the way.
    Polynomial {
        /// Exponent of the decay.
        #[serde(default = "one")]
        power: f64,
        /// Rate at the last step.
        #[serde(default)]
        end: f64,
    },
}

/// A schedule for a known number of steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The curve after the warm-up.
    pub kind: ScheduleKind,
    /// Highest rate, at the end of the warm-up.
    pub peak: f64,
    /// Steps over which the rate rises from 0.
    pub warmup: usize,
    /// Steps in all.
    pub total: usize,
}

impl Schedule {
    /// The rate of optimizer step `step`, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        let Schedule { peak, warmup, total, .. } = *self;
        if step < warmup {
            return peak * step as f64 / warmup as f64;
        }
        let decay = total.saturating_sub(warmup).max(1) as f64;
        let share = (step - warmup) as f64 / decay;
        match self.kind {
            ScheduleKind::Linear {} => peak * total.saturating_sub(step) as f64 / decay,
            ScheduleKind::Constant {} => peak,
            ScheduleKind::Cosine { cycles } => {
                peak * (0.5 * (1.0 + (2.0 * std::f64::consts::PI * cycles * share).cos())).max(0.0)
            }
            ScheduleKind::Polynomial { power, end } => {
                if step >= total {
                    return end;
                }
                (peak - end) * (1.0 - share).powf(power) + end
            }
        }
    }
}

impl Default for ScheduleKind {
    fn default() -> Self {
        ScheduleKind::Linear {}
    }
}

fn half() -> f64 {
    0.5
}

fn one() -> f64 {
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use attar_testing::assert_close_relative;

    #[test]
    fn fixtures() {
        let dir = attar_testing::fixtures("schedules");
        let cases = attar_testing::json(&dir.join("schedules.json"));
        let mut values = 0;
        for case in cases.as_array().unwrap() {
            let number = |key: &str| case[key].as_f64();
            let kind = match case["kind"].as_str().unwrap() {
                "linear" => ScheduleKind::Linear {},
                "constant" | "constant_with_warmup" => ScheduleKind::Constant {},
                "cosine" => ScheduleKind::Cosine { cycles: number("num_cycles").unwrap() },
                "polynomial" => {
                    ScheduleKind::Polynomial { power: number("power").unwrap(), end: number("lr_end").unwrap() }
                }
                other => panic!("unknown schedule {other}"),
            };
            let count = |key: &str| case[key].as_u64().unwrap() as usize;
            let peak = number("lr").unwrap();
            let schedule = Schedule { kind, peak, warmup: count("warmup"), total: count("total") };
            for (step, expected) in case["values"].as_array().unwrap().iter().enumerate() {
                // Relative to the peak rate, in double precision: the fixtures' own bound.
                let (got, expected) = (schedule.rate(step), expected.as_f64().unwrap());
                assert_close_relative(&format!("{case} at {step}"), 1.0 + (got - expected) / peak, 1.0, 1e-12);
                values += 1;
            }
        }
        assert!(values > 100, "only {values} values were compared");
    }
}
