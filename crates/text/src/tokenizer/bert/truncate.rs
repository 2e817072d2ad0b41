//! How much of each text a limit leaves.

use super::super::{EncodeError, Limit, Truncation};

/// Tokens of the two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) first: usize,
    pub(super) second: usize,
}

/// How many tokens of each text stay where there is room for `room`, as the library has it.
///
/// Lengths above the room may be understated where the longer text is cut first, as long as they
/// remain above it, and in their order if the room is odd.
pub(super) fn kept(
    lengths: Kept,
    is_pair: bool,
    room: usize,
    special: usize,
    limit: Limit,
) -> Result<Kept, EncodeError> {
    let Kept { first, second } = lengths;
    let excess = first.saturating_add(second).saturating_sub(room);
    if excess == 0 {
        return Ok(lengths);
    }
    if room == 0 {
        return Err(EncodeError::LimitTooSmall { max_tokens: limit.max_tokens, special });
    }
    let cannot = EncodeError::CannotTruncate { limit, special, first_length: first, second_length: second };
    match limit.truncation {
        Truncation::LongestFirst if !is_pair => Ok(Kept { first: room, second: 0 }),
        Truncation::LongestFirst => {
            let shorter = first.min(second).min(room / 2);
            let longer = room - shorter;
            Ok(if first > second {
                Kept { first: longer, second: shorter }
            } else {
                Kept { first: shorter, second: longer }
            })
        }
        Truncation::OnlyFirst if first > excess => Ok(Kept { first: first - excess, second }),
        Truncation::OnlySecond if second > excess => Ok(Kept { first, second: second - excess }),
        Truncation::OnlyFirst | Truncation::OnlySecond => Err(cannot),
    }
}
