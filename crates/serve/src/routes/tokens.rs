//! `/tokenize` and `/decode`: from texts to tokens and back.

use std::sync::Arc;

use attar_text::tokenizer::{Limit, LocatedEncoding, Tokenizer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::call::Call;
use crate::error::{ErrorType, Refusal};
use crate::route::Route;

/// A text, or a list of texts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub(crate) enum Texts {
    Single(String),
    Batch(Vec<String>),
}

impl Texts {
    pub(crate) fn into_list(self) -> (Vec<String>, bool) {
        match self {
            Texts::Single(text) => (vec![text], false),
            Texts::Batch(texts) => (texts, true),
        }
    }
}

/// What `/tokenize` is asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct TokenizeRequest {
    inputs: Texts,
    /// Whether tokens such as `[CLS]` are among the answer.
    #[serde(default = "yes")]
    add_special_tokens: bool,
    /// A prompt of the bundle to put before each text.
    prompt_name: Option<String>,
}

const fn yes() -> bool {
    true
}

/// A token, and where it stands in its text, in characters.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SimpleToken {
    id: u32,
    text: String,
    special: bool,
    start: Option<usize>,
    stop: Option<usize>,
}

/// The tokens of each text.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TokenizeResponse(Vec<Vec<SimpleToken>>);

/// `/tokenize`.
pub(crate) enum Tokenize {}

impl Route for Tokenize {
    const PATH: &'static str = "/tokenize";
    const SUMMARY: &'static str = "Tokens of texts";
    type Request = TokenizeRequest;
    type Answer = TokenizeResponse;

    async fn answer(call: &mut Call, request: TokenizeRequest) -> Result<TokenizeResponse, Refusal> {
        let prompt = call.bundle.prompt(request.prompt_name.as_deref())?.text;
        let (texts, is_batch) = request.inputs.into_list();
        call.begin(texts.len(), is_batch)?;
        if texts.iter().any(String::is_empty) {
            return Err(Refusal::new(ErrorType::Validation, "`inputs` cannot be empty"));
        }
        let tokenizer = Arc::clone(&call.bundle.tokenizer);
        let with_special = request.add_special_tokens;
        // All of it at once and beside the clients: places take longer than ids.
        let tokens = tokio::task::spawn_blocking(move || {
            let all = texts.iter().map(|text| {
                let text = format!("{prompt}{text}");
                let located = tokenizer.encode_located(&text, None, Limit::unlimited());
                let located = located.map_err(|error| Refusal::new(ErrorType::Tokenizer, error.to_string()))?;
                Ok(tokens(&tokenizer, &text, &located, with_special))
            });
            all.collect::<Result<Vec<_>, Refusal>>()
        });
        let lost = |_| Refusal::new(ErrorType::Unhealthy, "tokenizing failed: this is a fault of the server");
        Ok(TokenizeResponse(tokens.await.map_err(lost)??))
    }
}

fn tokens(tokenizer: &Tokenizer, text: &str, located: &LocatedEncoding, with_special: bool) -> Vec<SimpleToken> {
    // Characters before a byte; tokens come in order.
    let (mut byte, mut character) = (0, 0);
    let mut characters = |end: usize| {
        if end < byte {
            (byte, character) = (0, 0);
        }
        character += text[byte..end].chars().count();
        byte = end;
        character
    };
    let token = |(&id, place): (&u32, &Option<attar_text::tokenizer::TokenPlace>)| match place {
        None => with_special.then(|| SimpleToken {
            id,
            text: tokenizer.token(id).unwrap_or_default(),
            special: true,
            start: None,
            stop: None,
        }),
        Some(place) => Some(SimpleToken {
            id,
            text: text[place.bytes.clone()].to_owned(),
            special: false,
            start: Some(characters(place.bytes.start)),
            stop: Some(characters(place.bytes.end)),
        }),
    };
    located.encoding.ids.iter().zip(&located.places).filter_map(token).collect()
}

/// Ids of one text, or of several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a list of token ids, or a list of such lists")]
pub(crate) enum InputIds {
    Single(Vec<u32>),
    Batch(Vec<Vec<u32>>),
}

/// What `/decode` is asked.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct DecodeRequest {
    ids: InputIds,
    /// Whether tokens such as `[CLS]` are left out.
    #[serde(default = "yes")]
    skip_special_tokens: bool,
}

/// A text for each list of ids.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DecodeResponse(Vec<String>);

/// `/decode`.
pub(crate) enum Decode {}

impl Route for Decode {
    const PATH: &'static str = "/decode";
    const SUMMARY: &'static str = "Texts of token ids";
    type Request = DecodeRequest;
    type Answer = DecodeResponse;

    async fn answer(call: &mut Call, request: DecodeRequest) -> Result<DecodeResponse, Refusal> {
        let (lists, is_batch) = match request.ids {
            InputIds::Single(ids) if ids.is_empty() => (Vec::new(), true),
            InputIds::Single(ids) => (vec![ids], false),
            InputIds::Batch(lists) => (lists, true),
        };
        call.begin(lists.len(), is_batch)?;
        let decode = |ids: &Vec<u32>| decode(&call.bundle, ids, request.skip_special_tokens);
        Ok(DecodeResponse(lists.iter().map(decode).collect::<Result<_, _>>()?))
    }
}

/// Marks of text that stand without a space before them, as BERT's own decoder has them.
const JOINED: [(&str, &str); 11] = [
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
];

/// The text of ids, as the decoder of WordPiece makes it.
fn decode(bundle: &Bundle, ids: &[u32], skips_special: bool) -> Result<String, Refusal> {
    let tokenizer = &bundle.tokenizer;
    // Pieces of other kinds mark the beginnings of words rather than their continuations.
    if tokenizer.id("Ġthe").or(tokenizer.id("▁the")).is_some() {
        return Err(bundle.lacks("decoder for its kind of tokenizer", "decode with the tokenizer's own library"));
    }
    let mut text = String::new();
    for &id in ids {
        if skips_special && tokenizer.is_special(id) {
            continue;
        }
        let unknown = || Refusal::new(ErrorType::Tokenizer, format!("there is no token with the id {id}"));
        let token = tokenizer.token(id).ok_or_else(unknown)?;
        let piece = match token.strip_prefix("##") {
            Some(rest) if !text.is_empty() => rest.to_owned(),
            _ if text.is_empty() => token,
            _ => format!(" {token}"),
        };
        text += &JOINED.iter().fold(piece, |piece, (from, to)| piece.replace(from, to));
    }
    Ok(text)
}
