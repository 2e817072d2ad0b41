//! A file that stands beside its place until it is complete, so that an incomplete one is never read as the result.

use std::fs;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tempfile::NamedTempFile;

/// A file that takes its place when it is [finished](Self::finish), and is removed if it never is.
pub(crate) struct PartFile {
    writer: BufWriter<NamedTempFile>,
    /// Its place as the user named it.
    place: PathBuf,
    /// Where it goes: what `place` links to, if it is a link.
    target: PathBuf,
}

impl PartFile {
    /// Begins a file in the folder of its place, with the permissions of any new file.
    ///
    /// # Errors
    /// If the place is a folder, a pipe or a device, or its folder cannot be written to.
    pub(crate) fn create(place: &Path) -> anyhow::Result<PartFile> {
        let is_other = fs::metadata(place).is_ok_and(|metadata| !metadata.is_file());
        ensure!(
            !is_other,
            "{} is not a file: name one as --out, or leave --out out to write to standard output",
            place.display()
        );
        let target = fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        ensure!(
            folder.is_dir(),
            "{} cannot be written: there is no folder {}; make it first",
            place.display(),
            folder.display()
        );
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder).with_context(|| format!("{} cannot be written", place.display()))?;
        Ok(PartFile { writer: BufWriter::new(file), place: place.to_owned(), target })
    }

    /// Puts the file into its place.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let unwritable = || format!("{} cannot be written", self.place.display());
        let file = self.writer.into_inner().map_err(io::IntoInnerError::into_error).with_context(unwritable)?;
        // Else a crash of the machine could leave the name without the content.
        file.as_file().sync_all().with_context(unwritable)?;
        file.persist(&self.target).with_context(unwritable)?;
        Ok(())
    }
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Seek for PartFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.writer.seek(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("rows.csv");
        let mut file = PartFile::create(&place).unwrap();
        file.write_all(b"rows").unwrap();
        assert!(!place.exists());
        file.finish().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"rows");
        drop(PartFile::create(&place).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left of an unfinished file");
        let error = PartFile::create(folder.path()).err().unwrap().to_string();
        assert!(error.contains("is not a file"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_what_it_names_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [place, link] = ["rows.csv", "link.csv"].map(|name| folder.path().join(name));
        fs::write(&place, "old").unwrap();
        std::os::unix::fs::symlink("rows.csv", &link).unwrap();
        let mut file = PartFile::create(&link).unwrap();
        file.write_all(b"new").unwrap();
        file.finish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&place).unwrap(), b"new");
    }
}
