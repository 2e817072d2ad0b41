//! A report as a page of one file.

use std::fmt::Write;

use attar_chart::{STYLE, escaped};

use crate::document::{Block, Figure, Table};
use crate::style::PAGE;

/// The whole page.
pub(crate) fn page(title: &str, blocks: &[Block]) -> String {
    let (head, body) =
        blocks.split_at(blocks.iter().position(|block| matches!(block, Block::Heading(2, _))).unwrap_or(blocks.len()));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{PAGE}{STYLE}</style>\n</head>\n<body>\n<header>\n",
        escaped(title)
    );
    let mut sections = 0;
    head.iter().for_each(|block| write(&mut out, block, &mut sections));
    let names: Vec<&String> =
        body.iter().filter_map(|block| if let Block::Heading(2, name) = block { Some(name) } else { None }).collect();
    out.push_str("<nav aria-label=\"Contents\"><ul>\n");
    for (number, name) in names.iter().enumerate() {
        // Writing to a string cannot fail.
        _ = writeln!(out, "<li><a href=\"#section-{}\">{}</a></li>", number + 1, escaped(name));
    }
    out.push_str("</ul></nav>\n</header>\n<main>\n");
    body.iter().for_each(|block| write(&mut out, block, &mut sections));
    if sections > 0 {
        out.push_str("</section>\n");
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn write(out: &mut String, block: &Block, sections: &mut usize) {
    // Writing to a string cannot fail.
    _ = match block {
        Block::Heading(2, text) => {
            if *sections > 0 {
                out.push_str("</section>\n");
            }
            *sections += 1;
            let id = format!("section-{sections}");
            writeln!(out, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>", escaped(text))
        }
        Block::Heading(level, text) => writeln!(out, "<h{level}>{}</h{level}>", escaped(text)),
        Block::Paragraph(text) | Block::Hint(text) => writeln!(out, "<p>{}</p>", escaped(text)),
        Block::Lead(text) => writeln!(out, "<p class=\"lead\">{}</p>", escaped(text)),
        Block::List(items) => {
            let items: String = items.iter().map(|item| format!("<li>{}</li>\n", escaped(item))).collect();
            writeln!(out, "<ul>\n{items}</ul>")
        }
        Block::Code(text) => writeln!(out, "<pre tabindex=\"0\"><code>{}</code></pre>", escaped(text)),
        Block::LeftOut(what, why) => {
            writeln!(
                out,
                "<p class=\"note left-out\"><strong>{}</strong> left out: {}</p>",
                escaped(what),
                escaped(why)
            )
        }
        Block::Table(table) => {
            write_table(out, table);
            Ok(())
        }
        Block::Figures(figures) => {
            figures.chunk_by(|a, b| a.is_wide == b.is_wide).for_each(|figures| write_figures(out, figures));
            Ok(())
        }
    };
}

fn write_figures(out: &mut String, figures: &[Figure]) {
    let is_wide = figures.first().is_some_and(|figure| figure.is_wide);
    out.push_str(if is_wide { "<div class=\"figures wide\">\n" } else { "<div class=\"figures\">\n" });
    for figure in figures {
        let caption = escaped(&figure.caption);
        // A wide picture is scrolled where there is no room, by keys too.
        let (open, close) = match is_wide {
            true => {
                (format!("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{caption}\">"), "</div>")
            }
            false => (String::new(), ""),
        };
        _ = writeln!(out, "<figure><figcaption>{caption}</figcaption>{open}\n{}{close}</figure>", figure.svg);
    }
    out.push_str("</div>\n");
}

/// How a column stands: numbers to the right, long texts with room.
fn class(table: &Table, column: usize) -> &'static str {
    let mut cells = table.rows.iter().filter_map(|row| row.get(column)).peekable();
    let is_number = |text: &str| text == "–" || text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
    if column > 0 && cells.peek().is_some() && cells.clone().all(|cell| is_number(&cell.text) && cell.text.len() < 48) {
        return " class=\"n\"";
    }
    if cells.any(|cell| cell.text.chars().count() > 40) { " class=\"t\"" } else { "" }
}

fn write_table(out: &mut String, table: &Table) {
    let caption = escaped(&table.caption);
    let classes: Vec<&str> = (0..table.head.len()).map(|column| class(table, column)).collect();
    let head: String = table
        .head
        .iter()
        .zip(&classes)
        .map(|(head, class)| format!("<th scope=\"col\"{class}>{}</th>", escaped(head)))
        .collect();
    _ = writeln!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{caption}\"><table>\n<caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>"
    );
    for row in &table.rows {
        out.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let class = classes.get(column).copied().unwrap_or_default();
            let text = escaped(&cell.text);
            _ = match (column, cell.shade) {
                (0, _) => write!(out, "<th scope=\"row\"{class}>{text}</th>"),
                // Never so dark that the number could not be read.
                (_, Some(shade)) => {
                    write!(out, "<td class=\"h\" style=\"--a:{:.2}\">{text}</td>", 0.55 * shade.clamp(0.0, 1.0))
                }
                _ => write!(out, "<td{class}>{text}</td>"),
            };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}
