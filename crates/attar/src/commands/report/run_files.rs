//! What the folder of a run says.

use std::path::{Path, PathBuf};

use anyhow::Context;
use attar_distill::model_directory::{self, STUDENT};
use attar_distill::recipe::Recipe;
use attar_distill::{HeldOutLoss, Manifest, Scores};
use serde::Deserialize;

/// What the folder of a run says.
pub(super) struct RunFiles {
    /// What the run is called.
    pub(super) name: String,
    /// Its folder.
    pub(super) folder: PathBuf,
    pub(super) manifest: Manifest,
    /// The recipe with paths that lead from here, or why it cannot be read.
    pub(super) recipe: anyhow::Result<Recipe>,
    /// The recipe as it was written.
    pub(super) recipe_text: Option<String>,
    /// What the run led to, if it has ended.
    pub(super) outcome: Option<Outcome>,
}

/// What the run led to.
#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    pub(super) fingerprint: String,
    pub(super) parameters: usize,
    pub(super) scores: Option<Scores>,
    #[serde(default)]
    pub(super) held_out: Option<HeldOutLoss>,
}

impl RunFiles {
    /// The run that a path means: itself, or the student's of a quickstart. `None` if there is none.
    pub(super) fn find(path: &Path) -> anyhow::Result<Option<RunFiles>> {
        let candidates = [path.to_path_buf(), path.join(STUDENT)];
        let Some(folder) = candidates.into_iter().find(|folder| folder.join("manifest.json").is_file()) else {
            return Ok(None);
        };
        let text = |name: &str| -> anyhow::Result<Option<String>> {
            let file = folder.join(name);
            match std::fs::read_to_string(&file) {
                Ok(text) => Ok(Some(text)),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(e).with_context(|| format!("{} cannot be read", file.display())),
            }
        };
        let damaged = |name: &str| {
            format!("{} is damaged: run the same command again, or remove the run", folder.join(name).display())
        };
        let manifest = serde_json::from_str(&text("manifest.json")?.unwrap_or_default())
            .with_context(|| damaged("manifest.json"))?;
        let outcome = text("result.json")?
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .with_context(|| damaged("result.json"))?;
        Ok(Some(RunFiles {
            name: model_directory::name(path),
            recipe: Recipe::read(&folder.join("recipe.toml")).map_err(Into::into),
            recipe_text: text("recipe.toml")?,
            manifest,
            outcome,
            folder,
        }))
    }

    /// The model that the run made, where it has ended.
    pub(super) fn student(&self) -> Option<PathBuf> {
        Some(self.folder.join(STUDENT)).filter(|path| path.join("config.json").exists())
    }

    /// The same in small integers, where `attar distill` made it.
    pub(super) fn small(&self) -> Option<PathBuf> {
        Some(self.folder.join(model_directory::SMALL)).filter(|path| path.join("config.json").exists())
    }

    /// The teacher's directory, where it still is.
    pub(super) fn teacher(&self) -> Option<PathBuf> {
        let path = self.recipe.as_ref().ok()?.teacher.as_ref()?.path.as_ref()?;
        Some(model_directory::locate(path)).filter(|path| path.join("config.json").exists())
    }
}
