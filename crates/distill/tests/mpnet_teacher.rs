//! A teacher of MPNet's kind and students of BERT's: the same pieces under other ids, positions without a bias.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use attar_distill::plan::{Beginning, Plan};
use attar_distill::recipe::Recipe;
use attar_distill::train::{Event, Observer, train};
use attar_distill::{RunDirectory, export};
use attar_model::atomic::WriteMode;
use attar_model::{Bundle, EncoderConfig, Family, Head, Target, Weights};
use attar_runtime::{Options, Precision, Session};
use attar_text::layout::Split;
use attar_text::random::Streams;
use attar_text::synthetic;
use attar_text::tokenizer::{Limit, Tokenizer, TrainOptions, train_wordpiece};

/// A folder with a BERT tokenizer, and one with a teacher whose vocabulary is the same pieces in MPNet's order.
struct Folders {
    root: tempfile::TempDir,
}

impl Folders {
    fn new() -> Folders {
        let root = tempfile::tempdir().unwrap();
        let streams = Streams::new(1);
        let rows = synthetic::generate(&streams, 400, Split::Train);
        let tokenizer = train_wordpiece(rows.examples.iter().map(|e| &e.text), TrainOptions::new(600)).unwrap();
        std::fs::create_dir(root.path().join("bert")).unwrap();
        tokenizer.save(&root.path().join("bert")).unwrap();
        let pieces: Vec<String> =
            (0..tokenizer.vocabulary_size() as u32).map(|id| tokenizer.token(id).unwrap()).collect();
        let folders = Folders { root };
        folders.teacher("mpnet", &pieces);
        folders.teacher("short", &pieces[..pieces.len() - 1]);
        folders
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A random classifier with these pieces after MPNet's own first four and before `<mask>`.
    fn teacher(&self, name: &str, pieces: &[String]) {
        let mut words = ["<s>", "<pad>", "</s>", "<unk>"].map(str::to_owned).to_vec();
        words.extend_from_slice(pieces);
        words.push("<mask>".into());
        let classes = synthetic::generate(&Streams::new(1), 10, Split::Train).target;
        let attar_text::labeled::Target::Classes(labels) = classes else { panic!("the synthetic set has classes") };
        let config = EncoderConfig {
            family: Family::MpNet,
            layers: 2,
            hidden: 48,
            heads: 4,
            feed_forward: 96,
            vocabulary: words.len(),
            positions: 42,
            types: 0,
            pad_id: 1,
            initializer_range: 0.1,
            ..EncoderConfig::bert_base()
        }
        .with_head(Head::Classification { target: Target::Labels(labels.names) });
        let weights = attar_distill::plan::initialize_missing(&config, Weights::new(), &Streams::new(2));
        let class = br#"{"tokenizer_class": "MPNetTokenizer", "do_lower_case": true}"#;
        let tokenizer_files = vec![
            ("tokenizer_config.json".into(), class.to_vec()),
            ("vocab.txt".into(), (words.join("\n") + "\n").into_bytes()),
        ];
        let bundle = Bundle { tokenizer_files, ..Bundle::new(config, weights) };
        bundle.write(&self.path(name), WriteMode::New).unwrap();
    }

    fn recipe(&self, teacher: &str, student: &str) -> Recipe {
        let text = format!(
            r#"
            data = {{ kind = "embedded", rows = 120, dev-rows = 60, max-tokens = 24 }}
            teacher = {{ path = "{}" }}
            student = {student}
            energy = {{ source = "off" }}
            [[stage]]
            name = "all"
            length = {{ steps = 3 }}
            rate = 1e-3
            objective = [{{ kind = "attention", map = [[1, 2]] }}, {{ kind = "soft" }}]
            "#,
            self.path(teacher).display()
        );
        Recipe::parse(&text).unwrap()
    }

    fn shape(&self) -> String {
        let tokenizer = self.path("bert");
        format!(
            r#"{{ from = "shape", layers = 1, hidden = 24, heads = 4, feed-forward = 40, tokenizer = "{}" }}"#,
            tokenizer.display()
        )
    }
}

#[derive(Default)]
struct Updates(usize);

impl Observer for Updates {
    fn event(&mut self, event: &Event) {
        if let Event::Evaluated { step, .. } = event {
            self.0 = self.0.max(*step);
        }
    }
}

fn run(plan: &Plan, out: &Path) {
    let directory = RunDirectory::open(out, plan).unwrap();
    let mut updates = Updates::default();
    let trained = train(plan, &directory, &mut updates).unwrap();
    export(plan, &directory, trained).unwrap();
    assert_eq!(updates.0, 3);
    let mut session = Session::load(&out.join("student"), &Options::new(Precision::F32, 1)).unwrap();
    assert_eq!(session.config().family, Family::Bert);
    let logits = session.logits(&[("turn on the lights", None)], |_| ()).unwrap();
    assert_eq!(logits[0].len(), plan.student().config.outputs());
}

#[test]
fn pieces_are_mapped_by_their_strings_and_special_tokens_by_their_part() {
    let folders = Folders::new();
    let plan = Plan::new(folders.recipe("mpnet", &folders.shape())).unwrap();
    let [bert, mpnet] = ["bert", "mpnet"].map(|name| Tokenizer::from_dir(&folders.path(name)).unwrap());
    let ids = plan.teacher_ids().unwrap();
    assert_eq!(ids.len(), bert.vocabulary_size());
    let special = [
        (bert.cls_id(), mpnet.id("<s>")),
        (bert.sep_id(), mpnet.id("</s>")),
        (bert.pad_id(), mpnet.id("<pad>")),
        (bert.mask_id(), mpnet.id("<mask>")),
    ];
    for (id, &theirs) in ids.iter().enumerate() {
        let part = special.iter().find(|(ours, _)| *ours == Some(id as u32));
        assert_eq!(theirs, part.map_or(id as u32 + 4, |(_, theirs)| theirs.unwrap()), "{:?}", bert.token(id as u32));
    }
    // What the teacher reads in training is what its own tokenizer makes of a text.
    let text = "Turn on the lights in the kitchen";
    let read = bert.encode(text, None, Limit::unlimited()).unwrap().ids;
    let read: Vec<u32> = read.into_iter().map(|id| ids[id as usize]).collect();
    assert_eq!(read, mpnet.encode(text, None, Limit::unlimited()).unwrap().ids);
    assert!(plan.notes().iter().any(|note| note.contains("under its own ids")), "{:?}", plan.notes());
    assert_eq!((plan.student().config.types, plan.student().config.pad_id), (2, bert.pad_id().unwrap()));
    run(&plan, &folders.path("run"));

    let trimmed = folders.shape().replace("feed-forward = 40", "feed-forward = 40, vocabulary = 300");
    let plan = Plan::new(folders.recipe("mpnet", &trimmed)).unwrap();
    let pieces = plan.tokenizer();
    assert!(pieces.vocabulary_size() <= 300);
    for (id, &theirs) in plan.teacher_ids().unwrap().iter().enumerate() {
        let token = pieces.token(id as u32).unwrap();
        assert!(pieces.is_special(id as u32) || mpnet.token(theirs) == Some(token), "{id}");
    }
}

#[test]
fn vocabularies_that_do_not_map_are_compared_by_words() {
    let folders = Folders::new();
    let by_words = |teacher: &str| {
        let plan = Plan::new(folders.recipe(teacher, &folders.shape())).unwrap();
        assert!(plan.teacher_ids().is_none());
        assert!(plan.notes().iter().any(|note| note.contains("word by word")), "{:?}", plan.notes());
    };
    // A teacher without some of the pieces.
    by_words("short");
    // The same pieces, but a tokenizer that keeps the case of letters.
    let config = folders.path("mpnet").join("tokenizer_config.json");
    std::fs::write(config, r#"{"tokenizer_class": "MPNetTokenizer", "do_lower_case": false}"#).unwrap();
    by_words("mpnet");
}

#[test]
fn layers_of_the_teacher_begin_a_student_with_its_positions() {
    let folders = Folders::new();
    let layers = r#"{ from = "teacher", layers = [2] }"#;
    let plan = Plan::new(folders.recipe("mpnet", layers)).unwrap();
    let student = plan.student();
    assert_eq!((student.config.family, student.config.positions), (Family::Bert, 24));
    assert!(student.config.validate().is_ok() && student.beginning == Beginning::Given);
    assert!(plan.notes().iter().any(|note| note.contains("biases are left out")), "{:?}", plan.notes());
    let teacher = Bundle::read(&folders.path("mpnet")).unwrap().weights;
    let [ours, theirs] =
        [&student.weights, &teacher].map(|weights| &weights.get("embeddings.position_embeddings.weight").unwrap().data);
    // The first text position of the teacher is row 2.
    assert_eq!(ours[..], theirs[2 * 48..26 * 48]);
    let types = &student.weights.get("embeddings.token_type_embeddings.weight").unwrap().data;
    assert!(types.iter().all(|&x| x == 0.0));
    let query = |weights: &Weights, layer: usize| {
        weights.get(&format!("encoder.layer.{layer}.attention.self.query.weight")).unwrap().clone()
    };
    assert_eq!(query(&student.weights, 0), query(&teacher, 1));
    run(&plan, &folders.path("layers"));

    let narrow = r#"{ from = "teacher", layers = [1], hidden = 24, heads = 4, feed-forward = 40, vocabulary = 300 }"#;
    let plan = Plan::new(folders.recipe("mpnet", narrow)).unwrap();
    assert_eq!(plan.student().beginning, Beginning::Pruned(vec![1]));
    run(&plan, &folders.path("narrow"));
}

/// The same with BERT's ids: the rows of the table are put in their order.
#[test]
fn layers_of_the_teacher_begin_a_student_with_berts_vocabulary() {
    let folders = Folders::new();
    let tokenizer = folders.path("bert");
    for (name, vocabulary) in [("all", ""), ("some", ", vocabulary = 300")] {
        let student =
            format!(r#"{{ from = "teacher", layers = [2], tokenizer = "{}"{vocabulary} }}"#, tokenizer.display());
        let plan = Plan::new(folders.recipe("mpnet", &student)).unwrap();
        let teacher = Bundle::read(&folders.path("mpnet")).unwrap().weights;
        let words = |weights: &Weights| weights.get("embeddings.word_embeddings.weight").unwrap().data.clone();
        let (ours, theirs) = (words(&plan.student().weights), words(&teacher));
        let ids = plan.teacher_ids().unwrap();
        assert_eq!(ours.len(), ids.len() * 48);
        for (ours, &id) in ours.chunks(48).zip(ids) {
            assert_eq!(ours, &theirs[id as usize * 48..][..48]);
        }
        run(&plan, &folders.path(name));
    }
}
