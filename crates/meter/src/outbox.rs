//! What a meter has for the ledger: kept until the ledger takes it.

use crate::gap::{Gap, GapKind};
use crate::ledger::{Ledger, LedgerError};
use crate::quantity::Seconds;
use crate::window::{LedgerHeader, Span, Window};

/// Lines on their way to a ledger, in order. Without a ledger nothing is kept.
#[derive(Default)]
pub(crate) struct Outbox {
    ledger: Option<Ledger>,
    waiting: Vec<PendingEntry>,
    error: Option<LedgerError>,
}

enum PendingEntry {
    Window(Window),
    Span(Span),
}

impl Outbox {
    pub(crate) fn new(ledger: Option<Ledger>) -> Self {
        Self { ledger, ..Self::default() }
    }

    /// The first line, without which nothing begins.
    pub(crate) fn write_header(&mut self, header: &LedgerHeader) -> Result<(), LedgerError> {
        self.ledger.as_mut().map_or(Ok(()), |ledger| ledger.write_header(header))
    }

    pub(crate) fn windows(&mut self, windows: Vec<Window>) {
        self.send(windows.into_iter().map(PendingEntry::Window));
    }

    pub(crate) fn span(&mut self, span: &Span) {
        self.send([PendingEntry::Span(span.clone())]);
    }

    /// Why the last write failed.
    pub(crate) fn error(&self) -> Option<&LedgerError> {
        self.error.as_ref()
    }

    /// Puts what waits into the ledger, in order, until it refuses.
    fn send(&mut self, lines: impl IntoIterator<Item = PendingEntry>) {
        let Some(ledger) = &mut self.ledger else { return };
        self.waiting.extend(lines);
        self.error = None;
        while let Some(line) = self.waiting.first() {
            let written = match line {
                PendingEntry::Window(window) => ledger.write_window(window),
                PendingEntry::Span(span) => ledger.write_span(span),
            };
            match written {
                Ok(()) => drop(self.waiting.remove(0)),
                Err(error) => return self.error = Some(error),
            }
        }
    }

    /// Completes the ledger; says what it lacks.
    pub(crate) fn finish(&mut self) -> Option<Gap> {
        if let Some(ledger) = self.ledger.take() {
            self.error = ledger.finish().err().or(self.error.take());
        }
        let error = self.error.as_ref()?;
        let active =
            |line: &PendingEntry| if let PendingEntry::Window(window) = line { Some(window.active_s) } else { None };
        let lacking: Vec<Seconds> = self.waiting.iter().filter_map(active).collect();
        let detail = format!("{} windows: {error}", lacking.len());
        Some(Gap::new("ledger", GapKind::Unwritten, lacking.into_iter().sum(), detail))
    }

    /// Another ledger in place of the one so far.
    #[cfg(test)]
    pub(crate) fn replace(&mut self, ledger: Ledger) -> Option<Ledger> {
        self.ledger.replace(ledger)
    }
}
