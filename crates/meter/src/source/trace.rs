//! Traces: what devices showed, raw, one JSON object a line, so that it can be replayed.
//!
//! The first line names the devices; each further line is one sample of one device:
//!
//! ```text
//! {"schema":1,"trace":{"devices":[{"component":"gpu0","name":"0: NVIDIA H200","unit_j":0.001,"range":null}],"start":"2026-11-22T18:00:00Z","host":null}}
//! {"t_s":0.0,"device":"gpu0","energy_j":5123.456,"power_w":71.3,"utilization":0.0}
//! {"t_s":0.1,"device":"gpu0","error":"board lost"}
//! ```
//!
//! `energy_j` is where the device's counter stands, in joules, and `range` is where it wraps, in
//! counts of `unit_j`. `method` (by default `measured`) and `spread` (by default 0.95 to 1.05) may
//! appear in the header for all devices and with each device for itself. Time never runs back.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Component;
use crate::estimate::{Method, Spread};
use crate::host::HostFacts;
use crate::jsonl::{JsonLines, TornLine};
use crate::quantity::{Joules, Seconds, Watts};

/// Number of the schema that this version writes, and the only one that it reads.
pub const TRACE_SCHEMA: u32 = 1;

/// What devices showed over some time.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// The devices recorded.
    pub header: TraceHeader,
    /// The samples, in time order.
    pub samples: Vec<TraceSample>,
    /// The last line, if a crash tore it; it is skipped.
    pub torn: Option<TornLine>,
}

/// The first line of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceHeader {
    /// The devices, each once.
    pub devices: Vec<TraceDevice>,
    /// When the trace began, UTC.
    pub start: Timestamp,
    /// The machine, where it is known.
    #[serde(default)]
    pub host: Option<HostFacts>,
    /// How the numbers were obtained, for devices that do not say it themselves.
    #[serde(default = "measured")]
    pub method: Method,
    /// 90 % interval of the numbers as factors, for devices that do not say it themselves.
    #[serde(default = "five_percent")]
    pub spread: Spread,
}

/// A device of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceDevice {
    /// Which component it is.
    pub component: Component,
    /// Its name.
    pub name: String,
    /// Energy of one count of its counter, in joules.
    pub unit_j: Joules,
    /// Where its counter wraps, in counts; `None` if that is not known or it never does.
    #[serde(default)]
    pub range: Option<u64>,
    /// How its numbers were obtained, if not as the header says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// 90 % interval of its numbers as factors, if not as the header says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// One sample of one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceSample {
    /// When, on a steady clock.
    pub t_s: Seconds,
    /// At which device.
    pub device: Component,
    /// Where its counter stands, in joules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_j: Option<Joules>,
    /// Power now, in watts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// How busy it is, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilization: Option<f64>,
    /// Why something is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why a trace cannot be written, read or replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// An I/O operation failed.
    #[error("cannot {action} trace {}: {error}", path.display())]
    File {
        /// The operation that failed.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// The underlying I/O error.
        #[source]
        error: std::io::Error,
    },
    /// Another schema, or no trace at all.
    #[error("{} line 1: must be a header with schema {TRACE_SCHEMA}, got {got}; read it with the version that wrote it", path.display())]
    Schema {
        /// Which file.
        path: PathBuf,
        /// What the line says.
        got: String,
    },
    /// A line is not a JSON object of its kind.
    #[error("{} line {line}: {error}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        #[source]
        error: serde_json::Error,
    },
    /// A line holds an impossible value.
    #[error("{} line {line}: {field} must be {expected}, got {got}", path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// Which field.
        field: &'static str,
        /// What was expected.
        expected: String,
        /// What was found.
        got: String,
    },
}

/// Longest line that is read; a sample has some hundred bytes.
const LONGEST_LINE: u64 = 1 << 20;
/// Longest trace, in seconds: thirty years. A larger number is no time since a start.
const LONGEST: f64 = 1e9;
/// What a counter of 64 bits can hold.
const MOST_COUNTS: f64 = 1.8e19;

impl Trace {
    /// Reads a trace.
    ///
    /// # Errors
    /// If the file cannot be accessed, or a line holds something else. Only a last line without a line end
    /// may be torn: see [`Trace::torn`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, TraceError> {
        let path = path.as_ref();
        let refused = |error| TraceError::File { action: "read", path: path.to_owned(), error };
        let mut reader = BufReader::new(File::open(path).map_err(refused)?);
        let (mut header, mut samples, mut torn) = (None, Vec::new(), None);
        let mut last = 0.0;
        let mut text = Vec::new();
        for line in 1.. {
            text.clear();
            let length = reader.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut text).map_err(refused)?;
            if length == 0 {
                break;
            }
            let place = TraceLine { path, line };
            if length as u64 > LONGEST_LINE {
                return Err(place.value("line", format!("at most {LONGEST_LINE} bytes long"), "a longer one"));
            }
            let whole = text.ends_with(b"\n");
            // Editors of some systems put a mark before the first character.
            let content = text.strip_prefix(b"\xef\xbb\xbf").filter(|_| line == 1).unwrap_or(&text).trim_ascii();
            let Some(header) = &header else {
                header = Some(place.header(content)?);
                continue;
            };
            if content.is_empty() {
                continue;
            }
            let object = match serde_json::from_slice::<Value>(content) {
                Ok(object) => object,
                Err(_) if !whole => {
                    torn = Some(TornLine { line, bytes: content.len() });
                    break;
                }
                Err(error) => return Err(place.line(error)),
            };
            let sample: TraceSample = serde_json::from_value(object).map_err(|error| place.line(error))?;
            place.check(&sample, header, last)?;
            last = sample.t_s.get();
            samples.push(sample);
        }
        let empty = || TraceError::Schema { path: path.to_owned(), got: "an empty file".to_owned() };
        Ok(Self { header: header.ok_or_else(empty)?, samples, torn })
    }

    /// Writes a trace as [`read`](Self::read) reads it, in place of what was there.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), TraceError> {
        let mut writer = TraceWriter::create(path.as_ref(), &self.header)?;
        self.samples.iter().try_for_each(|sample| writer.write(sample))?;
        writer.finish()
    }
}

/// A trace that is being written.
#[derive(Debug)]
pub struct TraceWriter {
    lines: JsonLines,
    path: PathBuf,
}

impl TraceWriter {
    /// Makes a file with a header, in place of what was there.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(path: &Path, header: &TraceHeader) -> Result<Self, TraceError> {
        #[derive(Serialize)]
        struct First<'a> {
            schema: u32,
            trace: &'a TraceHeader,
        }
        let lines = JsonLines::create(path).map_err(|error| TraceError::File {
            action: "create",
            path: path.to_owned(),
            error,
        })?;
        let mut writer = Self { lines, path: path.to_owned() };
        writer.line(&First { schema: TRACE_SCHEMA, trace: header })?;
        Ok(writer)
    }

    /// Appends a sample of a device.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&mut self, sample: &TraceSample) -> Result<(), TraceError> {
        self.line(sample)
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(self) -> Result<(), TraceError> {
        self.lines.sync().map_err(|error| TraceError::File { action: "sync", path: self.path, error })
    }

    fn line(&mut self, content: &impl Serialize) -> Result<(), TraceError> {
        let path = &self.path;
        self.lines.write(content).map_err(|error| TraceError::File { action: "write", path: path.clone(), error })
    }
}

/// A line of a file, for errors.
struct TraceLine<'a> {
    path: &'a Path,
    line: usize,
}

impl TraceLine<'_> {
    fn header(&self, content: &[u8]) -> Result<TraceHeader, TraceError> {
        let schema = |got: String| TraceError::Schema { path: self.path.to_owned(), got };
        let Ok(Value::Object(mut fields)) = serde_json::from_slice::<Value>(content) else {
            let beginning: String = String::from_utf8_lossy(content).chars().take(40).collect();
            return Err(schema(format!("`{beginning}`")));
        };
        let number = fields.remove("schema").unwrap_or(Value::Null);
        if number != TRACE_SCHEMA {
            return Err(schema(format!("schema {number}")));
        }
        let Some(trace) = fields.remove("trace") else { return Err(schema("no `trace`".to_owned())) };
        let header: TraceHeader = serde_json::from_value(trace).map_err(|error| self.line(error))?;
        if header.devices.is_empty() {
            return Err(self.value("devices", "at least one".to_owned(), "none"));
        }
        let mut seen = BTreeSet::new();
        let spreads = header.devices.iter().filter_map(|device| device.spread).chain([header.spread]);
        for device in &header.devices {
            if !seen.insert(device.component) {
                return Err(self.value("devices", "each component once".to_owned(), device.component));
            }
            if device.unit_j.get() == 0.0 {
                return Err(self.value("unit_j", "above 0".to_owned(), 0));
            }
            if device.range == Some(0) {
                return Err(self.value("range", "at least 1, or null".to_owned(), 0));
            }
        }
        for spread in spreads {
            let (low, high) = (spread.low(), spread.high());
            if !((0.0..=1.0).contains(&low) && (1.0..f64::INFINITY).contains(&high)) {
                return Err(self.value("spread", "low from 0 to 1 and high of at least 1".to_owned(), spread));
            }
        }
        Ok(header)
    }

    /// Whether a sample can follow what came before.
    fn check(&self, sample: &TraceSample, header: &TraceHeader, last: f64) -> Result<(), TraceError> {
        let t = sample.t_s.get();
        if t < last {
            return Err(self.value("t_s", format!("at least {last}, the time of the line before"), t));
        }
        if t > LONGEST {
            return Err(self.value("t_s", format!("at most {LONGEST}"), t));
        }
        let Some(device) = header.devices.iter().find(|device| device.component == sample.device) else {
            let known: Vec<String> = header.devices.iter().map(|device| device.component.to_string()).collect();
            return Err(self.value("device", format!("one of the header's: {}", known.join(", ")), sample.device));
        };
        if sample.utilization.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err(self.value("utilization", "0 to 1".to_owned(), sample.utilization.unwrap_or_default()));
        }
        if let Some(energy) = sample.energy_j.filter(|energy| energy.get() / device.unit_j.get() > MOST_COUNTS) {
            return Err(self.value("energy_j", "below 2^64 counts of unit_j".to_owned(), energy.get()));
        }
        Ok(())
    }

    fn line(&self, error: serde_json::Error) -> TraceError {
        TraceError::Line { path: self.path.to_owned(), line: self.line, error }
    }

    fn value(&self, field: &'static str, expected: String, got: impl ToString) -> TraceError {
        TraceError::Value { path: self.path.to_owned(), line: self.line, field, expected, got: got.to_string() }
    }
}

fn measured() -> Method {
    Method::Measured
}

fn five_percent() -> Spread {
    Spread::relative(0.05)
}
