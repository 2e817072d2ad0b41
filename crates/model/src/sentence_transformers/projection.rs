//! Dense layers over a pooled vector.

use std::path::Path;

use serde_json::{Value, json};

use super::{describe, unsupported};
use crate::error::Error;
use crate::files::ModelFiles;
use crate::weights::Tensor;
use crate::weights_file::WeightsFile;

/// A dense layer over the vector of a text: `activation(weight · v + bias)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// Whether `v` is divided by its Euclidean norm before.
    pub normalized_input: bool,
    /// `[out, in]`.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Option<Tensor>,
    /// What follows.
    pub activation: ProjectionActivation,
}

/// The function after a [`Projection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectionActivation {
    /// `x`.
    Identity,
    /// `tanh x`.
    Tanh,
    /// `max(x, 0)`.
    Relu,
}

impl Projection {
    /// The file of its weights in its folder.
    pub(crate) const WEIGHTS: &'static str = "model.safetensors";

    /// Length of the vector it takes.
    pub fn inputs(&self) -> usize {
        self.weight.shape.get(1).copied().unwrap_or(0)
    }

    /// Length of the vector it gives.
    pub fn outputs(&self) -> usize {
        self.weight.shape.first().copied().unwrap_or(0)
    }

    pub(super) fn read(files: &ModelFiles<'_>, folder: &Path, normalized_input: bool) -> Result<Self, Error> {
        let path = folder.join("config.json");
        let config = files.read_optional_json(&path)?.unwrap_or_default();
        let count = |key: &str| {
            let wrong = || Error::JsonKey {
                path: path.clone(),
                key: key.into(),
                expected: "a whole number from 1",
                got: describe(&config[key]),
            };
            let count = config[key].as_u64().and_then(|count| usize::try_from(count).ok());
            count.filter(|&count| count > 0).ok_or_else(wrong)
        };
        let (inputs, outputs) = (count("in_features")?, count("out_features")?);
        let activation =
            match config["activation_function"].as_str().map(|name| name.rsplit('.').next().unwrap_or(name)) {
                Some("Identity") => ProjectionActivation::Identity,
                // The library's own default.
                Some("Tanh") | None => ProjectionActivation::Tanh,
                Some("ReLU") => ProjectionActivation::Relu,
                Some(other) => {
                    let what = format!("the activation `{other}` of a Dense module");
                    return Err(unsupported(&path, what, "use a model with Identity, Tanh or ReLU there"));
                }
            };
        let weights = [Self::WEIGHTS, "pytorch_model.bin"].map(|name| folder.join(name));
        let present = weights.iter().find(|path| files.exists(path));
        let weights = WeightsFile::read_from(files, present.unwrap_or(&weights[0]))?;
        let tensor = |name: &str, expected: &[usize]| {
            let tensor = weights.finite_floats(name)?;
            if tensor.shape != expected {
                let (path, got) = (weights.path().into(), tensor.shape.into());
                return Err(Error::Shape { path, tensor: name.into(), expected: expected.into(), got });
            }
            Ok(tensor)
        };
        let has_bias = config["bias"] != Value::Bool(false);
        Ok(Self {
            normalized_input,
            weight: tensor("linear.weight", &[outputs, inputs])?,
            bias: if has_bias { Some(tensor("linear.bias", &[outputs])?) } else { None },
            activation,
        })
    }

    pub(super) fn config(&self) -> Value {
        let activation = match self.activation {
            ProjectionActivation::Identity => "torch.nn.modules.linear.Identity",
            ProjectionActivation::Tanh => "torch.nn.modules.activation.Tanh",
            ProjectionActivation::Relu => "torch.nn.modules.activation.ReLU",
        };
        json!({"in_features": self.inputs(), "out_features": self.outputs(), "bias": self.bias.is_some(),
               "activation_function": activation})
    }

    /// Its tensors under the library's names.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        [("linear.bias", self.bias.as_ref()), ("linear.weight", Some(&self.weight))]
            .into_iter()
            .filter_map(|(name, tensor)| Some((name, tensor?)))
    }
}
