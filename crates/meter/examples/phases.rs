//! Meters two parts of a program: `cargo run --release -p attar-meter --example phases`.

use std::hint::black_box;

use attar_meter::{Meter, MeterOptions};

#[expect(clippy::print_stdout, reason = "the energy is what this program is for")]
pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut meter = Meter::start(MeterOptions::default(), None)?;
    for reason in meter.reasons() {
        println!("{reason}");
    }

    meter.enter("sort");
    let mut numbers: Vec<u64> = (0..2_000_000).map(|i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
    numbers.sort_unstable();
    meter.enter("sum");
    black_box(numbers.iter().fold(0u64, |sum, &number| sum.wrapping_add(number)));

    let totals = meter.finish();
    for name in ["sort", "sum"] {
        let energy = totals.phase(name).and_then(|phase| phase.energy());
        println!("{name}: {}", energy.map_or("not read".into(), |energy| energy.to_string()));
    }
    Ok(())
}
