//! Fetching a model: the list of its files, then those that the cache has not.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, Metadata};
use hf_hub::{Repo, RepoType};
use sha2::{Digest, Sha256};

use super::HubModel;
use super::cache::{self, Home};
use super::files::wanted;
use crate::console;
use crate::progress::{Counting, counting};

/// How often the transfer of a file is taken up again before it fails.
const RETRIES: usize = 3;

/// See [`HubModel::fetch`].
pub(super) fn fetch(model: &HubModel) -> anyhow::Result<PathBuf> {
    let home = Home::from_environment()?;
    let cache = home.cache.path().display();
    if cache::is_offline() {
        return home.directory(model).with_context(|| {
            format!(
                "{} at {} is not in the cache {cache}, and HF_HUB_OFFLINE forbids to fetch it: unset that, or name a folder",
                model.id, model.revision
            )
        });
    }
    let api = ApiBuilder::from_cache(home.cache.clone())
        .with_endpoint(home.endpoint.clone())
        .with_token(home.token.clone())
        .with_progress(false)
        .with_retries(RETRIES)
        .build()
        .map_err(|error| explained(model, &error))?;
    let info = match api.repo(repo(model, &model.revision)).info() {
        Ok(info) => info,
        Err(error) => {
            // Python's libraries do the same.
            let Some(directory) = home.directory(model).filter(|_| status(&error).is_none()) else {
                return Err(explained(model, &error));
            };
            console::warning(format!("{}: the hub cannot be reached, so the model in the cache is used", model.id));
            return Ok(directory);
        }
    };
    let commit = info.sha;
    ensure!(
        (7..=64).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{}: expected the hub to name a commit in hexadecimal digits, got {commit:?}: check HF_ENDPOINT",
        model.id
    );
    let names: Vec<String> = info.siblings.into_iter().map(|file| file.rfilename).collect();
    let wanted = wanted(&names);
    ensure!(
        wanted.contains(&"config.json"),
        "{}: expected a config.json among the model's {} files, found none: it is not a model that attar reads",
        model.id,
        names.len()
    );
    let snapshot = home.repo(model).pointer_path(&commit);
    let missing: Vec<&str> = wanted.into_iter().filter(|name| !snapshot.join(name).exists()).collect();
    let fetching = Fetching { model, home: &home, api: &api, commit: &commit, snapshot: &snapshot };
    for (place, name) in missing.iter().enumerate() {
        let what = format!("{}: {name} ({} of {}), bytes", model.id, place + 1, missing.len());
        fetching.file(name, &what).with_context(|| format!("{}: {name}", model.id))?;
    }
    // The library notes the commit as a reference to itself; a revision that is no commit gets one of its own.
    let folder = snapshot.parent().and_then(Path::parent).unwrap_or(&snapshot);
    let _ = fs::remove_file(folder.join("refs").join(&commit));
    if model.revision != commit {
        home.repo(model).create_ref(&commit).with_context(|| format!("{cache} cannot be written"))?;
    }
    Ok(snapshot)
}

/// The fetching of one model.
struct Fetching<'a> {
    model: &'a HubModel,
    home: &'a Home,
    api: &'a Api,
    commit: &'a str,
    /// The model's directory in the cache.
    snapshot: &'a Path,
}

impl Fetching<'_> {
    /// Fetches a file unless the cache has it from another revision, checks it, and puts it into its place.
    fn file(&self, name: &str, what: &str) -> anyhow::Result<()> {
        // The branch may move on meanwhile.
        let repo = self.api.repo(repo(self.model, self.commit));
        let metadata = self.api.metadata(&repo.url(name)).map_err(|error| explained(self.model, &error))?;
        let stored = self.stored(&metadata)?;
        if !stored.exists() {
            let part = stored.with_extension("part");
            let length = |path: &Path| fs::metadata(path).map(|metadata| metadata.len()).unwrap_or(0);
            if length(&part) >= metadata.size() as u64 {
                // Nothing more can be asked for: it is complete, or no part of this file.
                fs::rename(&part, &stored)?;
            } else {
                let bar = Bar(counting(metadata.size(), what));
                let fetched = repo.download_with_progress(name, bar);
                fetched.map_err(|error| explained(self.model, &error))?;
            }
            self.check(&stored, &metadata, name)?;
        }
        cache::place(&stored, self.snapshot, name).context("the cache cannot be written")?;
        Ok(())
    }

    /// Where the cache keeps the bytes of a file.
    fn stored(&self, metadata: &Metadata) -> anyhow::Result<PathBuf> {
        let tag = metadata.etag();
        let is_plain = !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        ensure!(is_plain, "expected the ETag to be a name of letters and digits, got {tag:?}: check HF_ENDPOINT");
        let commit = metadata.commit_hash();
        ensure!(commit == self.commit, "expected commit {}, the hub sent {commit}: try again", self.commit);
        let stored = self.home.repo(self.model).blob_path(tag);
        if let Some(folder) = stored.parent() {
            fs::create_dir_all(folder).context("the cache cannot be written")?;
        }
        Ok(stored)
    }

    /// Compares a file with its hash; one that differs is removed, so that the next try begins anew.
    fn check(&self, stored: &Path, metadata: &Metadata, name: &str) -> anyhow::Result<()> {
        let length = fs::metadata(stored)?.len();
        // The tag of a large file is the SHA-256 of its bytes, that of a small one the hash of an object of git.
        let tag = metadata.etag();
        let problem = if length != metadata.size() as u64 {
            format!("has {length} bytes, expected {}", metadata.size())
        } else if tag.len() == 64 {
            match sha256(stored)? {
                sum if sum == tag.to_ascii_lowercase() => return Ok(()),
                sum => format!("has the SHA-256 {sum}, expected {tag}"),
            }
        } else {
            return Ok(());
        };
        let _ = fs::remove_file(self.snapshot.join(name));
        let _ = fs::remove_file(stored);
        bail!("the file {problem}: it was damaged on its way and has been removed; try again")
    }
}

fn repo(model: &HubModel, revision: &str) -> Repo {
    Repo::with_revision(model.id.clone(), RepoType::Model, revision.to_owned())
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => hash.update(&block[..read]),
        }
    }
}

/// What an error of the hub means, and the way out.
fn explained(model: &HubModel, error: &ApiError) -> anyhow::Error {
    let HubModel { id, revision } = model;
    match status(error) {
        Some(404) => {
            anyhow::anyhow!(
                "the hub has no {id} at {revision}: check the spelling, or HF_ENDPOINT if the model is elsewhere"
            )
        }
        Some(401 | 403) => anyhow::anyhow!(
            "the hub does not give {id} to everybody: check the spelling, accept the model's conditions on its page, and set \
             HF_TOKEN"
        ),
        Some(code) => anyhow::anyhow!("the hub answers {code} for {id}: try again later"),
        None if matches!(error, ApiError::LockAcquisition(_)) => {
            anyhow::anyhow!("another program is fetching {id}: wait for it, then try again")
        }
        None => anyhow::anyhow!("{id} cannot be fetched ({error}): what has arrived is kept, so try again"),
    }
}

/// The status of an answer of the hub, if there was one.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(code) => Some(code),
            _ => None,
        },
        ApiError::TooManyRetries(error) => status(error),
        _ => None,
    }
}

/// Shows the bytes of a file as they arrive.
struct Bar(Counting);

impl Progress for Bar {
    fn init(&mut self, _: usize, _: &str) {
        // Called again whenever a transfer is taken up.
        self.0.set_position(0);
    }

    fn update(&mut self, bytes: usize) {
        self.0.inc(bytes as u64);
    }

    fn finish(&mut self) {
        self.0.finish_and_clear();
    }
}
