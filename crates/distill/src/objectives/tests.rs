//! Every term and its gradient against the fixtures, at the fixtures' own bounds: 1e-5 relative for
//! a value, 2e-5 of the largest element for a gradient.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use attar_testing::{Array, assert_close, assert_close_relative, fixtures, json, max_abs, tensors};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use serde_json::Value;

use super::*;
use crate::engine::{Geometry, Layout, Linear, Scores, Trace, mean_pool, normalize};

const VALUE: f64 = 1e-5;
const GRADIENT: f64 = 2e-5;

/// A fixture folder: inputs as leaves of the autodiff graph, expected values, expected gradients.
struct Case {
    dir: PathBuf,
    inputs: BTreeMap<String, Array>,
    leaves: BTreeMap<String, Leaf>,
    values: Value,
    gradients: BTreeMap<String, Array>,
    compared: usize,
}

/// A leaf as a matrix: all dimensions but the last are rows.
type Leaf = Tensor<2>;

fn device() -> Device {
    Device::flex()
}

impl Case {
    fn load(name: &str) -> Case {
        let dir = fixtures("losses").join(name);
        let inputs = tensors(&dir.join("inputs.safetensors"));
        let (values, gradients) = (json(&dir.join("expected.json")), tensors(&dir.join("grads.safetensors")));
        Case { dir, inputs, leaves: BTreeMap::new(), values, gradients, compared: 0 }
    }

    /// Starts a new graph.
    fn begin(&mut self) {
        let leaf = |array: &Array| constant(array).autodiff().require_grad();
        self.leaves = self.inputs.iter().map(|(name, array)| (name.clone(), leaf(array))).collect();
    }

    fn leaf(&self, name: &str) -> Leaf {
        self.leaves[name].clone()
    }

    fn constant(&self, name: &str) -> Tensor<2> {
        constant(&self.inputs[name])
    }

    /// The entries of `section` whose names are `prefix` and a number: names and numbers.
    fn numbered(&self, section: &str, prefix: &str) -> Vec<(String, f64)> {
        let names = self.values[section].as_object().or(self.values.as_object().filter(|_| section.is_empty()));
        let number = |name: &String| Some((name.clone(), name.strip_prefix(prefix)?.parse().ok()?));
        let all: Vec<_> = names.unwrap().keys().filter_map(number).collect();
        assert!(!all.is_empty(), "{}: no {prefix} and a number", self.dir.display());
        all
    }

    /// How many inputs are named `prefix` and a number.
    fn count(&self, prefix: &str) -> usize {
        self.inputs.keys().filter(|name| name.starts_with(prefix)).count()
    }

    /// Sequences and heads of the scores `[B, A, S, S]` of that name.
    fn scores_shape(&self, name: &str) -> [usize; 2] {
        let [sequences, heads, _, _] = self.inputs[name].shape[..] else { panic!("{name} has four dimensions") };
        [sequences, heads]
    }

    fn lengths(&self) -> Vec<u32> {
        let mask = &self.inputs["attention_mask"];
        mask.i64().chunks(mask.shape[1]).map(|row| row.iter().sum::<i64>() as u32).collect()
    }

    /// Rows of the real tokens among all `[B S]`.
    fn real_rows(&self) -> Tensor<1, Int> {
        let real = self.inputs["attention_mask"].i64();
        let rows: Vec<i32> = (0..real.len()).filter(|&i| real[i] == 1).map(|i| i as i32).collect();
        let count = rows.len();
        Tensor::from_data(TensorData::new(rows, [count]), &device())
    }

    fn projection(&self) -> Projection {
        let [weight, bias] = ["projection.weight", "projection.bias"].map(|name| self.leaf(name));
        let width = bias.dims()[1];
        Projection(Linear { weight: weight.transpose(), bias: bias.reshape([width]) })
    }

    /// Compares a value with `expected` and the gradients of all leaves with those under `prefix`.
    fn check(&mut self, expected: &Value, prefix: &str, value: Tensor<1>) {
        let what = format!("{} {prefix}", self.dir.display());
        let mut tape = value.backward();
        let value = f64::from(value.into_scalar::<f32>());
        assert_close_relative(&what, value, expected.as_f64().unwrap(), VALUE);
        let wanted =
            self.gradients.iter().filter_map(|(name, g)| Some((name.strip_prefix(prefix)?.strip_prefix('.')?, g)));
        let mut names = 0;
        for (name, wanted) in wanted {
            let got = gradient(&self.leaves[name], &mut tape);
            assert_close(&format!("{what}: {name}"), &got, &wanted.data, GRADIENT * max_abs(&wanted.data));
            names += 1;
        }
        assert!(names > 0, "{what}: no gradient to compare");
        self.compared += 1;
    }
}

fn constant(array: &Array) -> Tensor<2> {
    let columns = *array.shape.last().unwrap();
    let rows = array.data.len() / columns;
    Tensor::from_data(TensorData::new(array.f32(), [rows, columns]), &device())
}

fn gradient(leaf: &Leaf, tape: &mut Gradients) -> Vec<f64> {
    let gradient = leaf.grad_remove(tape).expect("a gradient");
    gradient.try_to_vec_as::<f32>().unwrap().into_iter().map(f64::from).collect()
}

fn scores(leaf: Tensor<2>, sequences: usize, heads: usize) -> Scores {
    let [rows, length] = leaf.dims();
    assert_eq!(rows, sequences * heads * length);
    Scores::from_padded(leaf.reshape([sequences, heads, length, length]))
}

#[test]
fn tinybert_terms() {
    let mut case = Case::load("tinybert");
    let (values, lengths) = (case.values.clone(), case.lengths());
    let [student_layers, teacher_layers] = ["student_scores.", "teacher_scores."].map(|prefix| case.count(prefix));
    let [_, heads] = case.scores_shape("teacher_scores.0");
    let pairs: Vec<[usize; 2]> = serde_json::from_value(values["layer_map_hidden"].clone()).unwrap();
    let temperatures = case.numbered("clean", "soft_ce_T");
    for semantics in [Semantics::Clean, Semantics::Reference] {
        let (name, layout) = match semantics {
            Semantics::Clean => ("clean", Layout::ragged(&lengths)),
            Semantics::Reference => ("reference", Layout::padded(&lengths)),
        };
        assert_eq!(layout.longest(), case.inputs["attention_mask"].shape[1]);
        let geometry = Geometry::new(layout, &device());
        let rows = case.real_rows();
        let states = |x: Tensor<2>| match semantics {
            Semantics::Clean => x.select(0, rows.clone()),
            Semantics::Reference => x,
        };
        let trace = |case: &Case, side: &str, layers: usize| {
            let get = |name: String| if side == "student" { case.leaf(&name) } else { case.constant(&name) };
            let layer = |l: usize| crate::engine::LayerTrace {
                qkv: Tensor::zeros([1, 3], &device()),
                scores: scores(get(format!("{side}_scores.{l}")), lengths.len(), heads),
                hidden: states(get(format!("{side}_hidden.{}", l + 1))),
            };
            Trace {
                embeddings: states(get(format!("{side}_hidden.0"))),
                layers: (0..layers).map(layer).collect(),
                pooled: None,
                logits: Some(get(format!("{side}_logits"))),
                sentences: None,
                sequence_logits: None,
            }
        };
        let map = || LayerMap::Pairs(pairs.clone());
        let mut terms = vec![
            ("attention".to_owned(), Objective::from(Attention { weight: 1.0, map: map() })),
            ("hidden".to_owned(), Objective::from(Hidden { weight: 1.0, map: map() })),
            ("embedding".to_owned(), Objective::from(Embedding { weight: 1.0 })),
        ];
        let soft = |(name, temperature): (String, f64)| (name, Objective::from(Soft { weight: 1.0, temperature }));
        terms.extend(temperatures.iter().cloned().map(soft));
        for (term, objective) in terms {
            case.begin();
            let [student, teacher] =
                [("student", student_layers), ("teacher", teacher_layers)].map(|(s, n)| trace(&case, s, n));
            let projections = [case.projection()];
            let comparison = Comparison {
                weights: None,
                first_pieces: None,
                tokens: None,
                student: &student,
                teacher: Some(&teacher),
                labels: None,
                projections: &projections,
                geometry: &geometry,
                semantics,
                multi_label: false,
            };
            let value = objective.value(&comparison);
            case.check(&values[name][&term], &format!("{name}.{term}"), value);
        }
    }
    case.begin();
    let value = regression(case.leaf("student_logits"), case.constant("teacher_logits"));
    case.check(&values["logit_mse"], "logit_mse", value);
    assert_eq!(case.compared, 2 * (3 + temperatures.len()) + 1);
}

/// The loss of a row is `ln Σ exp(z) − z_class`, its gradient `p − 1` for the class and `p` for the others.
#[test]
fn rows_count_as_their_class_says() {
    let logits = [[0.0, 1.0, -1.0], [0.0, 1.0, -1.0], [0.5, -0.5, 0.3]];
    let classes: Vec<i32> = vec![1, 0, 0];
    let weights = [0.5f64, 3.0, 3.0];
    let leaf = Tensor::<2>::from_floats(logits, &device()).autodiff().require_grad();
    let int = Tensor::<1, Int>::from_data(TensorData::new(classes.clone(), [3]), &device());
    let by = Tensor::<1>::from_floats(weights.map(|w| w as f32), &device());
    let value = weighted_cross_entropy(leaf.clone(), int, by);
    let sums = logits.map(|row| row.map(|z: f32| f64::from(z).exp()).iter().sum::<f64>());
    let lost = |row: usize| sums[row].ln() - f64::from(logits[row][classes[row] as usize]);
    let expected: f64 = (0..3).map(|row| weights[row] * lost(row)).sum::<f64>() / 3.0;
    let mut tape = value.backward();
    assert_close_relative("the loss", f64::from(value.into_scalar::<f32>()), expected, VALUE);
    let slope = |row: usize, class: usize| {
        let chance = f64::from(logits[row][class]).exp() / sums[row];
        weights[row] * (chance - f64::from(u8::from(classes[row] as usize == class))) / 3.0
    };
    let wanted: Vec<f64> = (0..9).map(|place| slope(place / 3, place % 3)).collect();
    assert_close("the gradient", &gradient(&leaf, &mut tape), &wanted, GRADIENT);
}

/// Of a logit z against a probability p the loss is `ln(1 + exp(z)) − p z`, its gradient `σ(z) − p`.
#[test]
fn labels_are_learned_each_by_itself() {
    let (student, teacher) = ([[1.5, -0.5, 60.0], [0.0, 2.0, -70.0]], [[2.0, -1.0, 0.5], [0.0, 4.0, -3.0]]);
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let numbers = |rows: [[f32; 3]; 2]| rows.as_flattened().iter().map(|&z| f64::from(z)).collect::<Vec<f64>>();
    let (zs, ts) = (numbers(student), numbers(teacher));
    let check = |what: &str, loss: &dyn Fn(Tensor<2>) -> Tensor<1>, targets: &[f64], temperature: f64| {
        let leaf = Tensor::<2>::from_floats(student, &device()).autodiff().require_grad();
        let value = loss(leaf.clone());
        let mut tape = value.backward();
        let own = zs.iter().map(|z| z / temperature).zip(targets);
        let soft_plus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
        let expected = own.clone().map(|(z, p)| soft_plus(z) - p * z).sum::<f64>() / 6.0 * temperature.powi(2);
        assert_close_relative(what, f64::from(value.into_scalar::<f32>()), expected, VALUE);
        let wanted: Vec<f64> = own.map(|(z, p)| (sigmoid(z) - p) / 6.0 * temperature).collect();
        assert_close(what, &gradient(&leaf, &mut tape), &wanted, GRADIENT);
    };
    let there = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0];
    let gold = Tensor::<2>::from_floats([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], &device());
    check("gold", &|z| binary_cross_entropy(z, gold.clone()), &there, 1.0);
    for temperature in [1.0, 2.0] {
        let targets: Vec<f64> = ts.iter().map(|t| sigmoid(t / temperature)).collect();
        let teacher = Tensor::<2>::from_floats(teacher, &device());
        let loss = |z: Tensor<2>| soft_binary_cross_entropy(z, teacher.clone(), temperature);
        check("soft", &loss, &targets, temperature);
    }
}

#[test]
fn reference_threshold() {
    let mut case = Case::load("tinybert_threshold");
    let geometry = Geometry::new(Layout::padded(&case.lengths()), &device());
    case.begin();
    let [sequences, heads] = case.scores_shape("student_scores");
    let student = scores(case.leaf("student_scores"), sequences, heads);
    let teacher = scores(case.constant("teacher_scores"), sequences, heads);
    let value = attention(&student, &teacher, &geometry, Semantics::Reference);
    let expected = case.values["reference"].clone();
    case.check(&expected, "reference", value);
}

#[test]
fn relations() {
    let mut case = Case::load("minilm_relations");
    let geometry = Geometry::new(Layout::ragged(&case.lengths()), &device());
    let rows = case.real_rows();
    let heads = case.numbered("", "R");
    for (name, heads) in &heads {
        case.begin();
        let mut terms = BTreeMap::new();
        for part in ["q", "k", "v"] {
            let student = case.leaf(&format!("student_{part}")).select(0, rows.clone());
            let teacher = case.constant(&format!("teacher_{part}")).select(0, rows.clone());
            terms.insert(part, relation(&student, &teacher, *heads as usize, &geometry));
        }
        let expected = case.values[name].clone();
        for (part, term) in &terms {
            let value = f64::from(term.clone().into_scalar::<f32>());
            let pair = format!("{part}{part}");
            assert_close_relative(&format!("{name} {pair}"), value, expected[&pair].as_f64().unwrap(), VALUE);
        }
        let sum = terms.into_values().reduce(|a, b| a + b).unwrap();
        case.check(&expected["sum"], name, sum);
    }
    assert_eq!(case.compared, heads.len());
}

#[test]
fn sentence_vectors() {
    let mut case = Case::load("cosine_and_pooled");
    let geometry = Geometry::new(Layout::ragged(&case.lengths()), &device());
    let rows = case.real_rows();
    let names = ["cosine_tokens", "cosine_pooled", "pooled_mse", "pooled_mse_normalised", "pooled_mse_projected"];
    for name in names {
        case.begin();
        let pick = |x: Tensor<2>| x.select(0, rows.clone());
        let (student, teacher) = (pick(case.leaf("student")), pick(case.constant("teacher")));
        let [s, t] = [&student, &teacher].map(|x| mean_pool(x, &geometry));
        let value = match name {
            "cosine_tokens" => cosine_tokens(&student, &teacher),
            "cosine_pooled" => cosine_pooled(&student, &teacher, &geometry),
            "pooled_mse" => pooled_mse(s, t),
            "pooled_mse_normalised" => pooled_mse(normalize(s), normalize(t)),
            _ => {
                let Projection(layer) = case.projection();
                let small = mean_pool(&pick(case.leaf("student_small")), &geometry);
                pooled_mse(crate::engine::linear(small, &layer), t)
            }
        };
        let expected = case.values[name].clone();
        case.check(&expected, name, value);
    }
    assert_eq!(case.compared, names.len());
}

/// The published code trains scores on gold, so a teacher without a head is enough.
#[test]
fn scores_under_reference_semantics_need_no_logits_of_the_teacher() {
    let geometry = Geometry::new(Layout::padded(&[1, 1]), &device());
    let trace = |logits| Trace {
        embeddings: Tensor::zeros([2, 2], &device()),
        layers: Vec::new(),
        pooled: None,
        logits,
        sentences: None,
        sequence_logits: None,
    };
    let student = trace(Some(Tensor::<2>::from_floats([[1.0], [3.0]], &device())));
    let labels = BatchLabels::Scores(Tensor::<2>::from_floats([[2.0], [5.0]], &device()));
    let comparison = Comparison {
        weights: None,
        first_pieces: None,
        tokens: None,
        student: &student,
        teacher: Some(&trace(None)),
        labels: Some(&labels),
        projections: &[],
        geometry: &geometry,
        semantics: Semantics::Reference,
        multi_label: false,
    };
    let value = Objective::from(Soft { weight: 1.0, temperature: 1.0 }).value(&comparison).into_scalar::<f32>();
    assert!((value - (1.0 + 4.0) / 2.0).abs() < 1e-6, "{value}");
}

/// By hand: two sequences of two tokens and one; the second token of the first counts for nothing.
#[test]
fn patient_compares_first_tokens_by_direction() {
    let geometry = Geometry::new(Layout::ragged(&[2, 1]), &device());
    let states = |rows: [[f32; 2]; 3]| Tensor::<2>::from_floats(rows, &device());
    let student = states([[3.0, 4.0], [9.0, 9.0], [0.0, 2.0]]);
    let teacher = states([[6.0, 8.0], [-1.0, 5.0], [7.0, 0.0]]);
    // The first has the same direction; the second is at a right angle: |(0, 1) - (1, 0)|² = 2.
    let value = patient(&student, &teacher, &geometry).into_scalar::<f32>();
    assert!((value - 1.0).abs() < 1e-6, "{value}");
}

/// The recipe's term against the function that the fixtures hold, over a trace.
#[test]
fn pooled_reads_the_last_layer() {
    let geometry = Geometry::new(Layout::ragged(&[2, 1]), &device());
    let trace = |last: [[f32; 2]; 3]| {
        let hidden = Tensor::<2>::from_floats(last, &device());
        let scores = || Scores::from_padded(Tensor::zeros([2, 1, 2, 2], &device()));
        let layer =
            |hidden| crate::engine::LayerTrace { qkv: Tensor::zeros([1, 3], &device()), scores: scores(), hidden };
        Trace {
            embeddings: Tensor::zeros([3, 2], &device()),
            layers: vec![layer(Tensor::zeros([3, 2], &device())), layer(hidden)],
            pooled: None,
            logits: None,
            sentences: None,
            sequence_logits: None,
        }
    };
    let (student, teacher) = (trace([[1.0, 3.0], [3.0, 1.0], [2.0, 0.0]]), trace([[2.0, 2.0], [2.0, 2.0], [0.0, 3.0]]));
    let comparison = Comparison {
        weights: None,
        first_pieces: None,
        tokens: None,
        student: &student,
        teacher: Some(&teacher),
        labels: None,
        projections: &[],
        geometry: &geometry,
        semantics: Semantics::Clean,
        multi_label: false,
    };
    let value = |normalize| Objective::from(Pooled { weight: 1.0, normalize }).value(&comparison).into_scalar::<f32>();
    // The means of the first agree; those of the second are (2, 0) and (0, 3).
    assert!((value(false) - (4.0 + 9.0) / 4.0).abs() < 1e-6, "{}", value(false));
    assert!((value(true) - (1.0 + 1.0) / 4.0).abs() < 1e-6, "{}", value(true));
}

#[test]
fn masked_language_model() {
    let mut case = Case::load("mlm");
    let labels = case.inputs["labels"].i64();
    let labeled: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] != -100).collect();
    assert_eq!(labeled.len(), case.values["labelled_positions"].as_u64().unwrap() as usize);
    let int = |values: Vec<i32>| {
        let count = values.len();
        Tensor::<1, Int>::from_data(TensorData::new(values, [count]), &device())
    };
    case.begin();
    let rows = int(labeled.iter().map(|&i| i as i32).collect());
    let tokens = int(labeled.iter().map(|&i| labels[i] as i32).collect());
    let value = cross_entropy(case.leaf("logits").select(0, rows), tokens);
    let expected = case.values["loss"].clone();
    // The gradient file names the one input alone.
    case.gradients = case.gradients.iter().map(|(name, g)| (format!("loss.{name}"), g.clone())).collect();
    case.check(&expected, "loss", value);
}

#[test]
fn shared_projections() {
    let mut case = Case::load("shared_projection");
    let values = case.values.clone();
    let names: Vec<String> = values.as_object().unwrap().keys().cloned().collect();
    for name in &names {
        case.begin();
        let case_ref = &case;
        let (u, v) = (case_ref.leaf("U"), case_ref.leaf("V"));
        let matrix = |down: bool, which: &str, v: &Tensor<2>| {
            let (teacher, student) =
                (case_ref.constant(&format!("W_T.{which}")), case_ref.leaf(&format!("W_S.{which}")));
            let project = if down { project_down } else { project_up };
            project(teacher, student, u.clone(), v.clone())
        };
        let [teacher, student] = [case_ref.constant("w_T.vector"), case_ref.leaf("w_S.vector")].map(flat);
        let value = match name.as_str() {
            "down" | "up" => matrix(name == "down", "0", &v),
            "down_two_layers" | "up_two_layers" => {
                let down = name == "down_two_layers";
                matrix(down, "0", &v) + matrix(down, "1", &v)
            }
            "down_tied_UU" | "up_tied_UU" => matrix(name == "down_tied_UU", "square", &u),
            "down_vector" => project_down_vector(teacher, student, u.clone()),
            "up_vector" => project_up_vector(teacher, student, u.clone()),
            other => panic!("unknown case {other}"),
        };
        case.check(&values[name], name, value);
    }
    assert_eq!(case.compared, names.len());
}

fn flat(x: Tensor<2>) -> Tensor<1> {
    let count = x.shape().num_elements();
    x.reshape([count])
}

#[test]
fn long_sums_equal_plain_ones() {
    for length in [1, 4095, 4096, 4097, 10_000] {
        let values: Vec<f32> = (0..length).map(|i| (i % 7) as f32).collect();
        let expected: f32 = values.iter().sum();
        let x = Tensor::<1>::from_data(TensorData::new(values, [length]), &device());
        // Sums of small whole numbers below 2^24 are exact in any order.
        assert_eq!(sum(x).into_scalar::<f32>(), expected);
    }
}

/// The README of the fixtures lists what a wrong implementation would give; a comparison that let
/// them pass would be worth nothing.
#[test]
fn a_wrong_term_is_noticed() {
    let mut case = Case::load("tinybert");
    let (name, temperature) = case.numbered("clean", "soft_ce_T").swap_remove(0);
    let wrong = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        case.begin();
        // Mean over classes instead of their sum.
        let (s, t) = (case.leaf("student_logits"), case.constant("teacher_logits"));
        let value = soft_cross_entropy(s, t, temperature, Semantics::Reference);
        let expected = case.values["clean"][&name].clone();
        case.check(&expected, &format!("clean.{name}"), value);
    }));
    assert!(wrong.is_err());
    let _: &Path = &case.dir;
}
