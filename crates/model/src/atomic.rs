//! Files and directories that are written completely or not at all.
//!
//! New content is written beside its place under a temporary name that begins with a dot, made durable
//! (`fsync`), and moved into place; the move is made durable too. If anything fails, a full disk
//! included, the previous content stays unchanged. A process that is killed may leave the temporary name
//! behind, never a half-written target.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::error::Error;

/// What to do when the target of a directory exists and is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// Refuse.
    New,
    /// Replace it, once the new one is complete.
    Replace,
}

/// Writes a file, replacing an existing one. Links are followed: the file they point to is replaced.
///
/// A path that is not a regular file, like `/dev/stdout` or a pipe, is written to directly.
///
/// # Errors
/// [`Error::Write`] naming the path; an existing file is unchanged.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.into(), source };
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => write_through(path, bytes).map_err(failed),
        Ok(metadata) => {
            let target = fs::canonicalize(path).map_err(failed)?;
            replace_file(&target, bytes, Some(metadata.permissions())).map_err(failed)
        }
        Err(_) => replace_file(path, bytes, None).map_err(failed),
    }
}

/// Writes a directory: `fill` gets the path of an empty one and writes its contents.
///
/// Every file and directory in it is made durable before it is moved into place. Missing parents of `path` are
/// created. With [`WriteMode::Replace`] the old directory stays until the new one is complete; on Linux, where the
/// file system can, the two are exchanged atomically, so that there is always one.
///
/// ```
/// use attar_model::atomic::{WriteMode, write_dir, write_file};
///
/// # let root = tempfile::tempdir()?;
/// let place = root.path().join("student");
/// write_dir(&place, WriteMode::New, |dir| write_file(&dir.join("config.json"), b"{}"))?;
/// assert!(write_dir(&place, WriteMode::New, |_| Ok::<_, attar_model::Error>(())).is_err());
/// assert_eq!(std::fs::read(place.join("config.json"))?, b"{}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// What `fill` returns, [`Error::Exists`], [`Error::NotADirectory`], or [`Error::Write`] naming the path; an
/// existing directory is unchanged. There are two exceptions: [`Error::Leftover`] means that the new one
/// is in place, [`Error::Stranded`] that neither is.
pub fn write_dir<E: From<Error>>(
    path: &Path,
    mode: WriteMode,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |source| Error::Write { path: path.into(), source };
    let target = resolved(path).map_err(failed)?;
    refuse_occupied(&target, mode)?;
    fs::create_dir_all(parent_of(&target)).map_err(failed)?;
    let temporary = temporary_dir(&target).map_err(failed)?;
    fill(temporary.path())?;
    sync_tree(temporary.path())?;
    // Another process may have created it since; renaming onto a non-empty directory fails.
    let path = move_into_place(temporary, &target, mode)?;
    sync_dir(parent_of(&path)).map_err(|source| Error::Write { path, source }.into())
}

/// Removes what killed writes have left in a folder: the temporary files and directories of those places whose names
/// `is_place` accepts. A folder that is missing holds none.
///
/// It must be certain that nobody writes to these places meanwhile.
///
/// # Errors
/// [`Error::Read`] of the folder, or [`Error::Write`] of what cannot be removed.
pub fn remove_leftovers(folder: &Path, is_place: impl Fn(&str) -> bool) -> Result<(), Error> {
    let unreadable = |source| Error::Read { path: folder.into(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(unreadable)?,
    };
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let Some(place) = place_of(&name).filter(|place| is_place(place)) else { continue };
        let target = folder.join(place);
        // The only copy there is, where a directory was moved aside and its successor not yet into its place.
        if path.join(OLD).exists() && !target.exists() {
            continue;
        }
        let is_dir = entry.file_type().map_err(unreadable)?.is_dir();
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|source| Error::Write { path, source })?;
    }
    Ok(())
}

/// The place that a temporary name was made for.
fn place_of(temporary: &str) -> Option<&str> {
    let (place, random) = temporary.strip_prefix('.')?.rsplit_once('.')?;
    let is_random = random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_random && !place.is_empty()).then_some(place)
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    file.write_all(bytes)?;
    file.flush()
}

fn replace_file(path: &Path, bytes: &[u8], permissions: Option<fs::Permissions>) -> io::Result<()> {
    let mut file = temporary_file(path)?;
    file.write_all(bytes)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_dir(parent_of(path))
}

/// The parent to write beside: the current directory for a bare name.
fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The target of a link; a path that does not exist is returned as it is.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.into()),
        result => result,
    }
}

fn refuse_occupied(path: &Path, mode: WriteMode) -> Result<(), Error> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::Write { path: path.into(), source }),
        Ok(metadata) if !metadata.is_dir() => Err(Error::NotADirectory { path: path.into() }),
        Ok(_) if mode == WriteMode::Replace => Ok(()),
        Ok(_) => {
            let mut entries = fs::read_dir(path).map_err(|source| Error::Read { path: path.into(), source })?;
            if entries.next().is_none() { Ok(()) } else { Err(Error::Exists { path: path.into() }) }
        }
    }
}

/// Makes everything in a directory durable. Links are not followed.
fn sync_tree(dir: &Path) -> Result<(), Error> {
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).map_err(|source| Error::Read { path: dir.clone(), source })? {
            let entry = entry.map_err(|source| Error::Read { path: dir.clone(), source })?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|source| Error::Read { path: path.clone(), source })?;
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                let synced = File::open(&path).and_then(|file| file.sync_all());
                synced.map_err(|source| Error::Write { path, source })?;
            }
        }
        sync_dir(&dir).map_err(|source| Error::Write { path: dir, source })?;
    }
    Ok(())
}

/// Moves the finished directory into place and removes the one it replaces.
fn move_into_place(temporary: TempDir, target: &Path, mode: WriteMode) -> Result<PathBuf, Error> {
    let failed = |source| Error::Write { path: target.into(), source };
    if mode == WriteMode::New || !target.exists() {
        rename_over_empty(temporary.path(), target).map_err(failed)?;
        _ = temporary.keep();
        return Ok(target.into());
    }
    if exchange(temporary.path(), target) {
        // The temporary name now holds the old directory.
        return remove_old(&temporary.keep(), target);
    }
    let aside = temporary_dir(target).map_err(failed)?;
    let old = aside.path().join(OLD);
    fs::rename(target, &old).map_err(failed)?;
    if let Err(source) = fs::rename(temporary.path(), target) {
        // Restore the old directory. If even that fails, leave it where it is and report that.
        if fs::rename(&old, target).is_err() {
            return Err(Error::Stranded { path: target.into(), old: aside.keep().join(OLD), source });
        }
        return Err(failed(source));
    }
    _ = temporary.keep();
    remove_old(&aside.keep(), target)
}

/// Removes the old directory, once it is certain that the new one will still be there after a crash.
fn remove_old(old: &Path, target: &Path) -> Result<PathBuf, Error> {
    match sync_dir(parent_of(target)).and_then(|()| fs::remove_dir_all(old)) {
        Ok(()) => Ok(target.into()),
        Err(source) => Err(Error::Leftover { path: target.into(), old: old.into(), source }),
    }
}

/// Renames a directory; an empty one at the target is replaced (on Windows it has to be removed first).
fn rename_over_empty(from: &Path, to: &Path) -> io::Result<()> {
    if cfg!(windows) && to.is_dir() {
        fs::remove_dir(to)?;
    }
    fs::rename(from, to)
}

/// Exchanges two directories atomically. `false` where that is not possible.
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn exchange(_one: &Path, _other: &Path) -> bool {
    false
}

/// Directories can be opened and made durable on Unix only.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// Where a directory that is being replaced waits, in a temporary one.
const OLD: &str = "old";
/// Random letters and digits at the end of a temporary name.
const RANDOM: usize = 6;

/// Start of a temporary name beside a path. A long name is truncated, since the system limits its length.
fn temporary_prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{}.", name.chars().take(32).collect::<String>())
}

fn temporary_file(path: &Path) -> io::Result<NamedTempFile> {
    let prefix = temporary_prefix(path);
    with_mode(tempfile::Builder::new().prefix(&prefix).rand_bytes(RANDOM), 0o666).tempfile_in(parent_of(path))
}

fn temporary_dir(path: &Path) -> io::Result<TempDir> {
    let prefix = temporary_prefix(path);
    with_mode(tempfile::Builder::new().prefix(&prefix).rand_bytes(RANDOM), 0o777).tempdir_in(parent_of(path))
}

type Builder<'a> = tempfile::Builder<'a, 'static>;

/// Gives new files and directories the usual permissions, less the umask, not the private ones of temporary files.
#[cfg(unix)]
fn with_mode<'b, 'a>(builder: &'b mut Builder<'a>, mode: u32) -> &'b mut Builder<'a> {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn with_mode<'b, 'a>(builder: &'b mut Builder<'a>, _mode: u32) -> &'b mut Builder<'a> {
    builder
}
