//! How a column is asked for.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::TableError;

/// A column, by the name in the header or by its number.
///
/// ```
/// use attar_text::table::Column;
///
/// assert_eq!("3".parse(), Ok(Column::Number(3)));
/// assert_eq!("sentence".parse(), Ok(Column::Name("sentence".to_owned())));
/// assert!("0".parse::<Column>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// By the name in the header, or the key of a JSON object.
    Name(String),
    /// By its number, counted from 1.
    Number(usize),
}

/// A text that names no column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnError {
    /// The number 0.
    #[error("there is no column 0, columns are counted from 1")]
    Zero,
    /// No text at all.
    #[error("expected the name or the number of a column, found nothing")]
    Empty,
    /// A number that no file has so many columns for.
    #[error("expected the name or the number of a column, found the number {number}")]
    TooLarge {
        /// The digits.
        number: String,
    },
}

impl FromStr for Column {
    type Err = ColumnError;

    /// Digits are a number, everything else is a name.
    fn from_str(text: &str) -> Result<Self, ColumnError> {
        if text.is_empty() {
            return Err(ColumnError::Empty);
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Name(text.to_owned()));
        }
        match text.parse() {
            Ok(0) => Err(ColumnError::Zero),
            Ok(number) => Ok(Self::Number(number)),
            Err(_) => Err(ColumnError::TooLarge { number: text.to_owned() }),
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?}"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl Column {
    /// The position of this column, counted from 0, in rows of this width under this header.
    pub(super) fn resolve(&self, path: &Path, header: Option<&[&str]>, width: usize) -> Result<usize, TableError> {
        match (self, header) {
            (Self::Number(number), _) if (1..=width).contains(number) => Ok(number - 1),
            (Self::Number(number), _) => {
                Err(TableError::NoSuchNumber { path: path.to_owned(), number: *number, columns: width })
            }
            (Self::Name(name), None) => {
                Err(TableError::NameWithoutHeader { path: path.to_owned(), name: name.clone(), columns: width })
            }
            (Self::Name(name), Some(header)) => {
                let mut places = (0..header.len()).filter(|&index| header[index] == name);
                match (places.next(), places.next()) {
                    (Some(index), None) => Ok(index),
                    (Some(first), Some(second)) => Err(TableError::AmbiguousName {
                        path: path.to_owned(),
                        name: name.clone(),
                        first: first + 1,
                        second: second + 1,
                    }),
                    (None, _) => Err(TableError::unknown_name(path, name, header.iter().copied())),
                }
            }
        }
    }
}
