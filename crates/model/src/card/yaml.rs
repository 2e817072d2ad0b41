//! YAML scalars.
//!
//! Only what a front matter needs, and in the one form that cannot be misread: every string in double quotes,
//! where YAML's escapes are a superset of JSON's. No plain scalar, so `no`, `1e3` and `a: b` stay strings.

use std::fmt::Write;

/// A string in double quotes. Whatever a reader might take for a line break or refuse as unprintable (YAML 1.2,
/// chapter 5; YAML 1.1 breaks lines in more places) is escaped.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                // Writing to a string cannot fail.
                _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A number, never in the exponent form that YAML 1.1 takes for a string; what is not finite is null.
pub(super) fn number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { "null".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_stay_strings() {
        assert_eq!(quoted("no"), r#""no""#);
        assert_eq!(quoted("a: \"b\" # c\\d\n--- é 😁"), r#""a: \"b\" # c\\d\n--- é 😁""#);
        assert_eq!(quoted("\u{0}\r\u{85}\u{a0}\u{2028}\u{feff}"), r#""\u0000\u000d\u0085\u00a0\u2028\ufeff""#);
    }

    #[test]
    fn numbers_have_no_exponent() {
        assert_eq!(number(0.912), "0.912");
        assert_eq!(number(12.0), "12");
        assert_eq!(number(1e-7), "0.0000001");
        assert_eq!(number(1e21), "1000000000000000000000");
        assert_eq!(number(f64::NAN), "null");
    }
}
