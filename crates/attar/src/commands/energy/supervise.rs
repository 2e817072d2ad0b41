//! Another program, run to its end: signals go through to it, its orphans are adopted, its exit
//! code comes back.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Its exit code, or 128 and the number of the signal that ended it, as shells say.
    pub(crate) code: u8,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
}

/// What is to become of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    GoOn,
    /// It is to end: told so first, killed if it does not listen.
    Stop,
}

/// Time between telling a program to end and killing it.
const GRACE: Duration = Duration::from_secs(10);

/// Runs a program to its end, asking at every interval whether it is to go on. `members` lists the
/// processes that belong to it by now.
#[cfg(unix)]
pub(crate) fn run(
    command: &mut Command,
    every: Duration,
    members: impl Fn() -> Vec<u32>,
    mut look: impl FnMut() -> Verdict,
) -> anyhow::Result<Ending> {
    use rustix::process::{Pid, Signal, WaitOptions, kill_process};
    use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
    use signal_hook::iterator::SignalsInfo;
    use signal_hook::iterator::exfiltrator::origin::WithOrigin;
    use signal_hook::low_level::siginfo::{Cause, Sent};

    // Before the program starts, so that nothing that happens to it is missed. What this process was
    // told to ignore (`nohup`) the program must inherit ignored, so it is not caught.
    let ignored = crate::signals::ignored();
    let all = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];
    let caught = all.into_iter().filter(|signal| *signal == SIGCHLD || ignored >> (signal - 1) & 1 == 0);
    let mut signals = SignalsInfo::<WithOrigin>::new(caught).context("signals cannot be caught")?;
    let (events, arrivals) = std::sync::mpsc::channel();
    let handle = signals.handle();
    std::thread::spawn(move || {
        for origin in signals.forever() {
            // A signal from the keyboard goes to the whole group: the program has it already.
            let from_keyboard = !matches!(origin.cause, Cause::Sent(Sent::User | Sent::TKill | Sent::Queue));
            if events.send((origin.signal, from_keyboard)).is_err() {
                return;
            }
        }
    });
    adopt_orphans();

    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.spawn().with_context(|| format!("cannot start `{program}`"))?;
    let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("the program has no number")?;
    let signal_all = |signal: Signal| {
        // The program itself is among them until it has ended.
        let numbers = members().into_iter().filter_map(|number| i32::try_from(number).ok());
        for process in numbers.filter_map(Pid::from_raw) {
            // One that has ended meanwhile needs no signal.
            let _ = kill_process(process, signal);
        }
    };

    let (mut next, mut told, mut ending) = (Instant::now() + every, None::<Instant>, None);
    loop {
        // A program that was stopped has ended when the last of its processes has.
        if let Some(ending) = ending
            && (told.is_none() || members().is_empty())
        {
            handle.close();
            return Ok(ending);
        }
        match arrivals.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok((SIGCHLD, _)) => {
                while let Ok(Some((ended, status))) = rustix::process::wait(WaitOptions::NOHANG) {
                    if ended == child && (status.exited() || status.signaled()) {
                        let signal = status.terminating_signal();
                        let code = status.exit_status().or(signal.map(|signal| 128 + signal));
                        let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
                        ending = Some(Ending { code, signal });
                    }
                }
            }
            Ok((signal, from_keyboard)) => {
                if let Some(signal) = Signal::from_named_raw(signal).filter(|_| !from_keyboard) {
                    let _ = kill_process(child, signal);
                }
            }
            Err(_) => {
                next = Instant::now() + every;
                let verdict = look();
                match told {
                    None if verdict == Verdict::Stop => {
                        told = Some(Instant::now());
                        signal_all(Signal::TERM);
                    }
                    Some(since) if since.elapsed() >= GRACE => signal_all(Signal::KILL),
                    _ => {}
                }
            }
        }
    }
}

/// A flag that a signal to end raises from now on.
#[cfg(unix)]
pub(crate) fn told_to_end() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        // Where it cannot be caught it ends the program, which is what it asks for.
        let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
    }
    flag
}

#[cfg(not(unix))]
pub(crate) fn told_to_end() -> Arc<AtomicBool> {
    Arc::default()
}

/// A grandchild whose parent ends becomes a child of this process, so that it stays counted.
#[cfg(target_os = "linux")]
fn adopt_orphans() {
    // Where the kernel will not, orphans are not counted, which the report says of its method anyway.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

#[cfg(all(unix, not(target_os = "linux")))]
fn adopt_orphans() {}

/// Runs a program to its end. Without signals, it is looked at twenty times a second.
#[cfg(not(unix))]
pub(crate) fn run(
    command: &mut Command,
    every: Duration,
    _members: impl Fn() -> Vec<u32>,
    mut look: impl FnMut() -> Verdict,
) -> anyhow::Result<Ending> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("cannot start `{program}`"))?;
    let mut next = Instant::now() + every;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ending {
                code: status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
                signal: None,
            });
        }
        if Instant::now() >= next {
            next = Instant::now() + every;
            if look() == Verdict::Stop {
                child.kill()?;
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
