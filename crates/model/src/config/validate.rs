//! Contradictions in a configuration.

use super::{ClassifierInput, ConfigError, EncoderConfig, Family, Head, Target};

/// DistilBERT has this number in its code, not in its configuration.
pub(crate) const DISTILBERT_LAYER_NORM_EPS: f64 = 1e-12;
/// MPNet has this number in its code too, whatever its configuration says: positions are counted from it.
const MPNET_PAD_ID: u32 = 1;

impl EncoderConfig {
    /// Checks for contradictions.
    ///
    /// # Errors
    /// [`ConfigError`] for the first one found.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (field, got, limit) in [
            ("layers", self.layers, limit::LAYERS),
            ("hidden", self.hidden, limit::WIDTH),
            ("embedding", self.embedding_width(), limit::WIDTH),
            ("heads", self.heads, limit::WIDTH),
            ("feed_forward", self.feed_forward, limit::WIDTH),
            ("vocabulary", self.vocabulary, limit::ROWS),
            ("positions", self.positions, limit::ROWS),
        ] {
            if got == 0 || got > limit {
                return Err(ConfigError::Dimension { field, got, limit });
            }
        }
        if !self.hidden.is_multiple_of(self.heads) {
            return Err(ConfigError::Heads { heads: self.heads, hidden: self.hidden });
        }
        if self.embedding.is_some() && self.family != Family::Electra {
            return Err(ConfigError::Contradiction(
                "only ELECTRA has embeddings of a width of their own: set embedding to None, or family to Electra",
            ));
        }
        if self.embedding == Some(self.hidden) {
            return Err(ConfigError::Contradiction(
                "embeddings as wide as the hidden state have no map to it: set embedding to None",
            ));
        }
        let has_types = self.family.has_token_types();
        if has_types && (self.types == 0 || self.types > limit::WIDTH) {
            return Err(ConfigError::Dimension { field: "types", got: self.types, limit: limit::WIDTH });
        }
        if !has_types && self.types != 0 {
            return Err(ConfigError::Contradiction("DistilBERT and MPNet have no token types: set types to 0"));
        }
        if self.family == Family::MpNet && self.pad_id != MPNET_PAD_ID {
            return Err(ConfigError::Contradiction("MPNet's code has fixed its padding id: set pad_id to 1"));
        }
        if self.pad_id as usize >= self.vocabulary {
            return Err(ConfigError::PadId { pad_id: self.pad_id, vocabulary: self.vocabulary });
        }
        if self.usable_positions() == 0 {
            return Err(ConfigError::Positions { positions: self.positions, pad_id: self.pad_id });
        }
        self.validate_numbers()?;
        self.validate_head()
    }

    fn validate_numbers(&self) -> Result<(), ConfigError> {
        for (field, got) in [
            ("hidden_dropout", self.hidden_dropout),
            ("attention_dropout", self.attention_dropout),
            ("classifier_dropout", self.classifier_dropout_rate()),
        ] {
            if !(0.0..1.0).contains(&got) {
                return Err(ConfigError::Number { field, got, expected: "at least 0 and below 1" });
            }
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            let (field, got) = ("layer_norm_eps", self.layer_norm_eps);
            return Err(ConfigError::Number { field, got, expected: "above 0 and below 1" });
        }
        if !(self.initializer_range >= 0.0 && self.initializer_range.is_finite()) {
            let (field, got) = ("initializer_range", self.initializer_range);
            return Err(ConfigError::Number { field, got, expected: "a finite number from 0" });
        }
        if self.family == Family::DistilBert && self.layer_norm_eps != DISTILBERT_LAYER_NORM_EPS {
            let (field, got) = ("layer_norm_eps", self.layer_norm_eps);
            return Err(ConfigError::Number { field, got, expected: "1e-12, which DistilBERT has fixed" });
        }
        Ok(())
    }

    fn validate_head(&self) -> Result<(), ConfigError> {
        let contradiction = |text| Err(ConfigError::Contradiction(text));
        match &self.head {
            Head::None if self.pooler && !self.family.has_bare_pooler() => contradiction(
                "DistilBERT and ELECTRA have no pooler without a classification head: set pooler to false",
            ),
            Head::Classification { .. } if self.classifier_input == ClassifierInput::FirstToken && !self.pooler => {
                contradiction("a classification head over the first token stands on the pooler: set pooler to true")
            }
            Head::Classification { .. } if self.classifier_input != ClassifierInput::FirstToken && self.pooler => {
                contradiction("a classification head over the mean has no pooler beside it: set pooler to false")
            }
            Head::Classification { target: Target::Labels(_) | Target::MultiLabel(_) }
                if self.classifier_input == ClassifierInput::Cosine =>
            {
                contradiction("a cosine is one number: use it for scores, or the mean for classes")
            }
            Head::Pretraining if self.family != Family::Bert => {
                contradiction("only BERT has a next-sentence head: use the masked-language-model head")
            }
            Head::Pretraining if !self.pooler => {
                contradiction("the next-sentence head stands on the pooler: set pooler to true")
            }
            Head::MaskedLm | Head::TokenClassification { .. } | Head::QuestionAnswering if self.pooler => {
                contradiction("a head over tokens has no pooler beside it: set pooler to false")
            }
            Head::Classification { target: Target::Labels(labels) | Target::MultiLabel(labels) }
                if labels.len() < 2 =>
            {
                contradiction("a classification head needs two labels or more: one output means regression")
            }
            Head::TokenClassification { labels } if labels.is_empty() => {
                contradiction("a token classification head needs at least one label")
            }
            head if head.outputs() > limit::WIDTH => {
                Err(ConfigError::Dimension { field: "labels", got: head.outputs(), limit: limit::WIDTH })
            }
            _ => Ok(()),
        }
    }
}

/// Largest sizes a configuration may claim. More than ten times those of the largest BERT, they keep
/// sizes, FLOPs and name lists from overflowing.
mod limit {
    pub(super) const LAYERS: usize = 1 << 10;
    pub(super) const WIDTH: usize = 1 << 17;
    pub(super) const ROWS: usize = 1 << 24;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_found() {
        let base = EncoderConfig::bert_base;
        let cases: Vec<(&str, EncoderConfig)> = vec![
            ("`layers` is 0", EncoderConfig { layers: 0, ..base() }),
            ("`layers` is 18446744073709551615", EncoderConfig { layers: usize::MAX, ..base() }),
            ("7 heads do not divide", EncoderConfig { heads: 7, ..base() }),
            ("padding id 30522", EncoderConfig { pad_id: 30_522, ..base() }),
            ("`types` is 0", EncoderConfig { types: 0, ..base() }),
            ("no token types", EncoderConfig { family: Family::DistilBert, pooler: false, ..base() }),
            ("no token types", EncoderConfig { family: Family::MpNet, pad_id: 1, ..base() }),
            ("fixed its padding id", EncoderConfig { family: Family::MpNet, types: 0, ..base() }),
            ("have no pooler", EncoderConfig { family: Family::DistilBert, types: 0, ..base() }),
            ("have no pooler", EncoderConfig { family: Family::Electra, ..base() }),
            ("only ELECTRA", EncoderConfig { embedding: Some(64), ..base() }),
            ("no map", EncoderConfig { family: Family::Electra, pooler: false, embedding: Some(768), ..base() }),
            ("`embedding` is 0", EncoderConfig { family: Family::Electra, embedding: Some(0), ..base() }),
            ("`hidden_dropout` is 1", EncoderConfig { hidden_dropout: 1.0, ..base() }),
            ("`layer_norm_eps` is NaN", EncoderConfig { layer_norm_eps: f64::NAN, ..base() }),
            ("no pooler beside it", EncoderConfig { head: Head::MaskedLm, ..base() }),
            (
                "leave none after the padding id",
                EncoderConfig { family: Family::Roberta, pad_id: 1, positions: 2, ..base() },
            ),
            (
                "has no pooler beside it",
                EncoderConfig {
                    classifier_input: ClassifierInput::Mean,
                    head: Head::Classification { target: Target::Regression },
                    ..base()
                },
            ),
            (
                "a cosine is one number",
                EncoderConfig { classifier_input: ClassifierInput::Cosine, ..base() }
                    .with_head(Head::Classification { target: Target::Labels(vec!["a".into(), "b".into()]) }),
            ),
            ("two labels or more", base().with_head(Head::Classification { target: Target::Labels(vec!["a".into()]) })),
        ];
        for (text, config) in cases {
            let error = config.validate().expect_err(text).to_string();
            assert!(error.contains(text), "expected `{text}` in `{error}`");
        }
    }
}
