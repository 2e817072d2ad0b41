//! Fetching a model: the list of its files, then those that the cache has not.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo, Metadata};
use hf_hub::{Repo, RepoType};
use serde::Deserialize;

use super::HubModel;
use super::cache::{self, HubEnvironment};
use super::files::files_to_fetch;
use super::unchecked::{self, is_sha256, sha256};
use crate::console;
use crate::progress::{Counting, counting};

/// How many times the transfer of a file is resumed before it fails.
const RETRIES: u32 = 3;
/// Milliseconds before the first retry; each further wait is twice as long.
const FIRST_RETRY_DELAY_MS: u64 = 300;
/// Seconds to wait for another program to release a file's lock, as long as the hub library waits.
const LOCK_TIMEOUT_SECONDS: u32 = 5;
/// What is wrong where the cache's folders or files cannot be made.
const UNWRITABLE: &str = "the cache cannot be written";
/// The hash that git has for a file of no bytes, which is the file's ETag.
const EMPTY_TAG: &str = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

/// What the hub says about a model at a revision.
#[derive(Deserialize)]
struct Listing {
    /// The commit.
    sha: String,
    siblings: Vec<ListedFile>,
}

/// A file of a model.
#[derive(Deserialize)]
struct ListedFile {
    rfilename: String,
    /// Not every server states it.
    size: Option<u64>,
}

/// See [`HubModel::fetch`].
pub(super) fn fetch(model: &HubModel) -> anyhow::Result<PathBuf> {
    let home = HubEnvironment::from_environment()?;
    let cache = home.cache.path().display();
    let damaged = unchecked::check_marked(&home.repo(model).blob_path(""));
    for stored in damaged.with_context(|| format!("{}: {cache} cannot be checked", model.id))? {
        let stored = stored.display();
        console::warning(format!("{}: {stored} was damaged in transit and has been removed", model.id));
    }
    if let Some(variable) = cache::offline_variable() {
        return home.directory(model).with_context(|| {
            format!(
                "{} at {} is not in the cache {cache}, and {variable} forbids fetching it: unset {variable}, or name a folder",
                model.id, model.revision
            )
        });
    }
    // The library must not retry by itself: after a failed request it would append the whole file to the partial one.
    let api = ApiBuilder::from_cache(home.cache.clone())
        .with_endpoint(home.endpoint.clone())
        .with_token(home.token.clone())
        .with_progress(false)
        .with_retries(0)
        .build()
        .map_err(|error| explain(model, &error))?;
    let Listing { sha: commit, siblings } = match list(&api, model) {
        Ok(listing) => listing,
        Err(error) => {
            // Python's libraries do the same.
            let is_down = status(&error).is_none_or(|code| code >= 500);
            let Some(directory) = home.directory(model).filter(|_| is_down) else {
                return Err(explain(model, &error));
            };
            let why = status(&error).map_or("cannot be reached".into(), |code| format!("answers {code}"));
            console::warning(format!("{}: the hub {why}, so the model in the cache is used", model.id));
            return Ok(directory);
        }
    };
    ensure!(
        (7..=64).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{}: expected the hub to name a commit in hexadecimal digits, got {commit:?}: check HF_ENDPOINT",
        model.id
    );
    let is_empty = |name: &str| siblings.iter().any(|file| file.rfilename == name && file.size == Some(0));
    let names: Vec<String> = siblings.iter().map(|file| file.rfilename.clone()).collect();
    let files = files_to_fetch(&names);
    ensure!(
        files.contains(&"config.json"),
        "{}: expected a config.json among the model's {} files, found none: it is not a model that attar reads",
        model.id,
        names.len()
    );
    let snapshot = home.repo(model).pointer_path(&commit);
    let missing: Vec<&str> = files.into_iter().filter(|name| !snapshot.join(name).exists()).collect();
    let fetching = Fetching { model, home: &home, api: &api, commit: &commit, snapshot: &snapshot };
    for (index, name) in missing.iter().enumerate() {
        let what = format!("{}: {name} ({} of {}), bytes", model.id, index + 1, missing.len());
        let fetched = if is_empty(name) { fetching.empty_file(name) } else { fetching.file(name, &what) };
        fetched.with_context(|| format!("{}: {name}", model.id))?;
    }
    // The library writes a ref named after the commit itself, which is removed; a branch or tag gets a ref of its own
    // name.
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
    home: &'a HubEnvironment,
    api: &'a Api,
    commit: &'a str,
    /// The model's directory in the cache.
    snapshot: &'a Path,
}

impl Fetching<'_> {
    /// Fetches a file unless the cache has it from another revision, checks it, and links it into the snapshot.
    fn file(&self, name: &str, what: &str) -> anyhow::Result<()> {
        // The branch may move on meanwhile.
        let repo = self.api.repo(repo(self.model, self.commit));
        let metadata = self.api.metadata(&repo.url(name)).map_err(|error| explain(self.model, &error))?;
        let stored = self.stored(&metadata)?;
        if !stored.exists() {
            unchecked::mark(&stored).context(UNWRITABLE)?;
            self.transfer(&repo, name, &stored, metadata.size(), what)?;
            self.check(&stored, &metadata, name)?;
            unchecked::unmark(&stored);
        }
        cache::link_into_snapshot(&stored, self.snapshot, name).context(UNWRITABLE)
    }

    /// Makes a file of no bytes: servers state no length for one when they are asked for its first byte.
    fn empty_file(&self, name: &str) -> anyhow::Result<()> {
        let stored = self.blob(EMPTY_TAG)?;
        File::create(&stored).context(UNWRITABLE)?;
        cache::link_into_snapshot(&stored, self.snapshot, name).context(UNWRITABLE)
    }

    /// Brings the bytes of a file into the cache, after those that an earlier transfer left there.
    fn transfer(&self, repo: &ApiRepo, name: &str, stored: &Path, size: usize, what: &str) -> anyhow::Result<()> {
        let (part, mut count) = (stored.with_extension("part"), counting(size, what));
        let mut tries = 0;
        loop {
            if fs::metadata(&part).is_ok_and(|metadata| metadata.len() >= size as u64) {
                // There is nothing left to request: the part is the whole file, or belongs to another file, in which
                // case the checksum will not match.
                return self.complete(&part, stored);
            }
            match repo.download_with_progress(name, Bar(&mut count)) {
                // Where links are not allowed, the library has moved the file into the snapshot.
                Ok(linked) if !stored.exists() => return fs::rename(linked, stored).context(UNWRITABLE),
                Ok(_) => return Ok(()),
                Err(error) if tries < RETRIES && is_transient(&error) => {
                    sleep(Duration::from_millis(FIRST_RETRY_DELAY_MS << tries))
                }
                Err(error) => return Err(explain(self.model, &error)),
            }
            tries += 1;
        }
    }

    /// Renames a part that has all bytes, as the library does: under its lock, because another program may do so too.
    fn complete(&self, part: &Path, stored: &Path) -> anyhow::Result<()> {
        let lock = stored.with_extension("lock");
        let file = File::create(&lock).context(UNWRITABLE)?;
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(error).context(UNWRITABLE),
                Err(TryLockError::WouldBlock) if tries == LOCK_TIMEOUT_SECONDS => {
                    return Err(explain(self.model, &ApiError::LockAcquisition(lock)));
                }
                Err(TryLockError::WouldBlock) => sleep(Duration::from_secs(1)),
            }
            tries += 1;
        }
        // Whoever held the lock may have renamed the part meanwhile.
        if stored.exists() {
            return Ok(());
        }
        fs::rename(part, stored).context(UNWRITABLE)
    }

    /// Where the cache keeps the bytes of a file.
    fn stored(&self, metadata: &Metadata) -> anyhow::Result<PathBuf> {
        let tag = metadata.etag();
        let is_plain = !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        ensure!(is_plain, "expected the ETag to be a name of letters and digits, got {tag:?}: check HF_ENDPOINT");
        let commit = metadata.commit_hash();
        ensure!(commit == self.commit, "expected commit {}, the hub sent {commit}: try again", self.commit);
        self.blob(tag)
    }

    /// The path of the file with this tag, in a folder that exists.
    fn blob(&self, tag: &str) -> anyhow::Result<PathBuf> {
        let stored = self.home.repo(self.model).blob_path(tag);
        if let Some(folder) = stored.parent() {
            fs::create_dir_all(folder).context(UNWRITABLE)?;
        }
        Ok(stored)
    }

    /// Compares a file with its hash; one that differs is removed, so that the next try begins anew.
    fn check(&self, stored: &Path, metadata: &Metadata, name: &str) -> anyhow::Result<()> {
        let length = fs::metadata(stored)?.len();
        let tag = metadata.etag();
        let problem = if length != metadata.size() as u64 {
            format!("has {length} bytes, expected {}", metadata.size())
        } else if is_sha256(tag) {
            match sha256(stored)? {
                sum if sum == tag.to_ascii_lowercase() => return Ok(()),
                sum => format!("has the SHA-256 {sum}, expected {tag}"),
            }
        } else {
            return Ok(());
        };
        let _ = fs::remove_file(self.snapshot.join(name));
        let _ = fs::remove_file(stored);
        unchecked::unmark(stored);
        bail!("the file {problem}: it was damaged in transit and has been removed; try again")
    }
}

fn repo(model: &HubModel, revision: &str) -> Repo {
    Repo::with_revision(model.id.clone(), RepoType::Model, revision.to_owned())
}

/// Asks for the model's commit and files, with their sizes.
fn list(api: &Api, model: &HubModel) -> Result<Listing, ApiError> {
    let request = api.repo(repo(model, &model.revision)).info_request().query("blobs", "true");
    let text = request.call().and_then(|mut response| response.body_mut().read_to_string()).map_err(Box::new)?;
    Ok(serde_json::from_str(&text).map_err(io::Error::from)?)
}

/// Whether a transfer that failed with this error may succeed if retried.
fn is_transient(error: &ApiError) -> bool {
    let is_of_transfer = matches!(error, ApiError::RequestError(_) | ApiError::IoError(_));
    is_of_transfer && status(error).is_none_or(|code| code == 429 || code >= 500)
}

/// What an error of the hub means, and the way out.
fn explain(model: &HubModel, error: &ApiError) -> anyhow::Error {
    let HubModel { id, revision } = model;
    match status(error) {
        Some(404) => {
            anyhow::anyhow!(
                "the hub has no {id} at {revision}: check the spelling, or HF_ENDPOINT if the model is elsewhere"
            )
        }
        Some(401 | 403) => anyhow::anyhow!(
            "{id} does not exist on the hub, or access to it is restricted: check the spelling, accept the conditions on the model's page, and set HF_TOKEN"
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
        _ => None,
    }
}

/// Shows the bytes of a file as they arrive.
struct Bar<'a>(&'a mut Counting);

impl Progress for Bar<'_> {
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
