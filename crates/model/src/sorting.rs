//! Sorting with one copy of the algorithm for all types: each further one would be five kilobytes of a module for browsers.

use std::cmp::Ordering;

/// Sorts; equal items keep their order. For lists of names and tensors, which are short.
pub(crate) fn sort_by<T>(items: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    let order = sorted_places(items.len(), &|left, right| compare(&items[left], &items[right]));
    let mut slots: Vec<Option<T>> = std::mem::take(items).into_iter().map(Some).collect();
    *items = order.into_iter().filter_map(|place| slots[place].take()).collect();
}

fn sorted_places(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_by(|&left, &right| compare(left, right));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_sorted_and_equal_ones_keep_their_order() {
        let mut items: Vec<(u32, String)> = (0..100).map(|i| (i * 37 % 10, format!("{i:03}"))).collect();
        let mut expected = items.clone();
        expected.sort_by_key(|(key, _)| *key);
        sort_by(&mut items, |(left, _), (right, _)| left.cmp(right));
        assert_eq!(items, expected);
        sort_by(&mut items, |left, right| right.1.cmp(&left.1));
        assert!(items.is_sorted_by(|left, right| left.1 > right.1));
        let mut none: Vec<u8> = Vec::new();
        sort_by(&mut none, Ord::cmp);
        assert!(none.is_empty());
    }
}
