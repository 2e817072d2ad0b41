//! A report as Markdown, without its charts.

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
            // The page has the pictures, and the tables have their numbers.
            Block::Figures(_) => Ok(()),
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
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '~' | '!' => {
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
        let mut out = String::new();
        write_table(&mut out, &Table::new("t", &["a", "b"], vec![vec!["x|y".into(), "z".into()]]));
        assert_eq!(out, "t\n\n| a | b |\n|---|---|\n| x\\|y | z |\n\n");
        assert_eq!(text(&[Block::Code("```\nx".into())]), "````\n```\nx\n````\n\n");
    }
}
