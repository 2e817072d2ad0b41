//! What is computed before the first update tells how far it is.

use attar_distill::RunDirectory;
use attar_distill::begin::BeginningProgress;
use attar_distill::plan::Plan;
use attar_distill::recipe::Recipe;
use attar_distill::train::{Event, Observer, train};

use super::vocabularies::{student, workshop};

#[derive(Default)]
struct Beginnings(Vec<BeginningProgress>);

impl Observer for Beginnings {
    fn event(&mut self, event: &Event) {
        if let Event::Beginning(progress) = event {
            self.0.push(*progress);
        }
    }
}

#[test]
fn a_narrower_student_counts_rows_twice() {
    let (folder, _) = workshop(300);
    let folder = folder.path();
    let text = student(folder, ", hidden = 8, heads = 2, feed-forward = 16");
    let (start, end) = (text.find("objective = [").unwrap(), text.find("length").unwrap());
    let text =
        text.replace(&text[start..end], "objective = [{ kind = \"soft\" }]\n").replace("steps = 30", "steps = 2");
    let plan = Plan::new(Recipe::parse(&text).unwrap()).unwrap();
    let directory = RunDirectory::open(&folder.join("run"), &plan).unwrap();
    let mut seen = Beginnings::default();
    train(&plan, &directory, &mut seen).unwrap();
    let of = seen.0[0].of;
    assert!(of > 200);
    let mut whats: Vec<&str> = seen.0.iter().map(|progress| progress.what).collect();
    whats.dedup();
    assert_eq!(whats, ["importance of the teacher's parts", "principal directions of the teacher's states"]);
    for what in whats {
        let done: Vec<usize> = seen.0.iter().filter(|p| p.what == what).map(|p| p.done).collect();
        assert!(done.is_sorted() && done.len() > 3 && done.last() == Some(&of), "{what}: {done:?}");
    }
    // They are no part of the log.
    assert!(!std::fs::read_to_string(directory.events()).unwrap().contains("beginning"));
}
