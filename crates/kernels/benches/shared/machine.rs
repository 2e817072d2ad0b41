//! The machine's peak, measured by the same program, and rates beside it.

use std::fmt;

use attar_kernels::{Cpu, peak};

/// What this program measured of the machine before anything else, on one thread.
pub(crate) struct Machine {
    pub(crate) cpu: Cpu,
    pub(crate) floats: Peak,
    pub(crate) bytes: Peak,
}

/// Operations per second.
pub(crate) struct Peak {
    unit: &'static str,
    rate: f64,
}

impl Machine {
    /// Measures one instruction set and prints what it found.
    pub(crate) fn measure(cpu: Cpu) -> Machine {
        let floats = Peak { unit: "GFLOP/s", rate: peak::peak_f32(cpu, 1) };
        let bytes = Peak { unit: "GOP/s", rate: peak::peak_int8(cpu, 1) };
        let machine = Machine { cpu, floats, bytes };
        println!("{cpu}, one thread; peak {} in f32, {} in int8", machine.floats, machine.bytes);
        machine
    }
}

impl Peak {
    /// The rate of so many operations in so many seconds, and its share of this peak.
    pub(crate) fn share(&self, operations: f64, time: f64) -> String {
        let rate = operations / time;
        format!("{:7.1} {} ({:2.0} %)", rate * 1e-9, self.unit, 100.0 * rate / self.rate)
    }
}

impl fmt::Display for Peak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} {}", self.rate * 1e-9, self.unit)
    }
}
