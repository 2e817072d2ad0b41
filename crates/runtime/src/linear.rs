//! A linear layer in the precision in which it is computed.

use attar_kernels::{
    Buffer, Cpu, Epilogue, PackedInt8, PackedMatrix, QuantizedRows, QuantizedRowsMut, Rows, RowsMut, quantize_rows,
};

/// Weights of a linear layer `[inputs, outputs]` and its bias, packed.
#[derive(Debug)]
pub(crate) enum PackedLinear {
    F32(PackedMatrix),
    Int8 {
        weight: PackedInt8,
        /// What each input is multiplied by before it is quantized, or nothing.
        factors: Buffer<f32>,
    },
}

/// Quantized activations, as wide as the widest layer: memory that is reused from call to call.
#[derive(Debug, Default)]
pub(crate) struct QuantizedBuffer {
    bytes: Buffer<u8>,
    scales: Buffer<f32>,
    offsets: Buffer<f32>,
}

impl QuantizedBuffer {
    /// Space for `rows` rows of `columns` columns, to be written, multiplied by these factors or by none.
    fn reserve<'a>(&'a mut self, cpu: Cpu, rows: usize, columns: usize, factors: &'a [f32]) -> QuantizedRowsMut<'a> {
        self.bytes.reserve(rows * QuantizedRows::stride(cpu, columns));
        self.scales.reserve(rows);
        self.offsets.reserve(rows);
        QuantizedRowsMut {
            bytes: &mut self.bytes,
            scales: &mut self.scales[..rows],
            offsets: &mut self.offsets[..rows],
            factors,
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

    /// Quantizes the input of a layer, `rows` rows, into the buffer, if that layer is computed in int8.
    pub(crate) fn quantize_for(&mut self, layer: &PackedLinear, input: Rows<'_, f32>, rows: usize) {
        if let PackedLinear::Int8 { weight, factors } = layer {
            let cpu = weight.cpu();
            quantize_rows(cpu, input, self.reserve(cpu, rows, weight.inputs(), factors));
        }
    }

    /// Space for the input of a layer, `rows` rows, if that layer is computed in int8.
    pub(crate) fn reserve_for<'a>(&'a mut self, layer: &'a PackedLinear, rows: usize) -> Option<QuantizedRowsMut<'a>> {
        match layer {
            PackedLinear::Int8 { weight, factors } => Some(self.reserve(weight.cpu(), rows, weight.inputs(), factors)),
            PackedLinear::F32(_) => None,
        }
    }
}

impl PackedLinear {
    /// Whether the layer is computed in int8, and so needs quantized activations.
    pub(crate) fn is_int8(&self) -> bool {
        matches!(self, PackedLinear::Int8 { .. })
    }

    /// Bytes of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            PackedLinear::F32(matrix) => matrix.bytes(),
            PackedLinear::Int8 { weight, factors } => weight.bytes() + size_of_val(&factors[..]),
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
            PackedLinear::F32(matrix) => matrix.apply(input, output, epilogue),
            PackedLinear::Int8 { weight, .. } => {
                weight.apply(quantized.rows(weight.cpu(), first, rows, weight.inputs()), output, epilogue);
            }
        }
    }
}
