//! Who learns, as it begins.

use attar_model::hf_config::are_default_labels;
use attar_model::{
    Bundle, EncoderConfig, Family, Head, Target as Answer, Tensor, Weights, checkpoint, expected_shapes,
};
use attar_text::labelled::Target;
use attar_text::random::Streams;
use attar_text::tokenizer::Tokenizer;

use crate::data::LabelledData;
use crate::recipe::StudentSpec;
use crate::{Error, model_directory};

/// The student before its first step.
#[derive(Debug)]
pub struct PlannedStudent {
    /// Its shape and head.
    pub config: EncoderConfig,
    /// Its first weights.
    pub weights: Weights,
    /// What a card names as the model it came from.
    pub base: Option<String>,
}

impl PlannedStudent {
    pub(super) fn new(
        spec: &StudentSpec,
        teacher: Option<&Bundle>,
        tokenizer: &Tokenizer,
        data: &LabelledData,
        streams: &Streams,
    ) -> Result<PlannedStudent, Error> {
        let answer = answer(&data.train.target);
        match spec {
            StudentSpec::Model { path, new_head } => {
                let dir = model_directory::locate(path);
                let head = checkpoint::read_config(&dir)?.head;
                let keep = !*new_head && fits(&dir, &head, &answer)?;
                let mut loaded = checkpoint::load_as(&dir, Head::Classification { target: answer })?;
                if !keep {
                    for name in ["classifier.weight", "classifier.bias"] {
                        loaded.weights.remove(name);
                    }
                }
                let weights = initialised(&loaded.config, loaded.weights, streams);
                let base = path.file_name().map(|name| name.to_string_lossy().into_owned());
                Ok(PlannedStudent { config: loaded.config, weights, base })
            }
            StudentSpec::Shape { layers, hidden, heads, feed_forward, .. } => {
                let shape = EncoderConfig {
                    layers: *layers,
                    hidden: *hidden,
                    heads: *heads,
                    feed_forward: *feed_forward,
                    initializer_range: deviation(*hidden),
                    ..like(teacher.map(|teacher| &teacher.config), tokenizer)
                };
                let config = shape.with_head(Head::Classification { target: answer });
                config.validate().map_err(|e| {
                    Error::refused("student", "a shape that is one", e.to_string(), "change the shape in the recipe")
                })?;
                let weights = initialised(&config, Weights::new(), streams);
                Ok(PlannedStudent { config, weights, base: None })
            }
        }
    }
}

/// What a head has to answer for this target.
pub(super) fn answer(target: &Target) -> Answer {
    match target {
        Target::Classes(labels) => Answer::Labels(labels.names.clone()),
        Target::Regression { .. } => Answer::Regression,
    }
}

/// Whether a head of a model that exists is for these labels; a head for other labels is refused.
fn fits(dir: &std::path::Path, head: &Head, answer: &Answer) -> Result<bool, Error> {
    let Head::Classification { target } = head else { return Ok(false) };
    let refused = |got: String, expected: String| {
        let out = "add `new-head = true` (`--new-head`) to replace the head";
        Err(Error::refused(format!("the head of {}", dir.display()), expected, got, out))
    };
    match (target, answer) {
        (Answer::Regression, Answer::Regression) => Ok(true),
        (Answer::Labels(theirs), Answer::Labels(ours)) if theirs == ours => Ok(true),
        (Answer::Labels(theirs), Answer::Labels(ours)) if theirs.len() == ours.len() && are_default_labels(theirs) => {
            Ok(true)
        }
        (Answer::Labels(theirs), Answer::Labels(ours)) => {
            refused(format!("the labels {}", theirs.join(", ")), format!("the labels {}", ours.join(", ")))
        }
        (Answer::Labels(theirs), Answer::Regression) => refused(format!("{} labels", theirs.len()), "a score".into()),
        (Answer::Regression, Answer::Labels(ours)) => refused("a score".into(), format!("{} labels", ours.len())),
    }
}

/// What a new student takes from its teacher besides the shape: the vocabulary, positions, functions.
fn like(teacher: Option<&EncoderConfig>, tokenizer: &Tokenizer) -> EncoderConfig {
    let pad_id = tokenizer.pad_id().unwrap_or(0);
    match teacher {
        // One family for all new students; a teacher's own pad id and tables stay.
        Some(teacher) => EncoderConfig {
            family: Family::Bert,
            vocabulary: teacher.vocabulary,
            positions: teacher.usable_positions(),
            types: teacher.types.max(1),
            pad_id: teacher.pad_id,
            activation: teacher.activation,
            layer_norm_eps: teacher.layer_norm_eps,
            ..EncoderConfig::bert_base()
        },
        None => EncoderConfig { vocabulary: tokenizer.vocabulary_size(), pad_id, ..EncoderConfig::bert_base() },
    }
}

/// Standard deviation of a new student's weights: BERT's 0.02 at its width of 768, and at other widths
/// what gives sums over the width the same variance. At 0.02 narrow students learn several times more
/// slowly (experiments/first-light).
fn deviation(hidden: usize) -> f64 {
    let bert = EncoderConfig::bert_base();
    bert.initializer_range * (bert.hidden as f64 / hidden as f64).sqrt()
}

/// Weights with every tensor that is missing drawn anew: normal with the config's deviation, gains 1,
/// biases 0 (Devlin et al., arXiv 1810.04805, released code).
pub fn initialised(config: &EncoderConfig, mut given: Weights, streams: &Streams) -> Weights {
    let mut weights = Weights::new();
    for (index, (name, shape)) in expected_shapes(config).into_iter().enumerate() {
        let tensor = given.remove(&name).unwrap_or_else(|| {
            if name.ends_with(".bias") {
                return Tensor::zeros(shape);
            }
            let count: usize = shape.iter().product();
            if name.contains("LayerNorm") {
                return Tensor::new(shape, vec![1.0; count]);
            }
            let mut stream = streams.stream("initialisation", &[index as u64]);
            let data = (0..count).map(|_| (stream.normal() * config.initializer_range) as f32).collect();
            Tensor::new(shape, data)
        });
        weights.insert(name, tensor);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_weights_have_the_config_s_deviation() {
        let config = EncoderConfig {
            layers: 1,
            hidden: 64,
            heads: 4,
            feed_forward: 256,
            vocabulary: 500,
            ..EncoderConfig::bert_base()
        };
        let weights = initialised(&config, Weights::new(), &Streams::new(3));
        assert_eq!(
            weights.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>(),
            expected_shapes(&config).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        );
        let words = &weights.get("embeddings.word_embeddings.weight").unwrap().data;
        let deviation = (words.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / words.len() as f64).sqrt();
        // Four standard errors of a deviation over 32,000 draws.
        assert!((deviation / 0.02 - 1.0).abs() < 4.0 / (2.0 * words.len() as f64).sqrt(), "{deviation}");
        assert_eq!(weights.get("embeddings.LayerNorm.weight").unwrap().data, [1.0; 64]);
        assert_eq!(weights.get("pooler.dense.bias").unwrap().data, [0.0; 64]);
        assert_eq!(weights, initialised(&config, Weights::new(), &Streams::new(3)));
        assert_ne!(weights, initialised(&config, Weights::new(), &Streams::new(4)));
    }

    #[test]
    fn heads_of_other_labels_are_refused() {
        let labels = |list: &str| Answer::Labels(list.split(' ').map(str::to_string).collect());
        let head = |list: &str| Head::Classification { target: labels(list) };
        let fits = |head: &Head, answer: &Answer| fits(std::path::Path::new("m"), head, answer);
        assert!(fits(&head("a b"), &labels("a b")).unwrap());
        assert!(fits(&head("LABEL_0 LABEL_1"), &labels("a b")).unwrap());
        assert!(!fits(&Head::None, &labels("a b")).unwrap());
        assert!(!fits(&Head::MaskedLm, &labels("a b")).unwrap());
        for (head, answer) in
            [(head("a b c"), labels("a b")), (head("b a"), labels("a b")), (head("a b"), Answer::Regression)]
        {
            assert!(fits(&head, &answer).unwrap_err().to_string().contains("--new-head"));
        }
    }
}
