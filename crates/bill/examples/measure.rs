//! Measures a closure and prints its bill: `cargo run --release -p attar-bill --example measure -- DE`.

use attar_bill::{Bill, Grid, Tariff};
use attar_meter::{Ledger, Meter, MeterOptions};

#[expect(clippy::print_stdout, reason = "the bill is what this program is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let grid = std::env::args().nth(1).map_or_else(|| Ok(Grid::default()), |region| Grid::for_region(&region))?;
    let ledger = Ledger::append_to(std::env::temp_dir().join("measure.ledger.jsonl"))?;
    let mut meter = Meter::start(MeterOptions::default(), Some(ledger))?;
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
