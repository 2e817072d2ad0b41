//! Curves of thousands of points, thinned to what can be seen.

/// At most about `most` of these points, in order: of equal parts of them the first, the lowest, the highest and the last
/// one, so that no peak is lost. All of them where there are no more.
pub fn thinned(points: &[[f64; 2]], most: usize) -> Vec<[f64; 2]> {
    if points.len() <= most.max(4) {
        return points.to_vec();
    }
    let each = points.len().div_ceil((most / 4).max(1));
    let mut kept = Vec::new();
    for part in points.chunks(each) {
        let by_height = |a: &usize, b: &usize| part[*a][1].total_cmp(&part[*b][1]);
        let all = || 0..part.len();
        let mut places: Vec<usize> =
            [Some(0), all().min_by(by_height), all().max_by(by_height), part.len().checked_sub(1)]
                .into_iter()
                .flatten()
                .collect();
        places.sort_unstable();
        places.dedup();
        kept.extend(places.into_iter().map(|place| part[place]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ends_and_peaks_stay(heights in proptest::collection::vec(-1e3..1e3f64, 1..3000), most in 4usize..200) {
            let points: Vec<[f64; 2]> = heights.iter().enumerate().map(|(x, y)| [x as f64, *y]).collect();
            let kept = thinned(&points, most);
            prop_assert!(kept.len() <= most + 4);
            prop_assert_eq!((kept[0], kept[kept.len() - 1]), (points[0], points[points.len() - 1]));
            let highest = |points: &[[f64; 2]]| points.iter().map(|point| point[1]).fold(f64::MIN, f64::max);
            prop_assert_eq!(highest(&kept), highest(&points));
            prop_assert!(kept.windows(2).all(|pair| pair[0][0] < pair[1][0]));
        }
    }
}
