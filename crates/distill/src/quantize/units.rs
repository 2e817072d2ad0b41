//! The parts of a model that are quantized or kept, one by one.

use attar_model::quantized::{ScaleChoice, Storage};
use attar_model::{EncoderConfig, expected_shapes};

use crate::Error;

/// The unit of the word table.
pub(super) const WORDS: &str = "embeddings.word_embeddings";

/// Matrices that are stored alike: a dense layer, an embedding table, or query, key and value, which are one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    /// What it is called: the canonical name without `.weight`, `encoder.layer.0.attention.self` for the three.
    pub(super) name: String,
    /// Canonical names of its matrices.
    pub(super) weights: Vec<String>,
}

/// How the integers of a unit are made; floats have no form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) storage: Storage,
    pub(super) scales: ScaleChoice,
    /// Whether columns have scales of their own.
    pub(super) has_column_scales: bool,
}

impl Unit {
    /// All units of a model, in the order of its tensors.
    pub(super) fn all(config: &EncoderConfig) -> Vec<Unit> {
        let mut units: Vec<Unit> = Vec::new();
        for (weight, _) in expected_shapes(config) {
            if Storage::int8_matrices(&weight) != Storage::Int8 {
                continue;
            }
            let own = weight.trim_end_matches(".weight");
            let name = ["query", "key", "value"]
                .iter()
                .find_map(|part| own.strip_suffix(&format!(".{part}")))
                .unwrap_or(own)
                .to_string();
            match units.last_mut() {
                Some(last) if last.name == name => last.weights.push(weight),
                _ => units.push(Unit { name, weights: vec![weight] }),
            }
        }
        units
    }

    /// The positions of the units with these names.
    pub(super) fn find(units: &[Unit], names: &[String]) -> Result<Vec<usize>, Error> {
        let place = |name: &String| match units.iter().position(|unit| unit.name == *name) {
            Some(place) => Ok(place),
            None => {
                let known: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
                let out = "name one of these, or leave it out";
                Err(Error::refused(
                    "keep",
                    format!("parts of the model: {}", known.join(", ")),
                    format!("`{name}`"),
                    out,
                ))
            }
        };
        names.iter().map(place).collect()
    }

    /// Whether its rows are looked up.
    pub(super) fn is_table(&self) -> bool {
        self.name.starts_with("embeddings.")
    }
}

/// The name of a way to choose scales, for reports.
pub(super) fn scale_method_name(form: Form) -> &'static str {
    match (form.scales, form.has_column_scales) {
        (ScaleChoice::MaxAbs, false) => "max-abs",
        (ScaleChoice::MaxAbs, true) => "max-abs, columns scaled",
        (ScaleChoice::LeastSquares, false) => "least-squares",
        (ScaleChoice::LeastSquares, true) => "least-squares, columns scaled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_key_and_value_are_one() {
        let config = EncoderConfig { layers: 2, ..EncoderConfig::bert_base() };
        let units = Unit::all(&config);
        let attention = units.iter().find(|unit| unit.name == "encoder.layer.1.attention.self").unwrap();
        assert_eq!(attention.weights.len(), 3);
        // Three tables, four units a layer, the pooler.
        assert_eq!(units.len(), 3 + 2 * 4 + 1);
        assert_eq!(units.iter().filter(|unit| unit.is_table()).count(), 3);
        assert_eq!(units[0].name, WORDS);
        let error = Unit::find(&units, &["encoder.layer.7".into()]).unwrap_err().to_string();
        assert!(error.contains("encoder.layer.7") && error.contains("pooler.dense"), "{error}");
    }
}
