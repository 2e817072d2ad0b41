//! Quantized weights to bytes and back.

use std::borrow::Cow;
use std::io::{Read, Seek};
use std::path::Path;

use half::f16;
use indexmap::IndexMap;

use super::error::QuantizedError;
use super::int4::Int4Matrix;
use super::int8::Int8Matrix;
use super::layout::{FORMAT, Field, VERSIONS, column_scale_name, file_tensors, header, int4_scale_shape, scale_name};
use super::storage::{Int4Group, Storage, is_embedding_table, is_matrix};
use super::{QuantizedTensor, QuantizedWeights};
use crate::config::EncoderConfig;
use crate::error::Error;
use crate::family_names::family_name;
use crate::files::ModelFiles;
use crate::finite::check_finite;
use crate::names::expected_shapes;
use crate::sorting::sort_by;
use crate::stored::{ElementType, StoredTensor};
use crate::tensor_stream::TensorStream;
use crate::weights::Tensor;

impl QuantizedWeights {
    /// The bytes of the file: always the same for the same weights, in length
    /// [`file_length`](super::file_length) where no columns have scales.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn to_bytes(&self, config: &EncoderConfig) -> Result<Vec<u8>, QuantizedError> {
        self.check(config)?;
        let tensors: Vec<&QuantizedTensor> =
            expected_shapes(config).iter().filter_map(|(name, _)| self.get(name)).collect();
        let storage = |name: &str| self.get(name).map_or(Storage::F32, QuantizedTensor::storage);
        let has_column_scales = |name: &str| self.int8(name).is_some_and(|matrix| !matrix.column_scales().is_empty());
        let file_tensors = file_tensors(config, storage, has_column_scales);
        let mut bytes = header(&file_tensors, self.source());
        for stored in &file_tensors {
            bytes.extend_from_slice(&match stored.field {
                Field::Values => value_bytes(tensors[stored.model_tensor]),
                Field::Scales => scale_bytes(tensors[stored.model_tensor]),
                Field::ColumnScales => column_scale_bytes(tensors[stored.model_tensor]),
            });
        }
        Ok(bytes)
    }

    /// Reads the file of a model of that configuration.
    ///
    /// Only a block of the file is in memory beside the weights. Nothing is allocated before names, types and shapes
    /// are known to be right.
    ///
    /// # Errors
    /// [`Error::Quantized`] naming what is wrong with the contents, [`Error::Safetensors`] if the file is broken, or
    /// as reading files can fail.
    pub fn read(path: &Path, config: &EncoderConfig) -> Result<Self, Error> {
        Self::read_from(&ModelFiles::folder(Path::new("")), path, config)
    }

    pub(crate) fn read_from(files: &ModelFiles<'_>, path: &Path, config: &EncoderConfig) -> Result<Self, Error> {
        match TensorStream::open(files, path)? {
            Some(stream) => read(stream, config),
            None => Err(Error::Quantized { path: path.into(), source: QuantizedError::Format { got: None }.into() }),
        }
    }

    /// As [`read`](Self::read), for bytes that are in memory; the path is for errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_bytes(path: &Path, bytes: &[u8], config: &EncoderConfig) -> Result<Self, Error> {
        read(TensorStream::from_bytes(path, bytes)?, config)
    }
}

/// The numbers of a tensor, as they are stored.
pub(super) fn value_bytes(tensor: &QuantizedTensor) -> Cow<'_, [u8]> {
    match tensor {
        QuantizedTensor::F32(tensor) => float_bytes(&tensor.data),
        QuantizedTensor::F16(tensor) => half_bytes(&tensor.data),
        QuantizedTensor::Int8(matrix) => matrix.values().iter().map(|&value| value.cast_unsigned()).collect(),
        QuantizedTensor::Int4(matrix) => Cow::Borrowed(matrix.packed()),
    }
}

/// The scales of a tensor, as they are stored.
pub(super) fn scale_bytes(tensor: &QuantizedTensor) -> Cow<'_, [u8]> {
    match tensor {
        QuantizedTensor::F32(_) | QuantizedTensor::F16(_) => Cow::Borrowed(&[]),
        QuantizedTensor::Int8(matrix) => float_bytes(matrix.scales()),
        QuantizedTensor::Int4(matrix) => float_bytes(matrix.scales()),
    }
}

/// The scales of a tensor's columns, as they are stored: nothing if there are none.
pub(super) fn column_scale_bytes(tensor: &QuantizedTensor) -> Cow<'_, [u8]> {
    match tensor {
        QuantizedTensor::Int8(matrix) => half_bytes(matrix.column_scales()),
        _ => Cow::Borrowed(&[]),
    }
}

fn half_bytes(numbers: &[f32]) -> Cow<'static, [u8]> {
    numbers.iter().flat_map(|&number| f16::from_f32(number).to_le_bytes()).collect()
}

fn float_bytes(numbers: &[f32]) -> Cow<'static, [u8]> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn read<R: Read + Seek>(mut stream: TensorStream<R>, config: &EncoderConfig) -> Result<QuantizedWeights, Error> {
    let path = stream.path().to_path_buf();
    let wrong = |source: QuantizedError| Error::Quantized { path: path.clone(), source: source.into() };
    let source = read_metadata(&stream).map_err(wrong)?;
    let plans = plan_tensors(&stream, config).map_err(wrong)?;

    // In the order of the file, which is the fastest to read.
    let mut pieces: Vec<(usize, Field, &StoredTensor)> = Vec::with_capacity(2 * plans.len());
    for (at, plan) in plans.iter().enumerate() {
        pieces.push((at, Field::Values, &plan.values));
        pieces.extend(plan.scales.as_ref().map(|scales| (at, Field::Scales, scales)));
        pieces.extend(plan.column_scales.as_ref().map(|scales| (at, Field::ColumnScales, scales)));
    }
    sort_by(&mut pieces, |(.., left), (.., right)| left.start().cmp(&right.start()));
    let mut values: Vec<Values> = plans.iter().map(|_| Values::Floats(Vec::new())).collect();
    let [mut scales, mut column_scales] = [(); 2].map(|()| vec![Vec::new(); plans.len()]);
    for (at, field, stored) in pieces {
        match (field, stored.element_type()) {
            (Field::Scales, _) => scales[at] = stream.floats(stored)?.unwrap_or_default(),
            (Field::ColumnScales, _) => column_scales[at] = stream.floats(stored)?.unwrap_or_default(),
            (Field::Values, ElementType::I8) => values[at] = Values::Int8(stream.bytes(stored, u8::cast_signed)?),
            (Field::Values, ElementType::U8) => values[at] = Values::Int4(stream.bytes(stored, |byte| byte)?),
            (Field::Values, _) => values[at] = Values::Floats(stream.floats(stored)?.unwrap_or_default()),
        }
    }

    let mut tensors = IndexMap::with_capacity(plans.len());
    for (((plan, values), scales), column_scales) in plans.into_iter().zip(values).zip(scales).zip(column_scales) {
        let damaged = |source| wrong(QuantizedError::Matrix { tensor: plan.name.clone(), source });
        let tensor = match values {
            Values::Floats(data) => {
                let tensor = Tensor { shape: plan.shape, data };
                check_finite(&path, &plan.name, &tensor.data)?;
                let is_half = plan.values.element_type() == ElementType::F16;
                if is_half { QuantizedTensor::F16(tensor) } else { QuantizedTensor::F32(tensor) }
            }
            // Both are planned for matrices only.
            Values::Int8(values) => {
                let matrix = Int8Matrix::new(plan.shape[0], plan.shape[1], values, scales);
                let matrix = matrix.and_then(|matrix| matrix.with_column_scales(column_scales));
                QuantizedTensor::Int8(matrix.map_err(damaged)?)
            }
            Values::Int4(packed) => QuantizedTensor::Int4(
                Int4Matrix::new(plan.shape[0], plan.shape[1], plan.group, packed, scales).map_err(damaged)?,
            ),
        };
        tensors.insert(plan.canonical, tensor);
    }
    Ok(QuantizedWeights { source, tensors })
}

enum Values {
    Floats(Vec<f32>),
    Int8(Vec<i8>),
    Int4(Vec<u8>),
}

/// Checks what kind of file it is and returns its source.
fn read_metadata<R: Read + Seek>(stream: &TensorStream<R>) -> Result<String, QuantizedError> {
    let text = |key: &str| stream.metadata(key);
    // Quotes in errors are truncated: the file may hold anything.
    let quoted = |text: Option<&str>| text.map(|text| text.chars().take(60).collect());
    if text("format") != Some(FORMAT) {
        return Err(QuantizedError::Format { got: quoted(text("format")) });
    }
    if !text("version").is_some_and(|version| VERSIONS.contains(&version)) {
        return Err(QuantizedError::Version { got: quoted(text("version")) });
    }
    let is_hash = |text: &&str| text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match text("source").filter(is_hash) {
        Some(source) => Ok(source.into()),
        None => Err(QuantizedError::Source { got: quoted(text("source")) }),
    }
}

/// A tensor that is going to be read.
struct PlannedTensor {
    canonical: String,
    /// Its name in the file.
    name: String,
    /// Its shape by the configuration.
    shape: Vec<usize>,
    values: StoredTensor,
    scales: Option<StoredTensor>,
    column_scales: Option<StoredTensor>,
    group: Int4Group,
}

impl PlannedTensor {
    /// Tensors of the file that it consists of.
    fn pieces(&self) -> usize {
        1 + usize::from(self.scales.is_some()) + usize::from(self.column_scales.is_some())
    }

    /// Whether a tensor of the file belongs to it.
    fn has_piece(&self, name: &str) -> bool {
        name == self.name
            || self.scales.is_some() && name == scale_name(&self.name)
            || self.column_scales.is_some() && name == column_scale_name(&self.name)
    }
}

/// Finds all tensors and checks their types and shapes.
fn plan_tensors<R: Read + Seek>(
    stream: &TensorStream<R>,
    config: &EncoderConfig,
) -> Result<Vec<PlannedTensor>, QuantizedError> {
    let mut plans = Vec::new();
    for (canonical, shape) in expected_shapes(config) {
        let name = family_name(config, &canonical);
        let Some(values) = stream.tensor(&name).cloned() else {
            return Err(QuantizedError::Missing { tensor: name, expected: shape });
        };
        let element = values.element_type();
        let stored_shape = match element {
            ElementType::F32 | ElementType::F16 => shape.clone(),
            ElementType::I8 if is_matrix(&canonical) => shape.clone(),
            ElementType::U8 if is_embedding_table(&canonical) => vec![shape[0], shape[1].div_ceil(2)],
            other => {
                let expected = match (is_embedding_table(&canonical), is_matrix(&canonical)) {
                    (true, _) => "f32, f16, i8 or u8",
                    (false, true) => "f32, f16 or i8",
                    (false, false) => "f32 or f16",
                };
                return Err(QuantizedError::Element { tensor: name, expected, got: other.name() });
            }
        };
        if values.shape() != stored_shape {
            let got = values.shape().to_vec();
            return Err(QuantizedError::Shape { tensor: name, expected: stored_shape, got });
        }
        let (scales, group) = match element {
            ElementType::I8 => plan_scales(stream, &name, &shape, &[Int4Group::Row])?,
            ElementType::U8 => {
                plan_scales(stream, &name, &shape, &[Int4Group::Row, Int4Group::Columns32, Int4Group::Columns64])?
            }
            _ => (None, Int4Group::Row),
        };
        let has_columns = element == ElementType::I8 && !is_embedding_table(&canonical);
        let column_scales = if has_columns { plan_column_scales(stream, &name, shape[1])? } else { None };
        plans.push(PlannedTensor { canonical, name, shape, values, scales, column_scales, group });
    }
    if let Some(plan) = plans.iter().find(|plan| plan.column_scales.is_some())
        && stream.metadata("version") == Some(VERSIONS[0])
    {
        return Err(QuantizedError::Unexpected { tensor: column_scale_name(&plan.name) });
    }
    if stream.tensors().len() > plans.iter().map(PlannedTensor::pieces).sum() {
        let is_known = |name: &str| plans.iter().any(|plan| plan.has_piece(name));
        if let Some((name, _)) = stream.tensors().iter().find(|(name, _)| !is_known(name)) {
            return Err(QuantizedError::Unexpected { tensor: name.chars().take(200).collect() });
        }
    }
    Ok(plans)
}

/// Finds the scales of the columns of a matrix, if they have some.
fn plan_column_scales<R: Read + Seek>(
    stream: &TensorStream<R>,
    name: &str,
    columns: usize,
) -> Result<Option<StoredTensor>, QuantizedError> {
    let tensor = column_scale_name(name);
    let Some(scales) = stream.tensor(&tensor).cloned() else { return Ok(None) };
    if scales.element_type() != ElementType::F16 {
        return Err(QuantizedError::Element { tensor, expected: "f16", got: scales.element_type().name() });
    }
    if scales.shape() != [columns] {
        return Err(QuantizedError::Shape { tensor, expected: vec![columns], got: scales.shape().to_vec() });
    }
    Ok(Some(scales))
}

/// Finds the scales of a matrix and which columns share one.
fn plan_scales<R: Read + Seek>(
    stream: &TensorStream<R>,
    name: &str,
    shape: &[usize],
    groups: &[Int4Group],
) -> Result<(Option<StoredTensor>, Int4Group), QuantizedError> {
    let Some(scales) = stream.tensor(&scale_name(name)).cloned() else {
        return Err(QuantizedError::NoScales { tensor: name.into() });
    };
    if scales.element_type() != ElementType::F32 {
        let (tensor, got) = (scale_name(name), scales.element_type().name());
        return Err(QuantizedError::Element { tensor, expected: "f32", got });
    }
    let shape_of = |group: Int4Group| int4_scale_shape(shape[0], shape[1], group);
    match groups.iter().find(|&&group| shape_of(group) == scales.shape()) {
        Some(&group) => Ok((Some(scales), group)),
        None => {
            let mut expected: Vec<String> = groups.iter().map(|&group| format!("{:?}", shape_of(group))).collect();
            // Groups as wide as a row are equivalent to the row.
            sort_by(&mut expected, Ord::cmp);
            expected.dedup();
            let (tensor, got) = (name.into(), scales.shape().to_vec());
            Err(QuantizedError::ScaleShape { tensor, expected: expected.join(" or "), got })
        }
    }
}
