//! The cache that Python's `huggingface_hub` uses, by its layout and its environment variables.

use std::path::{Path, PathBuf};

use anyhow::Context;
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use super::HubModel;

/// The hub's address when `HF_ENDPOINT` names no other.
const ENDPOINT: &str = "https://huggingface.co";

/// What the environment says about the hub.
pub(super) struct HubEnvironment {
    pub(super) endpoint: String,
    /// Where models are kept.
    pub(super) cache: Cache,
    /// For models that are not public.
    pub(super) token: Option<String>,
}

impl HubEnvironment {
    /// `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else `~/.cache/huggingface/hub`. The token is `HF_TOKEN`, else that of `hf auth
    /// login`.
    pub(super) fn from_environment() -> anyhow::Result<HubEnvironment> {
        let home = match (path("HF_HOME"), path("XDG_CACHE_HOME")) {
            (Some(home), _) => home,
            (None, Some(caches)) => caches.join("huggingface"),
            (None, None) => {
                let user = std::env::home_dir().context("there is no home directory: set HF_HOME to a folder")?;
                user.join(".cache/huggingface")
            }
        };
        let given = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].into_iter().find_map(variable);
        let stored = || std::fs::read_to_string(path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"))).ok();
        let token = given.or_else(stored).map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| home.join("hub"));
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Ok(HubEnvironment { endpoint, cache: Cache::new(std::path::absolute(cache)?), token })
    }

    pub(super) fn repo(&self, model: &HubModel) -> CacheRepo {
        self.cache.repo(Repo::with_revision(model.id.clone(), RepoType::Model, model.revision.clone()))
    }

    /// The model's directory, if the cache has one.
    pub(super) fn directory(&self, model: &HubModel) -> Option<PathBuf> {
        let repo = self.repo(model);
        // A commit needs no reference.
        let at_commit = repo.pointer_path(&model.revision).join("config.json");
        let config = if at_commit.exists() { at_commit } else { repo.get("config.json")? };
        config.parent().map(Path::to_path_buf)
    }
}

/// The variable that forbids fetching, if one does.
pub(super) fn offline_variable() -> Option<&'static str> {
    let is_true = |value: String| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on");
    ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find(|name| variable(name).is_some_and(is_true))
}

/// Puts a stored file in its place in a snapshot: a relative link, or where there are none the file itself.
///
/// # Errors
/// If the file system refuses.
pub(super) fn link_into_snapshot(stored: &Path, snapshot: &Path, name: &str) -> std::io::Result<()> {
    let place = snapshot.join(name);
    if place.exists() {
        return Ok(());
    }
    if let Some(folder) = place.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // A link whose file has gone.
    let _ = std::fs::remove_file(&place);
    #[cfg(unix)]
    {
        // From `snapshots/COMMIT/…` to `blobs/…`.
        let up = "../".repeat(2 + name.matches('/').count());
        let file = stored.file_name().map(Path::new).unwrap_or(stored);
        std::os::unix::fs::symlink(Path::new(&up).join("blobs").join(file), place)
    }
    #[cfg(not(unix))]
    std::fs::copy(stored, place).map(|_| ())
}

/// A variable of the environment that is not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
