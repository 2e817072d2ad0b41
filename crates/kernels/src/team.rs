//! Threads that stand ready: fork and join in a microsecond.
//!
//! A general thread pool hands out tasks through queues and wakes sleepers, which costs tens of microseconds;
//! a layer of a small encoder takes that long altogether. Here the same threads do part 0, 1, 2, … of one
//! thing after the other, and wait for the next for a while without going to sleep.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Iterations of the spin loop before a waiting thread goes to sleep: some tens of microseconds.
const SPIN_LIMIT: usize = 4_000;

/// Bits of [`Shared::turn`] that hold the number of parts.
const PARTS_BITS: u32 = 16;

/// Threads that run the parts of one piece of work together; the caller's is the first of them.
#[derive(Debug)]
pub struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    waited: Duration,
}

/// Where the threads of a team run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pinning {
    /// Wherever the system puts them.
    #[default]
    Free,
    /// Thread `i` on the processor with the `i`th of these numbers; only the threads that the team starts, on
    /// systems that allow it (Linux), and never more than are named.
    Processors(Vec<usize>),
}

#[derive(Debug)]
struct Shared {
    /// Counts pieces of work above the lowest [`PARTS_BITS`], which are the number of parts of the latest. A worker that sees
    /// it change runs its part, if there is one: in one number, so that a worker that is not needed never looks at the work.
    turn: AtomicUsize,
    work: UnsafeCell<Option<Work>>,
    /// Workers that have a part and have not finished it.
    busy: AtomicUsize,
    /// A panic of a worker, to be resumed by the caller.
    panic: std::sync::Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Work(*const (dyn Fn(usize) + Sync));

// SAFETY: `work` is written by `Team::run` alone, while no worker is busy, and read only by workers that have a part,
// between the change of `turn` that follows and their decrement of `busy`, for which `run` waits.
unsafe impl Sync for Shared {}
// SAFETY: as above; the function it points to is `Sync`.
unsafe impl Send for Shared {}

impl Team {
    /// A team of `threads` threads, the caller's among them; at least one. Where threads cannot be started
    /// (WebAssembly, or the system refuses) it is smaller.
    pub fn new(threads: usize, pinning: &Pinning) -> Team {
        let shared = Arc::new(Shared {
            turn: AtomicUsize::new(0),
            work: UnsafeCell::new(None),
            busy: AtomicUsize::new(0),
            panic: std::sync::Mutex::new(None),
            stop: AtomicBool::new(false),
        });
        let mut workers = Vec::new();
        for index in 1..threads.min(1 << PARTS_BITS) {
            let processor = match pinning {
                Pinning::Free => None,
                Pinning::Processors(numbers) => numbers.get(index).copied(),
            };
            let worker_shared = Arc::clone(&shared);
            let started = thread::Builder::new().name(format!("attar-{index}")).spawn(move || {
                if let Some(processor) = processor {
                    pin(processor);
                }
                worker_shared.serve(index);
            });
            match started {
                Ok(worker) => workers.push(worker),
                Err(_) => break,
            }
        }
        Team { shared, workers, waited: Duration::ZERO }
    }

    /// Number of threads, the caller's among them.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// How long [`run`](Team::run) has waited for other threads after its own part, all calls together.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Calls `f` once for each part, each on a thread of its own, and returns when all are done.
    ///
    /// # Panics
    /// If there are more parts than threads, or `f` panics.
    #[track_caller]
    pub fn run<T: Send>(&mut self, parts: &mut [T], f: impl Fn(usize, &mut T) + Sync) {
        struct PartsPointer<T>(*mut T);
        // SAFETY: each thread takes a part of its own, and parts may be sent.
        unsafe impl<T: Send> Sync for PartsPointer<T> {}
        impl<T> PartsPointer<T> {
            fn at(&self, index: usize) -> *mut T {
                self.0.wrapping_add(index)
            }
        }
        let count = parts.len();
        assert!(count <= self.threads(), "{count} parts for {} threads", self.threads());
        if count <= 1 {
            parts.iter_mut().for_each(|part| f(0, part));
            return;
        }
        let all = PartsPointer(parts.as_mut_ptr());
        self.run_on_first(count, &|index| {
            // SAFETY: inside the slice, and no other thread has this index.
            f(index, unsafe { &mut *all.at(index) });
        });
    }

    /// Runs on the first `count` threads, at least two, and leaves the others asleep.
    fn run_on_first(&mut self, count: usize, f: &(dyn Fn(usize) + Sync)) {
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes; nobody uses it after the wait below, which is passed even if `f`
        // panics here.
        let work =
            Work(unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync), *const (dyn Fn(usize) + Sync)>(f) });
        // SAFETY: no worker is busy: `&mut self`, and the last call waited for all.
        unsafe { *shared.work.get() = Some(work) };
        shared.busy.store(count - 1, Ordering::Relaxed);
        shared.begin(count);
        for worker in &self.workers[..count - 1] {
            worker.thread().unpark();
        }
        let mine = catch_unwind(AssertUnwindSafe(|| f(0)));
        if shared.busy.load(Ordering::Acquire) > 0 {
            let (start, mut spins) = (Instant::now(), 0);
            while shared.busy.load(Ordering::Acquire) > 0 {
                spins += 1;
                if spins < SPIN_LIMIT { std::hint::spin_loop() } else { thread::yield_now() }
            }
            self.waited += start.elapsed();
        }
        let theirs = shared.panic.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(panic) = mine.err().or(theirs) {
            resume_unwind(panic);
        }
    }
}

impl Shared {
    /// Begins the next turn, of `parts` parts. Called by the owner of the team alone.
    fn begin(&self, parts: usize) {
        let turn = (self.turn.load(Ordering::Relaxed) >> PARTS_BITS).wrapping_add(1);
        self.turn.store(turn << PARTS_BITS | parts, Ordering::Release);
    }

    fn serve(&self, index: usize) {
        let mut seen = 0;
        loop {
            let mut spins = 0;
            let mut turn = self.turn.load(Ordering::Acquire);
            while turn == seen {
                spins += 1;
                if spins < SPIN_LIMIT {
                    std::hint::spin_loop()
                } else {
                    thread::park()
                }
                turn = self.turn.load(Ordering::Acquire);
            }
            seen = turn;
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            if index >= turn & ((1 << PARTS_BITS) - 1) {
                continue;
            }
            // SAFETY: written before `turn` changed, and left alone until this worker is no longer busy.
            let work = unsafe { *self.work.get() };
            if let Some(Work(f)) = work {
                // SAFETY: the caller waits for this worker, so the function lives.
                let f = unsafe { &*f };
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| f(index))) {
                    *self.panic.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(panic);
                }
            }
            self.busy.fetch_sub(1, Ordering::Release);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.begin(0);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches every panic of the work.
            let _ = worker.join();
        }
    }
}

#[cfg(target_os = "linux")]
fn pin(processor: usize) {
    let mut set = rustix::thread::CpuSet::new();
    if processor < rustix::thread::CpuSet::MAX_CPU {
        set.set(processor);
        // Best effort: if there is no such processor, the thread stays unpinned.
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
}

#[cfg(not(target_os = "linux"))]
fn pin(_: usize) {}

#[cfg(all(test, panic = "unwind"))]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_run_exactly_once() {
        for threads in [1, 2, 3, 5] {
            let mut team = Team::new(threads, &Pinning::Free);
            assert_eq!(team.threads(), threads);
            for round in 0..if cfg!(miri) { 3 } else { 100 } {
                let mut parts = vec![0usize; round % (threads + 1)];
                team.run(&mut parts, |index, part| *part += index + 1);
                assert!(parts.iter().enumerate().all(|(i, &part)| part == i + 1), "{parts:?}");
            }
        }
    }

    #[test]
    fn waiting_for_others_is_counted() {
        let mut team = Team::new(2, &Pinning::Free);
        team.run(&mut [0], |_, _| thread::sleep(Duration::from_millis(5)));
        assert_eq!(team.waited(), Duration::ZERO, "alone there is nobody to wait for");
        // The second part is as long as the sum of all it has waited for, and the first one is empty.
        team.run(&mut [0, 20], |_, &mut part| thread::sleep(Duration::from_millis(part)));
        assert!(team.waited() > Duration::from_millis(5), "{:?}", team.waited());
    }

    #[test]
    fn sleepers_wake_up() {
        let mut team = Team::new(2, &Pinning::Processors(vec![0, 0]));
        for _ in 0..3 {
            thread::sleep(std::time::Duration::from_millis(20));
            let mut parts = [0; 2];
            team.run(&mut parts, |_, part| *part = 1);
            assert_eq!(parts, [1, 1]);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_stays_usable() {
        let mut team = Team::new(3, &Pinning::Free);
        for guilty in 0..3 {
            let mut parts = [0; 3];
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                team.run(&mut parts, |index, _| assert_ne!(index, guilty, "on purpose"));
            }));
            assert!(outcome.is_err());
        }
        let mut parts = [0; 3];
        team.run(&mut parts, |_, part| *part = 1);
        assert_eq!(parts, [1; 3]);
    }
}
