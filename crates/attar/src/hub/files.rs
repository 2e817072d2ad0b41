//! Which files of a model are read.

/// Configuration, tokenizer, poolings and weights: safetensors, or the format of PyTorch in folders that have none.
pub(super) fn files_to_fetch(names: &[String]) -> Vec<&str> {
    let has_safetensors = |folder: &str| {
        names.iter().map(|name| split(name)).any(|(other, file)| other == folder && is_safetensors(file))
    };
    let is_wanted = |name: &&str| {
        let (folder, file) = split(name);
        // Names come from elsewhere and become paths.
        let is_below =
            name.split('/').all(|part| !part.is_empty() && part != "." && part != "..") && !name.contains('\\');
        // Folders of sentence-transformers are called `1_Pooling`, `2_Dense` and so on.
        let is_module = folder.starts_with(|c: char| c.is_ascii_digit()) && folder.contains('_');
        let is_read = match folder {
            "" => is_settings(file) || file == "README.md",
            _ => is_module && is_settings(file),
        };
        let is_weights = is_safetensors(file) || is_torch(file) && !has_safetensors(folder);
        is_below && !file.contains('/') && (is_read || (folder.is_empty() || is_module) && is_weights)
    };
    names.iter().map(String::as_str).filter(is_wanted).collect()
}

/// The first folder of a name, or nothing, and the rest.
fn split(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or(("", name))
}

fn is_safetensors(file: &str) -> bool {
    file.starts_with("model") && (file.ends_with(".safetensors") || file.ends_with(".safetensors.index.json"))
}

fn is_torch(file: &str) -> bool {
    file.starts_with("pytorch_model") && (file.ends_with(".bin") || file.ends_with(".bin.index.json"))
}

fn is_settings(file: &str) -> bool {
    [".json", ".txt"].iter().any(|end| file.ends_with(end)) && !file.ends_with(".index.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_read_is_fetched() {
        let names = [
            "config.json",
            "model.safetensors",
            "pytorch_model.bin",
            "tf_model.h5",
            "onnx/model.onnx",
            "onnx/config.json",
            "vocab.txt",
            "1_Pooling/config.json",
            "2_Dense/pytorch_model.bin",
            "2_Dense/config.json",
            "README.md",
            "1_a/README.md",
            ".gitattributes",
            "../config.json",
            "1_x/../../config.json",
            "1_a/b/c.json",
            "train_script.py",
        ]
        .map(str::to_owned);
        let expected = [
            "config.json",
            "model.safetensors",
            "vocab.txt",
            "1_Pooling/config.json",
            "2_Dense/pytorch_model.bin",
            "2_Dense/config.json",
            "README.md",
        ];
        assert_eq!(files_to_fetch(&names), expected);
        let shards =
            ["config.json", "pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"].map(str::to_owned);
        assert_eq!(files_to_fetch(&shards), shards);
    }
}
