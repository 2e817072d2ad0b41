//! A report as Markdown, with sentences in place of its charts.

use std::fmt::Write;

use crate::document::{Block, Table};

/// The whole text.
pub(crate) fn text(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        // Writing to a string cannot fail.
        _ = match block {
            Block::Heading(level, text) => writeln!(out, "{} {}\n", "#".repeat(usize::from(*level)), plain(text)),
            Block::Paragraph(text) | Block::Lead(text) => writeln!(out, "{}\n", plain(text)),
            Block::List(items) => {
                let items: String = items.iter().map(|item| format!("- {}\n", plain(item))).collect();
                writeln!(out, "{items}")
            }
            Block::Code(text) => {
                // A fence longer than any in the text cannot be closed by it.
                let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
                let fence = "`".repeat(longest.max(2) + 1);
                writeln!(out, "{fence}\n{}\n{fence}\n", text.trim_end())
            }
            Block::LeftOut(what, why) => writeln!(out, "**{}** left out: {}\n", plain(what), plain(why)),
            Block::Table(table) => {
                write_table(&mut out, table);
                Ok(())
            }
            // The page has the pictures; a section of nothing else would be empty without what they show.
            Block::Figures(figures) => {
                let figures: String = figures
                    .iter()
                    .map(|figure| format!("- {}: {}\n", plain(&figure.caption), plain(&figure.description)))
                    .collect();
                writeln!(out, "{figures}")
            }
            Block::Hint(_) => Ok(()),
        };
    }
    out
}

fn write_table(out: &mut String, table: &Table) {
    let row = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<String> = cells.map(|cell| plain(cell).replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    _ = writeln!(out, "{}\n", plain(&table.caption));
    out.push_str(&row(&mut table.head.iter().map(String::as_str)));
    _ = writeln!(out, "|{}", "---|".repeat(table.head.len()));
    for cells in &table.rows {
        out.push_str(&row(&mut cells.iter().map(|cell| cell.text.as_str())));
    }
    out.push('\n');
}

/// Text on one line in which nothing is markup.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '~' | '!' | '&' | '$' => {
                out.push('\\');
                out.push(c);
            }
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push(' '),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup() {
        assert_eq!(plain("<b>[a](b)\n*c*"), "\\<b\\>\\[a\\](b) \\*c\\*");
        // Neither an entity nor a formula.
        assert_eq!(plain("&lt;$x$"), "\\&lt;\\$x\\$");
        let mut out = String::new();
        write_table(&mut out, &Table::new("t", &["a", "b"], vec![vec!["x|y".into(), "z".into()]]));
        assert_eq!(out, "t\n\n| a | b |\n|---|---|\n| x\\|y | z |\n\n");
        let (caption, description) = ("Losses".into(), "From 3 to 1.".into());
        let figure = crate::document::Figure { caption, description, svg: "<svg/>".into(), is_wide: false };
        let blocks = [Block::Hint("darker is more".into()), Block::Figures(vec![figure])];
        assert_eq!(text(&blocks), "- Losses: From 3 to 1.\n\n");
        assert_eq!(text(&[Block::Code("```\nx".into())]), "````\n```\nx\n````\n\n");
    }
}
