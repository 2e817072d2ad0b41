//! Reports as LaTeX.

use super::{Report, ReportTable};

impl Report {
    /// Tables (package `booktabs`) and statement as LaTeX, to be put into a document. Meters and
    /// gaps stand in the statement alone: their cells are longer than a column. A table that is wider than
    /// a page of the usual width is cut into several, each with its first column. Letters outside Latin
    /// script need an engine that knows them (XeLaTeX, LuaLaTeX).
    pub fn latex(&self) -> String {
        let tables = self.number_tables().iter().flat_map(pages).map(|part| table(&part)).collect::<String>();
        let statement = self.statement().iter().map(|text| format!("{}\n\n", escape(text))).collect::<String>();
        format!(
            "% \\usepackage{{booktabs}}\n\\paragraph{{{}}}\n\n{tables}{}\n",
            escape(&self.name),
            statement.trim_end()
        )
    }
}

/// Characters in small print that a line of the class `article` holds: 345 pt of 4.6 pt each.
const LINE: usize = 75;
/// What lies between two columns, in characters.
const BETWEEN: usize = 3;
/// Longer cells of words are broken into lines.
const LONGEST: usize = 24;

/// Cuts a table by columns into such as fit a line.
fn pages(table: &ReportTable) -> Vec<ReportTable> {
    let width = |column: usize| {
        let cells = table.rows.iter().filter_map(|row| row.get(column)).chain(table.head.get(column));
        let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        if table.is_number(column) { longest } else { longest.min(LONGEST) }
    };
    let mut parts: Vec<(Vec<usize>, usize)> = Vec::new();
    for column in 1..table.head.len() {
        let more = width(column) + BETWEEN;
        match parts.last_mut() {
            Some((columns, so_far)) if *so_far + more <= LINE => {
                columns.push(column);
                *so_far += more;
            }
            _ => parts.push((vec![0, column], width(0) + more)),
        }
    }
    if parts.is_empty() {
        return vec![table.clone()];
    }
    let count = parts.len();
    let part = |(number, (columns, _)): (usize, (Vec<usize>, usize))| {
        let pick = |cells: &[String]| columns.iter().filter_map(|column| cells.get(*column).cloned()).collect();
        let title =
            if count == 1 { table.title.clone() } else { format!("{} ({} of {count})", table.title, number + 1) };
        ReportTable { title, head: pick(&table.head), rows: table.rows.iter().map(|row| pick(row)).collect() }
    };
    parts.into_iter().enumerate().map(part).collect()
}

fn table(table: &ReportTable) -> String {
    let is_long =
        |column: usize| table.rows.iter().filter_map(|row| row.get(column)).any(|cell| cell.chars().count() > LONGEST);
    let kind = |column: usize| match (table.is_number(column), is_long(column)) {
        (true, _) => "r",
        (false, false) => "l",
        (false, true) => "p{0.3\\textwidth}",
    };
    let columns = (0..table.head.len()).map(kind).collect::<String>();
    let row =
        |cells: &[String]| format!("{} \\\\\n", cells.iter().map(|cell| escape(cell)).collect::<Vec<_>>().join(" & "));
    let rows = table.rows.iter().map(|cells| row(cells)).collect::<String>();
    format!(
        "\\begin{{table}}\n\\centering\n\\small\n\\caption{{{}}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{}\\midrule\n{rows}\
         \\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n\n",
        escape(&table.title),
        row(&table.head)
    )
}

/// Takes its meaning from every character that has one. At the beginning of a cell a bracket or a
/// star would be taken for an argument of the line end before it.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (place, c) in text.chars().enumerate() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '{' | '}' | '$' | '&' | '#' | '%' | '_' => out.extend(['\\', c]),
            '^' => out.push_str("\\textasciicircum{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '|' => out.push_str("\\textbar{}"),
            // Packages for some languages make the mark a command of its own.
            '"' => out.push_str("\\string\""),
            // Two would join to a dash.
            '-' if out.ends_with('-') => out.push_str("{}-"),
            '`' => out.push_str("\\textasciigrave{}"),
            '–' => out.push_str("--"),
            '×' => out.push_str("$\\times$"),
            'µ' => out.push_str("\\textmu{}"),
            '[' | '*' if place == 0 => out.extend(['{', c, '}']),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_tables_are_cut_to_the_page() {
        let wide = ReportTable {
            title: "Wide".to_owned(),
            head: (0..9).map(|column| format!("column {column}")).collect(),
            rows: vec![
                [
                    vec!["a phase whose name is longer than its column".to_owned()],
                    vec!["1.23 Wh [1.17, 1.29]".to_owned(); 8],
                ]
                .concat(),
            ],
        };
        let parts = pages(&wide);
        assert_eq!(parts.len(), 4);
        let mut seen = Vec::new();
        for part in &parts {
            assert_eq!(part.head[0], "column 0");
            seen.extend(part.head[1..].iter().cloned());
            let width: usize = part.head.len() * BETWEEN - BETWEEN + LONGEST + (part.head.len() - 1) * 20;
            assert!(width <= LINE && part.rows[0].len() == part.head.len(), "{part:?}");
            let tex = table(part);
            assert!(tex.contains("{p{0.3\\textwidth}r") && tex.contains("Wide ("), "{tex}");
        }
        assert_eq!(seen, wide.head[1..]);
        let narrow = ReportTable { head: wide.head[..3].to_vec(), rows: vec![vec!["x".to_owned(); 3]], ..wide };
        assert_eq!(pages(&narrow), std::slice::from_ref(&narrow));
    }

    #[test]
    fn nothing_hostile_keeps_its_meaning() {
        assert_eq!(escape(r"a_b&50%{}\"), r"a\_b\&50\%\{\}\textbackslash{}");
        assert_eq!(escape("[x] #1 $5 ~^ --\""), r#"{[}x] \#1 \$5 \textasciitilde{}\textasciicircum{} -{}-\string""#);
        assert_eq!(
            escape("12 µJ [6, 24] – ×2\n<|>"),
            r"12 \textmu{}J [6, 24] -- $\times$2 \textless{}\textbar{}\textgreater{}"
        );
    }
}
