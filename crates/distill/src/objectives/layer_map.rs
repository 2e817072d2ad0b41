//! Which teacher layer a student layer learns from.

use serde::{Deserialize, Serialize};

use super::term::{Misfit, Setting};
use crate::engine::{RequiredLayer, RequiredOutputs};

/// A rule from student layers 1..=M to teacher layers 1..=N (TinyBERT, arXiv 1909.10351, section 3.1
/// and table 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"uniform\", \"top\", \"bottom\" or pairs such as [[1, 3], [2, 6]]")]
pub enum LayerMap {
    /// A named rule.
    Named(NamedMap),
    /// Pairs of a student layer and a teacher layer, counted from 1.
    Pairs(Vec<[usize; 2]>),
}

/// The rules that have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedMap {
    /// `g(m) = mN/M`, rounded up where M does not divide N, so that the last layers are always a pair.
    Uniform,
    /// `g(m) = m + N - M`: the last M teacher layers.
    Top,
    /// `g(m) = m`: the first M teacher layers.
    Bottom,
}

impl Default for LayerMap {
    fn default() -> Self {
        LayerMap::Named(NamedMap::Uniform)
    }
}

impl LayerMap {
    /// Pairs of student layer and teacher layer, counted from 1, for depths M and N.
    ///
    /// # Errors
    /// If a pair names a layer that is not there, or a rule needs a deeper teacher; the text says which.
    pub fn pairs(&self, student: usize, teacher: usize) -> Result<Vec<[usize; 2]>, String> {
        let named = match self {
            LayerMap::Pairs(pairs) => {
                if pairs.is_empty() {
                    return Err("a layer map needs at least one pair".into());
                }
                for &[s, t] in pairs {
                    if !(1..=student).contains(&s) || !(1..=teacher).contains(&t) {
                        return Err(format!(
                            "layer pair [{s}, {t}] is outside the student's layers 1 to {student} and the teacher's 1 to {teacher}"
                        ));
                    }
                }
                return Ok(pairs.clone());
            }
            LayerMap::Named(named) => *named,
        };
        if student > teacher {
            return Err(format!(
                "a student of {student} layers has more than its teacher's {teacher}: name the pairs, such as [[1, 1]]"
            ));
        }
        let target = |m: usize| match named {
            NamedMap::Uniform => (m * teacher).div_ceil(student),
            NamedMap::Top => m + teacher - student,
            NamedMap::Bottom => m,
        };
        Ok((1..=student).map(|m| [m, target(m)]).collect())
    }

    /// Checks that the map fits the depths of both models.
    pub(super) fn check(&self, setting: &Setting<'_>) -> Result<(), Misfit> {
        match self.pairs(setting.student.layers, setting.teacher().layers) {
            Ok(_) => Ok(()),
            Err(got) => Err(Misfit::new("a layer map that fits", got, "correct `map`")),
        }
    }

    /// Marks something of every teacher layer of the map.
    pub(super) fn mark_teacher_layers(
        &self,
        student: usize,
        required: &mut RequiredOutputs,
        mark: impl Fn(&mut RequiredLayer),
    ) {
        for [_, teacher] in self.pairs(student, required.layers.len()).expect("the plan checked the map") {
            mark(&mut required.layers[teacher - 1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let map = |named, m, n| LayerMap::Named(named).pairs(m, n).unwrap();
        assert_eq!(map(NamedMap::Uniform, 4, 12), [[1, 3], [2, 6], [3, 9], [4, 12]]);
        assert_eq!(map(NamedMap::Uniform, 4, 6), [[1, 2], [2, 3], [3, 5], [4, 6]]);
        assert_eq!(map(NamedMap::Top, 4, 12), [[1, 9], [2, 10], [3, 11], [4, 12]]);
        assert_eq!(map(NamedMap::Bottom, 2, 12), [[1, 1], [2, 2]]);
        assert_eq!(LayerMap::Pairs(vec![[1, 12]]).pairs(4, 12).unwrap(), [[1, 12]]);
    }

    #[test]
    fn refusals() {
        assert!(LayerMap::default().pairs(12, 6).unwrap_err().contains("name the pairs"));
        assert!(LayerMap::Pairs(vec![[0, 1]]).pairs(4, 12).unwrap_err().contains("[0, 1]"));
        assert!(LayerMap::Pairs(vec![[4, 13]]).pairs(4, 12).unwrap_err().contains("[4, 13]"));
        assert!(LayerMap::Pairs(vec![]).pairs(4, 12).is_err());
    }
}
