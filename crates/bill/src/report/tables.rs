//! Tables of words: what a terminal draws, and what Markdown and LaTeX are made of.

use attar_meter::Pue;

use super::columns::{COMPONENTS, LINES, ReportColumn, SHARES, UNITS};
use super::{Report, describe};

/// A table, to be drawn by whoever shows it. Every row has as many cells as the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportTable {
    /// What it is about.
    pub title: String,
    /// The column headings.
    pub head: Vec<String>,
    /// The cells, row by row. What is not known is a dash.
    pub rows: Vec<Vec<String>>,
}

/// Shown for unknown values.
pub(super) const UNKNOWN: &str = "–";

impl ReportTable {
    /// Whether a column holds numbers, which stand to the right.
    pub fn is_number(&self, column: usize) -> bool {
        let number = |cell: &String| {
            let first = cell.trim_start_matches("at most ").split(' ').next().unwrap_or_default();
            cell == UNKNOWN || first.bytes().any(|c| c.is_ascii_digit()) && first.parse::<f64>().is_ok()
        };
        let mut cells = self.rows.iter().filter_map(|row| row.get(column)).peekable();
        column > 0 && cells.peek().is_some() && cells.all(number)
    }

    pub(super) fn new(title: &str, head: &[&str], rows: Vec<Vec<String>>) -> Self {
        Self { title: title.to_owned(), head: head.iter().map(|head| (*head).to_owned()).collect(), rows }
    }
}

impl Report {
    /// Phases and their total, components, units, meters and gaps: those of them that there are. A
    /// column of which nothing is known in any row is left out.
    pub fn tables(&self) -> Vec<ReportTable> {
        let mut tables = self.number_tables();
        tables.extend(self.meters_table());
        tables.extend(self.gaps_table());
        tables
    }

    /// Those of the tables whose cells are short.
    pub(super) fn number_tables(&self) -> Vec<ReportTable> {
        let mut tables = vec![self.lines_table()];
        let components = self.component_lines();
        if !components.is_empty() {
            let named = components.iter().map(|line| (line.component.to_string(), line));
            tables.push(self.columns("Energy by component", "component", COMPONENTS, named));
        }
        let shares = &self.attribution.components;
        if shares.values().any(|shares| shares.idle.is_some() || shares.own.is_some()) {
            let named = shares.iter().map(|(component, shares)| (component.to_string(), shares));
            tables.push(self.columns("Where it went, idle phases left out", "component", SHARES, named));
        }
        let units = self.unit_lines();
        if !units.is_empty() {
            let named = units.iter().map(|line| (line.name.clone(), line));
            tables.push(self.columns("For each unit", "unit", UNITS, named));
        }
        tables
    }

    /// The head of the report: what its phases came to.
    fn lines_table(&self) -> ReportTable {
        let mut lines = self.phase_lines();
        lines.push(self.total_line());
        self.columns(
            "Time, energy and cost by phase",
            "phase",
            LINES,
            lines.iter().map(|line| (line.name.clone(), line)),
        )
    }

    fn columns<'a, R: 'a>(
        &self,
        title: &str,
        first: &str,
        columns: &[ReportColumn<R>],
        rows: impl Iterator<Item = (String, &'a R)>,
    ) -> ReportTable {
        let rows: Vec<(String, &R)> = rows.collect();
        let with_pue = self.bill.tariff.pue() != Pue::ONE;
        let is_shown = |column: &&ReportColumn<R>| {
            column.shown.in_table(with_pue) && rows.iter().any(|(_, row)| (column.of)(row).is_some())
        };
        let shown: Vec<&ReportColumn<R>> = columns.iter().filter(is_shown).collect();
        let cell = |column: &ReportColumn<R>, row: &R| {
            (column.of)(row).map_or_else(|| UNKNOWN.to_owned(), |cell| cell.text().to_owned())
        };
        ReportTable {
            title: title.to_owned(),
            head: [first].into_iter().chain(shown.iter().map(|column| column.head)).map(str::to_owned).collect(),
            rows: rows
                .iter()
                .map(|(name, row)| {
                    [name.clone()].into_iter().chain(shown.iter().map(|column| cell(column, row))).collect()
                })
                .collect(),
        }
    }

    fn meters_table(&self) -> Option<ReportTable> {
        let or_unknown = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
        let rows: Vec<Vec<String>> = self
            .headers
            .iter()
            .map(|header| {
                let host = &header.host;
                let sources = header.sources.iter().map(|source| source.name.clone()).collect::<Vec<_>>();
                vec![
                    describe::time(header.start),
                    header.version.clone(),
                    host.system.clone(),
                    describe::processor(&host.cpu),
                    or_unknown(host.threads.map(|threads| threads.to_string())),
                    or_unknown(host.memory_bytes.map(describe::gigabytes)),
                    if sources.is_empty() { "none".to_owned() } else { sources.join(", ") },
                ]
            })
            .collect();
        let head = ["started", "version", "system", "processor", "threads", "memory", "sources"];
        (!rows.is_empty()).then(|| ReportTable::new("Meters", &head, rows))
    }

    fn gaps_table(&self) -> Option<ReportTable> {
        let gaps = self.bill.gaps.iter().map(|gap| {
            let (kind, seconds) = (gap.kind.to_string(), gap.seconds.to_string());
            vec![gap.of.clone(), kind, seconds, gap.times.to_string(), gap.detail.clone()]
        });
        let torn = self.torn.iter().map(|line| {
            let detail = format!("line {}, {} bytes", line.torn.line, line.torn.bytes);
            let what = "line torn by a crash".to_owned();
            vec![line.ledger.clone(), what, UNKNOWN.to_owned(), "1".to_owned(), detail]
        });
        let rows: Vec<Vec<String>> = gaps.chain(torn).collect();
        (!rows.is_empty()).then(|| ReportTable::new("Gaps", &["of", "what", "time", "times", "detail"], rows))
    }
}
