//! A batch of token ids on a device.

use attar_model::EncoderConfig;
use attar_text::batch::Batch;
use burn::tensor::{Device, Int, Tensor};

use super::layout::{Geometry, Layout, indices};

/// Token ids, types and positions `[N]` of a batch and how its sequences lie.
#[derive(Debug, Clone)]
pub struct Input {
    /// The ids on this side, for gradients of looked-up rows.
    id_list: Vec<u32>,
    type_list: Vec<u32>,
    pub(super) ids: Tensor<1, Int>,
    pub(super) types: Tensor<1, Int>,
    pub(super) positions: Tensor<1, Int>,
    /// Of which token rows logits are wanted.
    pub(super) guesses: Guesses,
    /// The lengths, with their index tensors.
    pub geometry: Geometry,
}

/// Of which token rows a head that answers by token computes logits.
#[derive(Debug, Clone)]
pub(super) enum Guesses {
    All,
    Rows(Box<Tensor<1, Int>>),
    None,
}

impl Input {
    /// A batch without padding.
    ///
    /// Ids, types and lengths must fit the config: they come from a tokenizer that was checked
    /// against it when the plan was made.
    pub fn ragged(batch: &Batch, config: &EncoderConfig, device: &Device) -> Input {
        Input::new(batch, Layout::ragged(&batch.lengths), config, device)
    }

    /// A batch in which every sequence is padded to the longest and padding counts as rows: what
    /// the published TinyBERT code computes its losses on.
    pub fn padded(batch: &Batch, config: &EncoderConfig, device: &Device) -> Input {
        Input::new(batch, Layout::padded(&batch.lengths), config, device)
    }

    /// With logits by token, of tags or masked pieces, of these token rows `[M]` alone: over a vocabulary of 30,000 the head costs as much
    /// as six layers of 384.
    ///
    /// Rows are those of a batch without padding.
    #[must_use]
    pub fn guessing(self, rows: &[u32]) -> Input {
        let rows: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
        let device = self.ids.device();
        Input { guesses: Guesses::Rows(Box::new(indices(&rows, &device))), ..self }
    }

    /// Without masked-language-model logits.
    #[must_use]
    pub fn without_guesses(self) -> Input {
        Input { guesses: Guesses::None, ..self }
    }

    /// Token types of the stored rows, `[N]`.
    pub(crate) fn types(&self) -> &[u32] {
        &self.type_list
    }

    /// Token ids of the stored rows, `[N]`.
    pub fn ids(&self) -> &[u32] {
        &self.id_list
    }

    fn new(batch: &Batch, layout: Layout, config: &EncoderConfig, device: &Device) -> Input {
        let rows = layout.rows();
        let pad = config.pad_id as usize;
        let [mut ids, mut types, mut positions] = [(); 3].map(|()| Vec::with_capacity(rows));
        let mut next = 0;
        for (&stored, &real) in layout.stored().iter().zip(layout.real()) {
            for i in 0..stored {
                let padding = i >= real;
                ids.push(if padding { pad } else { batch.ids[next + i] as usize });
                types.push(if padding { 0 } else { batch.types[next + i] as usize });
                positions.push(match padding && config.family.counts_positions_from_padding() {
                    true => pad,
                    false => i + config.position_offset(),
                });
            }
            next += real;
        }
        let id_list = ids.iter().map(|&id| id as u32).collect();
        let type_list = types.iter().map(|&id| id as u32).collect();
        let [ids, types, positions] = [ids, types, positions].map(|values: Vec<usize>| indices(&values, device));
        Input {
            id_list,
            type_list,
            ids,
            types,
            positions,
            guesses: Guesses::All,
            geometry: Geometry::new(layout, device),
        }
    }
}
