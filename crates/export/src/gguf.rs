//! A sentence encoder as a file of llama.cpp, in its layout of BERT.
//!
//! What that layout does not support is refused: other families than BERT, heads, dense layers over the vector, poolings other
//! than the mean, the first token and the last, and tokenizers other than WordPiece that lowers the case.
//! llama.cpp computes GELU by its tanh approximation, so that vectors differ in the third digit.

mod file;
mod tokens;

use attar_model::{Activation, Bundle, Family, Head, PoolingMode, Tensor};

use crate::error::Error;
use file::{MetadataValue, Writer};
use tokens::Tokens;

pub use crate::hf::FloatType;

/// The format, as errors call it.
const FORMAT: &str = "llama.cpp's layout of BERT";

/// Names of the parts of a layer, here and there.
const PARTS: [(&str, &str); 8] = [
    ("attention.self.query", "attn_q"),
    ("attention.self.key", "attn_k"),
    ("attention.self.value", "attn_v"),
    ("attention.output.dense", "attn_output"),
    ("attention.output.LayerNorm", "attn_output_norm"),
    ("intermediate.dense", "ffn_up"),
    ("output.dense", "ffn_down"),
    ("output.LayerNorm", "layer_output_norm"),
];

/// The bytes of a file.
///
/// # Errors
/// [`Error::Unsupported`] with what the layout lacks.
///
/// # Panics
/// If the bundle lacks a tensor of its configuration; one that was read has all.
pub fn export(bundle: &Bundle, name: &str, floats: FloatType) -> Result<Vec<u8>, Error> {
    let pooling = check(bundle)?;
    let config = &bundle.config;
    let tokens = Tokens::of(bundle)?;
    let mut writer = Writer::default();
    let count = |count: usize| MetadataValue::U32(u32::try_from(count).unwrap_or(u32::MAX));
    writer.set("general.architecture", MetadataValue::Text("bert".into()));
    writer.set("general.type", MetadataValue::Text("model".into()));
    writer.set("general.name", MetadataValue::Text(name.into()));
    writer.set("general.file_type", MetadataValue::U32(u32::from(floats == FloatType::F16)));
    writer.set("bert.block_count", count(config.layers));
    // llama.cpp reads as many rows of the position table, and refuses the file where there are more or fewer.
    writer.set("bert.context_length", count(config.positions));
    writer.set("bert.embedding_length", count(config.hidden));
    writer.set("bert.feed_forward_length", count(config.feed_forward));
    writer.set("bert.attention.head_count", count(config.heads));
    writer.set("bert.attention.layer_norm_epsilon", MetadataValue::F32(config.layer_norm_eps as f32));
    writer.set("bert.attention.causal", MetadataValue::Bool(false));
    writer.set("bert.pooling_type", MetadataValue::U32(pooling));
    tokens.write(&mut writer, config.types);

    let tensor = |name: &str| match bundle.weights.get(name) {
        Some(tensor) => tensor,
        None => panic!("a bundle without `{name}`"),
    };
    let put = |writer: &mut Writer, from: &str, to: &str, half: bool| -> Result<(), Error> {
        let tensor: &Tensor = tensor(from);
        writer
            .tensor(to, tensor, half && floats == FloatType::F16)
            .map_err(|number| Error::TooLargeForHalf { name: from.into(), number })
    };
    put(&mut writer, "embeddings.word_embeddings.weight", "token_embd.weight", true)?;
    // These two stay in 32 bits: rows of them are added to each other.
    put(&mut writer, "embeddings.position_embeddings.weight", "position_embd.weight", false)?;
    put(&mut writer, "embeddings.token_type_embeddings.weight", "token_types.weight", false)?;
    for part in ["weight", "bias"] {
        put(&mut writer, &format!("embeddings.LayerNorm.{part}"), &format!("token_embd_norm.{part}"), false)?;
    }
    for layer in 0..config.layers {
        for (from, to) in PARTS {
            for part in ["weight", "bias"] {
                let is_matrix = part == "weight" && !from.ends_with("LayerNorm");
                let (from, to) = (format!("encoder.layer.{layer}.{from}.{part}"), format!("blk.{layer}.{to}.{part}"));
                put(&mut writer, &from, &to, is_matrix)?;
            }
        }
    }
    Ok(writer.finish())
}

/// Refuses what the layout does not support. Returns the number of the pooling.
fn check(bundle: &Bundle) -> Result<u32, Error> {
    let config = &bundle.config;
    let no = |what: String, way_out| Err(Error::Unsupported { format: FORMAT, what, way_out });
    const GRAPH: &str = "export it as an ONNX graph, which supports it";
    if config.family != Family::Bert {
        return no(format!("an encoder of the family {:?}", config.family), GRAPH);
    }
    if config.head != Head::None && !config.encodes_pairs_separately() {
        return no("models with a head (it gives vectors alone)".into(), GRAPH);
    }
    if config.activation == Activation::Relu {
        return no("ReLU between the dense layers".into(), GRAPH);
    }
    if !bundle.projections.is_empty() {
        return no("dense layers over the vector".into(), GRAPH);
    }
    let mode = if config.encodes_pairs_separately() { Some(PoolingMode::Mean) } else { bundle.pooling.map(|p| p.mode) };
    match mode {
        None => Ok(0),
        Some(PoolingMode::Mean) => Ok(1),
        Some(PoolingMode::Cls) => Ok(2),
        Some(PoolingMode::LastToken) => Ok(3),
        Some(other) => no(format!("the pooling {other:?}"), GRAPH),
    }
}
