//! Runs a graph as its operators are specified, in the simplest way: for the check that it computes what the model
//! does, not for speed. Only what [`build`](super::build) makes is known.
//!
//! Each value has to be there before it is used, and only once: so a graph that was run is a whole one.

mod arithmetic;
mod elementwise;
mod layout;
mod value;

use std::collections::BTreeMap;

use super::proto::{GraphProto, NodeProto};
use crate::error::Error;

pub(crate) use value::Value;

/// Computes the outputs of a graph, by name.
///
/// # Errors
/// [`Error::Graph`] if an operation is not what its inputs allow, or a value is missing or there twice.
pub(crate) fn run(graph: &GraphProto, inputs: BTreeMap<String, Value>) -> Result<BTreeMap<String, Value>, Error> {
    let mut values = inputs;
    let wrong = |place: &str, problem: String| Error::Graph { place: place.to_owned(), problem };
    for input in &graph.input {
        let name = input.name.as_deref().unwrap_or_default();
        if !values.contains_key(name) {
            return Err(wrong(name, "an input that nothing is given for".into()));
        }
    }
    for tensor in &graph.initializer {
        let name = tensor.name.clone().unwrap_or_default();
        let value = Value::of(tensor).map_err(|problem| wrong(&name, problem))?;
        if values.insert(name.clone(), value).is_some() {
            return Err(wrong(&name, "two values of this name".into()));
        }
    }
    for node in &graph.node {
        let place = node.name.as_deref().unwrap_or_default();
        let missing = |name: &String| format!("the input {name} is not there yet");
        let inputs: Vec<&Value> = (node.input.iter())
            .map(|name| values.get(name).ok_or_else(|| missing(name)))
            .collect::<Result<_, _>>()
            .map_err(|problem| wrong(place, problem))?;
        let results = compute(node, &inputs).map_err(|problem| wrong(place, problem))?;
        if results.len() != node.output.len() {
            return Err(wrong(place, format!("{} results for {} names", results.len(), node.output.len())));
        }
        for (name, value) in node.output.iter().zip(results) {
            if values.insert(name.clone(), value).is_some() {
                return Err(wrong(place, format!("a second value named {name}")));
            }
        }
    }
    let names = graph.output.iter().filter_map(|output| output.name.clone());
    names
        .map(|name| match values.remove(&name) {
            Some(value) => Ok((name, value)),
            None => Err(wrong(&name, "an output that nothing computes".into())),
        })
        .collect()
}

/// One operation.
fn compute(node: &NodeProto, inputs: &[&Value]) -> Result<Vec<Value>, String> {
    let operation = node.op_type.as_deref().unwrap_or_default();
    let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name));
    let integer = |name: &str, default: i64| attribute(name).and_then(|found| found.i).unwrap_or(default);
    let one = |value: Result<Value, String>| value.map(|value| vec![value]);
    match (operation, inputs) {
        ("Add" | "Sub" | "Mul" | "Div" | "Max" | "Equal", [a, b]) => one(elementwise::of_two(operation, a, b)),
        ("Erf", [x]) => one(elementwise::of_one(x, elementwise::erf)),
        ("Tanh", [x]) => one(elementwise::of_one(x, f32::tanh)),
        ("Sqrt", [x]) => one(elementwise::of_one(x, f32::sqrt)),
        ("Relu", [x]) => one(elementwise::of_one(x, |x| x.max(0.0))),
        ("Cast", [x]) => one(elementwise::cast(x, attribute("to").and_then(|to| to.i))),
        ("Gather", [x, indices]) => one(layout::gather(x, indices, integer("axis", 0))),
        ("Slice", [x, first, end, axis]) => one(layout::slice_by_lists(x, first, end, axis)),
        ("Split", [x, lengths]) => layout::split(x, lengths, integer("axis", 0)),
        ("Reshape", [x, lengths]) => one(layout::reshape(x, lengths)),
        ("Transpose", [x]) => {
            one(layout::transpose(x, attribute("perm").map_or(&[][..], |order| order.ints.as_slice())))
        }
        ("Unsqueeze", [x, axes]) => one(layout::unsqueeze(x, axes)),
        ("Squeeze", [x, axes]) => one(layout::squeeze(x, axes)),
        ("DynamicQuantizeLinear", [x]) => arithmetic::levels(x),
        ("Size", [x]) => Ok(vec![Value::integers(&[], vec![x.len() as i64])]),
        ("Shape", [x]) => {
            let shape: Vec<i64> = x.shape.iter().map(|&length| length as i64).collect();
            Ok(vec![Value::integers(&[shape.len()], shape)])
        }
        ("Range", [first, end, step]) => match (first.as_integers()?, end.as_integers()?, step.as_integers()?) {
            (&[first], &[end], &[1]) => {
                let all: Vec<i64> = (first..end).collect();
                Ok(vec![Value::integers(&[all.len()], all)])
            }
            _ => Err("a range in steps other than 1".into()),
        },
        ("MatMul", [a, b]) => one(arithmetic::matmul(a, b)),
        ("Softmax", [x]) => one(arithmetic::softmax(x, integer("axis", -1))),
        ("LayerNormalization", [x, gain, bias]) => {
            let epsilon = attribute("epsilon").and_then(|epsilon| epsilon.f).unwrap_or(1e-5);
            one(arithmetic::layer_norm(x, gain, bias, integer("axis", -1), epsilon))
        }
        ("ReduceSum" | "ReduceMax" | "ReduceMin", [x, axes]) => {
            one(arithmetic::reduce(x, axes.as_integers()?, integer("keepdims", 1) == 1, operation))
        }
        ("ReduceMax" | "ReduceMin", [x]) => {
            let axes = attribute("axes").map_or(&[][..], |axes| axes.ints.as_slice());
            one(arithmetic::reduce(x, axes, integer("keepdims", 1) == 1, operation))
        }
        ("CumSum", [x, axis]) => one(arithmetic::running_sums(x, axis)),
        ("MatMulInteger", [a, b, zero_a, zero_b]) => one(arithmetic::matmul_of_levels(a, b, zero_a, zero_b)),
        _ => Err(format!("an operation that is not known: {operation} of {} inputs", inputs.len())),
    }
}
