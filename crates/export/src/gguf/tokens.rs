//! The pieces of a WordPiece vocabulary as llama.cpp wants them.

use attar_model::Bundle;
use serde_json::Value as Json;

use super::FORMAT;
use super::file::{MetadataValue, Writer};
use crate::error::Error;

/// What stands before a piece that begins a word; those that go on lose their `##`.
const WORD: char = '\u{2581}';
/// Types of pieces.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const UNUSED: i32 = 5;

/// Pieces by id, and the special ones among them.
pub(super) struct Tokens {
    pieces: Vec<String>,
    special: Vec<bool>,
    /// Rows of the embedding table, which may be more.
    rows: usize,
}

impl Tokens {
    pub(super) fn of(bundle: &Bundle) -> Result<Tokens, Error> {
        let no = |what: &str, way_out| Error::Unsupported { format: FORMAT, what: what.into(), way_out };
        let file = bundle.tokenizer_file("tokenizer.json").and_then(|bytes| serde_json::from_slice::<Json>(bytes).ok());
        let file = file.ok_or_else(|| {
            no("a model without tokenizer.json", "save its tokenizer with `transformers`' AutoTokenizer first")
        })?;
        const GRAPH: &str = "export it as an ONNX graph and keep its tokenizer";
        let (model, normalizer) = (&file["model"], &file["normalizer"]);
        let is_word_piece = model["type"] == "WordPiece" && model["continuing_subword_prefix"] == "##";
        let Some(vocabulary) = model["vocab"].as_object().filter(|_| is_word_piece) else {
            return Err(no("tokenizers other than WordPiece", GRAPH));
        };
        if normalizer["lowercase"] != true {
            return Err(no("cased vocabularies", GRAPH));
        }
        let added: Vec<(&str, u64)> = file["added_tokens"].as_array().map_or(Vec::new(), |all| {
            all.iter().filter_map(|token| Some((token["content"].as_str()?, token["id"].as_u64()?))).collect()
        });
        let rows = bundle.config.vocabulary;
        let mut pieces = vec![String::new(); rows];
        let mut special = vec![false; rows];
        let known = vocabulary.iter().filter_map(|(piece, id)| Some((piece.as_str(), id.as_u64()?)));
        for (piece, id) in known.chain(added.iter().copied()) {
            let at = usize::try_from(id).ok().filter(|&at| at < rows);
            let at = at.ok_or_else(|| no("more pieces than rows of the embedding table", "repair the tokenizer"))?;
            pieces[at] = piece.to_owned();
        }
        for (_, id) in added {
            special[id as usize] = true;
        }
        Ok(Tokens { pieces, special, rows })
    }

    pub(super) fn write(&self, writer: &mut Writer, types: usize) {
        let shown = |(id, piece): (usize, &String)| match piece.strip_prefix("##") {
            _ if self.special[id] => piece.clone(),
            // Rows without a piece.
            _ if piece.is_empty() => format!("[unused {id}]"),
            Some(rest) if !rest.is_empty() => rest.to_owned(),
            _ => format!("{WORD}{piece}"),
        };
        let kind = |(id, piece): (usize, &String)| match self.special[id] {
            true => CONTROL,
            false if piece.is_empty() => UNUSED,
            false => NORMAL,
        };
        debug_assert_eq!(self.pieces.len(), self.rows);
        writer.set("tokenizer.ggml.model", MetadataValue::Text("bert".into()));
        writer.set("tokenizer.ggml.pre", MetadataValue::Text("default".into()));
        writer.set("tokenizer.ggml.token_type_count", MetadataValue::U32(types as u32));
        writer.set("tokenizer.ggml.tokens", MetadataValue::Texts(self.pieces.iter().enumerate().map(shown).collect()));
        writer
            .set("tokenizer.ggml.token_type", MetadataValue::I32s(self.pieces.iter().enumerate().map(kind).collect()));
        for (key, piece) in [
            ("bos", "[CLS]"),
            ("cls", "[CLS]"),
            ("eos", "[SEP]"),
            // Spelled so.
            ("seperator", "[SEP]"),
            ("unknown", "[UNK]"),
            ("padding", "[PAD]"),
            ("mask", "[MASK]"),
        ] {
            if let Some(id) = self.pieces.iter().position(|known| known == piece) {
                writer.set(&format!("tokenizer.ggml.{key}_token_id"), MetadataValue::U32(id as u32));
            }
        }
    }
}
