//! Reports as LaTeX.

use super::{Report, Table};

impl Report {
    /// Tables (package `booktabs`) and statement as LaTeX, to be put into a document. Meters and
    /// gaps stand in the statement alone: their cells are longer than a column. Letters outside
    /// Latin script need an engine that knows them (XeLaTeX, LuaLaTeX).
    pub fn latex(&self) -> String {
        let tables = self.number_tables().iter().map(table).collect::<String>();
        let statement = self.statement().iter().map(|text| format!("{}\n\n", escape(text))).collect::<String>();
        format!(
            "% \\usepackage{{booktabs}}\n\\paragraph{{{}}}\n\n{tables}{}\n",
            escape(&self.name),
            statement.trim_end()
        )
    }
}

fn table(table: &Table) -> String {
    let columns = (0..table.head.len()).map(|i| if table.is_number(i) { 'r' } else { 'l' }).collect::<String>();
    let row =
        |cells: &[String]| format!("{} \\\\\n", cells.iter().map(|cell| escape(cell)).collect::<Vec<_>>().join(" & "));
    let rows = table.rows.iter().map(|cells| row(cells)).collect::<String>();
    format!(
        "\\begin{{table}}\n\\centering\n\\caption{{{}}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{}\\midrule\n{rows}\
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
    fn nothing_hostile_keeps_its_meaning() {
        assert_eq!(escape(r"a_b&50%{}\"), r"a\_b\&50\%\{\}\textbackslash{}");
        assert_eq!(escape("[x] #1 $5 ~^ --\""), r#"{[}x] \#1 \$5 \textasciitilde{}\textasciicircum{} -{}-\string""#);
        assert_eq!(
            escape("12 µJ [6, 24] – ×2\n<|>"),
            r"12 \textmu{}J [6, 24] -- $\times$2 \textless{}\textbar{}\textgreater{}"
        );
    }
}
