//! A bundle as files.

use std::path::Path;

use serde_json::Value;

use super::{Bundle, NARROW_EMBEDDINGS, NARROW_TENSOR, WriteWeights, reads_mean};
use crate::error::Error;
use crate::family_names::family_name;
use crate::quantized::{QUANTIZED_FILE, QuantizedError};
use crate::sentence_transformers::{self, CLASSIFIER, CLASSIFIER_WEIGHTS, NORMALIZE, Projection};
use crate::{hf_config, safetensors_file};

impl Bundle {
    /// The files of the directory with a choice of weights, the small ones first; a name that ends in `/` is a folder
    /// with nothing in it. The directory is for errors.
    pub(crate) fn files(&self, dir: &Path, choice: WriteWeights) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let config = hf_config::emit(&self.config)
            .map_err(|source| Error::Config { path: dir.join("config.json"), source: source.into() })?;
        let quantized = self.quantized_bytes(dir, choice)?;
        if choice == WriteWeights::All {
            self.weights
                .check(&self.config)
                .map_err(|source| Error::Weights { path: dir.join("model.safetensors"), source: source.into() })?;
        }
        self.check_tokenizer_names()?;
        let mut files = vec![("config.json".to_owned(), json_text(&config))];
        files.extend(self.tokenizer_files.iter().cloned());
        let classifier = (choice == WriteWeights::All && self.pooling.is_some() && reads_mean(&self.config))
            .then(|| self.config.outputs());
        let modules = sentence_transformers::files(
            self.config.hidden,
            self.pooling,
            &self.projections,
            classifier,
            self.max_tokens,
            &self.prompts,
        );
        files.extend(modules.into_iter().map(|(path, content)| (path, json_text(&content))));
        let normalizes = self.projections.iter().any(|projection| projection.normalized_input);
        if self.pooling.is_some_and(|pooling| pooling.normalize || normalizes) {
            files.push((format!("{NORMALIZE}/"), Vec::new()));
        }
        files.extend(self.provenance.iter().map(|provenance| ("attar.json".to_owned(), json_text(provenance))));
        files.extend(self.card.iter().map(|card| ("README.md".to_owned(), card.clone().into_bytes())));
        for (number, projection) in self.projections.iter().enumerate().filter(|_| self.pooling.is_some()) {
            let path = format!("{}/{}", sentence_transformers::folder(number), Projection::WEIGHTS);
            files.push((path, safetensors_file::to_bytes(projection.named())));
        }
        let narrow = self.narrow_embeddings.as_ref();
        files.extend(
            narrow.map(|narrow| (NARROW_EMBEDDINGS.to_owned(), safetensors_file::to_bytes([(NARROW_TENSOR, narrow)]))),
        );
        if classifier.is_some() {
            let named = ["weight", "bias"]
                .into_iter()
                .filter_map(|part| Some((format!("linear.{part}"), self.weights.get(&format!("classifier.{part}"))?)));
            files.push((CLASSIFIER_WEIGHTS.to_owned(), safetensors_file::to_bytes(named)));
        }
        files.extend(quantized.map(|bytes| (QUANTIZED_FILE.to_owned(), bytes)));
        if choice == WriteWeights::All {
            let named = self.weights.iter().map(|(name, tensor)| (family_name(&self.config, name), tensor));
            files.push(("model.safetensors".to_owned(), safetensors_file::to_bytes(named)));
        }
        Ok(files)
    }

    /// The quantized file, if there is to be one, made from the weights beside it.
    fn quantized_bytes(&self, dir: &Path, choice: WriteWeights) -> Result<Option<Vec<u8>>, Error> {
        let Some(quantized) = &self.quantized else {
            return match choice {
                WriteWeights::All => Ok(None),
                WriteWeights::Quantized => Err(Error::NoQuantized { dir: dir.into() }),
            };
        };
        let wrong = |source: QuantizedError| Error::Quantized { path: dir.join(QUANTIZED_FILE), source: source.into() };
        if choice == WriteWeights::All && self.fingerprint() != quantized.source() {
            let (expected, got) = (self.fingerprint(), quantized.source().into());
            return Err(wrong(QuantizedError::Stale { expected, got }));
        }
        quantized.to_bytes(&self.config).map(Some).map_err(wrong)
    }

    /// Checks that each name is plain, unique, and not that of another file.
    fn check_tokenizer_names(&self) -> Result<(), Error> {
        const TAKEN: [&str; 13] = [
            "config.json",
            "model.safetensors",
            QUANTIZED_FILE,
            "modules.json",
            "1_Pooling",
            NORMALIZE,
            CLASSIFIER,
            "sentence_bert_config.json",
            "config_sentence_transformers.json",
            "attar.json",
            "README.md",
            "model.safetensors.index.json",
            NARROW_EMBEDDINGS,
        ];
        let mut names: Vec<&str> = self.tokenizer_files.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let is_plain = |name: &str| crate::shards::is_below(name) && !name.contains(['/', '\\']);
        let bad = names.iter().find(|name| !is_plain(name) || TAKEN.contains(name));
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| &pair[0]);
        match bad.or(twice) {
            Some(name) => Err(Error::FileName { name: name.to_string() }),
            None => Ok(()),
        }
    }
}

/// Indented by two blanks, which is the alternate form of a JSON value.
fn json_text(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
