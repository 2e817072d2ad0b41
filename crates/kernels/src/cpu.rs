//! The vector instructions of this processor, as a token that proves their presence.

use std::fmt;

use crate::isa::Isa;
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown", target_feature = "simd128")))]
use crate::isa::scalar::Scalar as PlainLoops;
// A module that is downloaded holds every kernel once, and [`Cpu::all`] has no plain loops there.
#[cfg(all(target_arch = "wasm32", target_os = "unknown", target_feature = "simd128"))]
use crate::isa::simd128::Simd128 as PlainLoops;

/// A set of vector instructions that the running processor has.
///
/// Holding one is proof: it can only be obtained by detection, so that kernels need no further check.
/// [`Cpu::detect`] returns the fastest, [`Cpu::all`] every one, so that tests run each kernel on each of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cpu {
    level: Level,
}

/// The instruction sets, slowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// No explicit vector instructions: plain loops, as the compiler vectorizes them.
    Scalar,
    /// AVX2 and FMA: 8 lanes, 16 registers.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// With the 256-bit integer dot product (AVX-VNNI).
    #[cfg(target_arch = "x86_64")]
    Avx2Vnni,
    /// AVX-512 F, BW, DQ and VL: 16 lanes, 32 registers.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// With the 512-bit integer dot product (AVX-512 VNNI).
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// Advanced SIMD: 4 lanes, 32 registers.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// With the integer dot product of ARMv8.2.
    #[cfg(target_arch = "aarch64")]
    NeonDot,
    /// With the product of matrices of bytes of ARMv8.6 (`i8mm`).
    #[cfg(target_arch = "aarch64")]
    NeonI8mm,
    /// WebAssembly's fixed-width SIMD: 4 lanes. Chosen when the module is compiled, as a module with it
    /// does not load where it is missing.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128,
}

/// Work that is written once for all instruction sets.
pub(crate) trait Kernel {
    /// The result.
    type Output;
    /// Runs on one instruction set; to be marked `#[inline(always)]`, so that it is compiled for that set.
    fn run<I: Isa>(self, isa: I) -> Self::Output;
}

impl Cpu {
    /// The fastest instruction set of this processor.
    pub fn detect() -> Cpu {
        use std::sync::OnceLock;
        static BEST: OnceLock<Cpu> = OnceLock::new();
        *BEST.get_or_init(|| Cpu::all().pop().unwrap_or(Cpu { level: Level::Scalar }))
    }

    /// Every instruction set that this processor can run, slowest first.
    pub fn all() -> Vec<Cpu> {
        available().into_iter().map(|level| Cpu { level }).collect()
    }

    /// The token of one instruction set, if this processor has it.
    pub fn with(level: Level) -> Option<Cpu> {
        Cpu::all().into_iter().find(|cpu| cpu.level == level)
    }

    /// Which instruction set it is.
    pub fn level(self) -> Level {
        self.level
    }

    /// Its name, as in `avx512-vnni`.
    pub fn name(self) -> &'static str {
        match self.level {
            Level::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2Vnni => "avx2-vnni",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            Level::NeonDot => "neon-dot",
            #[cfg(target_arch = "aarch64")]
            Level::NeonI8mm => "neon-i8mm",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Level::Simd128 => "simd128",
        }
    }

    /// Runs a kernel without integer operations, compiled for this instruction set. Sets that differ only in their integer
    /// product share the compiled code; on x86-64 a kernel that uses `Isa::INTEGER_BYTES` does not compile here.
    // SAFETY of all arms: a token of a level exists only where the processor has its instructions.
    #[cfg_attr(
        any(target_arch = "x86_64", target_arch = "aarch64"),
        expect(clippy::undocumented_unsafe_blocks, reason = "the comment above covers all arms")
    )]
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.level {
            Level::Scalar => kernel.run(PlainLoops),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 | Level::Avx2Vnni => unsafe { crate::isa::avx2::enter(kernel) },
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 | Level::Avx512Vnni => unsafe { crate::isa::avx512::enter(kernel) },
            #[cfg(target_arch = "aarch64")]
            Level::Neon | Level::NeonDot | Level::NeonI8mm => unsafe { crate::isa::neon::enter(kernel) },
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Level::Simd128 => kernel.run(crate::isa::simd128::Simd128),
        }
    }

    /// Runs a kernel that computes with integers, compiled for this instruction set.
    // SAFETY of all arms: as of `run`.
    #[cfg_attr(
        any(target_arch = "x86_64", target_arch = "aarch64"),
        expect(clippy::undocumented_unsafe_blocks, reason = "the comment above covers all arms")
    )]
    #[inline]
    pub(crate) fn run_integers<K: Kernel>(self, kernel: K) -> K::Output {
        match self.level {
            Level::Scalar => kernel.run(PlainLoops),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { crate::isa::avx2::enter_madd(kernel) },
            #[cfg(target_arch = "x86_64")]
            Level::Avx2Vnni => unsafe { crate::isa::avx2::enter_vnni(kernel) },
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { crate::isa::avx512::enter_madd(kernel) },
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni => unsafe { crate::isa::avx512::enter_vnni(kernel) },
            #[cfg(target_arch = "aarch64")]
            Level::Neon => unsafe { crate::isa::neon::enter(kernel) },
            #[cfg(target_arch = "aarch64")]
            Level::NeonDot => unsafe { crate::isa::neon::enter_dot(kernel) },
            #[cfg(target_arch = "aarch64")]
            Level::NeonI8mm => unsafe { crate::isa::neon::enter_matrices(kernel) },
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Level::Simd128 => kernel.run(crate::isa::simd128::Simd128),
        }
    }
}

impl fmt::Debug for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Slowest first.
fn available() -> Vec<Level> {
    let is_download = cfg!(all(target_arch = "wasm32", target_os = "unknown", target_feature = "simd128"));
    std::iter::once((Level::Scalar, !is_download))
        .chain(vectors())
        .filter_map(|(level, has)| has.then_some(level))
        .collect()
}

/// Levels with vector instructions, and whether the processor has them.
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn vectors() -> [(Level, bool); 4] {
    let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let has_avx512 = has_avx2
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    [
        (Level::Avx2, has_avx2),
        (Level::Avx2Vnni, has_avx2 && is_x86_feature_detected!("avxvnni")),
        (Level::Avx512, has_avx512),
        (Level::Avx512Vnni, has_avx512 && is_x86_feature_detected!("avx512vnni")),
    ]
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
fn vectors() -> [(Level, bool); 3] {
    let has_neon = std::arch::is_aarch64_feature_detected!("neon");
    [
        (Level::Neon, has_neon),
        (Level::NeonDot, has_neon && std::arch::is_aarch64_feature_detected!("dotprod")),
        (Level::NeonI8mm, has_neon && std::arch::is_aarch64_feature_detected!("i8mm")),
    ]
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn vectors() -> [(Level, bool); 1] {
    [(Level::Simd128, true)]
}

/// Miri, which checks every memory access, does not know vector instructions.
#[cfg(not(any(
    all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)),
    all(target_arch = "wasm32", target_feature = "simd128")
)))]
fn vectors() -> [(Level, bool); 0] {
    []
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_loops_come_first_and_the_best_last() {
        let all = Cpu::all();
        assert_eq!(all[0].level(), Level::Scalar);
        assert!(all.is_sorted_by_key(|cpu| cpu.level()));
        assert_eq!(all.last(), Some(&Cpu::detect()));
        for cpu in all {
            assert_eq!(Cpu::with(cpu.level()), Some(cpu));
        }
    }
}
