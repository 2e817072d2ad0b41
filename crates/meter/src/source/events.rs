//! Kernel counters of energy (perf events), behind a trait because tests script them.

use std::io;

/// Opens energy counters of the kernel.
pub trait EnergyEvents: Send {
    /// Opens the event `config` of the performance monitoring unit `kind` on one processor, for
    /// all processes, and starts it at zero.
    ///
    /// # Errors
    /// The underlying I/O error, permission denied above all.
    fn open(&mut self, kind: u32, config: u64, cpu: u32) -> io::Result<Box<dyn EnergyEvent>>;
}

/// An open energy counter.
pub trait EnergyEvent: Send {
    /// Counts since it was opened. The kernel keeps 64 bits, so it never wraps.
    ///
    /// # Errors
    /// The underlying I/O error.
    fn read(&mut self) -> io::Result<u64>;
}

/// The counters of this machine's kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct KernelEvents;

#[cfg(target_os = "linux")]
mod kernel {
    use std::io;

    // This crate rather than `perf-event` 0.4.9: it closes the counter when a child is started (a
    // child must not inherit a look at the energy of everyone), and it does not assert what the
    // kernel says about times.
    use perf_event::events::Software;
    use perf_event::{Builder, Counter, ReadFormat};

    use super::{EnergyEvent, EnergyEvents, KernelEvents};

    struct Open(Counter);

    impl EnergyEvents for KernelEvents {
        fn open(&mut self, kind: u32, config: u64, cpu: u32) -> io::Result<Box<dyn EnergyEvent>> {
            // The kind of event is set below: the crate's own types know no such unit by number.
            let mut builder = Builder::new(Software::DUMMY);
            builder.attrs_mut().type_ = kind;
            builder.attrs_mut().config = config;
            // These units count everything that goes on and refuse to leave anything out.
            builder.any_pid().one_cpu(cpu as usize).include_kernel().include_hv();
            builder.read_format(ReadFormat::empty()).enabled(true);
            Ok(Box::new(Open(builder.build()?)))
        }
    }

    impl EnergyEvent for Open {
        fn read(&mut self) -> io::Result<u64> {
            self.0.read()
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl EnergyEvents for KernelEvents {
    fn open(&mut self, _kind: u32, _config: u64, _cpu: u32) -> io::Result<Box<dyn EnergyEvent>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    // Software events of this process's processor stand in for a power unit, which few machines
    // show: the way through the kernel is the same. Where events are forbidden, that is told.
    #[test]
    fn the_kernel_opens_an_event_by_number_or_says_why_not() {
        const SOFTWARE: u32 = 1;
        const CPU_CLOCK: u64 = 0;
        match KernelEvents.open(SOFTWARE, CPU_CLOCK, 0) {
            Ok(mut event) => {
                let before = event.read().unwrap();
                let after = loop {
                    let now = event.read().unwrap();
                    if now > before {
                        break now;
                    }
                };
                assert!(after > before);
            }
            Err(error) => {
                let refused = [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported];
                assert!(
                    refused.contains(&error.kind()) || matches!(error.raw_os_error(), Some(2 | 22 | 38 | 95)),
                    "{error}"
                );
            }
        }
        assert!(KernelEvents.open(u32::MAX, 2, 0).is_err());
    }
}
