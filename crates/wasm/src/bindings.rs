//! The names that scripts call. Lists of objects go over as JSON, which a script parses faster than it takes objects
//! apart; numbers go over as typed arrays.

use std::error::Error;

use wasm_bindgen::prelude::*;

use crate::Model;

/// A model in the memory of this module. The class of the npm package stands before it.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Engine(Model);

#[wasm_bindgen]
impl Engine {
    /// Reads a single file.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: Vec<u8>) -> Result<Engine, JsError> {
        Model::load(bytes).map(Engine).map_err(thrown)
    }

    /// [`Model::info`].
    pub fn info(&mut self) -> String {
        json(&self.0.info())
    }

    /// [`Model::predict`]; no second texts where `pairs` is empty.
    pub fn predict(&mut self, texts: Vec<String>, pairs: Vec<String>) -> Result<String, JsError> {
        self.0.predict(&borrowed(&texts), seconds(&texts, &pairs)?.as_deref()).map(|all| json(&all)).map_err(thrown)
    }

    /// [`Model::logits`], one text after the other.
    pub fn logits(&mut self, texts: Vec<String>, pairs: Vec<String>) -> Result<Vec<f32>, JsError> {
        self.0.logits(&borrowed(&texts), seconds(&texts, &pairs)?.as_deref()).map(|all| all.concat()).map_err(thrown)
    }

    /// [`Model::embed`], one text after the other.
    pub fn embed(&mut self, texts: Vec<String>) -> Result<Vec<f32>, JsError> {
        self.0.embed(&borrowed(&texts)).map(|all| all.concat()).map_err(thrown)
    }

    /// [`Model::tag`].
    pub fn tag(&mut self, texts: Vec<String>) -> Result<String, JsError> {
        self.0.tag(&borrowed(&texts)).map(|all| json(&all)).map_err(thrown)
    }

    /// [`Model::answer`].
    pub fn answer(&mut self, question: &str, context: &str) -> Result<String, JsError> {
        self.0.answer(question, context).map(|span| json(&span)).map_err(thrown)
    }

    /// [`Model::tokenize`].
    pub fn tokenize(&self, text: &str, pair: Option<String>) -> Result<String, JsError> {
        self.0.tokenize(text, pair.as_deref()).map(|encoded| json(&encoded)).map_err(thrown)
    }
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn seconds<'a>(texts: &[String], pairs: &'a [String]) -> Result<Option<Vec<&'a str>>, JsError> {
    match pairs.len() {
        0 => Ok(None),
        count if count == texts.len() => Ok(Some(borrowed(pairs))),
        count => Err(JsError::new(&format!("{} texts and {count} second texts: give one for each", texts.len()))),
    }
}

/// An error with its causes, as the program prints it.
fn thrown(error: attar_runtime::Error) -> JsError {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said.push_str(&format!(": {error}"));
        cause = error.source();
    }
    JsError::new(&said)
}

/// Plain data that JSON has words for.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
