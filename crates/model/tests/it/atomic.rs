//! Files and directories are complete or as they were.

use std::fs;
use std::path::Path;

use attar_model::Error;
use attar_model::atomic::{WriteMode, remove_leftovers, write_dir, write_file};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn fill(content: &'static str) -> impl FnOnce(&Path) -> Result<(), Error> {
    move |dir| {
        fs::create_dir(dir.join("inner")).unwrap();
        fs::write(dir.join("inner/file"), content).unwrap();
        Ok(())
    }
}

#[test]
fn a_file_is_written_and_replaced() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.json");
    write_file(&path, b"one").unwrap();
    write_file(&path, b"two").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(names(root.path()), ["a.json"]);
}

#[test]
fn a_file_that_cannot_be_written_names_its_path() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "x").unwrap();
    for path in [file.join("below"), root.path().join("no/such/folder/a"), root.path().to_path_buf()] {
        match write_file(&path, b"content") {
            Err(Error::Write { path: named, .. }) => assert_eq!(named, path),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(names(root.path()), ["file"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let error = write_file("/dev/full".as_ref(), b"content").unwrap_err();
    assert!(
        matches!(&error, Error::Write { path, source } if path == Path::new("/dev/full")
        && source.kind() == std::io::ErrorKind::StorageFull),
        "{error:?}"
    );
}

#[cfg(unix)]
#[test]
fn permissions_are_the_usual_ones_and_links_are_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let root = tempfile::tempdir().unwrap();
    let plain = root.path().join("plain");
    fs::write(&plain, "").unwrap();
    let usual = fs::metadata(&plain).unwrap().permissions().mode();
    let path = root.path().join("file");
    write_file(&path, b"x").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode(), usual);

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let link = root.path().join("link");
    symlink(&path, &link).unwrap();
    write_file(&link, b"through").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&path).unwrap(), b"through");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);

    let dir = root.path().join("dir");
    write_dir(&dir, WriteMode::New, fill("x")).unwrap();
    fs::create_dir(root.path().join("usual")).unwrap();
    let mode = |name: &str| fs::metadata(root.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("dir"), mode("usual"));
}

#[test]
fn a_directory_is_made_with_its_parents() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("runs/1/student");
    write_dir(&dir, WriteMode::New, fill("one")).unwrap();
    assert_eq!(fs::read(dir.join("inner/file")).unwrap(), b"one");
    assert_eq!(names(&root.path().join("runs/1")), ["student"]);
    // An empty directory is as good as none.
    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    write_dir(&empty, WriteMode::New, fill("two")).unwrap();
    assert_eq!(fs::read(empty.join("inner/file")).unwrap(), b"two");
}

#[test]
fn a_directory_in_use_is_replaced_only_when_asked() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("student");
    write_dir(&dir, WriteMode::New, fill("one")).unwrap();
    assert!(
        matches!(write_dir(&dir, WriteMode::New, fill("two")), Err(Error::Exists { path }) if path.ends_with("student"))
    );
    assert_eq!(fs::read(dir.join("inner/file")).unwrap(), b"one");

    write_dir(&dir, WriteMode::Replace, |new| {
        // The old one is there until the new one is complete.
        assert_eq!(fs::read(dir.join("inner/file")).unwrap(), b"one");
        fill("three")(new)
    })
    .unwrap();
    assert_eq!(fs::read(dir.join("inner/file")).unwrap(), b"three");
    assert_eq!(names(root.path()), ["student"]);
}

#[test]
fn a_directory_that_fails_half_way_leaves_the_old_one() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("student");
    write_dir(&dir, WriteMode::New, fill("old")).unwrap();
    let error = write_dir(&dir, WriteMode::Replace, |new| {
        write_file(&new.join("first"), b"done")?;
        #[cfg(target_os = "linux")]
        std::os::unix::fs::symlink("/dev/full", new.join("second")).unwrap();
        write_file(&new.join("second"), b"does not fit")?;
        write_file(&new.join("no/such/folder"), b"in case there is no /dev/full")
    })
    .unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error:?}");
    assert_eq!(fs::read(dir.join("inner/file")).unwrap(), b"old");
    assert_eq!(names(root.path()), ["student"]);
}

#[test]
fn a_file_is_not_replaced_by_a_directory() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    fs::write(&path, "x").unwrap();
    for mode in [WriteMode::New, WriteMode::Replace] {
        assert!(matches!(write_dir(&path, mode, fill("y")), Err(Error::NotADirectory { .. })));
    }
    assert!(matches!(write_dir(&path.join("below"), WriteMode::New, fill("y")), Err(Error::Write { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"x");
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_that_allows_no_directories_is_an_error() {
    // Nobody, root included, can make a directory there.
    let error = write_dir("/proc/attar".as_ref(), WriteMode::New, fill("x")).unwrap_err();
    assert!(matches!(&error, Error::Write { path, .. } if path == Path::new("/proc/attar")), "{error:?}");
}

#[test]
fn the_caller_may_fail_with_an_error_of_its_own() {
    #[derive(Debug)]
    enum Mine {
        Model(#[expect(dead_code, reason = "only its presence matters")] Error),
        Stopped,
    }
    impl From<Error> for Mine {
        fn from(error: Error) -> Self {
            Mine::Model(error)
        }
    }
    let root = tempfile::tempdir().unwrap();
    let result = write_dir(&root.path().join("x"), WriteMode::New, |_| Err(Mine::Stopped));
    assert!(matches!(result, Err(Mine::Stopped)));
    assert!(names(root.path()).is_empty());
}

#[test]
fn leftovers_are_temporary_names_of_the_places_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        fs::create_dir_all(root.path().join(name)).unwrap();
        fs::write(root.path().join(name).join("part"), "half").unwrap();
    };
    [".student.aB3dE6", ".other.aB3dE6", ".student", "student.aB3dE6", ".student.longer1"].iter().for_each(|n| make(n));
    fs::write(root.path().join(".recipe.toml.000000"), "half").unwrap();
    remove_leftovers(root.path(), |name| ["student", "recipe.toml"].contains(&name)).unwrap();
    let mut left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".other.aB3dE6", ".student", ".student.longer1", "student.aB3dE6"]);
    remove_leftovers(&root.path().join("nowhere"), |_| true).unwrap();
}

#[test]
fn the_only_copy_of_a_directory_is_no_leftover() {
    let root = tempfile::tempdir().unwrap();
    // As where the system cannot exchange two directories and the process was killed between its two moves.
    let aside = root.path().join(".student.aB3dE6");
    fs::create_dir_all(aside.join("old")).unwrap();
    remove_leftovers(root.path(), |_| true).unwrap();
    assert!(aside.exists());
    fs::create_dir(root.path().join("student")).unwrap();
    remove_leftovers(root.path(), |_| true).unwrap();
    assert!(!aside.exists());
}
