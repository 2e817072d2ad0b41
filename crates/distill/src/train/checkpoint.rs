//! Checkpoints: a directory each, complete or absent.
//!
//! A checkpoint holds the parameters, the optimizer's moments and where the run stands. Everything
//! else follows from the recipe and its seed, so that a run killed at any moment resumes to
//! the same bytes. Each is sealed ([`sealed`]): it is taken whole, for its own run, or refused.

use std::path::PathBuf;

use attar_model::Weights;
use attar_model::atomic::remove_leftovers;
use serde::{Deserialize, Deserializer, Serialize};

use super::sealed;
use crate::Error;

/// How the name of a checkpoint's folder begins.
const STAGE: &str = "stage-";
/// The folder of a stage's best weights.
const BEST: &str = "best";

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainingState {
    /// Stage, counted from 0; the number of stages once all are done.
    pub stage: usize,
    /// Updates done in that stage.
    pub step: usize,
    /// The best score of that stage so far.
    pub best: Option<Best>,
}

/// The weights that a stage keeps as its best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Highest value so far of the metric that decides, negated where less is better; minus infinity while it is
    /// undefined.
    #[serde(deserialize_with = "lowest_if_null")]
    pub highest_score: f64,
    /// Updates that the weights that are kept have had.
    pub kept_step: usize,
}

impl Best {
    /// The best weights once those after `step` updates have this score, and whether they are those.
    ///
    /// Of weights whose scores are within the standard error of the highest, the last ones are the best: they have
    /// learned from more rows, and few dev rows cannot tell them apart.
    pub fn after(best: Option<Best>, score: f64, standard_error: f64, step: usize) -> (Best, bool) {
        match best {
            Some(best) if score < best.highest_score - standard_error => (best, false),
            best => {
                let highest_score = best.map_or(score, |best| best.highest_score.max(score));
                (Best { highest_score, kept_step: step }, true)
            }
        }
    }
}

/// A checkpoint: parameters, moments and where the run stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Where the run stands.
    pub state: TrainingState,
    /// The parameters by name.
    pub parameters: Weights,
    /// The optimizer's moments by name; none at the beginning of a stage.
    pub moments: Option<Weights>,
}

impl Checkpoint {
    /// Why a run with so many updates in each stage cannot stand here, if it cannot.
    fn misfit(&self, steps: &[usize]) -> Option<String> {
        let TrainingState { stage, step, .. } = self.state;
        let place = format!("update {step} of stage {stage}, counted from 0");
        match (steps.get(stage), step > 0, self.moments.is_some()) {
            (None, is_within, _) if stage > steps.len() || is_within => {
                Some(format!("{place}, lies past the end of the run, which has {} stages", steps.len()))
            }
            (Some(&steps), true, _) if step >= steps => {
                Some(format!("{place}, lies past the end of the stage, which has {steps} updates"))
            }
            (_, true, false) => Some(format!("{place}, needs the optimizer's moments, and there are none")),
            (_, false, true) => Some(format!("{place}, has no moments yet, and there are some")),
            _ => None,
        }
    }
}

/// The folder of the checkpoints of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoints {
    folder: PathBuf,
    run: String,
}

impl Checkpoints {
    /// The checkpoints in a folder, which need not exist yet. What the run with this id has written is taken, and
    /// nothing else.
    pub fn new(folder: PathBuf, run: String) -> Checkpoints {
        Checkpoints { folder, run }
    }

    /// Writes a checkpoint, then removes all but the newest `keep`.
    ///
    /// # Errors
    /// If the disk is full or not writable; earlier checkpoints are then untouched.
    pub fn write(&self, checkpoint: &Checkpoint, keep: usize) -> Result<PathBuf, Error> {
        let path = self.folder.join(name(&checkpoint.state));
        sealed::write(&path, &self.run, checkpoint)?;
        for old in self.all()?.into_iter().rev().skip(keep) {
            std::fs::remove_dir_all(&old).map_err(|source| Error::Io { path: old, source })?;
        }
        Ok(path)
    }

    /// The newest checkpoint of a run with so many updates in each stage.
    ///
    /// # Errors
    /// If it is damaged, is not of this run or does not fit its stages; the text names it and what to remove to go back
    /// to the one before.
    pub fn latest(&self, steps: &[usize]) -> Result<Option<Checkpoint>, Error> {
        let Some(folder) = self.all()?.pop() else { return Ok(None) };
        let refused = |problem: String| Error::RunFile {
            path: folder.clone(),
            problem,
            way_out: "remove this folder to go back to the checkpoint before".into(),
        };
        let checkpoint = sealed::read(&folder, &self.run).map_err(refused)?;
        match checkpoint.misfit(steps) {
            Some(problem) => Err(refused(problem)),
            None => Ok(Some(checkpoint)),
        }
    }

    /// Writes the parameters that a stage keeps as its best ([`Best`]) after so many updates.
    ///
    /// # Errors
    /// If the disk is full or not writable; what was there stays.
    pub fn write_best(&self, stage: usize, step: usize, parameters: Weights) -> Result<(), Error> {
        let state = TrainingState { stage, step, best: None };
        sealed::write(&self.folder.join(BEST), &self.run, &Checkpoint { state, parameters, moments: None })
    }

    /// Reads what [`Checkpoints::write_best`] wrote for this stage after so many updates.
    ///
    /// # Errors
    /// If it is missing, damaged or of another run or moment.
    pub fn best(&self, stage: usize, step: usize) -> Result<Weights, Error> {
        let path = self.folder.join(BEST);
        let found = sealed::read(&path, &self.run).and_then(|Checkpoint { state, parameters, .. }| {
            if (state.stage, state.step) == (stage, step) {
                return Ok(parameters);
            }
            let TrainingState { stage: its_stage, step: its_step, .. } = state;
            Err(format!("of update {its_step} of stage {its_stage}, expected update {step} of stage {stage}"))
        });
        found.map_err(|problem| Error::RunFile {
            path,
            problem: format!("the best weights: {problem}"),
            way_out: "remove the run's folder and start it anew; no other file holds these weights".into(),
        })
    }

    /// Removes what killed writes have left.
    pub(crate) fn remove_leftovers(&self) -> Result<(), Error> {
        Ok(remove_leftovers(&self.folder, |name| name == BEST || name.starts_with(STAGE))?)
    }

    /// Folders of all checkpoints, the oldest first.
    fn all(&self) -> Result<Vec<PathBuf>, Error> {
        let failed = |source| Error::Io { path: self.folder.clone(), source };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed(e)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            // Temporary names begin with a dot; names of checkpoints sort by stage and step.
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(STAGE)) {
                all.push(path);
            }
        }
        all.sort();
        Ok(all)
    }
}

fn name(state: &TrainingState) -> String {
    format!("{STAGE}{:03}-step-{:09}", state.stage, state.step)
}

/// An undefined score is the lowest there is, and JSON has no infinity.
fn lowest_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NEG_INFINITY))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use attar_model::Tensor;

    use super::*;

    fn weights(value: f32) -> Weights {
        let mut weights = Weights::new();
        weights.insert("a", Tensor { shape: vec![2], data: vec![value, 1.0] });
        weights
    }

    fn checkpoint(stage: usize, step: usize) -> Checkpoint {
        let best = Some(Best { highest_score: f64::NEG_INFINITY, kept_step: 1 }).filter(|_| step > 0);
        let moments = (step > 0).then(|| weights(0.5));
        Checkpoint { state: TrainingState { stage, step, best }, parameters: weights(2.0), moments }
    }

    fn of(folder: &Path, run: &str) -> Checkpoints {
        Checkpoints::new(folder.join("checkpoints"), run.into())
    }

    /// The folder and the text of the error in which the newest checkpoint ends.
    fn refusal(checkpoints: &Checkpoints) -> (PathBuf, String) {
        let error = checkpoints.latest(&[10, 10]).unwrap_err();
        let text = error.to_string();
        let Error::RunFile { path, .. } = error else { panic!("{text}") };
        assert!(text.ends_with("remove this folder to go back to the checkpoint before"), "{text}");
        (path, text)
    }

    #[test]
    fn a_checkpoint_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = of(folder.path(), "one");
        for (stage, step) in [(0, 0), (0, 3), (1, 0), (1, 9), (2, 0)] {
            checkpoints.write(&checkpoint(stage, step), 2).unwrap();
            assert_eq!(checkpoints.latest(&[10, 10]).unwrap(), Some(checkpoint(stage, step)));
        }
        assert_eq!(std::fs::read_dir(folder.path().join("checkpoints")).unwrap().count(), 2);
    }

    /// What is done to a folder, by name.
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path));

    #[test]
    fn a_checkpoint_that_is_not_whole_is_refused() {
        let moments = "moments.safetensors";
        let damage: [Damage<'_>; 6] = [
            ("no moments", &|folder| std::fs::remove_file(folder.join(moments)).unwrap()),
            ("no state", &|folder| std::fs::remove_file(folder.join("state.json")).unwrap()),
            ("half a state", &|folder| std::fs::write(folder.join("state.json"), "{\"sta").unwrap()),
            ("another part", &|folder| {
                std::fs::copy(folder.join("parameters.safetensors"), folder.join(moments)).map(|_| ()).unwrap();
            }),
            ("another step", &|folder| {
                let state = std::fs::read_to_string(folder.join("state.json")).unwrap();
                std::fs::write(folder.join("state.json"), state.replace("\"step\": 3", "\"step\": 4")).unwrap();
            }),
            ("the moments disowned", &|folder| {
                let state = std::fs::read_to_string(folder.join("state.json")).unwrap();
                let changed = state.replace("\"moments\": true", "\"moments\": false");
                assert_ne!(state, changed);
                std::fs::write(folder.join("state.json"), changed).unwrap();
            }),
        ];
        for (what, damage) in damage {
            let folder = tempfile::tempdir().unwrap();
            let checkpoints = of(folder.path(), "one");
            checkpoints.write(&checkpoint(0, 0), 2).unwrap();
            let newest = checkpoints.write(&checkpoint(0, 3), 2).unwrap();
            damage(&newest);
            let (path, text) = refusal(&checkpoints);
            assert_eq!(path, newest, "{what}: {text}");
            // The way out leads on.
            std::fs::remove_dir_all(&path).unwrap();
            assert_eq!(checkpoints.latest(&[10, 10]).unwrap(), Some(checkpoint(0, 0)), "{what}");
        }
    }

    #[test]
    fn a_checkpoint_of_another_run_or_past_the_end_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        of(folder.path(), "one").write(&checkpoint(0, 3), 2).unwrap();
        let (_, text) = refusal(&of(folder.path(), "other"));
        assert!(text.contains("of another run"), "{text}");
        for ((stage, step), expected) in
            [((0, 10), "has 10 updates"), ((2, 1), "has 2 stages"), ((3, 0), "has 2 stages")]
        {
            let folder = tempfile::tempdir().unwrap();
            let checkpoints = of(folder.path(), "one");
            checkpoints.write(&checkpoint(stage, step), 2).unwrap();
            let (_, text) = refusal(&checkpoints);
            assert!(text.contains(expected), "{text}");
        }
        let without = Checkpoint { moments: None, ..checkpoint(1, 2) };
        let checkpoints = of(folder.path(), "one");
        checkpoints.write(&without, 2).unwrap();
        assert!(refusal(&checkpoints).1.contains("needs the optimizer's moments"));
    }

    #[test]
    fn best_weights_are_those_that_the_state_means() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = of(folder.path(), "one");
        checkpoints.write_best(0, 5, weights(7.0)).unwrap();
        assert_eq!(checkpoints.best(0, 5).unwrap(), weights(7.0));
        let other_step = checkpoints.best(0, 6).unwrap_err().to_string();
        assert!(other_step.contains("update 5 of stage 0, expected update 6"), "{other_step}");
        assert!(of(folder.path(), "other").best(0, 5).unwrap_err().to_string().contains("of another run"));
        std::fs::write(folder.path().join("checkpoints/best/parameters.safetensors"), "half a fi").unwrap();
        let error = checkpoints.best(0, 5).unwrap_err();
        // The checkpoints beside it are not to blame.
        let Error::RunFile { path, .. } = &error else { panic!("{error}") };
        assert_eq!(path, &folder.path().join("checkpoints/best"));
    }

    #[test]
    fn leftovers_of_killed_writes_go() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = of(folder.path(), "one");
        let newest = checkpoints.write(&checkpoint(0, 3), 2).unwrap();
        let left = newest.with_file_name(".stage-000-step-000000006.aB3dE6");
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join("parameters.safetensors"), "half").unwrap();
        std::fs::write(newest.with_file_name("notes.txt"), "of a person").unwrap();
        checkpoints.remove_leftovers().unwrap();
        assert!(!left.exists() && newest.exists() && newest.with_file_name("notes.txt").exists());
    }

    #[test]
    fn the_last_of_equally_good_weights_is_kept() {
        let (first, kept) = Best::after(None, 0.90, 0.02, 10);
        assert_eq!((first, kept), (Best { highest_score: 0.90, kept_step: 10 }, true));
        let (second, kept) = Best::after(Some(first), 0.89, 0.02, 20);
        assert_eq!((second, kept), (Best { highest_score: 0.90, kept_step: 20 }, true));
        // A slow decline is measured from the highest score, not from the last that was kept.
        let (third, kept) = Best::after(Some(second), 0.875, 0.02, 30);
        assert_eq!((third, kept), (second, false));
        assert_eq!(Best::after(Some(third), 0.95, 0.02, 40), (Best { highest_score: 0.95, kept_step: 40 }, true));
        // An undefined score is the lowest there is.
        assert_eq!(Best::after(Some(first), f64::NEG_INFINITY, 0.02, 50), (first, false));
    }
}
