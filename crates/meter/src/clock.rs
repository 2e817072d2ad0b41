//! Time: what the clocks say, asked through a trait so that a test can advance them by hand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// One reading of the two clocks that a meter needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Steady time since the clock's own origin. It does not run while the machine is suspended.
    pub elapsed: Duration,
    /// CPU time that this process has used so far, all its threads together; `None` where the
    /// system does not tell.
    pub cpu: Option<Duration>,
}

/// Where time comes from.
pub trait Clock: Send {
    /// Both clocks. Called at every change of phase, so it must cost well under a microsecond or
    /// two and read no file.
    fn now(&self) -> Moment;

    /// Civil time.
    fn utc(&self) -> Timestamp;

    /// How long the machine has been suspended in all. Counters may have lost their place there.
    fn suspended(&self) -> Duration {
        Duration::ZERO
    }

    /// The processes whose CPU time [`now`](Self::now) tells.
    fn processes(&self) -> Vec<u32> {
        vec![std::process::id()]
    }

    /// Keeps one core busy for so long: a counter that does not move meanwhile is dead.
    fn spin(&self, duration: Duration);
}

/// The clocks of this machine and process.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Starts at zero now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment { elapsed: self.origin.elapsed(), cpu: process_cpu_time() }
    }

    fn utc(&self) -> Timestamp {
        Timestamp::now()
    }

    fn suspended(&self) -> Duration {
        time_suspended()
    }

    fn spin(&self, duration: Duration) {
        let start = Instant::now();
        while start.elapsed() < duration {
            std::hint::spin_loop();
        }
    }
}

#[cfg(unix)]
fn read(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    // Both parts are never negative for the clocks asked here.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

#[cfg(unix)]
fn process_cpu_time() -> Option<Duration> {
    Some(read(rustix::time::ClockId::ProcessCPUTime))
}

#[cfg(not(unix))]
fn process_cpu_time() -> Option<Duration> {
    None
}

#[cfg(target_os = "linux")]
fn time_suspended() -> Duration {
    // The monotonic clock first: the other one is then never behind it.
    let awake = read(rustix::time::ClockId::Monotonic);
    read(rustix::time::ClockId::Boottime).saturating_sub(awake)
}

#[cfg(not(target_os = "linux"))]
fn time_suspended() -> Duration {
    Duration::ZERO
}

/// A clock advanced by hand, for tests and for replaying: clones share one time.
///
/// ```
/// use std::time::Duration;
/// use attar_meter::{Clock, ManualClock};
/// let clock = ManualClock::new();
/// clock.advance(Duration::from_secs(10), Duration::from_secs(4));
/// assert_eq!(clock.now().elapsed, Duration::from_secs(10));
/// assert_eq!(clock.now().cpu, Some(Duration::from_secs(4)));
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Manual>>);

struct Manual {
    elapsed: Duration,
    cpu: Option<Duration>,
    suspended: Duration,
    on_spin: Option<Box<dyn FnMut(Duration) + Send>>,
}

impl ManualClock {
    /// A clock at zero, with a CPU clock beside it. Its civil time starts at 1970.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Manual {
            elapsed: Duration::ZERO,
            cpu: Some(Duration::ZERO),
            suspended: Duration::ZERO,
            on_spin: None,
        })))
    }

    /// A clock at zero on a system that does not report CPU time.
    pub fn without_cpu_time() -> Self {
        let clock = Self::new();
        clock.with(|time| time.cpu = None);
        clock
    }

    /// Lets time pass, of which so much was CPU time.
    pub fn advance(&self, elapsed: Duration, cpu: Duration) {
        self.with(|time| {
            time.elapsed += elapsed;
            time.cpu = time.cpu.map(|so_far| so_far + cpu);
        });
    }

    /// Suspends the machine for so long: steady time stands still.
    pub fn suspend(&self, duration: Duration) {
        self.with(|time| time.suspended += duration);
    }

    /// What happens while a core is kept busy, such as a counter that moves. The time itself
    /// passes on its own.
    pub fn on_spin(&self, act: impl FnMut(Duration) + Send + 'static) {
        self.with(|time| time.on_spin = Some(Box::new(act)));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Manual) -> T) -> T {
        // A panic elsewhere leaves the numbers whole, so a poisoned lock is still good.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        self.with(|time| Moment { elapsed: time.elapsed, cpu: time.cpu })
    }

    fn utc(&self) -> Timestamp {
        let total = self.with(|time| time.elapsed + time.suspended);
        let nanoseconds = i128::try_from(total.as_nanos()).unwrap_or(i128::MAX);
        Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::MAX)
    }

    fn suspended(&self) -> Duration {
        self.with(|time| time.suspended)
    }

    fn spin(&self, duration: Duration) {
        self.advance(duration, duration);
        // Taken out while it runs, so that it may itself look at this clock.
        let act = self.with(|time| time.on_spin.take());
        if let Some(mut act) = act {
            act(duration);
            self.with(|time| time.on_spin = Some(act));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clocks_run() {
        let clock = SystemClock::new();
        let before = clock.now();
        clock.spin(Duration::from_millis(5));
        let after = clock.now();
        assert!(after.elapsed - before.elapsed >= Duration::from_millis(5));
        if let (Some(before), Some(after)) = (before.cpu, after.cpu) {
            assert!(after > before, "CPU time stood still while a core was busy");
        }
        assert!(clock.utc().as_second() > 1_700_000_000);
    }
}
