//! The library's files for a model.

use serde_json::{Value, json};

use super::{Pooling, PoolingMode, Projection, Prompts};

/// Folder of a classifier over the mean.
pub(crate) const CLASSIFIER: &str = "2_Classifier";
/// Weights of that classifier, under the library's names.
pub(crate) const CLASSIFIER_WEIGHTS: &str = "2_Classifier/model.safetensors";
/// Folder of a normalization that follows the pooling, which has no files in it.
pub(crate) const NORMALIZE: &str = "2_Normalize";

/// The library's files for a model: path below the directory, and content. `classifier` is the number of outputs of a
/// classifier over the mean. The weights of projections go to [`Projection::WEIGHTS`] in the [`folder`] of each.
pub(crate) fn files(
    hidden: usize,
    pooling: Option<Pooling>,
    projections: &[Projection],
    classifier: Option<usize>,
    max_tokens: Option<usize>,
    prompts: &Prompts,
) -> Vec<(String, Value)> {
    let mut files = Vec::new();
    if pooling.is_some() || max_tokens.is_some() {
        let content = json!({"max_seq_length": max_tokens, "do_lower_case": false});
        files.push(("sentence_bert_config.json".to_owned(), content));
    }
    let Some(pooling) = pooling else { return files };
    let mut modules = Modules(Vec::new());
    modules.push("", "Transformer");
    modules.push("1_Pooling", "Pooling");
    for (number, projection) in projections.iter().enumerate() {
        if projection.normalized_input {
            modules.push_normalize();
        }
        let folder = folder(number);
        modules.push(&folder, "Dense");
        files.push((format!("{folder}/config.json"), projection.config()));
    }
    if pooling.normalize {
        modules.push_normalize();
    }
    if let Some(outputs) = classifier {
        modules.push(CLASSIFIER, "Dense");
        files.push((
            format!("{CLASSIFIER}/config.json"),
            json!({"in_features": hidden, "out_features": outputs, "bias": true,
                   "activation_function": "torch.nn.modules.linear.Identity"}),
        ));
    }
    files.push(("modules.json".to_owned(), Value::Array(modules.0)));
    let mut pooling_config = json!({ "word_embedding_dimension": hidden });
    // Older versions of the library do not know the flag of the last token.
    let has_flag = |mode: &PoolingMode| *mode != PoolingMode::LastToken || *mode == pooling.mode;
    for mode in PoolingMode::ALL.into_iter().filter(has_flag) {
        pooling_config[format!("pooling_mode_{}", mode.flag())] = (mode == pooling.mode).into();
    }
    if !prompts.pooled {
        pooling_config["include_prompt"] = false.into();
    }
    files.push(("1_Pooling/config.json".to_owned(), pooling_config));
    files.push((
        "config_sentence_transformers.json".to_owned(),
        json!({"prompts": prompts.named, "default_prompt_name": prompts.default, "similarity_fn_name": "cosine"}),
    ));
    files
}

/// The folder of a projection, counted from 0.
pub(crate) fn folder(number: usize) -> String {
    format!("{}_Dense", number + 2)
}

struct Modules(Vec<Value>);

impl Modules {
    fn push(&mut self, path: &str, class: &str) {
        let idx = self.0.len();
        self.0.push(json!({"idx": idx, "name": idx.to_string(), "path": path,
                           "type": format!("sentence_transformers.models.{class}")}));
    }

    fn push_normalize(&mut self) {
        self.push(NORMALIZE, "Normalize");
    }
}
