//! Named parameters in a fixed order, as tensors on a device.
//!
//! The order is that of the model files (embeddings, layers, pooler, head), then whatever a stage
//! adds, such as projections. Sums over parameters, checkpoints and the optimizer all walk this
//! order, so that results do not depend on a hash.
//!
//! A linear layer's weight is kept as `[in, out]`, the transpose of the files' `[out, in]`: then
//! the gradient `xᵀ g` comes out of the matrix product as it lies. Query, key and value of a layer
//! are one parameter `[H, 3H]`, because they are one matrix product.

use attar_model::{Tensor as Stored, Weights};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::input::Input;
use crate::{Error, device};

/// How a parameter lies in memory compared with the tensors of a model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As in the file: tables of rows, vectors.
    Plain,
    /// A linear layer: `[in, out]` here, `[out, in]` in the file.
    Transposed,
}

/// A parameter without its value: what it is called and how it is made from file tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Name of the parameter; equals `parts[0]` unless it joins several.
    pub name: String,
    /// Names of the file tensors that it joins along the output dimension.
    pub parts: Vec<String>,
    /// Shape of the value: `[n]` or `[rows, columns]`.
    pub shape: Vec<usize>,
    /// Memory layout against the file's.
    pub storage: Storage,
    /// True for a table of which a pass reads the rows of its token ids and nothing else, so that all
    /// other rows have a gradient of zero.
    pub looked_up: bool,
}

impl Slot {
    /// A table `[rows, columns]` that is looked up by token id.
    pub fn lookup(name: impl Into<String>, rows: usize, columns: usize) -> Slot {
        Slot { looked_up: true, ..Slot::table(name, rows, columns) }
    }

    /// A table `[rows, columns]` kept as in the file.
    pub fn table(name: impl Into<String>, rows: usize, columns: usize) -> Slot {
        Slot::single(name.into(), vec![rows, columns], Storage::Plain)
    }

    /// A vector `[length]`.
    pub fn vector(name: impl Into<String>, length: usize) -> Slot {
        Slot::single(name.into(), vec![length], Storage::Plain)
    }

    /// The weight of a linear layer.
    pub fn linear(name: impl Into<String>, inputs: usize, outputs: usize) -> Slot {
        Slot::single(name.into(), vec![inputs, outputs], Storage::Transposed)
    }

    /// Joins several file tensors of equal shape into one parameter.
    pub fn joined(name: impl Into<String>, parts: Vec<String>, one: Slot) -> Slot {
        let mut shape = one.shape.clone();
        if let Some(outputs) = shape.last_mut() {
            *outputs *= parts.len();
        }
        Slot { name: name.into(), parts, shape, ..one }
    }

    /// True if weight decay applies: not to biases, those by distance included, and not to LayerNorm (BERT's rule, which
    /// looks for the word in the name).
    pub fn decays(&self) -> bool {
        !self.name.contains("bias") && !self.name.contains("LayerNorm")
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True for a parameter without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn single(name: String, shape: Vec<usize>, storage: Storage) -> Slot {
        Slot { parts: vec![name.clone()], name, shape, storage, looked_up: false }
    }

    /// Shape of each part in the file.
    fn part_shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if let Some(outputs) = shape.last_mut() {
            *outputs /= self.parts.len();
        }
        if self.storage == Storage::Transposed {
            shape.reverse();
        }
        shape
    }

    /// Joins the file tensors into the value.
    fn join(&self, parts: &[&Stored]) -> Vec<f32> {
        match self.storage {
            Storage::Plain => parts.iter().flat_map(|part| part.data.iter().copied()).collect(),
            Storage::Transposed => {
                let [inputs, outputs] = [self.shape[0], self.shape[1]];
                let width = outputs / parts.len();
                let mut value = vec![0.0; inputs * outputs];
                for (p, part) in parts.iter().enumerate() {
                    for (o, row) in part.data.chunks_exact(inputs).enumerate() {
                        for (i, &x) in row.iter().enumerate() {
                            value[i * outputs + p * width + o] = x;
                        }
                    }
                }
                value
            }
        }
    }

    /// Splits a value into the file tensors.
    fn split(&self, value: &[f32]) -> Vec<Stored> {
        let shape = self.part_shape();
        match self.storage {
            Storage::Plain => {
                let size = shape.iter().product::<usize>().max(1);
                value.chunks(size).map(|part| Stored { shape: shape.clone(), data: part.to_vec() }).collect()
            }
            Storage::Transposed => {
                let [outputs, inputs] = [self.shape[1], self.shape[0]];
                let width = outputs / self.parts.len();
                let column = |o: usize| (0..inputs).map(move |i| value[i * outputs + o]);
                let part = |p: usize| (p * width..(p + 1) * width).flat_map(column).collect();
                (0..self.parts.len()).map(|p| Stored { shape: shape.clone(), data: part(p) }).collect()
            }
        }
    }
}

/// The value of a parameter, or its gradient.
#[derive(Debug, Clone)]
pub enum Value {
    /// `[n]`
    Vector(Tensor<1>),
    /// `[rows, columns]`
    Matrix(Tensor<2>),
    /// Of a table `[V, H]`: the rows `[N, H]` that a batch looks up. Only among leaves.
    Rows(Tensor<2>),
}

impl Value {
    /// A value from numbers in row-major order.
    pub fn new(data: Vec<f32>, shape: &[usize], device: &Device) -> Value {
        match *shape {
            [n] => Value::Vector(Tensor::from_data(TensorData::new(data, [n]), device)),
            [rows, columns] => Value::Matrix(Tensor::from_data(TensorData::new(data, [rows, columns]), device)),
            _ => unreachable!("slots make vectors and matrices only"),
        }
    }

    /// The numbers in row-major order.
    ///
    /// # Errors
    /// If the device fails to hand them out.
    pub fn to_vec(&self) -> Result<Vec<f32>, Error> {
        let data = match self {
            Value::Vector(t) => t.try_to_vec_as::<f32>(),
            Value::Matrix(t) | Value::Rows(t) => t.try_to_vec_as::<f32>(),
        };
        data.map_err(Error::device)
    }

    /// A leaf of the autodiff graph with this value.
    fn leaf(&self) -> Value {
        match self {
            Value::Vector(t) => Value::Vector(t.clone().autodiff().require_grad()),
            Value::Matrix(t) => Value::Matrix(t.clone().autodiff().require_grad()),
            Value::Rows(t) => Value::Rows(t.clone().autodiff().require_grad()),
        }
    }
}

/// Values in the order of the slots that the caller walks.
///
/// The tensors of one forward pass: plain values for inference, leaves of the autodiff graph for
/// training.
#[derive(Debug, Clone)]
pub struct Values(Vec<Value>);

impl Values {
    /// Reads the values from the first one on.
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor(self.0.iter())
    }

    /// Reads the values from the `first`-th one on.
    pub fn cursor_at(&self, first: usize) -> Cursor<'_> {
        Cursor(self.0[first..].iter())
    }

    /// The values in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Value> {
        self.0.iter()
    }
}

/// Hands out [`Values`] one after the other, in the order in which the slots were declared.
#[derive(Debug)]
pub struct Cursor<'a>(std::slice::Iter<'a, Value>);

impl Cursor<'_> {
    /// The next value, a vector.
    ///
    /// # Panics
    /// If the caller does not follow the order of the slots.
    #[track_caller]
    pub fn vector(&mut self) -> Tensor<1> {
        match self.0.next() {
            Some(Value::Vector(t)) => t.clone(),
            other => panic!("expected a vector parameter, found {other:?}"),
        }
    }

    /// Rows of the next value, a table: `[V, H]` and ids `[N]` give `[N, H]`.
    ///
    /// Leaves that were made for a batch hold its rows already; `ids` must be that batch's.
    ///
    /// # Panics
    /// As [`Cursor::vector`].
    #[track_caller]
    pub fn look_up(&mut self, ids: &Tensor<1, Int>) -> Tensor<2> {
        match self.0.next() {
            Some(Value::Matrix(table)) => table.clone().select(0, ids.clone()),
            Some(Value::Rows(rows)) => rows.clone(),
            other => panic!("expected a table, found {other:?}"),
        }
    }

    /// The next value, a matrix.
    ///
    /// # Panics
    /// As [`Cursor::vector`].
    #[track_caller]
    pub fn matrix(&mut self) -> Tensor<2> {
        match self.0.next() {
            Some(Value::Matrix(t)) => t.clone(),
            other => panic!("expected a matrix parameter, found {other:?}"),
        }
    }
}

/// Parameters with their values on a device.
#[derive(Debug, Clone)]
pub struct Parameters {
    slots: Vec<Slot>,
    values: Vec<Value>,
    device: Device,
}

impl Parameters {
    /// No parameters.
    pub fn empty(device: &Device) -> Parameters {
        Parameters { slots: Vec::new(), values: Vec::new(), device: device.clone() }
    }

    /// Adds parameters whose file tensors are in `weights`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape than its slot says.
    pub fn load(&mut self, slots: Vec<Slot>, weights: &Weights) -> Result<(), Error> {
        for slot in slots {
            let expected = slot.part_shape();
            let mut parts = Vec::with_capacity(slot.parts.len());
            for name in &slot.parts {
                let tensor = weights
                    .get(name)
                    .ok_or_else(|| Error::MissingTensor { name: name.clone(), expected: expected.clone() })?;
                if tensor.shape != expected {
                    let (expected, got) = (expected.clone(), tensor.shape.clone());
                    return Err(Error::TensorShape { name: name.clone(), expected, got });
                }
                parts.push(tensor);
            }
            let value = Value::new(slot.join(&parts), &slot.shape, &self.device);
            self.slots.push(slot);
            self.values.push(value);
        }
        Ok(())
    }

    /// The file tensors of all parameters, in order.
    ///
    /// # Errors
    /// If the device fails to hand out a value.
    pub fn weights(&self) -> Result<Weights, Error> {
        let mut weights = Weights::new();
        for (slot, value) in self.slots.iter().zip(&self.values) {
            for (name, tensor) in slot.parts.iter().zip(slot.split(&value.to_vec()?)) {
                weights.insert(name.clone(), tensor);
            }
        }
        Ok(weights)
    }

    /// Splits values that belong to these slots, such as gradients, into file tensors.
    ///
    /// # Errors
    /// If the device fails to hand out a value.
    pub fn split(&self, values: &[Value]) -> Result<Weights, Error> {
        let other = Parameters { slots: self.slots.clone(), values: values.to_vec(), device: self.device.clone() };
        other.weights()
    }

    /// The slots in order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The values as they are, for a pass without gradients.
    pub fn values(&self) -> Values {
        Values(self.values.clone())
    }

    /// The values as leaves of a new autodiff graph, for a pass over `input` with gradients.
    ///
    /// On the CPU a table that is looked up enters the graph as the rows of the input: its gradient
    /// is then `[N, H]` and not a mostly empty `[V, H]`, the largest array of a step.
    pub fn leaves(&self, input: &Input) -> Values {
        let few = device::is_flex(&self.device);
        let leaf = |(slot, value): (&Slot, &Value)| match value {
            Value::Matrix(table) if slot.looked_up && few => {
                Value::Rows(table.clone().select(0, input.ids.clone())).leaf()
            }
            value => value.leaf(),
        };
        Values(self.slots.iter().zip(&self.values).map(leaf).collect())
    }

    /// The values, to be changed by the optimizer.
    pub fn values_mut(&mut self) -> &mut [Value] {
        &mut self.values
    }

    /// The device that holds the values.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Total number of elements.
    pub fn elements(&self) -> usize {
        self.slots.iter().map(Slot::len).sum()
    }
}
