//! Where answered rows go: standard output or a file, in the form that its name says.

use std::io::{BufWriter, StdoutLock, Write};

use anyhow::bail;
use attar_runtime::Text;
use serde_json::Value;

use super::npy::NpyFile;
use super::places::values;
use super::records::Record;
use super::{Answers, Form, RowFile, extension, write};
use crate::commands::part_file::PartFile;
use crate::overwriting::refuse_overwriting_input;

/// The answered rows of a file.
pub(super) struct Output {
    /// How the input's rows are written.
    form: Form,
    /// The names of the input's columns.
    header: Option<Vec<String>>,
    /// The names of the columns that are added.
    added: &'static [&'static str],
    kind: Kind,
}

enum Kind {
    /// Rows in their own form.
    Own(To),
    /// Separated values as objects.
    Objects(To),
    Npy(NpyFile),
}

enum To {
    Standard(BufWriter<StdoutLock<'static>>),
    File(PartFile),
}

impl Output {
    pub(super) fn new(
        file: RowFile<'_>,
        form: Form,
        header: Option<Vec<String>>,
        added: &'static [&'static str],
    ) -> anyhow::Result<Output> {
        let kind = match file.out {
            None => Kind::Own(To::Standard(BufWriter::new(std::io::stdout().lock()))),
            Some(out) => {
                refuse_overwriting_input(out, [file.data, file.model])?;
                let [extension, own] = [out, file.data].map(extension);
                match (extension.as_deref(), form) {
                    (Some("npy"), _) => Kind::Npy(NpyFile::new(out)?),
                    (Some("jsonl" | "ndjson"), Form::Separated { .. }) => {
                        Kind::Objects(To::File(PartFile::create(out)?))
                    }
                    // The name would say another separator than the rows have.
                    (Some("csv"), Form::Separated { by: b'\t', .. })
                    | (Some("tsv" | "tab"), Form::Separated { by: b',', .. })
                        if own != extension =>
                    {
                        bail!(
                            "{}: rows are written with the separator they were read with: name a file of the same kind as \
                             --out, or a .jsonl file",
                            out.display()
                        )
                    }
                    (Some("parquet" | "pq" | "arrow" | "feather" | "ipc"), _) => bail!(
                        "{}: Parquet and Arrow files are read and not written: name a .jsonl or .npy file as --out",
                        out.display()
                    ),
                    (Some("csv" | "tsv" | "tab"), Form::Json) => bail!(
                        "{}: objects have no columns to write as a table: name a .jsonl file as --out",
                        out.display()
                    ),
                    _ => Kind::Own(To::File(PartFile::create(out)?)),
                }
            }
        };
        Ok(Output { form, header, added, kind })
    }

    /// The form of the rows, if they are written as they are.
    pub(super) fn form(&self) -> Option<Form> {
        matches!(self.kind, Kind::Own(_)).then_some(self.form)
    }

    /// The names that objects must not have already: those of the answers. An array has no names.
    pub(super) fn added(&self) -> &'static [&'static str] {
        if matches!(self.kind, Kind::Npy(_)) { &[] } else { self.added }
    }

    /// A row with nothing in it.
    pub(super) fn blank(&mut self, record: &Record) -> anyhow::Result<()> {
        match &mut self.kind {
            Kind::Own(to) => Ok(to.write_all(&record.raw)?),
            Kind::Objects(_) | Kind::Npy(_) => Ok(()),
        }
    }

    /// The names of the columns. A file that was answered before would have two of the same name.
    pub(super) fn header(&mut self, record: &Record) -> anyhow::Result<()> {
        let header = self.header.as_deref().unwrap_or_default();
        if !matches!(self.kind, Kind::Npy(_))
            && let Some(name) = self.added.iter().find(|name| header.iter().any(|column| column == *name))
        {
            bail!("line {}: there is a column `{name}` already: remove or rename it", record.line);
        }
        let twice = header.iter().enumerate().find(|(place, name)| header[..*place].contains(name));
        if matches!(self.kind, Kind::Objects(_))
            && let Some((_, twice)) = twice
        {
            bail!(
                "line {}: two columns are named `{twice}`: rename one, since an object has one value for each name",
                record.line
            );
        }
        match &mut self.kind {
            Kind::Own(to) => {
                Ok(write::row(to, record, self.form, self.added.iter().map(|name| (*name, Value::from(*name))))?)
            }
            Kind::Objects(_) | Kind::Npy(_) => Ok(()),
        }
    }

    pub(super) fn answered<A: Answers>(
        &mut self,
        record: &Record,
        answers: &A,
        text: Text<'_>,
        answer: &A::Answer,
    ) -> anyhow::Result<()> {
        let added = |form: Form| self.added.iter().copied().zip(answers.values(text, answer, form));
        match &mut self.kind {
            Kind::Own(to) => Ok(write::row(to, record, self.form, added(self.form))?),
            Kind::Objects(to) => {
                let values = columns(record, self.form)?;
                Ok(write::object(to, values, self.header.as_deref(), added(Form::Json))?)
            }
            Kind::Npy(file) => match answers.vector(answer) {
                Some(vector) => file.push(vector),
                None => {
                    bail!(".npy files hold vectors, and these answers are none: name a .csv or .jsonl file as --out")
                }
            },
        }
    }

    /// A row with nothing in the columns that are added; objects go through as they are, and vectors are no numbers.
    pub(super) fn unanswered(&mut self, record: &Record) -> anyhow::Result<()> {
        match (&mut self.kind, self.form) {
            (Kind::Own(to), Form::Json) => Ok(to.write_all(&record.raw)?),
            (Kind::Own(to), Form::Separated { .. }) => {
                Ok(write::row(to, record, self.form, self.added.iter().map(|name| (*name, Value::from(""))))?)
            }
            (Kind::Objects(to), _) => {
                // What cannot be read as columns cannot be written as an object, but its line is counted.
                let values = columns(record, self.form).unwrap_or_default();
                let added = self.added.iter().map(|name| (*name, Value::Null));
                Ok(write::object(to, values, self.header.as_deref(), added)?)
            }
            (Kind::Npy(file), _) => file.push_missing(),
        }
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        match &mut self.kind {
            Kind::Own(to) | Kind::Objects(to) => Ok(to.flush()?),
            Kind::Npy(_) => Ok(()),
        }
    }

    /// Puts a complete file into its place.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self.kind {
            Kind::Own(to) | Kind::Objects(to) => to.finish(),
            Kind::Npy(file) => file.finish(),
        }
    }
}

fn columns(record: &Record, form: Form) -> anyhow::Result<Vec<String>> {
    match form {
        Form::Separated { by, quoted } => {
            let body = record.parts().0;
            values(body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body), by, quoted)
        }
        Form::Json => Ok(Vec::new()),
    }
}

impl To {
    fn finish(self) -> anyhow::Result<()> {
        match self {
            To::Standard(mut writer) => Ok(writer.flush()?),
            To::File(file) => file.finish(),
        }
    }
}

impl Write for To {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            To::Standard(writer) => writer.write(bytes),
            To::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            To::Standard(writer) => writer.flush(),
            To::File(file) => file.flush(),
        }
    }
}
