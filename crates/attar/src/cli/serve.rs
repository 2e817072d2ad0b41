//! The command line of `attar serve`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::EngineArgs;
use super::energy::{PlaceArgs, SourceArgs};
use super::values::{bytes, seconds, waiting};

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Model directories or folders of runs, each by its own name or as NAME=PATH; the first is the default one.
    #[arg(required = true, value_name = "[NAME=]PATH")]
    pub(crate) bundles: Vec<String>,
    /// Port to listen on; 0 for any that is free.
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Address to listen on; 0.0.0.0 for the whole network.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub(crate) host: IpAddr,
    /// Listen on a socket in the file system instead.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["host", "port"])]
    pub(crate) unix_socket: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// What is written to standard error about each request: nothing, or a line of JSON without its texts.
    #[arg(long, value_enum, default_value = "none")]
    pub(crate) log: LogArg,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Write the energy's ledger to this folder too.
    #[arg(long, value_name = "DIR", help_heading = "Bill")]
    pub(crate) ledger: Option<PathBuf>,
}

/// What requests may ask for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Most tokens that are computed together.
    #[arg(long, default_value = "16384", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_batch_tokens: u32,
    /// How long a text may wait for others to be computed with.
    #[arg(long, default_value = "0", value_name = "TIME", value_parser = waiting)]
    pub(crate) max_wait: Duration,
    /// Most texts that wait; further ones are refused with 429.
    #[arg(long, default_value = "1024", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_queue: u32,
    /// Most inputs of a request.
    #[arg(long, default_value = "256", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_client_batch_size: u32,
    /// Largest body of a request.
    #[arg(long, default_value = "2MB", value_name = "BYTES", value_parser = bytes)]
    pub(crate) max_body: usize,
    /// Most connections at once; further ones are closed.
    #[arg(long, default_value = "1024", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: u32,
    /// Longest time from a request to its answer.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Cut texts that are too long, where a request does not say.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) auto_truncate: bool,
}

/// Who may ask.
#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
pub(crate) struct AccessArgs {
    /// Ask for keys: a file with a line for each, `NAME SHA256_OF_KEY [REQUESTS_A_MINUTE]`.
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Origins whose pages may ask, as in `https://example.org`; `*` for all.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) cors: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogArg {
    None,
    Json,
}
