//! From raw text to a classifier: a language model, a general distillation, a student with pieces of its own.

use std::path::Path;

use attar_distill::recipe::Recipe;
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;

use crate::common::{fail, json, succeed, workshop, write};

/// `text.txt`, a corpus of documents, and `rows.csv`, labeled rows.
fn files(folder: &Path) {
    let rows = synthetic::generate(&Streams::new(1), 300, Split::Train);
    let document =
        |part: &[attar_text::labeled::Example]| part.iter().map(|row| format!("{}\n", row.text)).collect::<String>();
    write(folder, "text.txt", &rows.examples.chunks(12).map(document).collect::<Vec<_>>().join("\n"));
    let row = |row: &attar_text::labeled::Example| {
        let attar_text::labeled::Label::Class(class) = row.label else { panic!("rows have classes") };
        format!("{},{}\n", row.text.replace(',', " "), rows.target.labels().unwrap().name(class).unwrap())
    };
    write(folder, "rows.csv", &format!("text,label\n{}", rows.examples.iter().map(row).collect::<String>()));
}

#[test]
fn raw_text_becomes_a_language_model_and_a_student() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    files(folder);
    let tokenizer = workshop().join("tokenizer").display().to_string();
    let text = ["--corpus", "text.txt", "--max-tokens", "32", "--energy", "off", "--held-out", "16"];
    let shape = ["pretrain", "--tokenizer", &tokenizer, "--layers", "2", "--hidden", "16", "--heads", "2"];
    let pretrained = json(&succeed(
        folder,
        &[&shape[..], &text, &["--steps", "20", "--rate", "0.01", "--out", "lm", "--json"]].concat(),
    ));
    let perplexity = pretrained["held_out"]["perplexity"].as_f64().unwrap();
    assert!(perplexity > 1.0 && perplexity < 300.0, "{pretrained}");
    let inspected = succeed(folder, &["inspect", "lm"]);
    assert!(inspected.to_lowercase().contains("masked"), "{inspected}");
    // It resumes from there, and says what comes next.
    let more = succeed(
        folder,
        &[&["pretrain", "lm", "--whole-words"], &text[..], &["--steps", "5", "--out", "more"]].concat(),
    );
    assert!(more.contains("perplexity") && more.contains("attar finetune more"), "{more}");

    // A second vocabulary beside the first.
    succeed(folder, &["vocab", "train", "--text", "text.txt", "--size", "120", "--out", "pieces"]);
    let second = ["pretrain", "lm", "--second-tokenizer", "pieces", "--second-share", "0.7"];
    let mixed = json(&succeed(folder, &[&second[..], &text, &["--steps", "8", "--out", "mixed", "--json"]].concat()));
    assert!(mixed["parameters"].as_u64().unwrap() < pretrained["parameters"].as_u64().unwrap(), "{mixed}");

    // A teacher's states, before it knows a task; its student turns texts into vectors.
    let general = ["distill", "--teacher", "lm", "--init", "random", "--layers", "1", "--hidden", "8", "--heads", "2"];
    let general = succeed(folder, &[&general[..], &text, &["--steps", "10", "--out", "general"]].concat());
    assert!(general.contains("on held-out text") && general.contains("attar embed general"), "{general}");
    assert!(succeed(folder, &["embed", "general", "lights on please", "--json"]).contains('['));

    // The student of a task begins with it.
    let teacher = workshop().join("teacher").display().to_string();
    let task = ["distill", "--teacher", &teacher, "--data", "rows.csv", "--energy", "off", "--steps", "6"];
    let student = succeed(folder, &[&task[..], &["--student", "general", "--out", "student"]].concat());
    assert!(student.contains("keeps") && student.contains("attar predict student"), "{student}");
    // Or has pieces of its own.
    let own = json(&succeed(folder, &[&task[..], &["--tokenizer", "pieces", "--out", "own", "--json"]].concat()));
    assert!(
        own["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains("word by word")),
        "{own}"
    );
    assert!(succeed(folder, &["predict", "own/small", "lights on please", "--json"]).contains("label"));
}

#[test]
fn recipes_of_teacher_and_student_are_printed_without_training() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    files(folder);
    let tokenizer = workshop().join("tokenizer").display().to_string();
    let shape =
        ["pretrain", "--tokenizer", &tokenizer, "--layers", "2", "--hidden", "16", "--heads", "2", "--steps", "1"];
    succeed(
        folder,
        &[&shape[..], &["--corpus", "text.txt", "--held-out", "0", "--energy", "off", "--out", "encoder"]].concat(),
    );
    let printed =
        succeed(folder, &["distill", "--teacher", "encoder", "--data", "rows.csv", "--out", "run", "--print-recipe"]);
    assert!(
        printed.contains("# The teacher") && printed.contains("# The student") && !folder.join("run").exists(),
        "{printed}"
    );
    // Saved as it is, it is the student's recipe.
    let recipe = Recipe::parse(&printed).unwrap();
    assert!(recipe.teacher.unwrap().path.unwrap().ends_with("run/teacher"), "{printed}");
    // What the student cannot be is refused before its teacher is made.
    for (flag, value, expected) in [
        ("--hidden", "7", "do not divide the hidden width 7"),
        ("--rate", "nan", "`rate` above 0, got NaN"),
        ("--layers", "99", "--layers"),
        ("--max-bytes", "1kB", "--max-bytes: 1000 bytes"),
    ] {
        let refused =
            fail(folder, &["distill", "--teacher", "encoder", "--data", "rows.csv", "--out", "early", flag, value]);
        assert!(refused.contains(expected), "{refused}");
        assert!(!folder.join("early").exists(), "{flag}: something was made");
    }
    // A size that no vocabulary meets is refused, whose ever the pieces are.
    let small =
        ["distill", "--teacher", "encoder", "--tokenizer", &tokenizer, "--data", "rows.csv", "--max-bytes", "20kB"];
    let refused = fail(folder, &[&small[..], &["--print-recipe"]].concat());
    assert!(refused.contains("--max-bytes"), "{refused}");
    // Pieces of another tokenizer are counted, not the fewer ones of the teacher.
    let letters = ('a'..='z').flat_map(|letter| [letter.to_string(), format!("##{letter}")]);
    let words = (0..3_000).map(|number| format!("word{number}"));
    let specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).into_iter();
    std::fs::create_dir(folder.join("other")).unwrap();
    let pieces: Vec<String> = specials.chain(letters).chain(words).collect();
    write(&folder.join("other"), "vocab.txt", &pieces.join("\n"));
    let printed = succeed(
        folder,
        &["distill", "--teacher", "encoder", "--tokenizer", "other", "--data", "rows.csv", "--max-bytes", "200kB"]
            .into_iter()
            .chain(["--gold-only", "--init", "random", "--print-recipe"])
            .collect::<Vec<_>>(),
    );
    let kept = printed.lines().find_map(|line| line.strip_prefix("vocabulary = ")).map(|kept| kept.parse().unwrap());
    assert!(kept.is_some_and(|kept: usize| (2_000..3_000).contains(&kept)), "{printed}");
}

#[test]
fn a_vocabulary_of_the_students_own_is_as_large_as_its_size_allows() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    files(folder);
    let teacher = workshop().join("teacher").display().to_string();
    let distill = ["distill", "--teacher", &teacher, "--data", "rows.csv", "--energy", "off", "--steps", "2"];
    let own = [&distill[..], &["--own-pieces", "text.txt", "--max-bytes", "150kB", "--out", "own"]].concat();
    let output = crate::common::attar(folder, &own).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("word pieces, ") && said.contains("of 0.15 MB"), "{said}");
    let pieces = std::fs::read_to_string(folder.join("own/pieces/vocab.txt")).unwrap();
    assert_eq!(pieces, std::fs::read_to_string(folder.join("own/small/vocab.txt")).unwrap());
    let bytes: u64 = std::fs::read_dir(folder.join("own/small"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes <= 150_000, "{bytes} bytes were shipped");
    // A finished run is not disturbed by another size.
    let refused = fail(folder, &[&own[..], &["--vocabulary", "200"]].concat());
    assert!(refused.contains("own/pieces holds another vocabulary"), "{refused}");
    assert_eq!(pieces, std::fs::read_to_string(folder.join("own/pieces/vocab.txt")).unwrap());
    assert!(crate::common::attar(folder, &own).output().unwrap().status.success());
    // Without a file the rows are the text; what is given stays.
    let printed = succeed(
        folder,
        &[
            &distill[..],
            &["--embedding-width", "16", "--max-bytes", "150kB", "--out", "rows", "--print-recipe", "--own-pieces"],
        ]
        .concat(),
    );
    assert!(printed.contains("embedding-width = 16") && printed.contains("rows/pieces"), "{printed}");
    assert!(folder.join("rows/pieces/tokenizer.json").exists());
    let small =
        fail(folder, &[&distill[..], &["--own-pieces", "text.txt", "--max-bytes", "20kB", "--out", "no"]].concat());
    assert!(small.contains("--max-bytes") && small.contains("word pieces with a hidden width of"), "{small}");
    let two = fail(folder, &[&distill[..], &["--own-pieces", "text.txt", "--tokenizer", "x"]].concat());
    assert!(two.contains("--own-pieces") && two.contains("--tokenizer"), "{two}");
}

#[test]
fn flags_that_do_not_go_with_raw_text_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    files(folder);
    let teacher = workshop().join("teacher").display().to_string();
    let distill = ["distill", "--teacher", &teacher, "--corpus", "text.txt"];
    let both = fail(folder, &[&distill[..], &["--data", "rows.csv"]].concat());
    assert!(both.contains("--data") && both.contains("--corpus"), "{both}");
    let gold = fail(folder, &[&distill[..], &["--gold-only"]].concat());
    assert!(gold.contains("--gold-only"), "{gold}");
    let two = fail(folder, &[&distill[..3], &["--data", "rows.csv", "--student", "x", "--layers", "1"]].concat());
    assert!(two.contains("--student") && two.contains("--layers"), "{two}");
    let pair = fail(folder, &[&distill[..], &["--pair", "x"]].concat());
    assert!(pair.contains("--pair"), "{pair}");
    let shape = fail(folder, &["pretrain", &teacher, "--corpus", "text.txt", "--layers", "9"]);
    assert!(shape.contains("--layers") && shape.contains("keeps its own"), "{shape}");
    let missing = fail(folder, &["pretrain", &teacher]);
    assert!(missing.contains("--corpus"), "{missing}");
}
