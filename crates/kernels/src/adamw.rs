//! AdamW (Loshchilov & Hutter, arXiv 1711.05101) in one pass over memory.

use rayon::prelude::*;

use crate::CHUNK;
use crate::cpu::{Cpu, Kernel};
use crate::isa::Isa;

/// The scalars of one update of one parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWUpdate {
    /// Decay rate of the mean of the gradient.
    pub beta1: f64,
    /// Decay rate of the mean of the squared gradient.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Factor applied to the gradient, for example to clip it.
    pub scale: f64,
    /// What is left of a weight after its decay: `1 - rate · decay`.
    pub kept: f64,
    /// Learning rate over the bias correction of the first moment.
    pub rate: f64,
    /// Reciprocal of the bias correction of the second moment.
    pub correction: f64,
}

/// Updates a parameter `p` and its moments `m` and `v` in place by the gradient `g`.
///
/// # Panics
/// If the lengths differ.
#[track_caller]
pub fn adamw(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], update: &AdamWUpdate) {
    for length in [g.len(), m.len(), v.len()] {
        assert_eq!(p.len(), length, "adamw: gradient and moments are as long as the parameter");
    }
    let step = Step::of(update);
    let (p, m, v) = (p.par_chunks_mut(CHUNK), m.par_chunks_mut(CHUNK), v.par_chunks_mut(CHUNK));
    p.zip(g.par_chunks(CHUNK)).zip(m.zip(v)).for_each(|((p, g), (m, v))| step.apply(p, g, m, v));
}

/// As [`adamw`] for a table `[rows, columns]` whose gradient is zero but in some rows.
///
/// `touched` are those rows in ascending order and `g` `[touched, columns]` their gradients. Rows that
/// never had a gradient, `seen[row] == false`, have moments of zero and only decay: neither their moments nor a
/// dense gradient are read. The result is that of [`adamw`] with the dense gradient, bit for bit.
///
/// # Panics
/// If the lengths do not fit, or `touched` is not ascending or not inside the table.
#[track_caller]
pub fn adamw_rows(
    p: &mut [f32],
    (touched, g): (&[u32], &[f32]),
    [m, v]: [&mut [f32]; 2],
    seen: &mut [bool],
    update: &AdamWUpdate,
) {
    let rows = seen.len();
    assert!(rows > 0 && p.len().is_multiple_of(rows), "adamw_rows: the table has whole rows");
    let columns = p.len() / rows;
    assert_eq!([m.len(), v.len()], [p.len(); 2], "adamw_rows: moments are as long as the table");
    assert_eq!(g.len(), touched.len() * columns, "adamw_rows: one gradient row for each touched row");
    assert!(touched.is_sorted_by(|a, b| a < b), "adamw_rows: touched rows ascend");
    assert!(touched.last().is_none_or(|&last| (last as usize) < rows), "adamw_rows: touched rows are in the table");
    for &row in touched {
        seen[row as usize] = true;
    }
    let step = Step::of(update);
    let height = (CHUNK / columns.max(1)).max(1);
    let (seen, zero) = (&*seen, vec![0.0; columns]);
    let tables = p.par_chunks_mut(height * columns).zip(m.par_chunks_mut(height * columns));
    tables.zip(v.par_chunks_mut(height * columns)).enumerate().for_each(|(chunk, ((p, m), v))| {
        let first = chunk * height;
        let mut next = touched.partition_point(|&row| (row as usize) < first);
        let tables = p.chunks_mut(columns).zip(m.chunks_mut(columns)).zip(v.chunks_mut(columns));
        for (row, ((p, m), v)) in (first..).zip(tables) {
            if touched.get(next) == Some(&(row as u32)) {
                step.apply(p, &g[next * columns..][..columns], m, v);
                next += 1;
            } else if seen[row] {
                step.apply(p, &zero, m, v);
            } else if step.kept != 1.0 {
                p.iter_mut().for_each(|p| *p *= step.kept);
            }
        }
    });
}

/// An update in the precision of the parameters.
#[derive(Clone, Copy)]
struct Step {
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    epsilon: f32,
    scale: f32,
    kept: f32,
    rate: f32,
    correction: f32,
}

impl Step {
    fn of(update: &AdamWUpdate) -> Step {
        Step {
            beta1: update.beta1 as f32,
            rest1: (1.0 - update.beta1) as f32,
            beta2: update.beta2 as f32,
            rest2: (1.0 - update.beta2) as f32,
            epsilon: update.epsilon as f32,
            scale: update.scale as f32,
            kept: update.kept as f32,
            rate: update.rate as f32,
            correction: update.correction as f32,
        }
    }

    fn apply(self, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        self.apply_on(Cpu::detect(), p, g, m, v);
    }

    fn apply_on(self, cpu: Cpu, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        cpu.run(Slices { step: self, p, g, m, v });
    }
}

/// One update of slices of one length.
struct Slices<'a> {
    step: Step,
    p: &'a mut [f32],
    g: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
}

impl Kernel for Slices<'_> {
    type Output = ();

    /// A plain loop, which the compiler turns into the set's instructions. It fuses no multiplication with an
    /// addition, so that every set gives the same bits.
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Slices { step, p, g, m, v } = self;
        for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = g * step.scale;
            *m = *m * step.beta1 + g * step.rest1;
            *v = *v * step.beta2 + g * g * step.rest2;
            *p = *p * step.kept - *m / ((*v * step.correction).sqrt() + step.epsilon) * step.rate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: AdamWUpdate = AdamWUpdate {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        scale: 0.5,
        kept: 1.0 - 1e-5,
        rate: 1e-2,
        correction: 900.0,
    };

    fn numbers(count: usize, phase: f32) -> Vec<f32> {
        (0..count).map(|i| (i as f32 * 0.61 + phase).sin()).collect()
    }

    #[test]
    fn one_number_by_hand() {
        let (mut p, mut m, mut v) = ([1.0], [0.2], [0.04]);
        adamw(&mut p, &[2.0], &mut m, &mut v, &UPDATE);
        let first = 0.9 * 0.2 + 0.1 * 1.0;
        let second = 0.999 * 0.04 + 0.001;
        let expected = (1.0 - 1e-5) - first / ((second * 900.0f64).sqrt() + 1e-8) * 1e-2;
        // Some roundings of numbers around 1.
        assert!((f64::from(m[0]) - first).abs() < 1e-7);
        assert!((f64::from(v[0]) - second).abs() < 1e-8);
        assert!((f64::from(p[0]) - expected).abs() < 2e-7, "{} {expected}", p[0]);
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        for count in [0, 1, 3, 15, 16, 17, 100] {
            let start = (
                numbers(count, 0.1),
                numbers(count, 0.2),
                numbers(count, 0.3).iter().map(|x| x * x).collect::<Vec<_>>(),
            );
            let update = |cpu| {
                let (mut p, mut m, mut v) = start.clone();
                Step::of(&UPDATE).apply_on(cpu, &mut p, &numbers(count, 0.4), &mut m, &mut v);
                [p, m, v].map(|x| x.into_iter().map(f32::to_bits).collect::<Vec<_>>())
            };
            let all: Vec<_> = Cpu::all().into_iter().map(update).collect();
            assert!(all.iter().all(|one| *one == all[0]), "{count}");
        }
    }

    #[test]
    fn rows_equal_the_dense_update_to_the_bit() {
        // Row counts around the edges of a chunk, with and without untouched ends.
        let large: &[(usize, usize)] = if cfg!(miri) { &[] } else { &[(CHUNK / 8 + 3, 8), (3, CHUNK + 1)] };
        for &(rows, columns) in [(1, 1), (5, 3)].iter().chain(large) {
            let touched: Vec<u32> = (0..rows as u32).filter(|row| row % 3 == 1 || *row + 1 == rows as u32).collect();
            let g = numbers(touched.len() * columns, 0.3);
            let mut dense = vec![0.0; rows * columns];
            for (&row, g) in touched.iter().zip(g.chunks(columns)) {
                dense[row as usize * columns..][..columns].copy_from_slice(g);
            }
            // Row 0 had a gradient before, the others not.
            let mut moments = vec![0.0; rows * columns];
            moments[..columns].fill(0.25);
            let start = (numbers(rows * columns, 1.0), moments.clone(), moments);
            let (mut p, mut m, mut v) = start.clone();
            adamw(&mut p, &dense, &mut m, &mut v, &UPDATE);
            let (mut rp, mut rm, mut rv) = start;
            let mut seen = vec![false; rows];
            seen[0] = true;
            adamw_rows(&mut rp, (&touched, &g), [&mut rm, &mut rv], &mut seen, &UPDATE);
            assert_eq!((p, m, v), (rp, rm, rv), "{rows} x {columns}");
            assert!(touched.iter().all(|&row| seen[row as usize]));
        }
    }

    #[test]
    fn no_row_touched() {
        let (mut p, mut m, mut v) = (vec![1.0; 4], vec![0.0; 4], vec![0.0; 4]);
        adamw_rows(&mut p, (&[], &[]), [&mut m, &mut v], &mut [false; 2], &UPDATE);
        assert_eq!(p, [1.0 - 1e-5f32; 4]);
    }
}
