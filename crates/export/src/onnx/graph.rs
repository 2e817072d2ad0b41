//! A graph while it is made: nodes in the order in which they are computed, constants, inputs and outputs.

use std::collections::BTreeSet;

use super::proto::{
    AttributeProto, DimensionProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto, attribute_type, data_type,
};

/// A graph with unique names.
#[derive(Debug)]
pub(crate) struct Graph {
    proto: GraphProto,
    taken: BTreeSet<String>,
    /// The version of the operators.
    pub(crate) opset: i64,
}

/// A dimension of an input or output.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dimension {
    /// Known when the model runs.
    Named(&'static str),
    Fixed(usize),
}

/// An attribute of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Attribute<'a> {
    Float(&'static str, f32),
    Integer(&'static str, i64),
    Integers(&'static str, &'a [i64]),
}

impl Graph {
    pub(crate) fn new(name: &str, opset: i64) -> Graph {
        let proto = GraphProto { name: Some(name.into()), ..GraphProto::default() };
        Graph { proto, taken: BTreeSet::new(), opset }
    }

    pub(crate) fn finish(self) -> GraphProto {
        self.proto
    }

    /// Whether there is a value of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.taken.contains(name)
    }

    /// Adds an operation with one output of this name, and returns the name.
    pub(crate) fn apply(&mut self, operation: &str, inputs: &[&str], to: &str, attributes: &[Attribute<'_>]) -> String {
        self.apply_many(operation, inputs, &[to], attributes);
        to.to_owned()
    }

    /// Adds an operation with several outputs of these names.
    ///
    /// # Panics
    /// If a name is taken.
    pub(crate) fn apply_many(&mut self, operation: &str, inputs: &[&str], to: &[&str], attributes: &[Attribute<'_>]) {
        to.iter().for_each(|name| self.take(name));
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: to.iter().map(|&name| name.to_owned()).collect(),
            name: Some(format!("{operation}:{}", to[0])),
            op_type: Some(operation.to_owned()),
            attribute: attributes.iter().map(|&attribute| of_attribute(attribute)).collect(),
        });
    }

    /// A constant of 32-bit floats.
    pub(crate) fn floats(&mut self, name: &str, shape: &[usize], data: &[f32]) -> String {
        self.constant(name, shape, data_type::FLOAT, data.len(), data.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// A constant of 8-bit integers.
    pub(crate) fn bytes(&mut self, name: &str, shape: &[usize], data: &[i8]) -> String {
        self.constant(name, shape, data_type::INT8, data.len(), data.iter().map(|x| x.cast_unsigned()).collect())
    }

    /// A constant of unsigned 8-bit integers.
    pub(crate) fn unsigned(&mut self, name: &str, shape: &[usize], data: Vec<u8>) -> String {
        self.constant(name, shape, data_type::UINT8, data.len(), data)
    }

    /// A constant list of 64-bit integers.
    pub(crate) fn integers(&mut self, name: &str, data: &[i64]) -> String {
        let raw = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant(name, &[data.len()], data_type::INT64, data.len(), raw)
    }

    /// A constant number.
    pub(crate) fn scalar(&mut self, name: &str, value: f32) -> String {
        self.floats(name, &[], &[value])
    }

    /// A constant whole number.
    pub(crate) fn integer(&mut self, name: &str, value: i64) -> String {
        self.constant(name, &[], data_type::INT64, 1, value.to_le_bytes().into())
    }

    fn constant(&mut self, name: &str, shape: &[usize], kind: i32, length: usize, raw: Vec<u8>) -> String {
        assert_eq!(length, shape.iter().product::<usize>(), "elements of the constant {name}");
        self.take(name);
        self.proto.initializer.push(TensorProto {
            dims: shape.iter().map(|&length| length as i64).collect(),
            data_type: Some(kind),
            name: Some(name.to_owned()),
            raw_data: Some(raw),
        });
        name.to_owned()
    }

    /// An input of 64-bit integers.
    pub(crate) fn input(&mut self, name: &str, shape: &[Dimension]) -> String {
        self.take(name);
        self.proto.input.push(value_info(name, data_type::INT64, shape));
        name.to_owned()
    }

    /// Says that a value is a result of the graph: 32-bit floats.
    pub(crate) fn output(&mut self, name: &str, shape: &[Dimension]) {
        self.proto.output.push(value_info(name, data_type::FLOAT, shape));
    }

    #[track_caller]
    fn take(&mut self, name: &str) {
        assert!(self.taken.insert(name.to_owned()), "two values named {name}");
    }
}

fn of_attribute(attribute: Attribute<'_>) -> AttributeProto {
    let of = |name: &str, kind: i32| AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(kind),
        ..AttributeProto::default()
    };
    match attribute {
        Attribute::Float(name, value) => AttributeProto { f: Some(value), ..of(name, attribute_type::FLOAT) },
        Attribute::Integer(name, value) => AttributeProto { i: Some(value), ..of(name, attribute_type::INT) },
        Attribute::Integers(name, values) => AttributeProto { ints: values.to_vec(), ..of(name, attribute_type::INTS) },
    }
}

fn value_info(name: &str, kind: i32, shape: &[Dimension]) -> ValueInfoProto {
    let dimension = |dimension: &Dimension| match *dimension {
        Dimension::Named(name) => DimensionProto { dim_param: Some(name.to_owned()), dim_value: None },
        Dimension::Fixed(length) => DimensionProto { dim_value: Some(length as i64), dim_param: None },
    };
    let shape = TensorShapeProto { dim: shape.iter().map(dimension).collect() };
    let tensor_type = TensorTypeProto { elem_type: Some(kind), shape: Some(shape) };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}
