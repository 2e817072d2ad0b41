//! Measures a closure and prints its bill: `cargo run --release -p attar-bill --example measure -- DE`.

use attar_bill::{Bill, Grid, Tariff};
use attar_meter::{Meter, MeterOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    measure(&std::env::args().nth(1).unwrap_or_else(|| "WORLD".into()))
}

/// The bill of some work on the grid of a region.
#[expect(clippy::print_stdout, reason = "the bill is what this program is for")]
pub(crate) fn measure(region: &str) -> Result<(), Box<dyn std::error::Error>> {
    let grid = if region == "WORLD" { Grid::world() } else { Grid::for_region(region)? };
    let mut meter = Meter::start(MeterOptions::default(), None)?;
    for reason in meter.reasons() {
        println!("{reason}");
    }

    meter.enter("primes");
    let count = (2..60_000_u64).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).count();
    meter.enter("sleep");
    std::thread::sleep(std::time::Duration::from_millis(500));

    println!("\n{count} primes\n{}", Bill::new(&meter.finish(), &grid, &Tariff::own_machine()));
    Ok(())
}
