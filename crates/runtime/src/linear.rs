//! A linear layer in the precision in which it is kept.

use attar_kernels::{
    Buffer, Bytes, Cpu, Finish, PackedBytes, PackedMatrix, QuantisedRows, Rows, RowsMut, quantise_rows,
};

/// Weights of a linear layer `[inputs, outputs]` and its bias, packed.
#[derive(Debug)]
pub(crate) enum Linear {
    Float(PackedMatrix),
    Bytes(PackedBytes),
}

/// Activations as bytes, rows of the widest layer: memory that is kept from call to call.
#[derive(Debug, Default)]
pub(crate) struct ByteRows {
    bytes: Buffer<u8>,
    scales: Buffer<f32>,
    offsets: Buffer<f32>,
}

impl ByteRows {
    /// Room for `rows` rows of `columns` columns, to be written.
    pub(crate) fn room(&mut self, rows: usize, columns: usize) -> Bytes<'_> {
        self.bytes.reserve(rows * QuantisedRows::stride(columns));
        self.scales.reserve(rows);
        self.offsets.reserve(rows);
        Bytes { bytes: &mut self.bytes, scales: &mut self.scales[..rows], offsets: &mut self.offsets[..rows] }
    }

    /// What was written: rows `first..first + rows`.
    pub(crate) fn rows(&self, first: usize, rows: usize, columns: usize) -> QuantisedRows<'_> {
        let stride = QuantisedRows::stride(columns);
        let range = first..first + rows;
        QuantisedRows::new(&self.bytes[first * stride..], columns, &self.scales[range.clone()], &self.offsets[range])
    }

    pub(crate) fn fill(&mut self, cpu: Cpu, input: Rows<'_, f32>, rows: usize, columns: usize) {
        let Bytes { bytes, scales, offsets } = self.room(rows, columns);
        quantise_rows(cpu, input, bytes, scales, offsets);
    }
}

impl Linear {
    pub(crate) fn takes_bytes(&self) -> bool {
        matches!(self, Linear::Bytes(_))
    }

    /// Bytes of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Linear::Float(matrix) => matrix.bytes(),
            Linear::Bytes(matrix) => matrix.bytes(),
        }
    }

    /// Multiplies rows `first..` of an activation that is at hand as floats and, if the layer takes bytes, as bytes.
    pub(crate) fn apply(
        &self,
        input: Rows<'_, f32>,
        bytes: &ByteRows,
        first: usize,
        rows: usize,
        output: RowsMut<'_, f32>,
        finish: Finish,
    ) {
        match self {
            Linear::Float(matrix) => matrix.apply(input, output, finish),
            Linear::Bytes(matrix) => matrix.apply(bytes.rows(first, rows, matrix.inputs()), output, finish),
        }
    }
}
