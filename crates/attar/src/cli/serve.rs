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
    /// Model directories, run folders or single files, served under their own names or as NAME=PATH; the first is the default.
    #[arg(required = true, value_name = "[NAME=]PATH")]
    pub(crate) bundles: Vec<String>,
    /// Answer with the served model STUDENT where it is as sure as its contract asks (`attar contract`), and with TEACHER
    /// elsewhere; both by the names they are served under.
    #[arg(long, value_name = "STUDENT=TEACHER")]
    pub(crate) cascade: Vec<String>,
    /// Share of the student's own answers that are also put to the teacher, to notice drift.
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, requires = "cascade")]
    pub(crate) cascade_audit_share: f64,
    /// Port to listen on; 0 picks a free one.
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Address to listen on; 0.0.0.0 listens on all IPv4 interfaces.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub(crate) host: IpAddr,
    /// Listen on a Unix domain socket at this path instead.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["host", "port", "tls_cert"])]
    pub(crate) unix_socket: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Request log on standard error: none, or one line of JSON per request, never with its texts.
    #[arg(long, value_enum, default_value = "none")]
    pub(crate) log: LogArg,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Also write the energy ledger to this folder.
    #[arg(long, value_name = "DIR", help_heading = "Bill")]
    pub(crate) ledger: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// What requests may ask for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Maximum tokens per batch.
    #[arg(long, default_value = "16384", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_batch_tokens: u32,
    /// Maximum time a text waits for others to fill its batch.
    #[arg(long, default_value = "0", value_name = "TIME", value_parser = waiting)]
    pub(crate) max_wait: Duration,
    /// Maximum texts in the queue; further requests get 429.
    #[arg(long, default_value = "1024", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_queue: u32,
    /// Maximum inputs per request.
    #[arg(long, default_value = "256", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_client_batch_size: u32,
    /// Maximum size of a request body.
    #[arg(long, default_value = "2MB", value_name = "BYTES", value_parser = bytes)]
    pub(crate) max_body: usize,
    /// Maximum concurrent connections; further ones are closed.
    #[arg(long, default_value = "1024", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: u32,
    /// Maximum time from a request to its response.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Truncate texts that are too long, unless a request sets `truncate`.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) auto_truncate: bool,
}

/// Who may ask.
#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
pub(crate) struct AccessArgs {
    /// Require API keys, read from a file with one `NAME SHA256_OF_KEY [REQUESTS_PER_MINUTE]` per line.
    #[arg(long, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Encrypt connections with this certificate and its chain (PEM); SIGHUP reads it again.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Origins allowed by CORS, as in `https://example.org`; `*` for all.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub(crate) cors: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogArg {
    None,
    Json,
}
