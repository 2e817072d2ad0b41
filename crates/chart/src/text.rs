//! Text inside SVG and HTML.

use std::fmt::Write;

/// Text as XML and HTML have it, between tags and in quoted attributes. Control characters, which neither may hold, and
/// those that turn the direction of what follows become spaces.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => out.push(' '),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// The beginning of a text on one line, with `…` where something is left out.
pub fn shortened(text: &str, most: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= most {
        return line;
    }
    let mut short: String = line.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A coordinate: one decimal, and no zeros at the end.
pub(crate) fn place(x: f64) -> String {
    let text = format!("{x:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".into() } else { text.into() }
}

/// A text element.
pub(crate) fn element(out: &mut String, class: &str, [x, y]: [f64; 2], more: &str, text: &str) {
    let (x, y) = (place(x), place(y));
    // Writing to a string cannot fail.
    _ = writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\"{more}>{}</text>", escaped(&shortened(text, 100)));
}

/// About how wide a text is in a font of 12 pixels.
pub(crate) fn width(text: &str) -> f64 {
    6.6 * text.chars().count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_its_element() {
        assert_eq!(escaped("a<b>&\"c\"\u{0}\u{202e}"), "a&lt;b&gt;&amp;&quot;c&quot;  ");
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("a\nb", 4), "a b");
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!([0.0, -0.01, 12.0, 12.34].map(place), ["0", "0", "12", "12.3"]);
    }
}
