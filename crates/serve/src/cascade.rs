//! A student that answers first, and its teacher where the student is not sure.
//!
//! Which confidence is sure enough is agreed beforehand (`attar contract`). Whether that still holds for what is asked
//! now is watched: of the answers that the student gives alone, one in so many is put to its teacher too, beside the request,
//! and what both say is counted.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use attar_model::Target;

use crate::bundle::Bundle;
use crate::error::ServeError;

/// Drift is tested every this many audits.
const AUDITS_PER_TEST: u64 = 100;
/// The latest audits that drift is tested over, so that a change shows however long the server has run.
const WINDOW: usize = 2000;

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
    pub read_terms: Option<ReadTerms>,
}

/// What a contract says of where a student may answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// The student answers where its confidence ([`attar_runtime::confidence`]) is at least this.
    pub threshold: f64,
    /// Share of its answers that the contract promises to be the teacher's.
    pub min_agreement: f64,
}

/// Reads the contract of two models again, and says what is wrong where it is not about the models that lie on the disk now.
#[derive(Clone)]
pub struct ReadTerms(pub Arc<dyn Fn() -> Result<Terms, String> + Send + Sync>);

impl fmt::Debug for ReadTerms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReadTerms")
    }
}

impl Cascade {
    /// The same with the terms of its contract as it is now.
    pub(crate) fn with_current_terms(&self) -> Result<Cascade, ServeError> {
        let Some(read) = &self.read_terms else {
            return Err(self.refused("the terms of its contract are fixed: start the server again".into()));
        };
        Ok(Cascade { terms: (read.0)().map_err(|problem| self.refused(problem))?, ..self.clone() })
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
    pub(crate) teacher_index: Vec<usize>,
    audits: Audits,
}

/// The student's own answers, and those of them that were put to its teacher.
#[derive(Debug)]
pub(crate) struct Audits {
    share: f64,
    min_agreement: f64,
    /// Answers of the student alone so far.
    student_answers: AtomicU64,
    recent: Mutex<RecentAudits>,
}

/// The latest [`WINDOW`] audits.
#[derive(Debug, Default)]
struct RecentAudits {
    /// Whether both said the same, the oldest first.
    agrees: VecDeque<bool>,
    agreed: u64,
    /// All audits so far.
    total: u64,
}

/// Counts over the latest audits, [`WINDOW`] at most.
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
    pub(crate) fn record_audit(&self, agrees: bool) -> Option<AuditCounts> {
        self.audits.record(agrees)
    }
}

impl Audits {
    fn new(share: f64, min_agreement: f64) -> Audits {
        Audits { share, min_agreement, student_answers: AtomicU64::new(0), recent: Mutex::default() }
    }

    /// Whether one more answer of the student is to be audited: evenly, so that the share is kept in any stretch.
    fn is_next(&self) -> bool {
        let before = self.student_answers.fetch_add(1, Ordering::Relaxed) as f64;
        (before * self.share).floor() < ((before + 1.0) * self.share).floor()
    }

    /// Counts an audit. A drift is told where so few of the latest ones agree that with the agreed share it would happen once in
    /// a million tests.
    fn record(&self, agrees: bool) -> Option<AuditCounts> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.agrees.len() == WINDOW {
            let oldest = recent.agrees.pop_front();
            recent.agreed -= u64::from(oldest == Some(true));
        }
        recent.agrees.push_back(agrees);
        recent.agreed += u64::from(agrees);
        recent.total += 1;
        let counts = AuditCounts { audits: recent.agrees.len() as u64, agreed: recent.agreed };
        let is_tested = recent.total.is_multiple_of(AUDITS_PER_TEST);
        (is_tested && has_drifted(counts, self.min_agreement)).then_some(counts)
    }
}

/// By Hoeffding's inequality in its sharp form: the probability of a share of at most `agreed / audits` is at most
/// `exp(-audits · KL(agreed / audits, min_agreement))` where the true share is `min_agreement`.
fn has_drifted(AuditCounts { audits, agreed }: AuditCounts, min_agreement: f64) -> bool {
    const RARE: f64 = 1e-6;
    let share = agreed as f64 / audits as f64;
    if share >= min_agreement {
        return false;
    }
    let part = |p: f64, q: f64| if p == 0.0 { 0.0 } else { p * (p / q).ln() };
    let divergence = part(share, min_agreement) + part(1.0 - share, 1.0 - min_agreement);
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
    let teacher_index = teacher_index(student, &teacher).map_err(|problem| cascade.refused(problem))?;
    let audits = Audits::new(cascade.audit_share, cascade.terms.min_agreement);
    let active = ActiveCascade { config: cascade, teacher, teacher_index, audits };
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
fn teacher_index(student: &Bundle, teacher: &Bundle) -> Result<Vec<usize>, String> {
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

    fn audits(share: f64) -> Audits {
        Audits::new(share, 0.99)
    }

    #[test]
    fn a_share_of_answers_is_audited() {
        for (share, expected) in [(0.0, 0), (0.01, 10), (0.25, 250), (1.0, 1000)] {
            let audits = audits(share);
            assert_eq!((0..1000).filter(|_| audits.is_next()).count(), expected, "{share}");
        }
    }

    #[test]
    fn drift_is_told_when_chance_cannot_explain_it() {
        // 99 of 100 is as agreed.
        let steady = audits(1.0);
        assert!((0..10_000).all(|audit| steady.record(audit % 100 != 0).is_none()));
        // A change shows soon however long it went well.
        let later = (0..1000).position(|audit| steady.record(audit % 5 != 0).is_some());
        assert!(later.is_some_and(|audits| audits < 300), "{later:?}");
        // 90 of 100 is not.
        let drifting = audits(1.0);
        let told: Vec<AuditCounts> = (0..300).filter_map(|audit| drifting.record(audit % 10 != 0)).collect();
        assert_eq!(told[0], AuditCounts { audits: 100, agreed: 90 });
        assert_eq!(told.len(), 3);
        assert!(!has_drifted(AuditCounts { audits: 100, agreed: 98 }, 0.99), "two in a hundred happen");
        assert!(has_drifted(AuditCounts { audits: 100, agreed: 0 }, 0.99));
    }

    #[test]
    fn drift_is_tested_over_the_latest_audits_alone() {
        let audits = audits(1.0);
        (0..5000).for_each(|_| _ = audits.record(false));
        let told: Vec<AuditCounts> = (0..WINDOW).filter_map(|_| audits.record(true)).collect();
        // All but the last 100 of 2,000 agree, and after those all do.
        assert_eq!(told.last(), Some(&AuditCounts { audits: 2000, agreed: 1900 }));
        assert!((0..5000).all(|_| audits.record(true).is_none()));
    }

    #[test]
    fn answers_are_compared_and_not_logits() {
        let classes = Target::Labels(vec!["a".into(), "b".into()]);
        assert!(same_answer(&classes, &[1.0, 2.0], &[-3.0, 0.0]) && !same_answer(&classes, &[1.0, 2.0], &[1.0, 0.0]));
        let several = Target::MultiLabel(vec!["a".into(), "b".into()]);
        assert!(same_answer(&several, &[1.0, -2.0], &[3.0, -0.1]) && !same_answer(&several, &[1.0, 2.0], &[1.0, -2.0]));
    }
}
