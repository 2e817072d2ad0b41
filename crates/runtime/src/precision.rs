//! The precision of a model's linear layers.

use attar_model::ReadWeights;

/// The precision in which a model computes its linear layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// Int8: weights with a scale for each output, activations with a scale and an offset for each token, sums
    /// exact. Attention, normalizations and heads stay in 32-bit floats.
    ///
    /// The layers of a quantized bundle (`attar quantize`) are used as they are stored: those that it keeps in floats are
    /// computed in floats, and embedding tables of small integers stay quantized. Of any other bundle all layers are
    /// quantized while loading, tables are not.
    Int8,
}

impl Precision {
    /// What is read of a directory: nothing that is not needed.
    pub(crate) fn reads(self) -> ReadWeights {
        match self {
            Precision::F32 => ReadWeights::F32,
            Precision::Int8 => ReadWeights::QuantizedOrF32,
        }
    }
}
