//! Each route's right values: those that the engine gives of the same texts.

use attar_model::Pooling;
use attar_runtime::Session;
use attar_serve::NamedBundle;
use attar_testing::assert_close;
use serde_json::{Value, json};

use crate::client::Running;
use crate::models::{MAX_TOKENS, TEXT, all, session};

fn running() -> Running {
    Running::new(all(), |_| ())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// A number as it stands in an answer: the shortest digits that mean this 32-bit number.
fn sent(number: f32) -> Value {
    serde_json::from_str(&serde_json::to_string(&number).unwrap()).unwrap()
}

#[test]
fn vectors_are_those_of_the_engine_to_the_bit() {
    let server = running();
    let mut session = session("vectors");
    let texts = ["Ada wrote", "London", "notes on the engine, never built"];
    let rows: Vec<_> = texts.iter().map(|text| (*text, None)).collect();
    for normalize in [true, false] {
        let expected = session.embed(&rows, Pooling { normalize, ..session.pooling() }, |_| ()).unwrap();
        let request = json!({ "inputs": texts, "normalize": normalize });
        let given: Vec<Vec<f32>> = serde_json::from_value(server.post("/models/vectors/embed", &request).ok()).unwrap();
        assert_eq!(given, expected);
        let alone = server.post("/models/vectors/embed", &json!({ "inputs": texts[1], "normalize": normalize })).ok();
        assert_eq!(serde_json::from_value::<Vec<Vec<f32>>>(alone).unwrap(), expected[1..2]);
    }
    // Any bundle has vectors, and without a name the first one is meant.
    let first = server.post("/embed", &json!({ "inputs": "Ada" })).ok();
    assert_eq!(first, server.post("/models/intents/embed", &json!({ "inputs": "Ada" })).ok());
    assert_ne!(first, server.post("/models/vectors/embed", &json!({ "inputs": "Ada" })).ok());
}

#[test]
fn tokens_have_vectors_whose_mean_is_the_texts() {
    let server = running();
    let request = json!({ "inputs": ["Ada wrote", "London"] });
    let all = server.post("/models/vectors/embed_all", &request).ok();
    let vector = server.post("/models/vectors/embed", &json!({ "inputs": "Ada wrote", "normalize": false })).ok();
    let states: Vec<Vec<f64>> = all[0].as_array().unwrap().iter().map(numbers).collect();
    let mean: Vec<f64> =
        (0..24).map(|h| states.iter().map(|state| state[h]).sum::<f64>() / states.len() as f64).collect();
    // Sums of some ten 32-bit floats of size 1.
    assert_close("mean of states", &mean, &numbers(&vector[0]), 1e-5);
    let tokens = server.post("/models/vectors/tokenize", &request).ok();
    assert_eq!(states.len(), tokens[0].as_array().unwrap().len());
}

#[test]
fn classes_have_the_probabilities_of_their_logits() {
    let server = running();
    let texts = ["Ada wrote", "it never", "London notes"];
    let rows: Vec<_> = texts.iter().map(|text| (*text, None)).collect();
    let logits = session("intents").logits(&rows, |_| ()).unwrap();
    let batch = server.post("/predict", &json!({ "inputs": [[texts[0]], [texts[1]], [texts[2]]] })).ok();
    let raw = server.post("/predict", &json!({ "inputs": texts[0], "raw_scores": true })).ok();
    assert_eq!(raw, {
        let mut all: Vec<(f32, &str)> = logits[0].iter().copied().zip(["lights", "music", "weather"]).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        json!(all.iter().map(|(score, label)| json!({ "score": sent(*score), "label": label })).collect::<Vec<_>>())
    });
    for (row, logits) in batch.as_array().unwrap().iter().zip(&logits) {
        let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        for (class, label) in ["lights", "music", "weather"].iter().enumerate() {
            let found = row.as_array().unwrap().iter().find(|one| one["label"] == *label).unwrap();
            // The rounding of a 32-bit probability.
            assert!((found["score"].as_f64().unwrap() - f64::from(logits[class]).exp() / sum).abs() < 1e-6, "{row}");
        }
        assert!(row[0]["score"].as_f64() >= row[1]["score"].as_f64());
    }
    // Several labels: each has a probability of its own.
    let logits = session("topics").logits(&rows[..1], |_| ()).unwrap();
    let topics = server.post("/models/topics/predict", &json!({ "inputs": texts[0] })).ok();
    let ui = topics.as_array().unwrap().iter().find(|one| one["label"] == "ui").unwrap();
    assert!((ui["score"].as_f64().unwrap() - 1.0 / (1.0 + (-f64::from(logits[0][1])).exp())).abs() < 1e-6, "{topics}");
}

#[test]
fn pairs_are_scored_and_ranked() {
    let server = running();
    let texts = ["engine", "notes in London", "Charles"];
    let rows: Vec<_> = texts.iter().map(|text| ("Ada wrote", Some(*text))).collect();
    let scores: Vec<f32> = session("pairs").logits(&rows, |_| ()).unwrap().into_iter().map(|row| row[0]).collect();
    let pair = server.post("/models/pairs/predict", &json!({ "inputs": ["Ada wrote", texts[1]] })).ok();
    assert_eq!(pair, json!([{ "score": sent(scores[1]), "label": "score" }]));
    let request = json!({ "query": "Ada wrote", "texts": texts, "raw_scores": true, "return_text": true });
    let ranks = server.post("/models/pairs/rerank", &request).ok();
    let mut order = [0, 1, 2];
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let expected =
        order.map(|index: usize| json!({ "index": index, "text": texts[index], "score": sent(scores[index]) }));
    assert_eq!(ranks, json!(expected));
    let squashed = server.post("/models/pairs/rerank", &json!({ "query": "Ada wrote", "texts": texts })).ok();
    assert_eq!(squashed[0].get("text"), None);
    let sigmoid = 1.0 / (1.0 + (-f64::from(scores[order[0]])).exp());
    assert!((squashed[0]["score"].as_f64().unwrap() - sigmoid).abs() < 1e-6, "{squashed}");
}

#[test]
fn similarities_are_cosines() {
    let server = running();
    let request = json!({ "inputs": { "source_sentence": "Ada wrote", "sentences": ["Ada wrote", "London"] } });
    let cosines = numbers(&server.post("/models/vectors/similarity", &request).ok());
    let vectors = server.post("/models/vectors/embed", &json!({ "inputs": ["Ada wrote", "London"] })).ok();
    let product: f64 = numbers(&vectors[0]).iter().zip(numbers(&vectors[1])).map(|(a, b)| a * b).sum();
    assert_close("cosines", &cosines, &[1.0, product], 1e-6);
}

#[test]
fn openai_shape_in_all_its_forms() {
    let server = running();
    let path = "/v1/embeddings";
    let ask = |extra: Value| {
        let mut request = json!({ "model": "vectors", "input": ["Ada wrote", "London"] });
        request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        server.post(path, &request).ok()
    };
    let floats = ask(json!({}));
    let expected = server.post("/models/vectors/embed", &json!({ "inputs": ["Ada wrote", "London"] })).ok();
    assert_eq!([&floats["data"][0]["embedding"], &floats["data"][1]["embedding"]], [&expected[0], &expected[1]]);
    assert_eq!((&floats["object"], &floats["model"]), (&json!("list"), &json!("vectors")));
    assert_eq!((&floats["data"][1]["index"], &floats["data"][1]["object"]), (&json!(1), &json!("embedding")));
    let tokens = server.post("/models/vectors/tokenize", &json!({ "inputs": ["Ada wrote", "London"] })).ok();
    let count: usize = tokens.as_array().unwrap().iter().map(|tokens| tokens.as_array().unwrap().len()).sum();
    assert_eq!(floats["usage"], json!({ "prompt_tokens": count, "total_tokens": count }));
    // Bytes in place of numbers.
    let encoded = ask(json!({ "encoding_format": "base64" }));
    let bytes = base64::decode(encoded["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let decoded: Vec<f32> = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    assert_eq!(decoded, serde_json::from_value::<Vec<f32>>(expected[0].clone()).unwrap());
    // Ids in place of texts, one list and several.
    let ids: Vec<Vec<u64>> = tokens
        .as_array()
        .unwrap()
        .iter()
        .map(|tokens| tokens.as_array().unwrap().iter().map(|token| token["id"].as_u64().unwrap()).collect())
        .collect();
    assert_eq!(ask(json!({ "input": ids }))["data"], floats["data"]);
    assert_eq!(ask(json!({ "input": ids[0] }))["data"][0], floats["data"][0]);
    // Fewer dimensions, of length 1 again.
    let short = numbers(&ask(json!({ "dimensions": 5 }))["data"][0]["embedding"]);
    let length: f64 = numbers(&expected[0])[..5].iter().map(|x| x * x).sum::<f64>().sqrt();
    let scaled: Vec<f64> = numbers(&expected[0])[..5].iter().map(|x| x / length).collect();
    assert_close("five dimensions", &short, &scaled, 1e-6);
    let models = server.get("/v1/models").ok();
    assert_eq!(models["data"][2]["id"], "vectors");
}

#[test]
fn one_bundle_is_meant_whatever_it_is_called() {
    let server = Running::new(vec![crate::models::bundle("vectors")], |_| ());
    let answer = server.post("/v1/embeddings", &json!({ "model": "text-embedding-3-small", "input": "Ada" })).ok();
    assert_eq!(answer["model"], "vectors");
    let several = running();
    let answer = several.post("/v1/embeddings", &json!({ "model": "text-embedding-3-small", "input": "Ada" }));
    assert_eq!(answer.status, 404, "{answer:?}");
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("vectors"), "{answer:?}");
}

#[test]
fn tokens_come_with_places_and_back_as_text() {
    let server = running();
    let text = "Ada né wrote";
    let tokens = server.post("/tokenize", &json!({ "inputs": text })).ok();
    let tokens = tokens[0].as_array().unwrap();
    assert_eq!((&tokens[0]["special"], &tokens[0]["start"]), (&json!(true), &Value::Null));
    let characters: Vec<char> = text.chars().collect();
    for token in tokens.iter().filter(|token| token["special"] == false) {
        let [start, stop] = ["start", "stop"].map(|key| token[key].as_u64().unwrap() as usize);
        assert_eq!(characters[start..stop].iter().collect::<String>(), token["text"].as_str().unwrap());
    }
    let plain = server.post("/tokenize", &json!({ "inputs": [text], "add_special_tokens": false })).ok();
    assert_eq!(plain[0].as_array().unwrap().len(), tokens.len() - 2);
    let ids: Vec<u64> = tokens.iter().map(|token| token["id"].as_u64().unwrap()).collect();
    let known = server.post("/tokenize", &json!({ "inputs": "Ada wrote, in London." })).ok();
    let known: Vec<u64> = known[0].as_array().unwrap().iter().map(|token| token["id"].as_u64().unwrap()).collect();
    assert_eq!(server.post("/decode", &json!({ "ids": known })).ok(), json!(["ada wrote, in london."]));
    let whole = server.post("/decode", &json!({ "ids": [ids], "skip_special_tokens": false })).ok();
    assert!(whole[0].as_str().unwrap().starts_with("[CLS] "), "{whole}");
}

#[test]
fn entities_and_answers_have_places_in_characters() {
    let server = running();
    let text = format!("É. {TEXT}");
    let mut tagger = session("tags");
    let tags = tagger.tag(&[text.as_str()], |_| ()).unwrap().remove(0);
    let entities = tagger.entities(&tags);
    let given = server.post("/models/tags/tag", &json!({ "inputs": text })).ok();
    assert_eq!(given.as_array().unwrap().len(), entities.len());
    assert!(!entities.is_empty());
    for (given, entity) in given.as_array().unwrap().iter().zip(&entities) {
        assert_eq!(given["word"].as_str().unwrap(), &text[entity.bytes.clone()]);
        assert_eq!(given["start"].as_u64().unwrap() as usize, text[..entity.bytes.start].chars().count());
        assert_eq!(given["end"].as_u64().unwrap() as usize, text[..entity.bytes.end].chars().count());
        assert_eq!(
            (given["entity_group"].as_str().unwrap(), given["score"].as_f64()),
            (&*entity.kind, sent(entity.probability).as_f64())
        );
    }
    let words = server.post("/models/tags/tag", &json!({ "inputs": [text], "aggregate": "words" })).ok();
    assert_eq!(words[0].as_array().unwrap().len(), tags.len());

    let question = json!({ "question": "Who wrote?", "context": text });
    let span = session("answers").answer(&[("Who wrote?", &text)], |_| ()).unwrap().remove(0).unwrap();
    let given = server.post("/models/answers/answer", &json!({ "inputs": question })).ok();
    assert_eq!(given["answer"].as_str().unwrap(), &text[span.bytes.clone()]);
    assert_eq!(given["start"].as_u64().unwrap() as usize, text[..span.bytes.start].chars().count());
    assert_eq!(given["score"], sent(span.probability));
    assert_eq!(server.post("/models/answers/answer", &json!({ "inputs": [question] })).ok(), json!([given]));
}

#[test]
fn the_root_does_what_a_bundle_is_for() {
    for (name, path, request) in [
        ("intents", "/predict", json!({ "inputs": "Ada wrote", "parameters": { "top_k": 3 } })),
        ("vectors", "/embed", json!({ "inputs": "Ada wrote" })),
        ("vectors", "/similarity", json!({ "inputs": { "source_sentence": "Ada", "sentences": ["London"] } })),
        ("pairs", "/rerank", json!({ "query": "Ada", "texts": ["London", "notes"] })),
        ("tags", "/tag", json!({ "inputs": TEXT })),
        ("answers", "/answer", json!({ "inputs": { "question": "Who?", "context": TEXT } })),
    ] {
        let server = Running::new(vec![crate::models::bundle(name)], |_| ());
        let expected = server.post(path, &request).ok();
        for root in ["/", "/invocations"] {
            assert_eq!(server.post(root, &request).ok(), expected, "{name} {root}");
        }
    }
}

#[test]
fn a_server_says_what_it_is() {
    let server = running();
    let info = server.get("/info").ok();
    assert_eq!((&info["model_id"], &info["max_input_length"]), (&json!("intents"), &json!(MAX_TOKENS)));
    assert_eq!(info["model_type"]["classifier"]["id2label"], json!({ "0": "lights", "1": "music", "2": "weather" }));
    assert_eq!(server.get("/models/vectors/info").ok()["model_type"], json!({ "embedding": { "pooling": "mean" } }));
    assert_eq!(server.get("/models").ok().as_array().unwrap().len(), 6);
    for path in ["/health", "/ping"] {
        assert_eq!((server.get(path).status, server.get(path).body.as_str()), (200, ""));
    }
    assert_eq!(server.get("/openapi.json").ok(), attar_serve::openapi());
    let page = server.get("/");
    assert!(page.body.contains("<title>") && page.headers["content-security-policy"].contains("default-src 'none'"));
}

#[test]
fn answers_say_what_they_took() {
    let server = running();
    let answer = server.post("/embed", &json!({ "inputs": ["Ada", "Ada wrote"] }));
    let tokens = server.post("/tokenize", &json!({ "inputs": ["Ada", "Ada wrote"] })).ok();
    let count: usize = tokens.as_array().unwrap().iter().map(|tokens| tokens.as_array().unwrap().len()).sum();
    assert_eq!(answer.headers["x-compute-tokens"], count.to_string());
    assert_eq!(answer.headers["x-compute-characters"], "12");
    for name in ["x-compute-time", "x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time"] {
        assert!(answer.headers[name].parse::<u64>().is_ok(), "{name}");
    }
    assert!(answer.headers["server-timing"].contains("inference;dur="));
}

#[test]
fn long_texts_are_cut_at_the_end_that_is_asked_for() {
    let server = running();
    let long = vec!["Ada wrote notes"; 40].join(" ") + " London";
    let cut = |direction: &str| {
        let request = json!({ "inputs": long, "truncate": true, "truncation_direction": direction });
        server.post("/models/vectors/embed", &request).ok()
    };
    let right = session("vectors")
        .embed(&[(long.as_str(), None)], Pooling { normalize: true, ..session("vectors").pooling() }, |_| ())
        .unwrap();
    assert_eq!(serde_json::from_value::<Vec<Vec<f32>>>(cut("Right")).unwrap(), right);
    assert_eq!(cut("Left"), cut("left"));
    assert_ne!(cut("Left"), cut("Right"));
    // What is left are the first special token and the last ones of the text.
    let tokens = server.post("/models/vectors/tokenize", &json!({ "inputs": long })).ok();
    let ids: Vec<u64> = tokens[0].as_array().unwrap().iter().map(|token| token["id"].as_u64().unwrap()).collect();
    let kept = [&ids[..1], &ids[ids.len() - (MAX_TOKENS - 1)..]].concat();
    assert_eq!(server.post("/models/vectors/embed", &json!({ "inputs": kept })).ok(), cut("Left"));
    let refused = server.post("/models/vectors/embed", &json!({ "inputs": long, "truncate": false }));
    assert_eq!(refused.status, 413);
    assert!(refused.json()["error"].as_str().unwrap().contains("must have at most 48 tokens"), "{refused:?}");
}

#[test]
fn prompts_stand_before_texts_as_the_engine_puts_them() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("model");
    std::fs::create_dir(&dir).unwrap();
    let none = attar_model::ClassifierInput::FirstToken;
    crate::models::write(&dir, attar_model::Head::None, none, 7);
    let prompts = json!({ "prompts": { "query": "Ada ", "passage": "notes " }, "default_prompt_name": "query" });
    std::fs::write(dir.join("config_sentence_transformers.json"), prompts.to_string()).unwrap();
    let named = NamedBundle { dir: dir.clone(), ..crate::models::bundle("vectors") };
    let server = Running::new(vec![named], |_| ());
    let mut session = Session::load(&dir, &crate::models::options()).unwrap();
    let pooling = Pooling { normalize: true, ..session.pooling() };
    let mut expected = |prompt: &str| {
        session.set_prompt(prompt).unwrap();
        session.embed(&[("wrote", None)], pooling, |_| ()).unwrap()
    };
    let given =
        |request: Value| -> Vec<Vec<f32>> { serde_json::from_value(server.post("/embed", &request).ok()).unwrap() };
    assert_eq!(given(json!({ "inputs": "wrote" })), expected("Ada "));
    assert_eq!(given(json!({ "inputs": "wrote", "prompt_name": "passage" })), expected("notes "));
    let openai = server.post("/v1/embeddings", &json!({ "input": "wrote" })).ok();
    assert_eq!(
        serde_json::from_value::<Vec<f32>>(openai["data"][0]["embedding"].clone()).unwrap(),
        expected("Ada ")[0]
    );
    let unknown = server.post("/embed", &json!({ "inputs": "wrote", "prompt_name": "title" }));
    assert!(unknown.status == 422 && unknown.body.contains("passage, query"), "{unknown:?}");
}

#[test]
fn prompts_that_are_not_pooled_are_left_out_of_texts_alone() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("model");
    std::fs::create_dir(&dir).unwrap();
    let none = attar_model::ClassifierInput::FirstToken;
    crate::models::write(&dir, attar_model::Head::None, none, 7);
    std::fs::create_dir_all(dir.join("1_Pooling")).unwrap();
    let modules = json!([
        { "idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer" },
        { "idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling" },
    ]);
    let pooling = json!({ "word_embedding_dimension": 16, "pooling_mode_mean_tokens": true, "include_prompt": false });
    let prompts = json!({ "prompts": { "query": "Ada " }, "default_prompt_name": "query" });
    for (file, text) in
        [("modules.json", modules), ("1_Pooling/config.json", pooling), ("config_sentence_transformers.json", prompts)]
    {
        std::fs::write(dir.join(file), text.to_string()).unwrap();
    }
    let server = Running::new(vec![NamedBundle { dir, ..crate::models::bundle("vectors") }], |_| ());
    let given = |inputs: Value| -> Vec<Vec<f32>> {
        serde_json::from_value(server.post("/embed", &json!({ "inputs": inputs })).ok()).unwrap()
    };
    let tokens = server.post("/tokenize", &json!({ "inputs": ["Ada wrote"] })).ok();
    let ids: Vec<u64> = tokens[0].as_array().unwrap().iter().map(|token| token["id"].as_u64().unwrap()).collect();
    let (text, of_ids) = (given(json!("wrote")), given(json!(ids)));
    // The same tokens, of which the text's prompt is not pooled.
    assert_ne!(text, of_ids);
    assert_eq!(given(json!(["wrote", ids])), [text[0].clone(), of_ids[0].clone()]);
    assert_eq!(given(json!([ids, "wrote"])), [of_ids[0].clone(), text[0].clone()]);

    // Cut on the left such a text would lose its prompt, and words of its own in its place.
    let long = "wrote ".repeat(100);
    let request = |side: &str| json!({ "inputs": long, "truncate": true, "truncation_direction": side });
    assert_eq!(server.post("/embed", &request("right")).status, 200);
    let refused = server.post("/embed", &request("left"));
    assert!(refused.status == 413 && refused.body.contains("cut on the right"), "{refused:?}");
}
