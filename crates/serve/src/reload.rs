//! Reading everything again while it is served: the bundles, the contracts between them, and the certificate.
//!
//! The models of a cascade are taken together or not at all, because their contract is about both.

use std::sync::{Arc, PoisonError};

use attar_runtime::Session;

use crate::bundle::{Bundle, NamedBundle};
use crate::cascade::{self, Cascade};
use crate::error::ServeError;
use crate::event::Event;
use crate::server::Server;

/// What became of one part of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReloadOutcome {
    pub(crate) part: ReloadedPart,
    /// Why it stays as it was.
    pub(crate) error: Option<String>,
}

/// What is read again by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReloadedPart {
    Bundle(String),
    Certificate,
}

impl Server {
    /// Reads everything again, one part after the other; each part that cannot be read keeps its former state. What was
    /// accepted before is answered by the weights that it was accepted for.
    pub(crate) async fn reload_all(self: &Arc<Self>) -> Vec<ReloadOutcome> {
        let _guard = self.reload.lock().await;
        let mut outcomes = Vec::new();
        for group in groups(&self.named, &self.cascades) {
            let named: Vec<NamedBundle> = group.iter().map(|&index| self.named[index].clone()).collect();
            let names: Vec<String> = named.iter().map(|bundle| bundle.name.clone()).collect();
            let cascades: Vec<Cascade> =
                self.cascades.iter().filter(|cascade| names.contains(&cascade.student)).cloned().collect();
            let error = match tokio::task::spawn_blocking(move || load(&named, &cascades)).await {
                Ok(Ok(fresh)) => {
                    self.replace(&group, fresh);
                    None
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("loading it failed".to_owned()),
            };
            for bundle in names {
                self.metrics.record_reload(&bundle, error.is_none());
                (self.on_event)(&match &error {
                    None => Event::Reloaded { bundle: bundle.clone() },
                    Some(error) => Event::ReloadRefused { bundle: bundle.clone(), error: error.clone() },
                });
                outcomes.push(ReloadOutcome { part: ReloadedPart::Bundle(bundle), error: error.clone() });
            }
        }
        outcomes.extend(self.reload_certificate());
        outcomes
    }

    fn replace(&self, group: &[usize], fresh: Vec<(Arc<Bundle>, Session)>) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        for (&index, (bundle, session)) in group.iter().zip(fresh) {
            self.engine.install(&bundle, session);
            loaded[index] = bundle;
        }
    }

    fn reload_certificate(&self) -> Option<ReloadOutcome> {
        let error = self.certificate.as_ref()?.reload().err().map(|error| error.to_string());
        self.metrics.record_certificate_reload(error.is_none());
        (self.on_event)(&match &error {
            None => Event::CertificateReloaded,
            Some(error) => Event::CertificateRefused { error: error.clone() },
        });
        Some(ReloadOutcome { part: ReloadedPart::Certificate, error })
    }
}

/// Places of bundles that are read again together: those that cascades connect.
fn groups(named: &[NamedBundle], cascades: &[Cascade]) -> Vec<Vec<usize>> {
    let mut group_of: Vec<usize> = (0..named.len()).collect();
    let place = |name: &str| named.iter().position(|bundle| bundle.name == name);
    for (student, teacher) in cascades.iter().filter_map(|c| Some((place(&c.student)?, place(&c.teacher)?))) {
        let (kept, joined) = (group_of[student].min(group_of[teacher]), group_of[student].max(group_of[teacher]));
        group_of.iter_mut().filter(|group| **group == joined).for_each(|group| *group = kept);
    }
    let members = |group: usize| (0..named.len()).filter(|&index| group_of[index] == group).collect::<Vec<_>>();
    (0..named.len()).map(members).filter(|members| !members.is_empty()).collect()
}

/// Loads bundles that belong together, with the terms of their contracts as they are now.
fn load(named: &[NamedBundle], cascades: &[Cascade]) -> Result<Vec<(Arc<Bundle>, Session)>, ServeError> {
    let before = cascades.iter().map(Cascade::with_current_terms).collect::<Result<Vec<_>, _>>()?;
    let fresh = named.iter().map(Bundle::load).collect::<Result<Vec<_>, _>>()?;
    // The files may have been replaced while they were read.
    let after = cascades.iter().map(Cascade::with_current_terms).collect::<Result<Vec<_>, _>>()?;
    if let Some((changed, _)) = before.iter().zip(&after).find(|(before, after)| before.terms != after.terms) {
        return Err(changed.refused("its contract changed while it was read: reload again".into()));
    }
    let bundles: Vec<Arc<Bundle>> = fresh.iter().map(|(bundle, _)| Arc::clone(bundle)).collect();
    after.into_iter().try_for_each(|cascade| cascade::connect(cascade, &bundles))?;
    Ok(fresh)
}

#[cfg(test)]
mod tests {
    use attar_runtime::{Options, Precision};

    use super::*;
    use crate::cascade::Terms;

    #[test]
    fn bundles_that_cascades_connect_are_one_group() {
        let bundle = |name: &str| {
            let options = Options::new(Precision::F32, 1);
            NamedBundle { name: name.into(), dir: name.into(), options }
        };
        let cascade = |student: &str, teacher: &str| Cascade {
            student: student.into(),
            teacher: teacher.into(),
            terms: Terms { threshold: 0.9, min_agreement: 0.99 },
            audit_share: 0.0,
            read_terms: None,
        };
        let named: Vec<NamedBundle> = ["a", "b", "c", "d", "e"].map(bundle).to_vec();
        assert_eq!(groups(&named, &[]), [[0], [1], [2], [3], [4]]);
        let connected = groups(&named, &[cascade("d", "b"), cascade("e", "a"), cascade("b", "e")]);
        assert_eq!(connected, [&[0, 1, 3, 4][..], &[2]]);
    }
}
