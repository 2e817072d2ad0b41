//! The tokens a model knows, in the order of their ids.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::files;

/// Tokens in the order of their ids: token 0, token 1, … without gaps or repetitions.
///
/// A blank line of a file is a token that no text gives; of several such the last one's id counts, as in `transformers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    tokens: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Vocabulary {
    /// A vocabulary of these tokens; the id of each is its position.
    ///
    /// # Errors
    /// [`VocabularyError::Empty`] and [`VocabularyError::Duplicate`].
    pub fn from_tokens(tokens: Vec<String>) -> Result<Self, VocabularyError> {
        if tokens.is_empty() {
            return Err(VocabularyError::Empty);
        }
        let mut ids = HashMap::with_capacity(tokens.len());
        for (id, token) in tokens.iter().enumerate() {
            let id = u32::try_from(id).map_err(|_| VocabularyError::TooLarge { tokens: tokens.len() })?;
            let before = ids.insert(token.clone(), id);
            if let Some(first) = before.filter(|_| !token.is_empty()) {
                return Err(VocabularyError::Duplicate { token: token.clone(), first, second: id });
            }
        }
        Ok(Self { tokens, ids })
    }

    /// Reads a `vocab.txt`: one token a line, the line number counted from 0 is the id.
    ///
    /// Lines end at `\n` only and one `\r` before it is dropped; beyond that a token is kept exactly,
    /// spaces included. A last line without a line end counts.
    ///
    /// # Errors
    /// A file that cannot be read, is not UTF-8, is empty or holds a token twice; each names the file.
    pub fn from_file(path: &Path) -> Result<Self, VocabularyError> {
        let failed =
            |source| VocabularyError::InFile { path: path.to_owned(), source: Box::new(VocabularyError::Io(source)) };
        Self::from_bytes(path, &files::read(path, files::MOST_TOKENIZER_BYTES).map_err(failed)?)
    }

    /// As [`Vocabulary::from_file`], for bytes that are in memory; the path is for errors.
    ///
    /// # Errors
    /// As [`Vocabulary::from_file`].
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, VocabularyError> {
        let in_file = |source| VocabularyError::InFile { path: path.to_owned(), source: Box::new(source) };
        let tokens = files::lines(bytes)
            .enumerate()
            .map(|(index, line)| match std::str::from_utf8(line) {
                Ok(token) => Ok(token.to_owned()),
                Err(_) => Err(in_file(VocabularyError::NotUtf8 { line: index + 1 })),
            })
            .collect::<Result<Vec<String>, _>>()?;
        Self::from_tokens(tokens).map_err(in_file)
    }

    /// Number of tokens, never 0.
    #[expect(clippy::len_without_is_empty, reason = "a vocabulary is never empty")]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The id of a token, or `None` for one that is not here.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// The token of an id, or `None` past the end.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(String::as_str)
    }

    /// All tokens in the order of their ids.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The file format of [`Vocabulary::from_file`]: every token followed by `\n`.
    ///
    /// # Errors
    /// [`VocabularyError::NotALine`] for a token that would not be read back as it is.
    pub fn to_text(&self) -> Result<String, VocabularyError> {
        let mut text = String::with_capacity(self.tokens.iter().map(|token| token.len() + 1).sum());
        for (id, token) in self.tokens.iter().enumerate() {
            if token.contains('\n') || token.ends_with('\r') {
                return Err(VocabularyError::NotALine { id: id as u32, token: token.clone() });
            }
            text.push_str(token);
            text.push('\n');
        }
        Ok(text)
    }

    /// Writes a `vocab.txt`; an existing file is replaced in one step.
    ///
    /// # Errors
    /// As [`Vocabulary::to_text`], or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), VocabularyError> {
        let in_file = |source| VocabularyError::InFile { path: path.to_owned(), source: Box::new(source) };
        let text = self.to_text().map_err(in_file)?;
        files::write_atomically(path, text.as_bytes()).map_err(|source| in_file(VocabularyError::Io(source)))
    }
}

/// What is wrong with a vocabulary.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VocabularyError {
    /// No token at all.
    #[error("the vocabulary is empty, expected at least one token, one a line")]
    Empty,
    /// The same token at two ids.
    #[error("token {token:?} stands at id {first} and again at id {second}, expected every token once")]
    Duplicate {
        /// The token.
        token: String,
        /// Its first id: line number less 1.
        first: u32,
        /// Its second id.
        second: u32,
    },
    /// More tokens than 32-bit ids.
    #[error("{tokens} tokens, expected at most 4294967295")]
    TooLarge {
        /// How many.
        tokens: usize,
    },
    /// Ids without a token, as a `tokenizer.json` may have.
    #[error("some ids below {size} have no token, expected one for each")]
    Gaps {
        /// One more than the largest id.
        size: usize,
    },
    /// A line that is not text.
    #[error("line {line} is not UTF-8, save the file in that encoding")]
    NotUtf8 {
        /// Counted from 1.
        line: usize,
    },
    /// A token that cannot be written as one line.
    #[error("token {id} is {token:?}, which cannot stand on one line of a vocab.txt")]
    NotALine {
        /// Its id.
        id: u32,
        /// The token.
        token: String,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(io::Error),
    /// Any of the above, in this file.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<VocabularyError>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vocabulary, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vocab.txt");
        std::fs::write(&path, bytes).unwrap();
        Vocabulary::from_file(&path).map_err(|e| e.to_string().replace(&path.display().to_string(), "FILE"))
    }

    #[test]
    fn keeps_tokens_exactly() {
        let vocabulary = read("[PAD]\r\n##a\n b \n\u{85}\n\u{a0}\n\nz".as_bytes()).unwrap();
        assert_eq!(vocabulary.tokens(), ["[PAD]", "##a", " b ", "\u{85}", "\u{a0}", "", "z"]);
        assert_eq!(vocabulary.len(), 7);
        assert_eq!(vocabulary.id("z"), Some(6));
        assert_eq!(vocabulary.id("b"), None);
        assert_eq!(vocabulary.token(1), Some("##a"));
        assert_eq!(vocabulary.token(7), None);
    }

    #[test]
    fn refuses_what_is_wrong() {
        assert_eq!(read(b"").unwrap_err(), "FILE: the vocabulary is empty, expected at least one token, one a line");
        assert_eq!(
            read(b"a\nb\na\n").unwrap_err(),
            "FILE: token \"a\" stands at id 0 and again at id 2, expected every token once"
        );
        assert_eq!(read(b"a\n\xff\n").unwrap_err(), "FILE: line 2 is not UTF-8, save the file in that encoding");
        let missing = Vocabulary::from_file(Path::new("/nowhere/vocab.txt")).unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere/vocab.txt: "), "{missing}");
    }

    #[test]
    fn saves_what_it_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vocab.txt");
        let vocabulary = Vocabulary::from_tokens(["[PAD]", "é", "##\r\u{2028}", ""].map(String::from).into()).unwrap();
        let err = Vocabulary::from_tokens(vec!["a\r".into()]).unwrap().save(&path).unwrap_err().to_string();
        assert!(err.ends_with("token 0 is \"a\\r\", which cannot stand on one line of a vocab.txt"), "{err}");
        assert!(!path.exists());
        vocabulary.save(&path).unwrap();
        assert_eq!(Vocabulary::from_file(&path).unwrap(), vocabulary);
    }
}
