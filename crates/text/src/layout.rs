//! Public data sets by name: which files they consist of and what their columns mean.

mod folders;

use std::path::Path;

use crate::glue::Task;
use crate::labeled::{DataError, Dataset};
use crate::metrics::Metric;

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// For training.
    Train,
    /// For choosing (validation).
    Dev,
    /// The same of other genres than the training rows', which MNLI has.
    DevMismatched,
    /// For the final measurement; without labels in GLUE.
    Test,
    /// The same of other genres than the training rows', which MNLI has.
    TestMismatched,
    /// The test part with labels, where they have become known.
    TestLabeled,
}

/// A data set whose files are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A task of GLUE.
    Glue(Task),
    /// Seven intents of commands to a voice assistant. Its directory holds the folders `train`,
    /// `valid` and `test`, each with `seq.in` and `label`.
    Snips,
    /// 150 intents; the out-of-scope rows are left out. Its directory holds `data_full.json`.
    Clinc150,
    /// Topic of a news item: World, Sports, Business, Sci/Tech. Its directory holds `dev.tsv`.
    AgNews,
}

impl Split {
    /// All parts.
    pub const ALL: [Self; 6] =
        [Self::Train, Self::Dev, Self::DevMismatched, Self::Test, Self::TestMismatched, Self::TestLabeled];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::DevMismatched => "mismatched dev",
            Self::Test => "test",
            Self::TestMismatched => "mismatched test",
            Self::TestLabeled => "labeled test",
        }
    }
}

impl Layout {
    /// All data sets.
    pub fn all() -> impl Iterator<Item = Self> {
        Task::ALL.map(Self::Glue).into_iter().chain([Self::Snips, Self::Clinc150, Self::AgNews])
    }

    /// Its usual name, such as "SST-2" or "AG News".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Glue(task) => task.name(),
            Self::Snips => "SNIPS",
            Self::Clinc150 => "CLINC150",
            Self::AgNews => "AG News",
        }
    }

    /// The data set of this name; case and punctuation do not matter ("sst2", "STS-B", "ag_news").
    ///
    /// # Errors
    /// [`DataError::UnknownName`] with the nearest name.
    pub fn from_name(name: &str) -> Result<Self, DataError> {
        Self::all()
            .find(|layout| plain_name(layout.name()) == plain_name(name))
            .ok_or_else(|| DataError::unknown_name(name, known()))
    }

    /// The data set whose files are in this folder, told by file names, headers and labels.
    ///
    /// # Errors
    /// [`DataError::UnknownLayout`] with what was found there.
    pub fn detect(dir: &Path) -> Result<Self, DataError> {
        folders::detect(dir).or_else(|| Task::detect(dir).map(Self::Glue)).ok_or_else(|| {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            let mut found: Vec<String> =
                entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            found.sort();
            DataError::UnknownLayout { dir: dir.to_owned(), found, known: known() }
        })
    }

    /// Reads a part of the data set from its folder.
    ///
    /// Classes are in the order of [`Task::target`] for GLUE, as listed at [`Layout`] for AG News, and
    /// in alphabetical order for SNIPS and CLINC150. The test parts of the last three have labels
    /// under either name.
    ///
    /// # Errors
    /// [`DataError::NoSplit`] if the part has no file here, else as [`load`](crate::labeled::load).
    pub fn load(self, dir: &Path, split: Split) -> Result<Dataset, DataError> {
        let file = match self {
            Self::Glue(task) => return task.load(dir, split),
            Self::Snips => folders::snips_file,
            Self::Clinc150 => folders::clinc_file,
            Self::AgNews => folders::ag_news_file,
        };
        let present = |split: &Split| file(*split).is_some_and(|file| dir.join(file).exists());
        let path = match file(split) {
            Some(file) if dir.join(file).exists() => dir.join(file),
            _ => return Err(DataError::no_split(dir, self.name(), split, present)),
        };
        let dataset = match self {
            Self::Snips => folders::snips(&path),
            Self::Clinc150 => folders::clinc(&path, split),
            Self::Glue(_) | Self::AgNews => folders::ag_news(&path),
        }?;
        Ok(Dataset { name: format!("{} {}", self.name(), split.name()), ..dataset })
    }

    /// The parts whose scores are reported, [`Split::Dev`] first.
    pub const fn scored(self) -> &'static [Split] {
        match self {
            Self::Glue(task) => task.scored(),
            Self::Snips | Self::Clinc150 | Self::AgNews => &[Split::Dev],
        }
    }

    /// The metric by which systems are compared on it.
    pub const fn metric(self) -> Metric {
        self.metrics()[0]
    }

    /// All metrics that are reported for it, the one of [`metric`](Self::metric) first.
    pub const fn metrics(self) -> &'static [Metric] {
        match self {
            Self::Glue(task) => task.metrics(),
            Self::Snips | Self::Clinc150 | Self::AgNews => &[Metric::Accuracy, Metric::MacroF1],
        }
    }
}

/// A name without case and punctuation.
pub(crate) fn plain_name(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn known() -> Vec<String> {
    Layout::all().map(|layout| layout.name().to_owned()).collect()
}
