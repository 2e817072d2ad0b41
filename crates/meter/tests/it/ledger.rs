//! The ledger: torn lines, repair, and lines of others.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use attar_meter::source::Component;
use attar_meter::{Ledger, LedgerContents, LedgerError, ManualClock, Method, Totals, Window};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::scripted::{Scripted, meter};

/// A ledger with a header and so many windows.
fn written(windows: u32) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    run(&path, windows);
    (dir, path)
}

fn run(path: &PathBuf, windows: u32) {
    let clock = ManualClock::new();
    let source =
        Scripted::new(&[(Component::Cpu(0), 100.0 / 3.0, Method::Measured), (Component::Gpu(1), 7.7, Method::Modeled)]);
    let mut meter = meter(source, &clock, Duration::from_secs(1), Some(Ledger::append_to(path).unwrap()));
    for _ in 0..windows {
        clock.advance(Duration::from_millis(1001), Duration::from_millis(777));
        meter.enter("größe \"μ\"\n\u{1F9EA}");
    }
    meter.finish();
}

fn read(path: &PathBuf) -> LedgerContents {
    Ledger::read(path).unwrap()
}

#[test]
fn one_meter_at_a_time_writes_to_a_ledger() {
    let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let first = Ledger::append_to(&file).unwrap();
    let error = Ledger::append_to(&file).unwrap_err().to_string();
    assert!(error.contains("another meter is writing to it"), "{error}");
    // Reading disturbs nobody.
    assert_eq!(Ledger::read(&file).unwrap(), LedgerContents::default());
    drop(first);
    Ledger::append_to(&file).unwrap();
}

#[test]
fn what_is_written_is_read() {
    let (_dir, path) = written(3);
    let contents = read(&path);
    assert_eq!((contents.headers.len(), contents.windows.len(), contents.torn.len()), (1, 3, 0));
    assert_eq!(contents.windows[1].phase, "größe \"μ\"\n\u{1F9EA}");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 4);
    for line in text.lines() {
        assert!(line.starts_with("{\"schema\":1,\"entry\":\""), "{line}");
    }
    assert!(text.contains("\"start\":\"1970-01-01T00:00:00Z\""), "{text}");
}

#[test]
fn a_line_torn_at_any_byte_costs_that_line_alone() {
    let (_dir, path) = written(3);
    let whole = fs::read(&path).unwrap();
    let expected = read(&path);
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for end in last..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let contents = read(&path);
        // Without its line end alone the line is still whole.
        let survives = end == whole.len() - 1;
        assert_eq!(contents.windows, expected.windows[..if survives { 3 } else { 2 }], "torn at {end}");
        let torn: Vec<(usize, usize)> = contents.torn.iter().map(|torn| (torn.line, torn.bytes)).collect();
        assert_eq!(torn, if survives || end == last { vec![] } else { vec![(4, end - last)] }, "torn at {end}");
    }
}

#[test]
fn appending_after_a_torn_line_begins_afresh() {
    let (_dir, path) = written(2);
    let whole = fs::read(&path).unwrap();
    for cut in [1, 2, 40, 200] {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        run(&path, 2);
        let contents = read(&path);
        let lost = usize::from(cut > 1);
        assert_eq!((contents.headers.len(), contents.windows.len(), contents.torn.len()), (2, 4 - lost, lost), "{cut}");
        // And once more: the repair itself leaves nothing behind.
        run(&path, 1);
        assert_eq!(read(&path).windows.len(), 5 - lost);
    }
}

#[test]
fn zeros_left_by_a_crash_are_torn_too() {
    let (_dir, path) = written(1);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend([0; 300]);
    fs::write(&path, &bytes).unwrap();
    run(&path, 1);
    let contents = read(&path);
    assert_eq!((contents.windows.len(), contents.torn.len()), (2, 1));
}

#[test]
fn other_lines_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let refused = |text: &str| {
        fs::write(&path, text).unwrap();
        Ledger::read(&path).unwrap_err()
    };
    let error = refused("\n{\"schema\":2,\"entry\":\"window\"}\n");
    assert!(matches!(&error, LedgerError::Schema { line: 2, got, .. } if got == "2"), "{error}");
    assert!(error.to_string().ends_with("line 2: schema must be 1, got 2; read it with the version that wrote it"));
    assert!(matches!(refused("{}"), LedgerError::Schema { line: 1, .. }));
    for bad in [
        r#"{"schema":1,"entry":"windows"}"#,
        r#"{"schema":1,"entry":"window","phase":"x"}"#,
        r#"{"schema":1}"#,
        r#"{"schema":1,"entry":"host","start":7}"#,
    ] {
        assert!(matches!(refused(bad), LedgerError::Line { line: 1, .. }), "{bad}");
    }
    let (_dir, sound) = written(1);
    let text = fs::read_to_string(sound).unwrap();
    // Bounds out of order, a component that is none, a negative time.
    for (from, to) in
        [("\"low\":", "\"low\":9e9,\"was\":"), ("\"cpu0\"", "\"disk0\""), ("\"active_s\":", "\"active_s\":-")]
    {
        let spoiled = text.lines().last().unwrap().replacen(from, to, 1);
        assert!(matches!(refused(&spoiled), LedgerError::Line { .. }), "{spoiled}");
    }
    assert!(matches!(Ledger::read(dir.path().join("none")), Err(LedgerError::File { action: "read", .. })));
    assert!(matches!(Ledger::append_to(dir.path()), Err(LedgerError::File { action: "open", .. })));
}

#[test]
fn hostile_bytes_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let deep = "[".repeat(100_000);
    for bad in [&b"\xff\xfe\n\x00"[..], b"[1,2]\n", b"null", b"\"text\"\n1e999\n", deep.as_bytes()] {
        fs::write(&path, bad).unwrap();
        let contents = read(&path);
        assert!(contents.windows.is_empty() && !contents.torn.is_empty(), "{bad:?}");
    }
    fs::write(&path, "").unwrap();
    assert_eq!(read(&path), LedgerContents::default());
}

#[test]
fn windows_of_several_ledgers_add_up() {
    let (_one, first) = written(3);
    let (_two, second) = written(5);
    let windows: Vec<Window> = [read(&first).windows, read(&second).windows].concat();
    let joules = |windows: &[Window]| Totals::from_windows(windows).energy().unwrap().value().get();
    assert_eq!(joules(&windows), joules(&windows[..3]) + joules(&windows[3..]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A ledger whose bytes were changed anywhere is read or refused; what is read is no more than what was written.
    #[test]
    fn any_change_of_a_ledger_is_read_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..6)
    ) {
        let (dir, path) = written(3);
        let mut bytes = fs::read(&path).unwrap();
        let whole = Ledger::read(&path).unwrap().windows.len();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => _ = bytes.remove(at),
            }
        }
        let path = dir.path().join("changed.jsonl");
        fs::write(&path, &bytes).unwrap();
        match Ledger::read(&path) {
            Ok(contents) => {
                prop_assert!(contents.windows.len() <= whole);
                // What was read can be added up.
                _ = Totals::from_windows(&contents.windows);
            }
            Err(error) => prop_assert!(error.to_string().contains("changed.jsonl"), "{}", error),
        }
    }
}
