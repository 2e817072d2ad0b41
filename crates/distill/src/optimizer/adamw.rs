//! AdamW (Loshchilov & Hutter, arXiv 1711.05101): Adam with decoupled weight decay.
//!
//! On the CPU an update is one pass over each parameter, its gradient and its two moments, in place:
//! four streams of memory are all that it costs. Elsewhere it is composed of tensor operations.

use attar_kernels::{AdamWUpdate, adamw, adamw_rows};
use attar_model::RELATIVE_BIAS;
use attar_model::Weights;
use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Gradient, Gradients, RowGradients};
use crate::Error;
use crate::engine::{Parameters, Slot, Value, recycle};

/// The constants of the update.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AdamWOptions {
    /// Decay rate of the mean of the gradient.
    pub beta1: f64,
    /// Decay rate of the mean of the squared gradient.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Share of a weight, times the learning rate, that each step takes off; not of biases and LayerNorm.
    pub weight_decay: f64,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        AdamWOptions { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 }
    }
}

/// The moments of every parameter and the number of steps they have seen.
#[derive(Debug)]
pub struct AdamW {
    options: AdamWOptions,
    steps: u64,
    moments: Vec<Moments>,
    /// What the rate of each parameter is multiplied by.
    shares: Vec<f64>,
}

/// Running means of the gradient and of its square.
#[derive(Debug)]
struct Moments {
    pair: [Value; 2],
    /// Of a table that is looked up: which rows ever had a gradient. The others have moments of zero.
    seen: Vec<bool>,
}

impl AdamW {
    /// An optimizer that has seen nothing of these parameters.
    pub fn new(options: AdamWOptions, parameters: &Parameters) -> AdamW {
        let zeros = |slot: &Slot| Moments {
            pair: [(); 2].map(|()| Value::new(vec![0.0; slot.len()], &slot.shape, parameters.device())),
            seen: vec![false; if slot.looked_up { slot.shape[0] } else { 0 }],
        };
        let slots = parameters.slots();
        AdamW { options, steps: 0, moments: slots.iter().map(zeros).collect(), shares: vec![1.0; slots.len()] }
    }

    /// With the rate multiplied by `decay` for each layer above a parameter, the head counted as one (Howard & Ruder,
    /// arXiv 1801.06146, section 3.2): embeddings move least.
    #[must_use]
    pub fn with_layer_decay(mut self, decay: f64, parameters: &Parameters) -> AdamW {
        let layer = |slot: &Slot| {
            let rest = slot.name.strip_prefix("encoder.layer.")?;
            rest.split('.').next()?.parse::<i32>().ok()
        };
        let layers = parameters.slots().iter().filter_map(layer).max().map_or(0, |last| last + 1);
        let depth = |slot: &Slot| match layer(slot) {
            Some(layer) => layers - layer,
            None if slot.name.starts_with("embeddings.") || slot.name == RELATIVE_BIAS => layers + 1,
            None => 0,
        };
        self.shares = parameters.slots().iter().map(|slot| decay.powi(depth(slot))).collect();
        self
    }

    /// One update with the gradients scaled by `scale`, which is how clipping is applied.
    ///
    /// A parameter without gradient stays as it is.
    ///
    /// # Errors
    /// If a tensor is not on the device of the parameters.
    pub fn step(
        &mut self,
        parameters: &mut Parameters,
        gradients: Gradients,
        rate: f64,
        scale: f64,
    ) -> Result<(), Error> {
        self.steps += 1;
        let decays: Vec<bool> = parameters.slots().iter().map(Slot::decays).collect();
        let gradients = gradients.into_parts();
        let rules = decays.into_iter().zip(&self.shares);
        let parts = parameters.values_mut().iter_mut().zip(&mut self.moments).zip(gradients).zip(rules);
        for (((value, moments), gradient), (decays, share)) in parts {
            let Some(gradient) = gradient else { continue };
            let update = update(&self.options, self.steps, rate * share, scale, decays);
            let [first, second] = &mut moments.pair;
            match (value, gradient, first, second) {
                (Value::Vector(p), Gradient::Dense(Value::Vector(g)), Value::Vector(m), Value::Vector(v)) => {
                    dense(p, g, m, v, &update)?
                }
                (Value::Matrix(p), Gradient::Dense(Value::Matrix(g)), Value::Matrix(m), Value::Matrix(v)) => {
                    moments.seen.fill(true);
                    dense(p, g, m, v, &update)?;
                }
                (Value::Matrix(p), Gradient::Rows(g), Value::Matrix(m), Value::Matrix(v)) => {
                    rows(p, &g, m, v, &mut moments.seen, &update)?;
                }
                _ => unreachable!("value, gradient and moments of a parameter have its rank"),
            }
        }
        Ok(())
    }

    /// Number of updates so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The moments under the names of the file tensors, `first.…` and `second.…`, for a checkpoint.
    ///
    /// # Errors
    /// If the device fails to hand out a value.
    pub fn state(&self, parameters: &Parameters) -> Result<Weights, Error> {
        let mut state = Weights::new();
        for (moment, prefix) in ["first", "second"].into_iter().enumerate() {
            let values: Vec<Value> = self.moments.iter().map(|moments| moments.pair[moment].clone()).collect();
            for (name, tensor) in parameters.split(&values)?.iter() {
                state.insert(format!("{prefix}.{name}"), tensor.clone());
            }
        }
        Ok(state)
    }

    /// Puts back what [`AdamW::state`] gave after `steps` updates.
    ///
    /// # Errors
    /// If a moment is missing or has the wrong shape.
    pub fn restore(&mut self, parameters: &Parameters, state: &Weights, steps: u64) -> Result<(), Error> {
        for (moment, prefix) in ["first", "second"].into_iter().enumerate() {
            let mut values = Parameters::empty(parameters.device());
            let prefixed = |slot: &Slot| Slot {
                parts: slot.parts.iter().map(|p| format!("{prefix}.{p}")).collect(),
                ..slot.clone()
            };
            values.load(parameters.slots().iter().map(prefixed).collect(), state)?;
            for (moments, value) in self.moments.iter_mut().zip(values.values().iter()) {
                moments.pair[moment] = value.clone();
            }
        }
        for (moments, slot) in self.moments.iter_mut().zip(parameters.slots()) {
            if slot.looked_up {
                // A row whose moments are all zero is updated as one that never had a gradient.
                let [first, second] = [moments.pair[0].to_vec()?, moments.pair[1].to_vec()?];
                let rows = first.chunks(slot.shape[1]).zip(second.chunks(slot.shape[1]));
                moments.seen = rows.map(|(m, v)| m.iter().chain(v).any(|&x| x != 0.0)).collect();
            }
        }
        self.steps = steps;
        Ok(())
    }
}

fn update(options: &AdamWOptions, step: u64, rate: f64, scale: f64, decays: bool) -> AdamWUpdate {
    let AdamWOptions { beta1, beta2, epsilon, weight_decay } = *options;
    let t = i32::try_from(step).unwrap_or(i32::MAX);
    AdamWUpdate {
        beta1,
        beta2,
        epsilon,
        scale,
        kept: if decays { 1.0 - rate * weight_decay } else { 1.0 },
        rate: rate / (1.0 - beta1.powi(t)),
        correction: 1.0 / (1.0 - beta2.powi(t)),
    }
}

fn dense<const D: usize>(
    p: &mut Tensor<D>,
    g: Tensor<D>,
    m: &mut Tensor<D>,
    v: &mut Tensor<D>,
    update: &AdamWUpdate,
) -> Result<(), Error> {
    if !crate::device::is_flex(&p.device()) {
        composed(p, g, m, v, update);
        return Ok(());
    }
    let g = primitive(g)?.to_contiguous();
    let [mut pp, mut mm, mut vv] = [take(p)?, take(m)?, take(v)?];
    adamw(pp.storage_mut(), g.storage(), mm.storage_mut(), vv.storage_mut(), update);
    put([p, m, v], [pp, mm, vv]);
    recycle(g);
    Ok(())
}

fn rows(
    p: &mut Tensor<2>,
    g: &RowGradients,
    m: &mut Tensor<2>,
    v: &mut Tensor<2>,
    seen: &mut [bool],
    update: &AdamWUpdate,
) -> Result<(), Error> {
    let [mut pp, mut mm, mut vv] = [take(p)?, take(m)?, take(v)?];
    let moments = [mm.storage_mut(), vv.storage_mut()];
    adamw_rows(pp.storage_mut(), (&g.rows, &g.gradients), moments, seen, update);
    put([p, m, v], [pp, mm, vv]);
    Ok(())
}

/// The update as tensor operations: any device, and what the other body is tested against.
fn composed<const D: usize>(
    p: &mut Tensor<D>,
    g: Tensor<D>,
    m: &mut Tensor<D>,
    v: &mut Tensor<D>,
    update: &AdamWUpdate,
) {
    let g = g * update.scale;
    m.inplace(|m| m * update.beta1 + g.clone() * (1.0 - update.beta1));
    v.inplace(|v| v * update.beta2 + g.square() * (1.0 - update.beta2));
    let step = m.clone() / ((v.clone() * update.correction).sqrt() + update.epsilon);
    p.inplace(|p| p * update.kept - step * update.rate);
}

/// Takes the buffer out of a tensor, so that it has one owner and is changed in place.
fn take<const D: usize>(t: &mut Tensor<D>) -> Result<FloatTensor<Flex>, Error> {
    let empty = Tensor::empty([0; D], &t.device());
    primitive(std::mem::replace(t, empty))
}

fn put<const D: usize>(tensors: [&mut Tensor<D>; 3], primitives: [FloatTensor<Flex>; 3]) {
    for (tensor, primitive) in tensors.into_iter().zip(primitives) {
        *tensor = Tensor::from_primitive::<Flex>(primitive);
    }
}

fn primitive<const D: usize>(t: Tensor<D>) -> Result<FloatTensor<Flex>, Error> {
    t.try_into_primitive::<Flex>().map_err(|e| Error::device(format!("{e:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn in_place_equals_composed() {
        let tensor = |phase: f32| {
            let numbers: Vec<f32> = (0..200).map(|i| (i as f32 * 0.7 + phase).sin()).collect();
            Tensor::<2>::from_data(TensorData::new(numbers, [20, 10]), &Device::flex())
        };
        let options = AdamWOptions::default();
        let zeros = || Tensor::<2>::zeros([20, 10], &Device::flex());
        let (mut a, mut b) = ([tensor(0.0), zeros(), zeros()], [tensor(0.0), zeros(), zeros()]);
        for step in 1..=5 {
            let update = update(&options, step, 1e-2, 0.7, true);
            let [p, m, v] = &mut a;
            dense(p, tensor(step as f32), m, v, &update).unwrap();
            let [p, m, v] = &mut b;
            composed(p, tensor(step as f32), m, v, &update);
        }
        for (a, b) in a.into_iter().zip(b) {
            let numbers =
                |t: Tensor<2>| -> Vec<f64> { t.try_into_vec_as::<f32>().unwrap().into_iter().map(f64::from).collect() };
            // Five updates in another order of roundings.
            attar_testing::assert_close("update", &numbers(a), &numbers(b), 1e-6);
        }
    }
}
