//! How a tensor can be stored.

use crate::relative_positions::RELATIVE_BIAS;

/// How a tensor is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Storage {
    /// 32-bit floats.
    F32,
    /// Floats rounded to 16 bits.
    F16,
    /// 8-bit integers with a scale a row: matrices only.
    Int8,
    /// 4-bit integers with a scale a row or a group of columns: embedding tables only.
    Int4(Int4Group),
}

impl Storage {
    /// The usual choice: every matrix (embedding tables, weights of dense layers) as int8, biases and layer
    /// normalizations as f32.
    pub fn int8_matrices(canonical: &str) -> Self {
        if is_matrix(canonical) { Storage::Int8 } else { Storage::F32 }
    }

    /// What to use instead, if a tensor cannot be stored like this.
    pub(super) fn refusal(self, canonical: &str) -> Option<&'static str> {
        match self {
            Storage::Int8 if !is_matrix(canonical) => Some("integers are for matrices, use f32 or f16"),
            Storage::Int4(_) if !is_embedding_table(canonical) => Some("int4 is for embedding tables, use int8"),
            _ => None,
        }
    }
}

impl std::fmt::Display for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Storage::F32 => "f32",
            Storage::F16 => "f16",
            Storage::Int8 => "int8",
            Storage::Int4(Int4Group::Row) => "int4",
            Storage::Int4(Int4Group::Columns32) => "int4 in groups of 32",
            Storage::Int4(Int4Group::Columns64) => "int4 in groups of 64",
        })
    }
}

/// Which columns of a row share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Int4Group {
    /// All of them.
    Row,
    /// Each 32 from the first; the last group may be shorter.
    Columns32,
    /// Each 64 from the first; the last group may be shorter.
    Columns64,
}

impl Int4Group {
    /// The same for rows of that width: a group as wide as a row is the row.
    pub(super) fn within(self, columns: usize) -> Self {
        match self {
            Int4Group::Columns32 if columns > 32 => Int4Group::Columns32,
            Int4Group::Columns64 if columns > 64 => Int4Group::Columns64,
            _ => Int4Group::Row,
        }
    }

    /// Columns of a group in rows of that width; at least 1, so that rows can be cut by it.
    pub(super) fn width(self, columns: usize) -> usize {
        match self.within(columns) {
            Int4Group::Row => columns.max(1),
            Int4Group::Columns32 => 32,
            Int4Group::Columns64 => 64,
        }
    }

    /// Scales of a row of that width.
    pub(super) fn per_row(self, columns: usize) -> usize {
        columns.div_ceil(self.width(columns)).max(1)
    }
}

/// Whether a tensor is an embedding table or the weight of a dense layer.
pub(super) fn is_matrix(canonical: &str) -> bool {
    // Biases by distance are few, and are added to attention scores as they are.
    canonical.ends_with(".weight") && !canonical.contains("LayerNorm") && canonical != RELATIVE_BIAS
}

/// Whether a tensor is looked up by rows.
pub(super) fn is_embedding_table(canonical: &str) -> bool {
    canonical.starts_with("embeddings.") && canonical.ends_with("_embeddings.weight")
}
