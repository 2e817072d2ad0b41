//! What is read from `config.json`, what is refused and with which words, what is written.

use attar_model::{Activation, EncoderConfig, Family, Head, Target, hf_config};
use serde_json::{Value, json};

/// A valid file of the family, changed by `changes` (null removes a key).
fn json_of(model_type: &str, changes: Value) -> Value {
    let mut file = match model_type {
        "distilbert" => json!({
            "architectures": ["DistilBertModel"], "model_type": "distilbert", "vocab_size": 100, "dim": 12,
            "n_layers": 2, "n_heads": 3, "hidden_dim": 20, "max_position_embeddings": 32,
        }),
        "roberta" => json!({
            "architectures": ["RobertaModel"], "model_type": "roberta", "vocab_size": 100, "hidden_size": 12,
            "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20, "max_position_embeddings": 34,
            "type_vocab_size": 1,
        }),
        "mpnet" => json!({
            "architectures": ["MPNetModel"], "model_type": "mpnet", "vocab_size": 100, "hidden_size": 12,
            "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20, "max_position_embeddings": 34,
        }),
        "electra" => json!({
            "architectures": ["ElectraModel"], "model_type": "electra", "vocab_size": 100, "embedding_size": 8,
            "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
            "max_position_embeddings": 32,
        }),
        _ => json!({
            "architectures": ["BertModel"], "model_type": "bert", "vocab_size": 100, "hidden_size": 12,
            "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20, "max_position_embeddings": 32,
        }),
    };
    for (key, value) in changes.as_object().unwrap() {
        if value.is_null() {
            file.as_object_mut().unwrap().shift_remove(key);
        } else {
            file[key] = value.clone();
        }
    }
    file
}

fn bert(changes: Value) -> EncoderConfig {
    hf_config::parse(json_of("bert", changes)).unwrap()
}

fn refused(changes: Value) -> String {
    hf_config::parse(json_of("bert", changes)).unwrap_err().to_string()
}

#[test]
fn defaults_are_those_of_the_class() {
    let config = bert(json!({}));
    assert_eq!((config.types, config.pad_id, config.pooler), (2, 0, true));
    assert_eq!((config.hidden_dropout, config.attention_dropout, config.classifier_dropout), (0.1, 0.1, None));
    assert_eq!((config.layer_norm_eps, config.initializer_range), (1e-12, 0.02));
    assert_eq!(config.activation, Activation::Gelu);
    let distilbert = hf_config::parse(json_of("distilbert", json!({}))).unwrap();
    assert_eq!((distilbert.types, distilbert.pooler, distilbert.classifier_dropout), (0, false, Some(0.2)));
    let roberta = hf_config::parse(json_of("roberta", json!({}))).unwrap();
    assert_eq!((roberta.pad_id, roberta.position_offset(), roberta.usable_positions()), (1, 2, 32));
    let mpnet = hf_config::parse(json_of("mpnet", json!({}))).unwrap();
    assert_eq!((mpnet.pad_id, mpnet.position_offset(), mpnet.usable_positions()), (1, 2, 32));
    assert_eq!((mpnet.types, mpnet.pooler, mpnet.layer_norm_eps), (0, true, 1e-12));
    assert_eq!(hf_config::emit(&mpnet).unwrap()["relative_attention_num_buckets"], 32);
    let electra = hf_config::parse(json_of("electra", json!({}))).unwrap();
    assert_eq!((electra.types, electra.pad_id, electra.pooler, electra.embedding), (2, 0, false, Some(8)));
}

#[test]
fn electras_embeddings_have_a_width_of_their_own() {
    // What the discriminators that are published have besides, as google/electra-small-discriminator's file lists it.
    let changes = json!({
        "architectures": ["ElectraForPreTraining"], "summary_activation": "gelu", "summary_last_dropout": 0.1,
        "summary_type": "first", "summary_use_proj": true,
    });
    let config = hf_config::parse(json_of("electra", changes)).unwrap();
    assert_eq!((&config.head, config.embedding_width(), config.hidden), (&Head::None, 8, 12));
    let emitted = hf_config::emit(&config).unwrap();
    assert_eq!((&emitted["architectures"], &emitted["embedding_size"]), (&json!(["ElectraModel"]), &json!(8)));
    assert_eq!(emitted["summary_type"], "first");
    assert_eq!(hf_config::parse(emitted).unwrap(), config);
    // As wide as the states, they have no map.
    let base = hf_config::parse(json_of("electra", json!({"embedding_size": 12}))).unwrap();
    assert_eq!((base.embedding, base.embedding_width()), (None, 12));
    assert_eq!(hf_config::emit(&base).unwrap()["embedding_size"], 12);
    let missing = hf_config::parse(json_of("electra", json!({"embedding_size": null}))).unwrap_err().to_string();
    assert!(missing.contains("`embedding_size` is missing"), "{missing}");
}

#[test]
fn tinyberts_own_file_has_no_model_type() {
    let file = json!({
        "attention_probs_dropout_prob": 0.1, "cell": {}, "emb_size": 312, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1, "hidden_size": 312, "initializer_range": 0.02, "intermediate_size": 1200,
        "max_position_embeddings": 512, "num_attention_heads": 12, "num_hidden_layers": 4, "pre_trained": "",
        "structure": [], "training": "", "type_vocab_size": 2, "vocab_size": 30522,
    });
    let config = hf_config::parse(file.clone()).unwrap();
    assert_eq!((config.family, config.layers, config.head_width()), (Family::Bert, 4, 26));
    let emitted = hf_config::emit(&config).unwrap();
    for (key, value) in file.as_object().unwrap() {
        assert_eq!(&emitted[key], value, "{key}");
    }
    assert_eq!((&emitted["model_type"], &emitted["architectures"]), (&json!("bert"), &json!(["BertModel"])));
    assert_eq!(hf_config::parse(emitted).unwrap(), config);
}

#[test]
fn a_missing_model_type_is_told_by_the_class() {
    for (model_type, family) in [
        ("bert", Family::Bert),
        ("distilbert", Family::DistilBert),
        ("roberta", Family::Roberta),
        ("mpnet", Family::MpNet),
        ("electra", Family::Electra),
    ] {
        let file = json_of(model_type, json!({"model_type": null}));
        assert_eq!(hf_config::parse(file).unwrap().family, family);
    }
}

#[test]
fn labels() {
    let classifier = |changes: Value| {
        let mut all = json!({"architectures": ["BertForSequenceClassification"]});
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        hf_config::parse(json_of("bert", all))
    };
    let labels = |names: &[&str]| {
        let names = names.iter().map(|name| name.to_string()).collect();
        Head::Classification { target: Target::Labels(names) }
    };
    let regression = Head::Classification { target: Target::Regression };
    for (changes, head) in [
        (json!({}), labels(&["LABEL_0", "LABEL_1"])),
        (json!({"num_labels": 3}), labels(&["LABEL_0", "LABEL_1", "LABEL_2"])),
        (json!({"num_labels": 1}), regression.clone()),
        (json!({"id2label": {"0": "score"}}), regression.clone()),
        (json!({"id2label": {"0": "score"}, "problem_type": "regression"}), regression.clone()),
        // Written by a sorted map, "10" comes before "2".
        (
            json!({"id2label": {"0": "a", "1": "b", "10": "k", "2": "c", "3": "d", "4": "e", "5": "f", "6": "g",
                "7": "h", "8": "i", "9": "j"}}),
            labels(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]),
        ),
        (
            json!({"id2label": {"0": "no", "1": "yes"}, "num_labels": 2, "problem_type": "single_label_classification"}),
            labels(&["no", "yes"]),
        ),
        (
            json!({"id2label": {"0": "bug", "1": "ui"}, "problem_type": "multi_label_classification"}),
            Head::Classification { target: Target::MultiLabel(vec!["bug".into(), "ui".into()]) },
        ),
        (
            json!({"problem_type": "multi_label_classification"}),
            Head::Classification { target: Target::MultiLabel(vec!["LABEL_0".into(), "LABEL_1".into()]) },
        ),
    ] {
        let config = classifier(changes.clone()).unwrap();
        assert_eq!(config.head, head, "{changes}");
        let emitted = hf_config::emit(&config).unwrap();
        assert_eq!(hf_config::parse(emitted.clone()).unwrap(), config, "{changes}");
        for key in ["id2label", "problem_type"] {
            assert!(changes[key].is_null() || emitted[key] == changes[key], "{key} of {changes} lost in {emitted}");
        }
    }
    for (changes, text) in [
        (json!({"id2label": {"0": "a", "2": "b"}}), "must name the ids 0 to 1, each once: 2 is beyond the last"),
        (json!({"id2label": {"0": "a", "00": "b"}}), "0 stands there twice"),
        (json!({"id2label": {"a": "b"}}), "`a` is not an id"),
        (json!({"id2label": {"0": 1}}), "the name of 0 is 1"),
        (json!({"id2label": {"0": "a", "1": "b", "2": "a"}}), "0 and 2 are both called \"a\""),
        (json!({"id2label": {}}), "it is empty"),
        (json!({"id2label": ["a"]}), "`id2label` must be an object from id to name, got an array"),
        (json!({"id2label": {"0": "a", "1": "b"}, "num_labels": 3}), "`num_labels` is 3 but `id2label` has 2"),
        (json!({"num_labels": 1_000_000_000_000u64}), "`num_labels` must be a whole number from 1 to 65536"),
        (json!({"num_labels": 0}), "`num_labels` must be"),
        (json!({"problem_type": "multi_label_classification", "num_labels": 1}), "two labels or more"),
        (json!({"problem_type": "regression"}), "regression with 2 outputs"),
        (json!({"problem_type": "ranking"}), "`problem_type` must be"),
        (json!({"problem_type": "single_label_classification", "num_labels": 1}), "two labels or more"),
    ] {
        let error = classifier(changes).expect_err(text).to_string();
        assert!(error.contains(text), "expected `{text}` in `{error}`");
    }
}

#[test]
fn what_attar_does_not_compute_is_refused() {
    for (changes, text) in [
        (
            json!({"model_type": "gpt2"}),
            "unknown model_type `gpt2`: attar reads bert, distilbert, roberta, mpnet and electra",
        ),
        (json!({"model_type": "xlm-roberta"}), "unknown model_type `xlm-roberta`"),
        (json!({"model_type": 3}), "`model_type` must be a name, got 3"),
        (json!({"model_type": null, "architectures": null, "hidden_size": null}), "cannot tell the kind of model"),
        (json!({"architectures": ["BertForMultipleChoice"]}), "reads BertModel, BertForSequenceClassification"),
        (json!({"architectures": ["RobertaModel"]}), "unsupported architecture `RobertaModel`"),
        (json!({"architectures": "BertModel"}), "`architectures` must be an array"),
        (json!({"hidden_act": "silu"}), "`hidden_act` is `silu`: attar computes gelu, gelu_new"),
        (json!({"position_embedding_type": "relative_key"}), "absolute positions only"),
        (json!({"is_decoder": true}), "`is_decoder` is true"),
        (json!({"num_attention_heads": 5}), "5 heads do not divide the hidden width 12"),
        (json!({"hidden_size": null}), "the key `hidden_size` is missing"),
        (json!({"hidden_size": "12"}), "`hidden_size` must be a whole number from 0, got \"12\""),
        (json!({"hidden_size": -1}), "`hidden_size` must be a whole number"),
        (json!({"num_hidden_layers": 1u64 << 60}), "`layers` is 1152921504606846976, expected 1 to 1024"),
        (json!({"vocab_size": u64::MAX}), "`vocabulary` is 18446744073709551615"),
        (json!({"pad_token_id": 100}), "the padding id 100 is not in a vocabulary of 100"),
        (json!({"pad_token_id": 1u64 << 33}), "`pad_token_id` must be an id below 2^32"),
        (json!({"layer_norm_eps": 0.0}), "`layer_norm_eps` is 0"),
        (json!({"hidden_dropout_prob": 1.5}), "`hidden_dropout` is 1.5"),
        (json!({"architectures": ["BertForMaskedLM"], "tie_word_embeddings": false}), "shares its decoder"),
    ] {
        let error = refused(changes);
        assert!(error.contains(text), "expected `{text}` in `{error}`");
    }
    assert!(hf_config::parse(json!([])).unwrap_err().to_string().contains("expected a JSON object"));
    // Untied embeddings are no matter where nothing is tied.
    bert(json!({"tie_word_embeddings": false}));
}

#[test]
fn activations() {
    for (name, activation, written) in [
        ("gelu", Activation::Gelu, "gelu"),
        ("gelu_new", Activation::GeluNew, "gelu_new"),
        ("gelu_pytorch_tanh", Activation::GeluNew, "gelu_new"),
        ("relu", Activation::Relu, "relu"),
    ] {
        let config = bert(json!({"hidden_act": name}));
        assert_eq!(config.activation, activation);
        assert_eq!(hf_config::emit(&config).unwrap()["hidden_act"], written);
    }
}

#[test]
fn unknown_keys_come_back_and_stale_ones_do_not() {
    let kept =
        json!({"cell": {"a": [1, null]}, "bos_token_id": null, "position_embedding_type": "absolute", "z": 1e-3});
    let mut file = json_of("bert", json!({"dtype": "float16", "torch_dtype": "bfloat16"}));
    file.as_object_mut().unwrap().extend(kept.as_object().unwrap().clone());
    let config = hf_config::parse(file).unwrap();
    let emitted = hf_config::emit(&config).unwrap();
    for (key, value) in kept.as_object().unwrap() {
        assert_eq!(emitted.get(key), Some(value), "{key}");
    }
    // The weights are written as f32, whatever they were.
    assert!(emitted.get("dtype").is_none() && emitted.get("torch_dtype").is_none());
    assert_eq!(bert(json!({"dtype": "float32"})).extra["dtype"], "float32");

    // Names of three classes, under a head that has two.
    let bare = bert(json!({"id2label": {"0": "a", "1": "b", "2": "c"}, "problem_type": "regression"}));
    assert_eq!(hf_config::emit(&bare).unwrap()["id2label"]["2"], "c");
    let two = vec!["LABEL_0".to_string(), "LABEL_1".to_string()];
    let classifier = bare.clone().with_head(Head::Classification { target: Target::Labels(two) });
    let emitted = hf_config::emit(&classifier).unwrap();
    assert!(emitted.get("id2label").is_none() && emitted.get("problem_type").is_none());
    let regression = hf_config::emit(&bare.with_head(Head::Classification { target: Target::Regression })).unwrap();
    assert_eq!(regression["id2label"], json!({"0": "LABEL_0"}));
}

#[test]
fn a_bare_model_without_pooler_says_so() {
    let config = EncoderConfig { pooler: false, ..bert(json!({})) };
    let emitted = hf_config::emit(&config).unwrap();
    assert_eq!(emitted["attar_pooler"], false);
    assert_eq!(hf_config::parse(emitted).unwrap(), config);
}

#[test]
fn every_family_and_head_round_trips() {
    let labels = || vec!["no".to_string(), "yes".to_string()];
    let heads = [
        Head::None,
        Head::Classification { target: Target::Labels(labels()) },
        Head::Classification { target: Target::MultiLabel(labels()) },
        Head::Classification { target: Target::Regression },
        Head::TokenClassification { labels: labels() },
        Head::MaskedLm,
        Head::Pretraining,
    ];
    let mut valid = 0;
    for model_type in ["bert", "distilbert", "roberta", "mpnet"] {
        for head in &heads {
            let config = hf_config::parse(json_of(model_type, json!({}))).unwrap().with_head(head.clone());
            match hf_config::emit(&config) {
                Ok(emitted) => {
                    assert_eq!(hf_config::parse(emitted).unwrap(), config);
                    valid += 1;
                }
                Err(error) => {
                    assert!(*head == Head::Pretraining && model_type != "bert", "{model_type} {head:?}: {error}");
                }
            }
        }
    }
    assert_eq!(valid, 25);
}

#[test]
fn what_mpnets_code_has_fixed_is_not_read_from_its_file() {
    let refused = |changes: Value| hf_config::parse(json_of("mpnet", changes)).unwrap_err().to_string();
    let buckets = refused(json!({"relative_attention_num_buckets": 64}));
    assert!(buckets.contains("`relative_attention_num_buckets` is 64"), "{buckets}");
    let padding = refused(json!({"pad_token_id": 0}));
    assert!(padding.contains("set pad_id to 1"), "{padding}");
    assert!(hf_config::parse(json_of("mpnet", json!({"relative_attention_num_buckets": 32}))).is_ok());
}
