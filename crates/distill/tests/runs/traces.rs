//! What a teacher made of training rows is read from disk when they come again.

use std::path::Path;

use attar_distill::plan::Plan;
use attar_distill::recipe::Recipe;
use attar_distill::train::{Event, Observer, train};
use attar_distill::{Error, ExportedStudent, RunDirectory, export};
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use attar_text::tokenizer::{TrainOptions, train_wordpiece};

use super::vocabularies::{Losses, save, student, workshop};

/// Bytes in which the traces of all rows have room, and those of a few.
const ROOM: u64 = 50_000_000;
const LITTLE_ROOM: u64 = 40_000;

/// Three passes over the rows with every objective, with so many bytes for traces.
fn recipe(folder: &Path, of_student: &str, bytes: u64) -> String {
    let text = student(folder, of_student).replace("steps = 30", "epochs = 3");
    let path = folder.join("teacher").display().to_string();
    text.replace(&format!("\"{path}\" }}"), &format!("\"{path}\", trace-cache = {bytes} }}"))
}

/// Has a student read pieces of its own.
fn own_pieces(folder: &Path) -> String {
    let rows = synthetic::generate(&Streams::new(42), 300, Split::Train).examples;
    let own = train_wordpiece(rows.iter().map(|row| &row.text), TrainOptions::new(120)).unwrap();
    save(&own, &folder.join("own"));
    format!(r#", tokenizer = "{}""#, folder.join("own").display())
}

/// The losses of a run and what it left.
pub(super) fn outcome(recipe: &str, out: &Path) -> (Vec<f64>, ExportedStudent) {
    let plan = Plan::new(Recipe::parse(recipe).unwrap()).unwrap();
    let directory = RunDirectory::open(out, &plan).unwrap();
    let mut losses = Losses::default();
    let trained = train(&plan, &directory, &mut losses).unwrap();
    (losses.0, export(&plan, &directory, trained).unwrap())
}

#[test]
fn rows_are_computed_once_and_read_twice() {
    let (folder, _) = workshop(300);
    let folder = folder.path();
    let (kept, exported) = outcome(&recipe(folder, "", ROOM), &folder.join("kept"));
    let used = exported.traces.unwrap();
    assert!(used.computed > 1000, "{used:?}");
    assert_eq!(used.read, 2 * used.computed);
    assert!(used.seconds > 0.0);
    assert!(!folder.join("kept/traces").exists());
    // Asked again, it says the same.
    let plan = Plan::new(Recipe::parse(&recipe(folder, "", ROOM)).unwrap()).unwrap();
    let directory = RunDirectory::open(&folder.join("kept"), &plan).unwrap();
    assert_eq!(directory.exported(&plan).unwrap().unwrap().traces, Some(used));

    let (plain, exported) = outcome(&recipe(folder, "", 0), &folder.join("plain"));
    assert_eq!((kept.len(), exported.traces), (plain.len(), None));
    for (a, b) in kept.iter().zip(&plain) {
        // Halves differ from floats by a two-thousandth.
        assert!((a - b).abs() < 0.01 * b, "{a} and {b}");
    }
    assert_ne!(kept, plain);
}

#[test]
fn what_is_learned_does_not_depend_on_the_room() {
    let (folder, _) = workshop(300);
    let folder = folder.path();
    let by_words = own_pieces(folder);
    for (name, of_student) in [("pieces", ""), ("words", &*by_words)] {
        let run = |bytes: u64| outcome(&recipe(folder, of_student, bytes), &folder.join(format!("{name}-{bytes}")));
        let ((much, much_left), (little, little_left)) = (run(ROOM), run(LITTLE_ROOM));
        let (all, some) = (much_left.traces.unwrap(), little_left.traces.unwrap());
        assert!(0 < some.read && some.read < all.read, "{name}: {some:?} {all:?}");
        assert_eq!(much, little, "{name}");
        assert_eq!(much_left.fingerprint, little_left.fingerprint, "{name}");
    }
}

#[test]
fn kept_answers_are_the_answers() {
    let (folder, _) = workshop(300);
    let folder = folder.path();
    let by_words = own_pieces(folder);
    let answers = |of_student: &str, bytes: u64| {
        let text = recipe(folder, of_student, bytes);
        let (start, end) = (text.find("objective = [").unwrap(), text.find("projection").unwrap());
        let text = text.replace(&text[start..end], "objective = [{ kind = \"soft\", temperature = 2.0 }]\n");
        outcome(&text, &folder.join(format!("answers-{}-{bytes}", of_student.len())))
    };
    // Also where the student has pieces of its own.
    for of_student in ["", &by_words] {
        let ((kept, left), (plain, plain_left)) = (answers(of_student, ROOM), answers(of_student, 0));
        assert_eq!(left.traces.unwrap().read, 2 * left.traces.unwrap().computed);
        assert_eq!((kept, left.fingerprint), (plain, plain_left.fingerprint));
    }
}

/// Stops a run after so many updates.
pub(super) struct StopAfter(pub(super) usize);

impl Observer for StopAfter {
    fn event(&mut self, event: &Event) {
        if let Event::Step(_) = event {
            self.0 -= 1;
        }
    }

    fn stops(&mut self) -> bool {
        self.0 == 0
    }
}

#[test]
fn a_run_that_lost_its_traces_ends_in_the_same_bytes() {
    let (folder, _) = workshop(300);
    let folder = folder.path();
    let text = recipe(folder, "", ROOM);
    let (_, whole) = outcome(&text, &folder.join("whole"));
    let plan = Plan::new(Recipe::parse(&text).unwrap()).unwrap();
    let out = folder.join("stopped");
    let directory = RunDirectory::open(&out, &plan).unwrap();
    let error = train(&plan, &directory, &mut StopAfter(15)).unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }), "{error}");
    drop(directory);
    for entry in std::fs::read_dir(out.join("traces")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() > 1000, "{}", path.display());
        std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
    }
    let (_, resumed) = outcome(&text, &out);
    assert_eq!(resumed.fingerprint, whole.fingerprint);
}
