//! What the meter does when its ledger refuses.

use super::*;
use crate::clock::ManualClock;
use crate::ledger::LedgerContents;

// The disk fills up, and is freed again.
#[test]
fn windows_that_the_ledger_refuses_are_kept_and_written_later() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let clock = ManualClock::new();
    let start = || {
        let options = MeterOptions {
            sources: SourceChoice::Fixed(Watts::raw(10.0)),
            interval: Duration::from_secs(1),
            ..MeterOptions::default()
        };
        let ledger = Ledger::append_to(&path).unwrap();
        Meter::start_on(&Host::local(), Box::new(clock.clone()), options, Some(ledger)).unwrap()
    };
    let run = |meter: &mut Meter| {
        for phase in ["a", "b", "a"] {
            meter.enter(phase);
            clock.advance(Duration::from_secs(2), Duration::ZERO);
        }
        meter.tick();
    };
    let read = || -> LedgerContents { Ledger::read(&path).unwrap() };

    let mut meter = start();
    run(&mut meter);
    let sound = meter.outbox.replace(Ledger::refusing(&path));
    run(&mut meter);
    assert!(meter.ledger_error().unwrap().to_string().starts_with("cannot write ledger"));
    assert_eq!(read().windows.len(), 3);
    meter.outbox.replace(sound.unwrap());
    run(&mut meter);
    assert!(meter.ledger_error().is_none());
    let totals = meter.finish();
    assert_eq!(Totals::from_windows(&read().windows), totals);
    assert_eq!(totals.active().get(), 18.0);

    // It stays full: the totals live, and say what the ledger lacks.
    let mut meter = start();
    meter.outbox.replace(Ledger::refusing(&path));
    run(&mut meter);
    let totals = meter.finish();
    assert_eq!(totals.energy().unwrap().value().get(), 60.0);
    let gap = totals.gaps.last().unwrap();
    assert_eq!((gap.kind, gap.seconds.get()), (GapKind::Unwritten, 6.0));
    assert!(gap.detail.starts_with("3 windows: cannot write ledger"), "{gap}");
}
