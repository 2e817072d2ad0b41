//! Files with mutations of every kind, given to every reader of other people's bytes: an error or an answer, no panic, and no
//! memory on a claim.
//!
//! The same readers as the fuzz targets have, from the same seeds (`fuzz/seeds`), without coverage and on a stable toolchain.
//! A number of executions is tried with every run of the tests; `ATTAR_HOSTILE_SECONDS` tries for so long and says how many
//! there were.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "shows how much was tried where a time is given")]

mod mutation;
mod readers;
mod requests;
/// Readers that the fuzz targets include too.
mod shared {
    pub(crate) mod answers;
    #[cfg(feature = "parquet")]
    pub(crate) mod columnar;
    pub(crate) mod recipe;
    pub(crate) mod table;
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use attar_text::random::Streams;

use mutation::mutated;

/// Executions of a reader where no time is given.
const EXECUTIONS: u64 = 1500;
/// Bytes by which the memory of the tests may grow: a reader that allocates on a claim takes gigabytes.
const MOST_GROWTH: u64 = 1 << 30;

/// Tries a reader; it has a folder of its own for files.
fn attack(name: &str, seeds: &[&str], read: impl Fn(&[u8], &Path)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in seeds {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let folder = tempfile::tempdir().unwrap();
    // The seeds themselves are good enough to be read far into.
    seeds.iter().for_each(|seed| read(seed, folder.path()));

    let seconds = std::env::var("ATTAR_HOSTILE_SECONDS").ok().map(|seconds| seconds.parse().unwrap());
    let from = std::env::var("ATTAR_HOSTILE_SEED").map_or(1, |seed| seed.parse().unwrap());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let before = peak();
    let streams = Streams::new(from);
    let mut execution = 0;
    while until.map_or(execution < EXECUTIONS, |until| Instant::now() < until) {
        let bytes = mutated(&seeds, &mut streams.stream(name, &[execution]));
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&bytes, folder.path())));
        if outcome.is_err() {
            let kept = std::env::temp_dir().join(format!("hostile-{name}-{from}-{execution}"));
            std::fs::write(&kept, &bytes).unwrap();
            panic!("{name} panics at execution {execution} of seed {from}: see {}", kept.display());
        }
        execution += 1;
    }
    let growth = peak().saturating_sub(before);
    assert!(growth < MOST_GROWTH, "{name} took {growth} bytes");
    if until.is_some() {
        println!("{name}: {execution} executions, {} MB at most", peak() / 1_000_000);
    }
}

/// Peak of this process's memory in bytes; 0 where the system does not tell.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or(0, |line| 1024 * line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap())
}
