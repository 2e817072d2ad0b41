//! A model with a part of its vocabulary.

use attar_model::{EncoderConfig, Family, Head, Tensor, TrimError, Weights, expected_shapes, keep_pieces};

fn config(head: Head) -> EncoderConfig {
    let config = EncoderConfig {
        layers: 1,
        hidden: 4,
        heads: 2,
        feed_forward: 8,
        vocabulary: 6,
        positions: 8,
        pad_id: 1,
        ..EncoderConfig::bert_base()
    };
    config.with_head(head)
}

/// Every number is different.
fn weights(config: &EncoderConfig) -> Weights {
    let mut next = 0;
    let mut tensor = |shape: Vec<usize>| {
        let length: usize = shape.iter().product();
        next += length;
        Tensor::new(shape, (next - length..next).map(|number| number as f32).collect())
    };
    expected_shapes(config).into_iter().map(|(name, shape)| (name, tensor(shape))).collect()
}

#[test]
fn rows_of_pieces_stay_in_their_order() {
    for head in [Head::None, Head::Pretraining] {
        let (mut small, before) = (config(head.clone()), config(head.clone()));
        let whole = weights(&before);
        let mut trimmed = whole.clone();
        keep_pieces(&mut small, &mut trimmed, &[0, 1, 4]).unwrap();
        assert_eq!(small, EncoderConfig { vocabulary: 3, ..before });
        trimmed.check(&small).unwrap();
        let rows = &trimmed.get("embeddings.word_embeddings.weight").unwrap().data;
        assert_eq!(rows, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 16.0, 17.0, 18.0, 19.0]);
        let of_vocabulary = ["embeddings.word_embeddings.weight", "cls.predictions.bias"];
        for (name, tensor) in whole.iter().filter(|(name, _)| !of_vocabulary.contains(name)) {
            assert_eq!(trimmed.get(name), Some(tensor), "{name}");
        }
        if head == Head::Pretraining {
            let bias = &whole.get("cls.predictions.bias").unwrap().data;
            assert_eq!(trimmed.get("cls.predictions.bias").unwrap().data, [bias[0], bias[1], bias[4]]);
        }
    }
}

#[test]
fn padding_gets_its_new_id() {
    let mut small = config(Head::None);
    let mut trimmed = weights(&small);
    keep_pieces(&mut small, &mut trimmed, &[5, 3, 1]).unwrap();
    assert_eq!((small.pad_id, small.vocabulary), (2, 3));
    assert_eq!(trimmed.get("embeddings.word_embeddings.weight").unwrap().data[..4], [20.0, 21.0, 22.0, 23.0]);
}

#[test]
fn what_cannot_be_trimmed_stays_as_it_is() {
    let refused = |config: EncoderConfig, kept: &[u32]| {
        let (mut small, mut trimmed) = (config.clone(), weights(&config));
        let error = keep_pieces(&mut small, &mut trimmed, kept).unwrap_err();
        assert_eq!((small, trimmed), (config.clone(), weights(&config)));
        error
    };
    assert_eq!(
        refused(config(Head::None), &[1, 6]).to_string(),
        "piece 6 is to stay, but the model has 6: was the tokenizer trimmed that belongs to it?"
    );
    assert_eq!(
        refused(config(Head::None), &[0, 2]).to_string(),
        "the padding piece 1 does not stay, expected it among the 2 that do"
    );
    let roberta = EncoderConfig { family: Family::Roberta, types: 1, ..config(Head::None) };
    assert_eq!(refused(roberta.clone(), &[1, 2]), TrimError::PaddingMoves { from: 1, to: 0 });
    let mpnet = EncoderConfig { family: Family::MpNet, types: 0, ..roberta.clone() };
    assert_eq!(refused(mpnet, &[1, 2]), TrimError::PaddingMoves { from: 1, to: 0 });
    assert!(keep_pieces(&mut roberta.clone(), &mut weights(&roberta), &[0, 1, 5]).is_ok());
    let (mut other, mut of_another) =
        (EncoderConfig { vocabulary: 7, ..config(Head::None) }, weights(&config(Head::None)));
    assert!(matches!(keep_pieces(&mut other, &mut of_another, &[1]), Err(TrimError::Weights(_))));
}
