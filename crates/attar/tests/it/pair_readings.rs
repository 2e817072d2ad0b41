//! How a sentence encoder is to read pairs with a score.

use std::path::Path;

use attar_distill::plan::initialize_missing;
use attar_distill::tokenizer_files;
use attar_model::atomic::WriteMode;
use attar_model::{Bundle, EncoderConfig, Pooling, PoolingMode, Weights};
use attar_text::random::Streams;
use attar_text::tokenizer::{TrainOptions, train_wordpiece};

use crate::common::{attar, write};

/// A hundred words of two letters.
fn words() -> Vec<String> {
    let vowels = |consonant: char| "aeiou".chars().map(move |vowel| format!("{consonant}{vowel}"));
    "bcdfghjklmnpqrstvwxz".chars().flat_map(vowels).collect()
}

/// A sentence encoder whose states are hardly more than the words' own random vectors: the cosine of two means tells how many
/// words the texts share.
fn encoder(folder: &Path) {
    let tokenizer =
        train_wordpiece([words().join(" ").repeat(20), "awful great ".repeat(20)], TrainOptions::new(400)).unwrap();
    let config = EncoderConfig {
        layers: 1,
        hidden: 64,
        heads: 4,
        feed_forward: 64,
        vocabulary: tokenizer.vocabulary_size(),
        positions: 32,
        pooler: false,
        pad_id: tokenizer.pad_id().unwrap(),
        ..EncoderConfig::bert_base()
    };
    let given = initialize_missing(&config, Weights::new(), &Streams::new(1));
    let weights: Weights = given
        .iter()
        .map(|(name, tensor)| {
            let mut tensor = tensor.clone();
            let factor = match name {
                "embeddings.word_embeddings.weight" => 10.0,
                _ if name.contains("LayerNorm") => 1.0,
                _ => 0.01,
            };
            tensor.data.iter_mut().for_each(|x| *x *= factor);
            (name.to_owned(), tensor)
        })
        .collect();
    let pooling = Some(Pooling { mode: PoolingMode::Mean, normalize: true });
    let bundle =
        Bundle { pooling, tokenizer_files: tokenizer_files(&tokenizer, 32).unwrap(), ..Bundle::new(config, weights) };
    bundle.write(&folder.join("encoder"), WriteMode::New).unwrap();
}

/// Pairs of eight words each, and how many they share; or how the first text ends.
fn rows(folder: &Path) {
    let mut stream = Streams::new(2).stream("pairs", &[]);
    let (mut alike, mut polite) = (String::from("text\tother\tscore\n"), String::from("text\tother\tscore\n"));
    let mut words = words();
    for row in 0..300 {
        stream.shuffle(&mut words);
        let common = row % 5;
        let first = words[..8].join(" ");
        let second = words[8 - common..16 - common].join(" ");
        alike += &format!("{first}\t{second}\t{common}\n");
        let (end, score) = if row % 2 == 0 { ("great", 5) } else { ("awful", 0) };
        polite += &format!("{first} {end}\t{second}\t{score}\n");
    }
    write(folder, "alike.tsv", &alike);
    write(folder, "polite.tsv", &polite);
}

/// The classifier of the recipe, and what is said.
fn chosen(folder: &Path, data: &str, more: &[&str]) -> (String, String) {
    let call = ["finetune", "encoder", "--data", data, "--pair", "other", "--label", "score", "--regression", "0", "5"];
    let output = attar(folder, &[&call[..], &["--print-recipe"], more].concat()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let recipe = String::from_utf8(output.stdout).unwrap();
    let line = recipe.lines().find(|line| line.starts_with("classifier")).unwrap();
    (line.to_owned(), said)
}

#[test]
fn scores_say_how_pairs_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    encoder(folder);
    rows(folder);
    let (classifier, said) = chosen(folder, "alike.tsv", &[]);
    assert_eq!(classifier, "classifier = \"cosine\"", "{said}");
    assert!(said.contains("the cosine is kept") && said.contains("--classifier"), "{said}");
    let (classifier, said) = chosen(folder, "polite.tsv", &[]);
    assert_eq!(classifier, "classifier = \"auto\"", "{said}");
    assert!(said.contains("read as one sequence"), "{said}");
    // Whoever names one gets it, unasked.
    let (classifier, said) = chosen(folder, "polite.tsv", &["--classifier", "cosine"]);
    assert_eq!(classifier, "classifier = \"cosine\"");
    assert!(!said.contains("variance"), "{said}");
}
