//! The few names a pickle of weights may ask for. A name is an enum here, never code.

use super::error::TorchError;
use crate::stored::ElementType;

/// A function or class of Python that attar knows the meaning of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    /// `collections.OrderedDict`: a dictionary.
    OrderedDict,
    /// `torch.Size`: a tuple.
    Size,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: a view of a storage.
    Tensor,
    /// `torch._utils._rebuild_parameter` and `_rebuild_parameter_with_state`: the tensor inside.
    Parameter,
    /// `torch.FloatStorage` and its like: the type of a storage.
    Storage(ElementType),
}

impl Global {
    pub(super) fn of(module: &str, name: &str) -> Result<Self, TorchError> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch", "Size") => Global::Size,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::Tensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Global::Parameter,
            ("torch", "DoubleStorage") => Global::Storage(ElementType::F64),
            ("torch", "FloatStorage") => Global::Storage(ElementType::F32),
            ("torch", "HalfStorage") => Global::Storage(ElementType::F16),
            ("torch", "BFloat16Storage") => Global::Storage(ElementType::Bf16),
            ("torch", "LongStorage") => Global::Storage(ElementType::I64),
            ("torch", "IntStorage") => Global::Storage(ElementType::I32),
            ("torch", "ShortStorage") => Global::Storage(ElementType::I16),
            ("torch", "CharStorage") => Global::Storage(ElementType::I8),
            ("torch", "ByteStorage") => Global::Storage(ElementType::U8),
            ("torch", "BoolStorage") => Global::Storage(ElementType::Bool),
            _ => {
                let short = |text: &str| text.chars().take(80).collect();
                return Err(TorchError::Global { module: short(module), name: short(name) });
            }
        })
    }
}
