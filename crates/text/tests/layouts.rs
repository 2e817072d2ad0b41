//! The public data sets: row counts, label counts and quirks as documented beside them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::fs;
use std::path::PathBuf;

use attar_testing::shared;
use attar_text::glue::Task;
use attar_text::labeled::{Dataset, Example, Label, Target};
use attar_text::layout::{Layout, Split};
use attar_text::metrics::Metric;

use Split::{Dev, Test, TestLabeled, Train};

fn glue(task: Task) -> PathBuf {
    shared(&format!("data/glue/{}", task.name()))
}

/// The counts by class, in the order of the classes.
#[track_caller]
fn expect(data: &Dataset, rows: usize, counts: &[usize]) {
    assert_eq!(data.len(), rows, "{}", data.name);
    if counts.is_empty() {
        assert!(data.examples.iter().all(|example| example.label == Label::Absent), "{}", data.name);
        assert_eq!(data.classes(), None);
    } else {
        assert_eq!(data.class_counts(), counts, "{}", data.name);
        assert_eq!(data.classes().unwrap().len(), rows);
    }
    assert!(data.examples.iter().all(|example| !example.text.trim().is_empty()), "{}", data.name);
}

#[test]
#[ignore = "needs the data sets of ../shared"]
fn glue_counts() {
    let table: [(Task, Split, usize, &[usize]); 18] = [
        (Task::Sst2, Train, 67_349, &[29_780, 37_569]),
        (Task::Sst2, Dev, 872, &[428, 444]),
        (Task::Sst2, Test, 1_821, &[]),
        (Task::Sst2, TestLabeled, 1_821, &[917, 904]),
        (Task::Cola, Train, 8_551, &[2_528, 6_023]),
        (Task::Cola, Dev, 1_043, &[322, 721]),
        (Task::Cola, Test, 1_063, &[]),
        (Task::Rte, Train, 2_490, &[1_249, 1_241]),
        (Task::Rte, Dev, 277, &[146, 131]),
        (Task::Rte, Test, 3_000, &[]),
        (Task::Mrpc, Train, 3_668, &[1_194, 2_474]),
        (Task::Mrpc, Dev, 408, &[129, 279]),
        (Task::Mrpc, TestLabeled, 1_725, &[578, 1_147]),
        (Task::Wnli, Train, 635, &[323, 312]),
        (Task::Wnli, Dev, 71, &[40, 31]),
        (Task::Wnli, Test, 146, &[]),
        (Task::Qnli, Dev, 5_463, &[2_702, 2_761]),
        (Task::StsB, Test, 1_379, &[]),
    ];
    for (task, split, rows, counts) in table {
        let dir = glue(task);
        let data = task.load(&dir, split).unwrap();
        expect(&data, rows, counts);
        assert_eq!(data.target, task.target());
        assert_eq!(data.has_pairs(), !matches!(task, Task::Sst2 | Task::Cola));
        assert_eq!(data, Layout::Glue(task).load(&dir, split).unwrap());
    }
}

#[test]
#[ignore = "needs the data sets of ../shared"]
fn similarity_scores() {
    let dir = glue(Task::StsB);
    for (split, rows, mean) in [(Train, 5_749, 2.7010), (Dev, 1_500, 2.3639), (TestLabeled, 1_379, 2.6079)] {
        let data = Task::StsB.load(&dir, split).unwrap();
        let scores = data.scores().unwrap();
        assert_eq!((data.len(), scores.len()), (rows, rows));
        let got = scores.iter().sum::<f64>() / rows as f64;
        // The documented means have four places.
        assert!((got - mean).abs() <= 0.5e-4, "{}: mean {got}", data.name);
        assert_eq!(data.target, Target::Regression { low: 0.0, high: 5.0 });
    }
    let (test, labeled) = (Task::StsB.load(&dir, Test).unwrap(), Task::StsB.load(&dir, TestLabeled).unwrap());
    // Eleven pairs differ in spaces at the end.
    let trimmed = |data: &Dataset| -> Vec<(String, String)> {
        let pair = |e: &Example| (e.text.trim().to_owned(), e.pair.as_deref().unwrap().trim().to_owned());
        data.examples.iter().map(pair).collect()
    };
    assert_eq!(trimmed(&test), trimmed(&labeled));
}

#[test]
#[ignore = "needs the data sets of ../shared"]
fn quirks_of_glue_files() {
    let dir = glue(Task::Sst2);
    let dev = Task::Sst2.load(&dir, Dev).unwrap();
    assert_eq!(dev.examples[0].text, "it 's a charming and often affecting journey . ");
    assert_eq!((dev.name.as_str(), dev.target.outputs()), ("SST-2 dev", 2));
    let (test, labeled) = (Task::Sst2.load(&dir, Test).unwrap(), Task::Sst2.load(&dir, TestLabeled).unwrap());
    assert!(test.examples.iter().zip(&labeled.examples).all(|(a, b)| a.text == b.text));
    let train = Task::Sst2.load(&dir, Train).unwrap();
    assert_eq!([dev.duplicates_with(&train), labeled.duplicates_with(&train)], [0, 2]);

    let dir = glue(Task::Cola);
    let (train, dev) = (Task::Cola.load(&dir, Train).unwrap(), Task::Cola.load(&dir, Dev).unwrap());
    let test = Task::Cola.load(&dir, Test).unwrap();
    assert_eq!([dev.duplicates_with(&train), test.duplicates_with(&train)], [16, 19]);
    assert!(train.examples[7129].text.contains('\u{8}') && train.examples[7131].text.contains('\u{8}'));
    assert_eq!(train.examples[0].text, "Our friends won't buy this analysis, let alone the next one we propose.");
    // Its last line has no line end.
    assert_eq!(dev.examples[1042].text, "John talked to Bill about himself.");

    let dir = glue(Task::Rte);
    let train = Task::Rte.load(&dir, Train).unwrap();
    assert!(train.examples[287].text.contains('\u{80}'));
    assert_eq!(train.examples[0].pair.as_deref(), Some("Weapons of Mass Destruction Found in Iraq."));
    assert_eq!(train.target.labels().unwrap().name(0), Some("entailment"));

    let dir = glue(Task::StsB);
    let [train, dev, test] = [Train, Dev, Test].map(|split| Task::StsB.load(&dir, split).unwrap());
    assert_eq!([dev.duplicates_with(&train), test.duplicates_with(&train)], [6, 7]);
}

#[test]
#[ignore = "needs the data sets of ../shared"]
fn intents() {
    let dir = shared("data/intents/snips");
    assert_eq!(Layout::detect(&dir).unwrap(), Layout::Snips);
    let [train, dev, test] = [Train, Dev, Test].map(|split| Layout::Snips.load(&dir, split).unwrap());
    expect(&train, 13_084, &[1_818, 1_881, 1_896, 1_914, 1_876, 1_847, 1_852]);
    expect(&dev, 700, &[100; 7]);
    expect(&test, 700, &[124, 92, 104, 86, 80, 107, 107]);
    // Literally 12 and 26; three more differ in double spaces.
    assert_eq!([dev.duplicates_with(&train), test.duplicates_with(&train)], [15, 26]);
    assert!(train.examples.iter().all(|example| !example.text.contains("  ") && example.text == example.text.trim()));
    assert_eq!(Layout::Snips.load(&dir, TestLabeled).unwrap().examples, test.examples);

    let dir = shared("data/intents/clinc150");
    assert_eq!(Layout::detect(&dir).unwrap(), Layout::Clinc150);
    let parts = [(Train, 15_000, 100), (Dev, 3_000, 20), (Test, 4_500, 30)];
    let parts = parts.map(|(split, rows, each)| {
        let data = Layout::Clinc150.load(&dir, split).unwrap();
        expect(&data, rows, &[each; 150]);
        data
    });
    assert!(parts.iter().all(|part| part.target == parts[0].target));
    assert!(parts[0].target.labels().unwrap().names.is_sorted());
}

#[test]
#[ignore = "needs the data sets of ../shared"]
fn news() {
    let dir = shared("data/news/agnews");
    assert_eq!(Layout::detect(&dir).unwrap(), Layout::AgNews);
    let [dev, test] = [Dev, Test].map(|split| Layout::AgNews.load(&dir, split).unwrap());
    expect(&dev, 10_001, &[2_509, 2_458, 2_496, 2_538]);
    expect(&test, 7_600, &[1_900; 4]);
    assert_eq!(test.duplicates_with(&dev), 9);
    let error = Layout::AgNews.load(&dir, Train).unwrap_err().to_string();
    assert!(error.ends_with(": AG News has no train split here; there are dev, test, labeled test"), "{error}");
}

#[test]
#[ignore = "needs the data sets of ../shared"]
fn every_task_is_detected() {
    // Of QQP and MNLI, which are not among the data sets, there are files made for tests below.
    for task in Task::ALL.into_iter().filter(|task| !matches!(task, Task::Qqp | Task::Mnli)) {
        let dir = glue(task);
        assert_eq!(Layout::detect(&dir).unwrap(), Layout::Glue(task));
    }
}

#[test]
fn another_folder_is_no_data_set() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("dev.tsv"), "a\tb\n").unwrap();
    let error = Layout::detect(dir.path()).unwrap_err().to_string();
    assert!(error.contains("not the folder of a known data set, found dev.tsv; there are SST-2, "), "{error}");
    assert!(Layout::detect(&dir.path().join("none")).unwrap_err().to_string().contains("found none"));
}

#[test]
fn names_lead_to_data_sets() {
    for layout in Layout::all() {
        assert_eq!(Layout::from_name(layout.name()).unwrap(), layout);
        assert!(layout.metrics().contains(&layout.metric()));
    }
    for (name, task) in [("sst2", Task::Sst2), ("STSB", Task::StsB), ("sts-b", Task::StsB), ("Cola", Task::Cola)] {
        assert_eq!(Layout::from_name(name).unwrap(), Layout::Glue(task));
        assert_eq!(Task::from_name(name).unwrap(), task);
    }
    assert_eq!(Layout::from_name("ag_news").unwrap(), Layout::AgNews);
    assert_eq!(
        Task::from_name("sst").unwrap_err().to_string(),
        "no data set \"sst\", the nearest is \"SST-2\"; there are SST-2, CoLA, RTE, MRPC, STS-B, WNLI, QNLI, QQP, MNLI"
    );
    assert!(Layout::from_name("").is_err() && Task::from_name("snips").is_err());
    assert_eq!(
        [Task::Cola.metric(), Task::Mrpc.metric(), Task::Sst2.metric()],
        [Metric::Matthews, Metric::F1, Metric::Accuracy]
    );
}

#[test]
fn wrong_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let error = |layout: Layout, split| {
        layout.load(dir.path(), split).unwrap_err().to_string().replace(&dir.path().display().to_string(), "DIR")
    };
    let sst2 = Layout::Glue(Task::Sst2);
    assert_eq!(error(sst2, Dev), "DIR: SST-2 has no dev split here; there are none");
    write("dev.tsv", "sentence\tlabel\ngood\t1\nbad\t2\n");
    assert_eq!(error(sst2, Dev), "DIR/dev.tsv: line 3: unknown label \"2\"; expected one of 0, 1");
    write("dev.tsv", "sentence\tlabel\n");
    assert_eq!(error(sst2, Dev), "DIR/dev.tsv: no examples, expected at least one row");
    assert_eq!(error(sst2, TestLabeled), "DIR: SST-2 has no labeled test split here; there are dev");
    write("dev.tsv", "index\tsentence1\tsentence2\tscore\n0\ta\tb\t5.1\n");
    assert_eq!(
        error(Layout::Glue(Task::StsB), Dev),
        "DIR/dev.tsv: line 2: expected a score from 0 to 5, found \"5.1\""
    );
    write("dev.tsv", "a text\tWrold\n");
    assert_eq!(
        error(Layout::AgNews, Dev),
        "DIR/dev.tsv: line 1: unknown label \"Wrold\", the nearest is \"World\"; expected one of World, Sports, \
         Business, Sci/Tech"
    );
    write("valid/seq.in", "play\n");
    write("valid/label", "PlayMusic\nRateBook\n");
    assert_eq!(
        error(Layout::Snips, Dev),
        "DIR/valid/seq.in has 1 lines and DIR/valid/label has 2, expected as many of one as of the other"
    );
    write("valid/label", "Play\n");
    assert!(error(Layout::Snips, Dev).starts_with("DIR/valid/label: line 1: unknown label \"Play\""));
    write("data_full.json", r#"{"train": [["a", "b"], ["c", " "]], "val": [["a"]]}"#);
    assert!(error(Layout::Clinc150, Train).starts_with("DIR/data_full.json: expected lists of [text, intent]: "));
    write("data_full.json", r#"{"train": [["a", "b"], ["c", " "]]}"#);
    assert_eq!(
        error(Layout::Clinc150, Train),
        "DIR/data_full.json: row 1 of \"train\", counted from 0, has an empty intent"
    );
    assert_eq!(error(Layout::Clinc150, Dev), "DIR/data_full.json: expected a list \"val\", found none");
}

#[test]
fn mnli_keeps_its_genres_apart() {
    let dir = tempfile::tempdir().unwrap();
    let header = |labels: &str| {
        format!("index\tpromptID\tpairID\tgenre\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\t{labels}\n")
    };
    let row =
        |index: usize, texts: &str, rest: &str| format!("{index}\t1\t1e\tfiction\t( A )\t( B )\t{texts}\t{rest}\n");
    let train = header("label1\tgold_label") + &row(0, "he left\the is gone", "entailment\tentailment");
    let matched =
        header("label1\tlabel2\tgold_label") + &row(0, "it rains\tit is dry", "neutral\tneutral\tcontradiction");
    let mismatched = matched.replace("contradiction", "neutral").replace("it rains", "\"rain\"");
    for (name, text) in [("train", train), ("dev_matched", matched), ("dev_mismatched", mismatched)] {
        fs::write(dir.path().join(format!("{name}.tsv")), text).unwrap();
    }
    assert_eq!(Layout::detect(dir.path()).unwrap(), Layout::Glue(Task::Mnli));
    let first = |split| Task::Mnli.load(dir.path(), split).unwrap();
    assert_eq!(first(Train).classes(), Some(vec![0]));
    assert_eq!(first(Dev).classes(), Some(vec![2]));
    let other = first(Split::DevMismatched);
    assert_eq!((other.examples[0].text.as_str(), other.classes()), ("\"rain\"", Some(vec![1])));
    assert_eq!(other.examples[0].pair.as_deref(), Some("it is dry"));
    assert_eq!(Task::Mnli.scored(), [Dev, Split::DevMismatched]);
    let error = Task::Mnli.load(dir.path(), Test).unwrap_err().to_string();
    assert!(error.ends_with("there are train, dev, mismatched dev"), "{error}");
}

#[test]
fn qqp_reads_questions_in_pairs() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n7\t1\t2\tWhy?\tHow so?\t1\n8\t3\t4\tWho?\tWhat?\t0\n";
    fs::write(dir.path().join("dev.tsv"), text).unwrap();
    let Layout::Glue(task) = Layout::detect(dir.path()).unwrap() else { panic!("a task of GLUE") };
    let data = task.load(dir.path(), Dev).unwrap();
    assert_eq!((task, data.classes()), (Task::Qqp, Some(vec![1, 0])));
    assert_eq!(data.examples[0].pair.as_deref(), Some("How so?"));
}
