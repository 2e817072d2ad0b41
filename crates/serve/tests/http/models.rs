//! Small models with random weights and each kind of head.

use std::path::Path;
use std::sync::OnceLock;

use attar_model::atomic::WriteMode;
use attar_model::{Bundle, ClassifierInput, EncoderConfig, Head, Target, Tensor, Weights, expected_shapes};
use attar_runtime::{Options, Precision, Session};
use attar_serve::NamedBundle;
use attar_text::tokenizer::{TrainOptions, train_wordpiece};
use tempfile::TempDir;

pub(crate) const TEXT: &str =
    "Ada Lovelace wrote, in London, notes on the analytical engine; Charles Babbage never built it.";
pub(crate) const MAX_TOKENS: usize = 48;
/// The bundles of [`all`].
pub(crate) const NAMES: [&str; 6] = ["intents", "topics", "vectors", "pairs", "tags", "answers"];

/// Writes a model whose weights follow from a seed.
pub(crate) fn write(dir: &Path, head: Head, input: ClassifierInput, seed: u32) {
    let tokenizer = train_wordpiece([TEXT; 3], TrainOptions::new(90)).unwrap();
    let config = EncoderConfig {
        layers: 2,
        hidden: 24,
        heads: 4,
        feed_forward: 40,
        vocabulary: tokenizer.vocabulary_size(),
        positions: MAX_TOKENS,
        classifier_input: input,
        ..EncoderConfig::bert_base()
    }
    .with_head(head);
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let weights: Weights = expected_shapes(&config)
        .into_iter()
        .map(|(name, shape)| {
            let numbers = (0..shape.iter().product()).map(|_| random()).collect();
            (name, Tensor::new(shape, numbers))
        })
        .collect();
    Bundle::new(config, weights).write(dir, WriteMode::Replace).unwrap();
    tokenizer.save(dir).unwrap();
}

fn names(list: &str) -> Vec<String> {
    list.split(' ').map(str::to_owned).collect()
}

/// A folder with a model of each name of [`NAMES`].
fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let made = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let classes = |target| Head::Classification { target };
        let intents = classes(Target::Labels(names("lights music weather")));
        for (name, head, input) in [
            ("intents", intents, ClassifierInput::FirstToken),
            ("topics", classes(Target::MultiLabel(names("bug ui"))), ClassifierInput::Mean),
            ("vectors", Head::None, ClassifierInput::FirstToken),
            ("pairs", classes(Target::Regression), ClassifierInput::FirstToken),
            ("tags", Head::TokenClassification { labels: names("O B-PER I-PER") }, ClassifierInput::FirstToken),
            ("answers", Head::QuestionAnswering, ClassifierInput::FirstToken),
        ] {
            let dir = folder.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            // Another encoder than the others have.
            let seed = if name == "intents" { 8 } else { 7 };
            write(&dir, head, input, seed);
        }
        folder
    });
    made.path()
}

pub(crate) fn options() -> Options {
    Options::new(Precision::F32, 1)
}

/// One of the models, to be served.
pub(crate) fn bundle(name: &str) -> NamedBundle {
    NamedBundle { name: name.to_owned(), dir: folder().join(name), options: options() }
}

/// All models, to be served.
pub(crate) fn all() -> Vec<NamedBundle> {
    NAMES.iter().map(|name| bundle(name)).collect()
}

/// One of the models, to be compared with.
pub(crate) fn session(name: &str) -> Session {
    Session::load(&bundle(name).dir, &options()).unwrap()
}
