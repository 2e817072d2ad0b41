//! A student that answers first, and its teacher where the student is not sure.
//!
//! Which confidence is sure enough is agreed beforehand (`attar contract`). Whether that still holds for what is asked
//! now is watched: of the answers that the student gives alone, one in so many is put to its teacher too, beside the request,
//! and what both say is counted.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use attar_model::Target;

use crate::bundle::Bundle;
use crate::error::ServeError;

/// Audits after which a drift is told at the earliest, and between two that are told.
const LEAST_AUDITS: u64 = 100;
/// Audits of which the older half is forgotten, so that a change shows however long the server has run.
const MOST_AUDITS: u64 = 2000;

/// Two bundles of a server that answer together.
#[derive(Debug, Clone)]
pub struct Cascade {
    /// The bundle that is asked.
    pub student: String,
    /// The bundle that answers where the student is not sure.
    pub teacher: String,
    /// Where the student answers, by the contract.
    pub terms: Terms,
    /// Share of its answers that are asked of the teacher too, from 0 to 1.
    pub audit_share: f64,
    /// Reads the contract again; without it the models of a cascade are not read again.
    pub renew: Option<RenewTerms>,
}

/// What a contract says of where a student may answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// The student answers where its confidence ([`attar_runtime::confidence`]) is at least this.
    pub threshold: f64,
    /// Share of its answers that the contract promises to be the teacher's.
    pub promised: f64,
}

/// Reads the contract of two models again, and says what is wrong where it is not about the models that lie on the disk now.
#[derive(Clone)]
pub struct RenewTerms(pub Arc<dyn Fn() -> Result<Terms, String> + Send + Sync>);

impl fmt::Debug for RenewTerms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RenewTerms")
    }
}

impl Cascade {
    /// The same with the terms of its contract as it is now.
    pub(crate) fn renewed(&self) -> Result<Cascade, ServeError> {
        let Some(renew) = &self.renew else {
            return Err(self.refused("the terms of its contract are fixed: start the server again".into()));
        };
        Ok(Cascade { terms: (renew.0)().map_err(|problem| self.refused(problem))?, ..self.clone() })
    }

    pub(crate) fn refused(&self, problem: String) -> ServeError {
        ServeError::Cascade { student: self.student.clone(), teacher: self.teacher.clone(), problem }
    }
}

/// A cascade while it is served.
#[derive(Debug)]
pub(crate) struct ActiveCascade {
    pub(crate) config: Cascade,
    pub(crate) teacher: Arc<Bundle>,
    /// For each label of the student its place among the teacher's.
    pub(crate) order: Vec<usize>,
    audits: Audits,
}

/// The student's own answers, and those of them that were put to its teacher.
#[derive(Debug)]
pub(crate) struct Audits {
    share: f64,
    promised: f64,
    /// Answers of the student alone so far.
    student_answers: AtomicU64,
    recent: Mutex<AuditCounts>,
}

/// Counts over at most the last 2,000 audits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AuditCounts {
    pub(crate) audits: u64,
    pub(crate) agreed: u64,
}

impl ActiveCascade {
    /// Whether one more answer of the student is to be audited.
    pub(crate) fn is_audited(&self) -> bool {
        self.audits.is_next()
    }

    /// Counts an audit; a drift where there is one.
    pub(crate) fn audited(&self, agrees: bool) -> Option<AuditCounts> {
        self.audits.count(agrees)
    }
}

impl Audits {
    fn new(share: f64, promised: f64) -> Audits {
        Audits { share, promised, student_answers: AtomicU64::new(0), recent: Mutex::default() }
    }

    /// Whether one more answer of the student is to be audited: evenly, so that the share is kept in any stretch.
    fn is_next(&self) -> bool {
        let before = self.student_answers.fetch_add(1, Ordering::Relaxed) as f64;
        (before * self.share).floor() < ((before + 1.0) * self.share).floor()
    }

    /// Counts an audit. A drift is told where so few of the recent ones agree that with the agreed share it would happen once in
    /// a million looks.
    fn count(&self, agrees: bool) -> Option<AuditCounts> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.audits += 1;
        recent.agreed += u64::from(agrees);
        let seen = *recent;
        if seen.audits >= MOST_AUDITS {
            *recent = AuditCounts { audits: seen.audits / 2, agreed: seen.agreed.div_ceil(2) };
        }
        let is_looked_at = seen.audits.is_multiple_of(LEAST_AUDITS);
        (is_looked_at && has_drifted(seen.audits, seen.agreed, self.promised)).then_some(seen)
    }
}

/// By Hoeffding's inequality in its sharp form: the probability of a share of at most `agreed / audits` is at most
/// `exp(-audits · KL(agreed / audits, agree))` where the true share is `agree`.
fn has_drifted(audits: u64, agreed: u64, agree: f64) -> bool {
    const RARE: f64 = 1e-6;
    let share = agreed as f64 / audits as f64;
    if share >= agree {
        return false;
    }
    let part = |p: f64, q: f64| if p == 0.0 { 0.0 } else { p * (p / q).ln() };
    let divergence = part(share, agree) + part(1.0 - share, 1.0 - agree);
    (-(audits as f64) * divergence).exp() < RARE
}

/// Connects two bundles that answer alike.
pub(crate) fn connect(cascade: Cascade, bundles: &[Arc<Bundle>]) -> Result<(), ServeError> {
    let find = |name: &str| {
        let known = bundles.iter().find(|bundle| bundle.name == name);
        known.ok_or_else(|| {
            cascade.refused(format!("no bundle is named `{name}`: name two that are served, as in STUDENT=TEACHER"))
        })
    };
    let (student, teacher) = (find(&cascade.student)?, Arc::clone(find(&cascade.teacher)?));
    let order = order(student, &teacher).map_err(|problem| cascade.refused(problem))?;
    let audits = Audits::new(cascade.audit_share, cascade.terms.promised);
    let active = ActiveCascade { config: cascade, teacher, order, audits };
    student
        .cascade
        .set(active)
        .map_err(|active| active.config.refused("it has another teacher already: name one".into()))
}

/// Refuses cascades that lead back to where they begin.
pub(crate) fn check(all: &[Cascade]) -> Result<(), ServeError> {
    for begin in all {
        let mut at = begin;
        for _ in all {
            if at.teacher == begin.student {
                let problem = "a bundle cannot stand in for itself: name another teacher";
                return Err(begin.refused(problem.into()));
            }
            let Some(next) = all.iter().find(|cascade| cascade.student == at.teacher) else { break };
            at = next;
        }
    }
    Ok(())
}

/// For each label of the student its place among the teacher's.
fn order(student: &Bundle, teacher: &Bundle) -> Result<Vec<usize>, String> {
    let labels = |bundle: &Bundle| match bundle.target() {
        Ok(Target::Labels(labels)) => Ok((false, labels.clone())),
        Ok(Target::MultiLabel(labels)) => Ok((true, labels.clone())),
        _ => Err(format!("`{}` has no classes: name models that classify", bundle.name)),
    };
    let ((own_kind, own), (their_kind, theirs)) = (labels(student)?, labels(teacher)?);
    if student.compares || teacher.compares || own_kind != their_kind || own.len() != theirs.len() {
        return Err("they do not answer the same question: name models with the same labels".into());
    }
    let places: HashMap<&str, usize> = theirs.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    let place = |name: &String| {
        places
            .get(name.as_str())
            .copied()
            .ok_or_else(|| format!("the teacher has no label `{name}`: name models with the same labels"))
    };
    own.iter().map(place).collect()
}

/// Whether two rows of logits mean the same answer.
pub(crate) fn same_answer(target: &Target, a: &[f32], b: &[f32]) -> bool {
    match target {
        Target::MultiLabel(_) => a.iter().zip(b).all(|(a, b)| (*a > 0.0) == (*b > 0.0)),
        _ => largest(a) == largest(b),
    }
}

/// The first of the largest.
fn largest(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(share: f64) -> Audits {
        Audits::new(share, 0.99)
    }

    #[test]
    fn a_share_of_answers_is_audited() {
        for (audit, expected) in [(0.0, 0), (0.01, 10), (0.25, 250), (1.0, 1000)] {
            let active = active(audit);
            assert_eq!((0..1000).filter(|_| active.is_next()).count(), expected, "{audit}");
        }
    }

    #[test]
    fn drift_is_told_when_chance_cannot_explain_it() {
        // 99 of 100 is as agreed.
        let steady = active(1.0);
        assert!((0..10_000).all(|audit| steady.count(audit % 100 != 0).is_none()));
        // A change shows soon however long it went well.
        let later = (0..1000).position(|audit| steady.count(audit % 5 != 0).is_some());
        assert!(later.is_some_and(|audits| audits < 300), "{later:?}");
        // 90 of 100 is not.
        let drifting = active(1.0);
        let told: Vec<AuditCounts> = (0..300).filter_map(|audit| drifting.count(audit % 10 != 0)).collect();
        assert_eq!(told[0], AuditCounts { audits: 100, agreed: 90 });
        assert_eq!(told.len(), 3);
        assert!(!has_drifted(100, 98, 0.99), "two in a hundred happen");
        assert!(has_drifted(100, 0, 0.99));
    }

    #[test]
    fn answers_are_compared_and_not_logits() {
        let classes = Target::Labels(vec!["a".into(), "b".into()]);
        assert!(same_answer(&classes, &[1.0, 2.0], &[-3.0, 0.0]) && !same_answer(&classes, &[1.0, 2.0], &[1.0, 0.0]));
        let several = Target::MultiLabel(vec!["a".into(), "b".into()]);
        assert!(same_answer(&several, &[1.0, -2.0], &[3.0, -0.1]) && !same_answer(&several, &[1.0, 2.0], &[1.0, -2.0]));
    }
}
