//! Signals to end a run: the first asks for a checkpoint, the second kills.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Signals to end, from when it is made until it is dropped.
pub(crate) struct Watch(&'static Flags);

static FLAGS: OnceLock<Flags> = OnceLock::new();

struct Flags {
    /// The signal that asked; 0 for none.
    asked: Arc<AtomicUsize>,
    /// Whether the next signal ends the program at once, as it does where nobody watches.
    kills: Arc<AtomicBool>,
}

impl Watch {
    /// From now on the first signal to end only asks.
    pub(crate) fn begin() -> Watch {
        let flags = FLAGS.get_or_init(|| {
            let flags = Flags { asked: Arc::default(), kills: Arc::new(AtomicBool::new(true)) };
            flags.register();
            flags
        });
        flags.asked.store(0, Ordering::SeqCst);
        flags.kills.store(false, Ordering::SeqCst);
        Watch(flags)
    }

    /// Whether a signal asked for the end.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst) != 0
    }
}

/// The exit code of a program that a signal asked to end, as shells say: 128 and its number.
pub(crate) fn exit_code() -> u8 {
    let signal = FLAGS.get().map_or(0, |flags| flags.asked.load(Ordering::SeqCst));
    u8::try_from(128 + signal).unwrap_or(1)
}

/// The signals that this process ignores, a bit each from the first; none where the system does not tell.
#[cfg(unix)]
pub(crate) fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.kills.store(true, Ordering::SeqCst);
    }
}

impl Flags {
    #[cfg(unix)]
    fn register(&self) {
        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::flag::{register, register_conditional_default, register_usize};

        let ignored = ignored();
        for signal in [SIGINT, SIGTERM] {
            // What this process was told to ignore (`nohup`, a shell's background) stays ignored.
            if ignored >> (signal - 1) & 1 == 1 {
                continue;
            }
            // In this order: the first signal finds the second action not yet armed. Where a signal cannot be caught
            // it ends the program, which is what it asks for.
            let _ = register_conditional_default(signal, Arc::clone(&self.kills));
            let _ = register(signal, Arc::clone(&self.kills));
            let _ = register_usize(signal, Arc::clone(&self.asked), signal.unsigned_abs() as usize);
        }
    }

    #[cfg(not(unix))]
    fn register(&self) {}
}
