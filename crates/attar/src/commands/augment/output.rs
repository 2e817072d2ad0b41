//! The file of new rows.

use std::io::Write;
use std::path::Path;

use anyhow::{bail, ensure};
use attar_text::labeled::{Example, Label, Target};
use attar_text::table::Column;
use serde_json::Value;

use crate::cli::augment::AugmentArgs;
use crate::commands::part_file::PartFile;

/// How rows are written, by the extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Tsv,
    Json,
    /// A text a line.
    Lines,
}

/// The columns of the file: those of the data, so that the same flags read both.
pub(super) struct Columns {
    /// Name or number of the text, the second text and the label.
    places: [Option<Column>; 3],
    /// Whether the first row names the columns.
    header: bool,
}

/// A file that takes its place when it is complete.
pub(super) struct Output {
    part: PartFile,
    format: Format,
    columns: Columns,
    rows: usize,
}

/// Names of columns that the data have none for.
const NAMES: [&str; 3] = ["text", "pair", "label"];

impl Columns {
    pub(super) fn of(args: &AugmentArgs, has_pairs: bool) -> anyhow::Result<Self> {
        let is_known = args.data.as_ref().is_none_or(|data| data.is_dir());
        let wanted = [true, has_pairs, args.keep_labels];
        let given = [Some(&args.table.text), args.table.pair.as_ref(), Some(&args.label.label)];
        let mut places = [const { None }; 3];
        for (index, place) in places.iter_mut().enumerate().filter(|(index, _)| wanted[*index]) {
            *place = Some(match given[index].filter(|_| !is_known) {
                Some(column) => column.parse()?,
                None => Column::Name(NAMES[index].to_owned()),
            });
        }
        let by_name = places.iter().flatten().all(|column| matches!(column, Column::Name(_)));
        let header = args.table.format.header.filter(|_| !is_known).unwrap_or(by_name);
        ensure!(
            header || places.iter().flatten().all(|column| matches!(column, Column::Number(_))),
            "--text, --pair and --label name columns of a file without a header: number them"
        );
        Ok(Self { places, header })
    }

    /// The names, or the numbers of columns without one, in the order of the file.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self.width() {
            0 => Vec::new(),
            width => (1..=width).map(|number| format!("column {number}")).collect(),
        };
        for (place, name) in self.places.iter().zip(NAMES) {
            match place {
                Some(Column::Number(number)) => names[number - 1] = name.to_owned(),
                Some(Column::Name(name)) => names.push(name.clone()),
                None => {}
            }
        }
        names
    }

    /// Columns up to the last that has a number.
    fn width(&self) -> usize {
        let number = |column: &Column| if let Column::Number(number) = column { *number } else { 0 };
        self.places.iter().flatten().map(number).max().unwrap_or(0)
    }

    /// The values in their order, blank where the file has other columns.
    fn row<'a>(&self, values: [Option<&'a str>; 3]) -> Vec<&'a str> {
        let mut row = vec![""; self.width()];
        for (place, value) in self.places.iter().zip(values) {
            let value = value.unwrap_or_default();
            match place {
                Some(Column::Number(number)) => row[number - 1] = value,
                Some(Column::Name(_)) => row.push(value),
                None => {}
            }
        }
        row
    }
}

impl Output {
    /// Begins a file beside its place.
    pub(super) fn create(path: &Path, columns: Columns) -> anyhow::Result<Self> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        let format = match extension.as_deref() {
            Some("csv") => Format::Csv,
            Some("tsv" | "tab") => Format::Tsv,
            Some("jsonl" | "ndjson") => Format::Json,
            Some("txt") => Format::Lines,
            _ => bail!("--out {}: expected .csv, .tsv, .jsonl or .txt", path.display()),
        };
        ensure!(
            format != Format::Lines || columns.places.iter().flatten().count() == 1,
            "--out {}: a line of text has no room for a second text or a label: name a .csv, .tsv or .jsonl file",
            path.display()
        );
        let mut output = Self { part: PartFile::create(path)?, format, columns, rows: 0 };
        if output.columns.header && matches!(format, Format::Csv | Format::Tsv) {
            let names = output.columns.names();
            output.separated(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        Ok(output)
    }

    /// Rows written.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Appends a row.
    pub(super) fn write(&mut self, row: &Example, label: Option<Value>) -> anyhow::Result<()> {
        self.rows += 1;
        let shown = label.as_ref().map(|label| label.as_str().map_or_else(|| label.to_string(), str::to_owned));
        match self.format {
            Format::Csv | Format::Tsv => {
                let values = self.columns.row([Some(&row.text), row.pair.as_deref(), shown.as_deref()]);
                self.separated(&values)
            }
            Format::Json => {
                let mut object = serde_json::Map::new();
                let values = [Some(row.text.as_str().into()), row.pair.as_deref().map(Value::from), label];
                for ((place, name), value) in self.columns.places.iter().zip(NAMES).zip(values) {
                    if let (Some(place), Some(value)) = (place, value) {
                        let name = if let Column::Name(name) = place { name } else { name };
                        object.insert(name.to_owned(), value);
                    }
                }
                serde_json::to_writer(&mut self.part, &object)?;
                Ok(self.part.write_all(b"\n")?)
            }
            Format::Lines => {
                ensure!(!row.text.contains(['\n', '\r']), "a text of several lines: write a .csv or .jsonl file");
                Ok(writeln!(self.part, "{}", row.text)?)
            }
        }
    }

    /// A row of separated values, quoted where the format has quotation.
    fn separated(&mut self, values: &[&str]) -> anyhow::Result<()> {
        for (index, value) in values.iter().enumerate() {
            let (separator, quoted) = if self.format == Format::Csv { (",", true) } else { ("\t", false) };
            if index > 0 {
                self.part.write_all(separator.as_bytes())?;
            }
            let is_special = value.contains([',', '"', '\n', '\r']);
            if quoted && (is_special || values.len() == 1 && value.is_empty()) {
                write!(self.part, "\"{}\"", value.replace('"', "\"\""))?;
            } else {
                ensure!(
                    quoted || !value.contains(['\t', '\n', '\r']),
                    "a text with a tab or a line end, which .tsv has no way to write: write a .csv or .jsonl file"
                );
                self.part.write_all(value.as_bytes())?;
            }
        }
        Ok(self.part.write_all(b"\n")?)
    }

    /// Puts the file in its place.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.part.finish()
    }
}

/// A label as the data have it; several as an array, or with their separator between them.
pub(super) fn label(label: &Label, target: &Target, separator: Option<&str>) -> Value {
    let name = |class: &u32| target.labels().and_then(|labels| labels.name(*class)).unwrap_or_default();
    match label {
        Label::Class(class) => name(class).into(),
        Label::MultiLabel(classes) => {
            let names: Vec<&str> = classes.iter().map(name).collect();
            match separator.filter(|separator| !separator.is_empty()) {
                Some(separator) => names.join(separator).into(),
                None => names.into(),
            }
        }
        // The shortest digits that give the same 32-bit number.
        Label::Score(score) => serde_json::from_str(&score.to_string()).unwrap_or(Value::Null),
        // Tags and answers, which no cell holds, are refused before.
        Label::Tags(_) | Label::Answers(_) | Label::Absent => "".into(),
    }
}
