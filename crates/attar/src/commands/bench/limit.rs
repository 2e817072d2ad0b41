//! What limits a model on this machine, and what would be faster, in one sentence.

use std::fmt::Write;

use crate::cli::bench::PrecisionArg;

use super::machine::Peak;

/// A model at one precision on one number of threads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speed<'a> {
    pub(super) model: &'a str,
    pub(super) precision: PrecisionArg,
    pub(super) threads: usize,
    /// All texts at once.
    pub(super) texts_per_second: f64,
    /// Of the arithmetic that as many threads can do at this precision, with all texts at once.
    pub(super) share_of_peak: f64,
    /// Of the bandwidth of memory, if every weight comes from there once for each single text.
    pub(super) share_of_memory: f64,
}

/// From this share on, a resource is what limits.
const MUCH: f64 = 0.5;
/// An instruction for the products of bytes does four times what one for floats does, and half of that is more than can be had
/// without it.
const WITH_DOT_PRODUCT: f64 = 3.0;

/// A sentence about the first model where it is fastest; nothing if nothing was measured.
pub(super) fn sentence(speeds: &[Speed<'_>], peaks: &[Peak], processors: usize) -> Option<String> {
    let first = speeds.first()?;
    let of_first = speeds.iter().filter(|speed| speed.model == first.model);
    let best = of_first.clone().max_by(|a, b| a.texts_per_second.total_cmp(&b.texts_per_second))?;
    let mut text = format!("{} is fastest in {}{}", best.model, best.precision.name(), on(best.threads));
    if best.texts_per_second > first.texts_per_second {
        let times = best.texts_per_second / first.texts_per_second;
        let _ = write!(text, ", {times:.1} times {}{}", first.precision.name(), on(first.threads));
    }
    let _ = match (best.share_of_peak >= MUCH, best.share_of_memory >= MUCH) {
        (true, _) => {
            write!(text, "; arithmetic limits it, {:.0} % of the measured peak", 100.0 * best.share_of_peak)
        }
        (false, true) => write!(
            text,
            "; reading its weights from memory limits it, {:.0} % of the measured bandwidth for one text",
            100.0 * best.share_of_memory.min(1.0)
        ),
        (false, false) => write!(
            text,
            "; what lies between its products limits it, as they take {:.0} % of the measured peak",
            100.0 * best.share_of_peak
        ),
    };
    let mut faster = Vec::new();
    if of_first.clone().all(|speed| matches!(speed.precision, PrecisionArg::F32)) {
        faster.push("`--precision int8`".to_owned());
    }
    if of_first.clone().all(|speed| speed.threads < processors) {
        faster.push(format!("`--threads {processors}`"));
    }
    let has_dot_product = peaks.iter().any(|peak| peak.int8_gops >= WITH_DOT_PRODUCT * peak.f32_gflops);
    if !has_dot_product && best.share_of_peak >= MUCH {
        faster.push("a processor with a dot product of bytes (VNNI, or dotprod on ARM), for int8".to_owned());
    }
    if !faster.is_empty() {
        let _ = write!(text, "; faster may be {}", faster.join(", "));
    }
    Some(text)
}

fn on(threads: usize) -> String {
    format!(" on {threads} thread{}", if threads == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speed(precision: PrecisionArg, threads: usize, texts_per_second: f64, shares: [f64; 2]) -> Speed<'static> {
        let [share_of_peak, share_of_memory] = shares;
        Speed { model: "small", precision, threads, texts_per_second, share_of_peak, share_of_memory }
    }

    fn peaks(int8_gops: f64) -> [Peak; 1] {
        [Peak { threads: 1, f32_gflops: 100.0, int8_gops, memory_gb_per_s: 10.0 }]
    }

    #[test]
    fn what_is_at_its_peak_limits() {
        let floats = speed(PrecisionArg::F32, 1, 100.0, [0.9, 0.1]);
        let bytes = speed(PrecisionArg::Int8, 2, 310.0, [0.81, 0.1]);
        assert_eq!(
            sentence(&[floats, bytes], &peaks(160.0), 2).unwrap(),
            "small is fastest in int8 on 2 threads, 3.1 times f32 on 1 thread; arithmetic limits it, 81 % of the measured \
             peak; faster may be a processor with a dot product of bytes (VNNI, or dotprod on ARM), for int8"
        );
        assert_eq!(
            sentence(&[floats, bytes], &peaks(400.0), 2).unwrap(),
            "small is fastest in int8 on 2 threads, 3.1 times f32 on 1 thread; arithmetic limits it, 81 % of the measured peak"
        );
    }

    #[test]
    fn memory_and_what_lies_between_limit_too() {
        let large = speed(PrecisionArg::F32, 1, 100.0, [0.3, 0.8]);
        assert_eq!(
            sentence(&[large], &peaks(160.0), 4).unwrap(),
            "small is fastest in f32 on 1 thread; reading its weights from memory limits it, 80 % of the measured bandwidth \
             for one text; faster may be `--precision int8`, `--threads 4`"
        );
        let narrow = speed(PrecisionArg::Int8, 4, 100.0, [0.25, 0.1]);
        assert_eq!(
            sentence(&[narrow], &peaks(400.0), 4).unwrap(),
            "small is fastest in int8 on 4 threads; what lies between its products limits it, as they take 25 % of the \
             measured peak"
        );
        assert_eq!(sentence(&[], &peaks(400.0), 4), None);
    }

    #[test]
    fn other_models_do_not_count() {
        let other = Speed { model: "other", ..speed(PrecisionArg::Int8, 1, 900.0, [0.9, 0.1]) };
        let text = sentence(&[speed(PrecisionArg::F32, 1, 100.0, [0.9, 0.1]), other], &peaks(400.0), 1).unwrap();
        assert!(
            text.starts_with("small is fastest in f32") && text.ends_with("faster may be `--precision int8`"),
            "{text}"
        );
    }
}
