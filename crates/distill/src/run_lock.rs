//! The lock of a run: its folder belongs to one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The file that is locked; it says who holds it.
const FILE: &str = ".lock";

/// A folder that is this process's until the last clone of this value is dropped.
///
/// The operating system holds the lock and releases it when the process ends, however it ends. What a killed process
/// leaves is a file that the next one locks.
#[derive(Debug, Clone)]
pub struct RunLock {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    folder: PathBuf,
    file: File,
    /// The folder was made here, so an empty one need not stay.
    made_folder: bool,
}

/// Who holds a folder.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    host: Option<String>,
    since: String,
}

impl RunLock {
    /// Locks a folder, which is made if it is missing.
    ///
    /// # Errors
    /// If another lock holds it, of this process or another, with its holder; if it cannot be written or its file
    /// system has no locks.
    pub fn take(folder: &Path) -> Result<RunLock, Error> {
        if folder.is_file() {
            return Err(Error::RunFile {
                path: folder.to_path_buf(),
                problem: "a run is a folder, and this is a file".into(),
                way_out: "choose a folder that is new or empty".into(),
            });
        }
        let made_folder = !folder.exists();
        let path = folder.join(FILE);
        let failed = |source| Error::Io { path: path.clone(), source };
        let mut file = loop {
            fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.to_path_buf(), source })?;
            let file = match OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path) {
                // Whoever held the folder has removed it just now.
                Err(e) if e.kind() == io::ErrorKind::NotFound && !folder.exists() => continue,
                opened => opened.map_err(failed)?,
            };
            match file.try_lock() {
                // Whoever held this file may have removed it after it was opened here.
                Ok(()) if is_at(&file, &path) => break file,
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(taken(folder, file)),
                Err(TryLockError::Error(source)) => {
                    return Err(Error::RunFile {
                        path: folder.to_path_buf(),
                        problem: format!("it cannot be locked against other processes: {source}"),
                        way_out: "choose a folder on a local disk".into(),
                    });
                }
            }
        };
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        let line = serde_json::to_string(&Holder::this()).map_err(|e| failed(e.into()))?;
        writeln!(file, "{line}").map_err(failed)?;
        Ok(RunLock { held: Arc::new(Held { folder: folder.to_path_buf(), file, made_folder }) })
    }

    /// The folder that is held.
    pub fn folder(&self) -> &Path {
        &self.held.folder
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let path = self.folder.join(FILE);
        // While it is locked, so that nobody can hold the file that goes. Elsewhere an open file cannot be removed.
        // What fails here is in nobody's way: the next process locks the file that stays.
        if cfg!(unix) && is_at(&self.file, &path) {
            let _ = fs::remove_file(&path);
            if self.made_folder {
                // Fails, as it should, where the folder is not empty.
                let _ = fs::remove_dir(&self.folder);
            }
        }
    }
}

impl Holder {
    fn this() -> Holder {
        Holder { pid: std::process::id(), host: host(), since: jiff::Timestamp::now().strftime("%FT%TZ").to_string() }
    }
}

/// The error of a folder that is held already.
fn taken(folder: &Path, mut file: File) -> Error {
    let mut text = String::new();
    // Where the system keeps others from reading a locked file, or its holder is just writing, the name is left out.
    let holder = file.read_to_string(&mut text).ok().and_then(|_| serde_json::from_str::<Holder>(&text).ok());
    let who = holder.map_or("another process".to_string(), |Holder { pid, host, since }| {
        let host = host.map_or(String::new(), |host| format!(" on {host}"));
        format!("process {pid}{host}, since {since},")
    });
    Error::RunFile {
        path: folder.to_path_buf(),
        problem: format!("{who} is running here"),
        way_out: "wait until it ends, stop it, or choose another folder".into(),
    }
}

/// Whether a path names the file that is open.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: io::Result<fs::Metadata>| metadata.ok().map(|m| (m.dev(), m.ino()));
    identity(file.metadata()) == identity(fs::metadata(path))
}

#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> bool {
    true
}

/// The name of this machine, where the system tells it in a file or a variable.
fn host() -> Option<String> {
    let told = fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| fs::read_to_string("/etc/hostname")).ok();
    let variable = || ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let name: String = told.or_else(variable)?.trim().chars().filter(|c| !c.is_control()).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_who_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/run");
        let lock = RunLock::take(&folder).unwrap();
        assert_eq!(lock.folder(), folder);
        let error = RunLock::take(&folder).unwrap_err().to_string();
        let pid = format!("process {}", std::process::id());
        assert!(error.contains(&pid) && error.contains("since 20") && error.contains("choose another"), "{error}");
        // Held until the last clone goes.
        let clone = lock.clone();
        drop(lock);
        assert!(RunLock::take(&folder).is_err());
        drop(clone);
        drop(RunLock::take(&folder).unwrap());
    }

    #[test]
    fn a_lock_leaves_nothing_but_what_was_there() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("run");
        drop(RunLock::take(&folder).unwrap());
        assert!(!folder.exists());
        fs::create_dir(&folder).unwrap();
        drop(RunLock::take(&folder).unwrap());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        // What a killed process left is locked by the next and does not stay.
        fs::write(folder.join(FILE), "{\"pid\":1,\"host\":null,\"since\":\"then\"}\n").unwrap();
        let lock = RunLock::take(&folder).unwrap();
        let told = fs::read_to_string(folder.join(FILE)).unwrap();
        assert!(told.contains(&std::process::id().to_string()) && !told.contains("then"), "{told}");
        drop(lock);
        assert!(!folder.join(FILE).exists());
    }

    #[test]
    fn another_holders_file_is_not_removed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("run");
        let first = RunLock::take(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let second = RunLock::take(&folder).unwrap();
        drop(first);
        assert!(RunLock::take(&folder).is_err());
        drop(second);
    }
}
