//! The machine: where its files are, which processor it has, and the facts that a record names.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::source::{Cpu, proc};

/// A machine as sources see it. The roots are fields so that a test can show another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Root of sysfs.
    pub sys: PathBuf,
    /// Root of procfs.
    pub proc: PathBuf,
    /// The processor.
    pub cpu: Cpu,
}

/// What a ledger says about the machine. No names of host, user or network are in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Operating system and architecture, such as `linux x86_64`.
    pub system: String,
    /// Version of the kernel, where it reports one.
    pub kernel: Option<String>,
    /// The processor.
    pub cpu: Cpu,
    /// Hardware threads that are online, where the system reports it.
    pub threads: Option<usize>,
    /// Main memory in bytes, where the system reports it.
    pub memory_bytes: Option<u64>,
    /// A random number that Linux draws at each start of the machine: ledgers with the same one are of
    /// one machine, containers on it included. It tells nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
}

impl Host {
    /// The machine that this runs on.
    pub fn local() -> Self {
        let proc = Path::new("/proc");
        Self { sys: PathBuf::from("/sys"), proc: proc.to_owned(), cpu: Cpu::detect(proc) }
    }

    /// What a record says about it.
    pub fn facts(&self) -> HostFacts {
        HostFacts {
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            kernel: proc::kernel_version(&self.proc),
            cpu: self.cpu.clone(),
            threads: proc::threads(&self.proc),
            memory_bytes: proc::memory_bytes(&self.proc),
            boot: proc::boot_id(&self.proc),
        }
    }
}
