//! A linear layer in the precision in which it is computed.

use attar_kernels::{
    Buffer, Cpu, Epilogue, PackedInt8, PackedMatrix, QuantizedRows, QuantizedRowsMut, Rows, RowsMut, quantize_rows,
};

/// Weights of a linear layer `[inputs, outputs]` and its bias, packed.
#[derive(Debug)]
pub(crate) enum Linear {
    F32(PackedMatrix),
    Int8(PackedInt8),
}

/// Quantized activations, as wide as the widest layer: memory that is reused from call to call.
#[derive(Debug, Default)]
pub(crate) struct QuantizedBuffer {
    bytes: Buffer<u8>,
    scales: Buffer<f32>,
    offsets: Buffer<f32>,
}

impl QuantizedBuffer {
    /// Space for `rows` rows of `columns` columns, to be written.
    pub(crate) fn reserve(&mut self, cpu: Cpu, rows: usize, columns: usize) -> QuantizedRowsMut<'_> {
        self.bytes.reserve(rows * QuantizedRows::stride(cpu, columns));
        self.scales.reserve(rows);
        self.offsets.reserve(rows);
        QuantizedRowsMut {
            bytes: &mut self.bytes,
            scales: &mut self.scales[..rows],
            offsets: &mut self.offsets[..rows],
        }
    }

    /// Rows `first..first + rows` of what was written.
    pub(crate) fn rows(&self, cpu: Cpu, first: usize, rows: usize, columns: usize) -> QuantizedRows<'_> {
        let stride = QuantizedRows::stride(cpu, columns);
        let range = first..first + rows;
        QuantizedRows::new(
            cpu,
            &self.bytes[first * stride..],
            columns,
            &self.scales[range.clone()],
            &self.offsets[range],
        )
    }

    /// Quantizes `rows` rows into the buffer.
    pub(crate) fn quantize(&mut self, cpu: Cpu, input: Rows<'_, f32>, rows: usize, columns: usize) {
        let QuantizedRowsMut { bytes, scales, offsets } = self.reserve(cpu, rows, columns);
        quantize_rows(cpu, input, bytes, scales, offsets);
    }
}

impl Linear {
    /// Whether the layer is computed in int8, and so needs quantized activations.
    pub(crate) fn is_int8(&self) -> bool {
        matches!(self, Linear::Int8(_))
    }

    /// Bytes of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Linear::F32(matrix) => matrix.bytes(),
            Linear::Int8(matrix) => matrix.bytes(),
        }
    }

    /// Multiplies rows `first..` of an activation, which is given in floats and, for an int8 layer, quantized.
    pub(crate) fn apply(
        &self,
        input: Rows<'_, f32>,
        quantized: &QuantizedBuffer,
        first: usize,
        rows: usize,
        output: RowsMut<'_, f32>,
        epilogue: Epilogue,
    ) {
        match self {
            Linear::F32(matrix) => matrix.apply(input, output, epilogue),
            Linear::Int8(matrix) => {
                matrix.apply(quantized.rows(matrix.cpu(), first, rows, matrix.inputs()), output, epilogue);
            }
        }
    }
}
