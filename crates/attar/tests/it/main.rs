//! The binary from outside: what it prints, what it leaves on disk, how it fails.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod augment;
mod bad_input;
mod bench;
mod commands;
mod common;
mod energy;
mod finished;
mod floors;
mod glue;
mod held_out;
mod hub;
mod kill;
mod overwriting;
mod pair_readings;
mod parquet;
mod predict_files;
mod published;
mod quantize;
mod question_answers;
mod raw_text;
mod readers;
mod readmes;
mod real_data;
mod report;
mod serve;
mod several_labels;
mod shell;
mod single_file;
mod streaming;
mod tags;
mod tutorials;
mod unix_tools;
mod vocab;
mod watch;
