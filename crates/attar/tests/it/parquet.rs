//! Parquet and Arrow files wherever a table is read.

use std::path::Path;

use crate::common::{fail, workshop};

/// A seed of the fuzzed readers: 60 rows of `n`, `text` and `label`, written by pyarrow.
fn seed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/columnar").join(name);
    path.canonicalize().unwrap().display().to_string()
}

fn teacher() -> String {
    workshop().join("teacher").display().to_string()
}

#[cfg(feature = "parquet")]
mod with_parquet {
    use super::{fail, seed, teacher};
    use crate::common::{json, succeed, write};

    /// The rows of the seed.
    fn rows() -> impl Iterator<Item = (String, &'static str)> {
        (0..60).map(|n| match n % 2 {
            0 => (format!("turn on lamp {n}"), "on"),
            _ => (format!("order {n} lamps"), "order"),
        })
    }

    #[test]
    fn a_training_is_that_of_the_same_rows_in_a_csv() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let lines: String = rows().map(|(text, label)| format!("{text},{label}\n")).collect();
        write(folder, "rows.csv", &format!("text,label\n{lines}"));
        let weights = |data: &str, out: &str| {
            let energy = ["--energy", "fixed", "--watts", "10", "--steps", "3"];
            succeed(
                folder,
                &[&["finetune", &teacher(), "--new-head", "--data", data, "--out", out], &energy[..]].concat(),
            );
            std::fs::read(folder.join(out).join("student/model.safetensors")).unwrap()
        };
        let expected = weights("rows.csv", "from-csv");
        for (name, out) in [("commands.parquet", "from-parquet"), ("commands.feather", "from-arrow")] {
            assert!(weights(&seed(name), out) == expected, "{name}");
        }
        // A model knows the rows of its own file again, and is scored on those that were held out.
        let scored = json(&succeed(
            folder,
            &["eval", "from-parquet", "--data", &seed("commands.parquet"), "--no-speed", "--json"],
        ));
        assert_eq!(scored["rows"], 6, "{scored}");
        let distill = ["distill", "--teacher", "from-csv", "--data", "rows.csv", "--print-recipe", "--unlabeled"];
        succeed(folder, &[&distill[..], &[&seed("commands.parquet")]].concat());
    }

    #[test]
    fn answered_rows_are_json_lines() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let lines: String = rows()
            .enumerate()
            .map(|(n, (text, label))| format!("{{\"n\":{n},\"text\":\"{text}\",\"label\":\"{label}\"}}\n"))
            .collect();
        write(folder, "rows.jsonl", &lines);
        let expected = succeed(folder, &["predict", &teacher(), "--data", "rows.jsonl"]);
        for name in ["commands.parquet", "commands.feather"] {
            assert_eq!(succeed(folder, &["predict", &teacher(), "--data", &seed(name)]), expected, "{name}");
        }
        succeed(folder, &["embed", &teacher(), "--data", "rows.jsonl", "--out", "a.npy"]);
        succeed(folder, &["embed", &teacher(), "--data", &seed("commands.feather"), "--out", "b.npy"]);
        assert!(std::fs::read(folder.join("a.npy")).unwrap() == std::fs::read(folder.join("b.npy")).unwrap());
        let told = fail(folder, &["predict", &teacher(), "--data", &seed("commands.parquet"), "--out", "x.parquet"]);
        assert!(told.contains("read and not written") && told.contains(".jsonl"), "{told}");
        let told = fail(folder, &["predict", &teacher(), "--data", "-", "--format", "parquet"]);
        assert!(told.contains("name the file"), "{told}");
    }
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_program_without_them_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    for call in [
        &["finetune", &teacher(), "--data", &seed("commands.parquet")][..],
        &["predict", &teacher(), "--data", &seed("commands.feather")],
    ] {
        let told = fail(folder.path(), call);
        assert!(told.contains("--features parquet") && told.contains("JSON lines"), "{told}");
    }
}
