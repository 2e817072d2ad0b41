//! Places in a text as JavaScript counts them.

use std::ops::Range;

/// The same range in UTF-16 units. Both ends are boundaries of characters.
pub(crate) fn range(text: &str, bytes: &Range<usize>) -> Range<usize> {
    let units = |part: &str| part.encode_utf16().count();
    let start = units(&text[..bytes.start]);
    start..start + units(&text[bytes.clone()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_of_javascript() {
        // One byte and unit; two bytes, one unit; three bytes, one unit; four bytes, two units.
        let text = "aé€😀b";
        assert_eq!(range(text, &(0..1)), 0..1);
        assert_eq!(range(text, &(1..3)), 1..2);
        assert_eq!(range(text, &(3..6)), 2..3);
        assert_eq!(range(text, &(6..10)), 3..5);
        assert_eq!(range(text, &(10..11)), 5..6);
        assert_eq!(range(text, &(11..11)), 6..6);
    }
}
