//! Models of the Hugging Face hub: `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`, in place of a model directory.

#[cfg(feature = "hub")]
mod cache;
#[cfg(feature = "hub")]
mod fetch;
#[cfg(feature = "hub")]
mod files;
#[cfg(feature = "hub")]
mod unchecked;

use std::path::{Path, PathBuf};

use anyhow::ensure;
use attar_distill::model_directory::HUB_PREFIX;

/// A model of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HubModel {
    /// `OWNER/NAME`, or `NAME` alone for the oldest models.
    id: String,
    /// A branch, tag or commit.
    revision: String,
}

impl HubModel {
    /// Reads `OWNER/NAME` or `OWNER/NAME@REVISION`, with `hf:` before it or not; the revision is `main` if it is not stated.
    pub(crate) fn parse(text: &str) -> anyhow::Result<HubModel> {
        let name = text.strip_prefix(HUB_PREFIX).unwrap_or(text);
        let (id, revision) = name.split_once('@').unwrap_or((name, "main"));
        // Both become parts of paths and addresses.
        let is_part = |part: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            part.starts_with(|c: char| c != '.') && part.chars().all(is_plain)
        };
        ensure!(
            id.split('/').count() <= 2 && id.split('/').all(is_part) && revision.split('/').all(is_part),
            "{text}: a model of the hub is named OWNER/NAME or OWNER/NAME@REVISION, as in google-bert/bert-base-uncased@main"
        );
        Ok(HubModel { id: id.to_owned(), revision: revision.to_owned() })
    }

    /// The model's directory in the cache, after fetching the files that are missing there.
    ///
    /// # Errors
    /// If the hub cannot be reached, has no such model or refuses it, or if a file arrives damaged.
    #[cfg(feature = "hub")]
    pub(crate) fn fetch(&self) -> anyhow::Result<PathBuf> {
        fetch::fetch(self)
    }

    /// Says how to get a program that can.
    #[cfg(not(feature = "hub"))]
    pub(crate) fn fetch(&self) -> anyhow::Result<PathBuf> {
        let HubModel { id, revision } = self;
        anyhow::bail!(
            "{HUB_PREFIX}{id}: this attar was built without access to the hub: build it with `cargo build --release --features \
             hub`, or download the model (`hf download {id} --revision {revision} --local-dir DIR`) and name its folder"
        )
    }
}

/// The directory that a path stands for, if the path is a name of the hub.
///
/// # Errors
/// As [`HubModel::parse`] and [`HubModel::fetch`].
pub(crate) fn resolve(path: &Path) -> anyhow::Result<Option<PathBuf>> {
    let name = path.to_str().filter(|path| path.starts_with(HUB_PREFIX));
    name.map(|name| HubModel::parse(name)?.fetch()).transpose()
}

/// Replaces names of the hub by directories.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn locate_all<'a>(paths: impl IntoIterator<Item = &'a mut PathBuf>) -> anyhow::Result<()> {
    for path in paths {
        if let Some(directory) = resolve(path)? {
            *path = directory;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_state_owner_model_and_revision() {
        let parsed = |name: &str| HubModel::parse(name).map(|model| (model.id, model.revision)).ok();
        let some = |id: &str, revision: &str| Some((id.to_owned(), revision.to_owned()));
        assert_eq!(parsed("bert-base-uncased"), some("bert-base-uncased", "main"));
        assert_eq!(parsed("hf:a.b/c_d@refs/pr/1"), some("a.b/c_d", "refs/pr/1"));
        for name in ["", "hf:", "a/b/c", "../b", "a/..", "a/.b", "a b/c", "a/b@", "a/b@../x", "a/b@x//y", "https://x/y"]
        {
            assert_eq!(parsed(name), None, "{name}");
        }
        assert_eq!(resolve(Path::new("models/bert")).unwrap(), None);
    }
}
