//! Which units have to stay in floats so that the score falls by no more than is allowed.

use std::collections::BTreeSet;

use crate::Error;

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FloatUnits {
    /// The units that stay exact.
    pub(super) units: BTreeSet<usize>,
    /// The loss with these.
    pub(super) loss: f64,
    /// The loss with none.
    pub(super) loss_without_floats: f64,
}

/// Finds few units to keep in floats such that `loss` of them is at most `max_loss`; `None` if not even all of them do.
///
/// `order` has the units that may be kept, the one that hurts most first. The shortest beginning of it that is enough
/// is found by doubling and halving, as if each more kept could only help; then each of it, the least first, is quantized
/// after all if the score allows. Whatever is returned has been scored.
pub(super) fn choose_float_units(
    order: &[usize],
    max_loss: f64,
    mut loss: impl FnMut(&BTreeSet<usize>) -> Result<f64, Error>,
) -> Result<Option<FloatUnits>, Error> {
    let first = |count: usize| -> BTreeSet<usize> { order[..count].iter().copied().collect() };
    let loss_without_floats = loss(&first(0))?;
    if loss_without_floats <= max_loss {
        return Ok(Some(FloatUnits { units: BTreeSet::new(), loss: loss_without_floats, loss_without_floats }));
    }
    let (mut short, mut enough) = (0, 1.min(order.len()));
    let mut found = loop {
        let lost = loss(&first(enough))?;
        if lost <= max_loss {
            break lost;
        }
        if enough == order.len() {
            return Ok(None);
        }
        (short, enough) = (enough, (2 * enough).min(order.len()));
    };
    while enough - short > 1 {
        let middle = short.midpoint(enough);
        let lost = loss(&first(middle))?;
        if lost <= max_loss {
            (enough, found) = (middle, lost);
        } else {
            short = middle;
        }
    }
    let mut units = first(enough);
    // The last of the beginning is needed: without it the score was too low.
    for unit in order[..enough - 1].iter().rev() {
        let mut fewer = units.clone();
        fewer.remove(unit);
        let lost = loss(&fewer)?;
        if lost <= max_loss {
            (units, found) = (fewer, lost);
        }
    }
    Ok(Some(FloatUnits { units, loss: found, loss_without_floats }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(losses: &[f64], order: &[usize], most: f64) -> (Option<FloatUnits>, usize) {
        let mut scored = 0;
        let kept = choose_float_units(order, most, |kept| {
            scored += 1;
            Ok((0..losses.len()).filter(|unit| !kept.contains(unit)).map(|unit| losses[unit]).sum())
        });
        (kept.unwrap(), scored)
    }

    #[test]
    fn only_what_hurts_is_kept() {
        // Sums of these are exact.
        let losses = [0.125, 0.0, 3.0, 0.0, 2.0, 0.125];
        // The order is a guess that puts a harmless one between the two.
        let (kept, _) = search(&losses, &[2, 1, 4, 0, 5, 3], 0.5);
        let kept = kept.unwrap();
        assert_eq!(kept.units, BTreeSet::from([2, 4]));
        assert_eq!((kept.loss, kept.loss_without_floats), (0.25, 5.25));
        let none = FloatUnits { units: BTreeSet::new(), loss: 5.25, loss_without_floats: 5.25 };
        assert_eq!(search(&losses, &[2, 1, 4, 0, 5, 3], 6.0), (Some(none), 1));
        let (all, _) = search(&losses, &[0, 1, 2, 3, 4, 5], 0.0);
        assert_eq!(all.unwrap().units, BTreeSet::from([0, 2, 4, 5]));
    }

    #[test]
    fn what_cannot_be_reached_is_not_claimed() {
        // The unit that hurts may not be kept.
        assert_eq!(search(&[1.0, 0.0], &[1], 0.5).0, None);
        assert_eq!(search(&[1.0], &[], 0.5).0, None);
    }

    #[test]
    fn many_units_take_few_scores() {
        let mut losses = vec![0.0; 60];
        losses[7] = 9.0;
        let order: Vec<usize> = (0..60).collect();
        let (kept, scored) = search(&losses, &order, 0.5);
        assert_eq!(kept.unwrap().units, BTreeSet::from([7]));
        assert!(scored < 16, "{scored}");
    }
}
