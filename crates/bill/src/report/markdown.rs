//! Reports as Markdown (GitHub's, which has tables).

use super::{Report, ReportTable};

impl Report {
    /// Tables and statement as Markdown, ready to be shown or pasted. Nothing from a file can start
    /// a tag, a link, a formula or a table of its own.
    pub fn markdown(&self) -> String {
        let tables = self.tables().iter().map(table).collect::<String>();
        format!(
            "# {}\n\n{tables}## How these numbers came about\n\n{}",
            escape(&self.name),
            paragraphs(&self.statement())
        )
    }
}

/// A table under its title.
pub(super) fn table(table: &ReportTable) -> String {
    let row =
        |cells: &[String]| format!("| {} |\n", cells.iter().map(|cell| escape(cell)).collect::<Vec<_>>().join(" | "));
    let rule: Vec<&str> = (0..table.head.len()).map(|i| if table.is_number(i) { "---:" } else { "---" }).collect();
    let rows = table.rows.iter().map(|cells| row(cells)).collect::<String>();
    format!("## {}\n\n{}| {} |\n{rows}\n", escape(&table.title), row(&table.head), rule.join(" | "))
}

/// A list with an item for each.
pub(super) fn paragraphs(paragraphs: &[String]) -> String {
    paragraphs.iter().map(|text| format!("- {}\n", escape(text))).collect()
}

/// Takes its meaning from every character that has one inside a line. Intervals stay readable: a
/// bracket only makes a link when another bracket or a colon follows.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            ']' if !matches!(characters.peek(), Some('(' | '[' | ':')) => out.push(c),
            '\\' | '`' | '*' | '_' | '|' | '~' | '$' | '#' | ']' => out.extend(['\\', c]),
            '!' if characters.peek() == Some(&'[') => out.push_str("\\!"),
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
        assert_eq!(escape("a|b\n<script>`x`"), "a\\|b &lt;script>\\`x\\`");
        assert_eq!(escape("12.3 J [6.2, 24.6]"), "12.3 J [6.2, 24.6]");
        assert_eq!(escape("![x](y) [z]: w"), "\\![x\\](y) [z\\]: w");
        assert_eq!(escape("$a_b$ &lt; *c* ~~d~~ \\"), "\\$a\\_b\\$ &amp;lt; \\*c\\* \\~\\~d\\~\\~ \\\\");
    }
}
