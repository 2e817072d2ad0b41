//! The counts of the papers: parameters and operations.

use attar_model::{EncoderConfig, Family, Head, Size, Target, flops};
use attar_testing::assert_close_relative;

fn bert(layers: usize, hidden: usize, heads: usize) -> EncoderConfig {
    EncoderConfig { layers, hidden, heads, feed_forward: 4 * hidden, ..EncoderConfig::bert_base() }
}

fn tinybert4() -> EncoderConfig {
    EncoderConfig { feed_forward: 1200, ..bert(4, 312, 12) }
}

fn electra(hidden: usize, embedding: Option<usize>, heads: usize) -> EncoderConfig {
    EncoderConfig { family: Family::Electra, pooler: false, embedding, ..bert(12, hidden, heads) }
}

fn without_pooler(config: EncoderConfig) -> EncoderConfig {
    EncoderConfig { pooler: false, ..config }
}

fn two_classes() -> Head {
    Head::Classification { target: Target::Labels(vec!["a".into(), "b".into()]) }
}

fn parameters(config: &EncoderConfig) -> usize {
    config.validate().unwrap();
    Size::of(config).parameters()
}

#[test]
fn parameter_counts() {
    let base = EncoderConfig::bert_base;
    let small_vocabulary = |config| EncoderConfig { vocabulary: 4_928, ..config };
    let distilbert6 = EncoderConfig { family: Family::DistilBert, types: 0, pooler: false, ..bert(6, 768, 12) };
    let mpnet =
        EncoderConfig { family: Family::MpNet, types: 0, pad_id: 1, vocabulary: 30_527, positions: 514, ..base() };
    let mindspore = bert(4, 384, 12);
    let cases = [
        ("BERT-base", base(), 109_482_240),
        ("BERT-base without pooler", without_pooler(base()), 108_891_648),
        ("BERT-base with pre-training heads", base().with_head(Head::Pretraining), 110_106_428),
        ("BERT-base with two classes", base().with_head(two_classes()), 109_483_778),
        ("BERT-large", bert(24, 1024, 16), 335_141_888),
        ("TinyBERT4", tinybert4(), 14_350_248),
        ("TinyBERT4 with two classes", tinybert4().with_head(two_classes()), 14_350_874),
        ("TinyBERT4 with pre-training heads", tinybert4().with_head(Head::Pretraining), 14_479_676),
        ("TinyBERT6", bert(6, 768, 12), 66_955_008),
        ("TinyBERT6 without pooler", without_pooler(bert(6, 768, 12)), 66_364_416),
        ("DistilBERT6", distilbert6, 66_362_880),
        ("MPNet-base", mpnet.clone(), 109_486_464),
        ("MPNet-base without pooler", without_pooler(mpnet), 108_895_872),
        // As transformers counts google/electra-small-discriminator's and electra-base-discriminator's encoders.
        ("ELECTRA-small", electra(256, Some(128), 4), 13_483_008),
        ("ELECTRA-base", electra(768, None, 12), 108_891_648),
        ("BERT4-PKD", bert(4, 768, 12), 52_779_264),
        ("BERT4-PKD without pooler", without_pooler(bert(4, 768, 12)), 52_188_672),
        ("BERT-Small", bert(4, 512, 8), 28_763_648),
        ("BERT-Small with pre-training heads", bert(4, 512, 8).with_head(Head::Pretraining), 29_058_876),
        ("BERT-Tiny", bert(2, 128, 2), 4_385_920),
        ("BERT-Mini", bert(4, 256, 4), 11_170_560),
        ("BERT-Medium", bert(8, 512, 8), 41_373_184),
        ("MindSpore's TinyBERT", mindspore, 19_164_288),
        ("extreme 48", small_vocabulary(bert(12, 48, 12)), 602_928),
        ("extreme 96", small_vocabulary(bert(12, 96, 12)), 1_874_016),
        ("extreme 192", small_vocabulary(bert(12, 192, 12)), 6_420_672),
        ("mixed vocabulary, 6 layers", small_vocabulary(bert(6, 256, 4)), 6_198_016),
        ("mixed vocabulary, 12 layers", small_vocabulary(bert(12, 256, 4)), 10_936_576),
        ("6 layers, full vocabulary", bert(6, 256, 4), 12_750_080),
        ("12 layers, full vocabulary", bert(12, 256, 4), 17_488_640),
    ];
    for (name, config, expected) in cases {
        assert_eq!(parameters(&config), expected, "{name}");
    }
}

#[test]
fn tinyberts_files_hold_projections_besides() {
    // One dense layer 312 -> 768 in version 1, one for each of the five levels in version 2.
    let projection = 312 * 768 + 768;
    assert_eq!(parameters(&tinybert4().with_head(two_classes())) + projection, 14_591_258);
    let general = parameters(&tinybert4().with_head(Head::Pretraining));
    assert_eq!((general + projection, general + 5 * projection), (14_720_060, 15_681_596));
}

#[test]
fn groups_and_bytes() {
    let size = Size::of(&tinybert4());
    // What TinyBERT's readers call "non-embedding": layers, pooler and all layer normalizations.
    let embeddings = size.word_embeddings + size.position_embeddings + 2 * 312;
    assert_eq!(
        size.parameters() - embeddings - size.pooler,
        4 * (4 * (312 * 312 + 312) + 4 * 312 + 2 * 312 * 1200 + 1200 + 312)
    );
    assert_eq!(size.word_embeddings, 30_522 * 312);
    assert_eq!(size.position_embeddings, 514 * 312);
    assert_eq!(size.layer_norm, 2 * 312 * 9);
    assert_eq!((size.bytes_f32(), size.bytes_f16()), (57_400_992, 28_700_496));
    let rows = 30_522 + 514 + 4 * (4 * 312 + 1200 + 312) + 312;
    assert_eq!(size.matrix_rows, rows);
    let vectors = size.parameters() - size.in_matrices;
    assert_eq!(size.bytes_int8(), size.in_matrices + 4 * rows + 4 * vectors);
    assert!(size.bytes_int8() * 7 < size.bytes_f32() * 2);

    let electra = Size::of(&electra(256, Some(128), 4));
    assert_eq!((electra.word_embeddings, electra.position_embeddings), (30_522 * 128, 514 * 128));
    assert_eq!((electra.embedding_projection, electra.layer_norm), (128 * 256 + 256, 2 * 128 + 12 * 4 * 256));

    let head = Size::of(&tinybert4().with_head(Head::MaskedLm));
    assert_eq!((head.head, head.pooler), (312 * 312 + 3 * 312 + 30_522, 0));
}

#[test]
fn operations_agree_with_the_papers() {
    // TinyBERT, table 1: what is printed has two or three digits, so 4 %.
    for (name, config, printed) in [
        ("BERT-base", EncoderConfig::bert_base(), 22.5e9),
        ("TinyBERT4", tinybert4(), 1.2e9),
        ("TinyBERT6", bert(6, 768, 12), 11.3e9),
        ("BERT4-PKD", bert(4, 768, 12), 7.6e9),
        ("BERT-Small", bert(4, 512, 8), 3.4e9),
    ] {
        assert_close_relative(name, flops(&config, 128).encoder(), printed, 0.04);
    }
    // Our own figures, to the digits they are noted with.
    let ours = |config: &EncoderConfig| flops(config, 128).encoder();
    for (config, noted) in [
        (EncoderConfig::bert_base(), 22.35e9),
        (tinybert4(), 1.247e9),
        (bert(6, 768, 12), 11.18e9),
        (bert(4, 768, 12), 7.45e9),
        (bert(4, 512, 8), 3.36e9),
    ] {
        assert_close_relative("noted", ours(&config), noted, 2e-3);
    }
    let base = ours(&EncoderConfig::bert_base());
    for (config, ratio, macs) in [
        (tinybert4(), 17.9, 0.6235e9),
        (bert(12, 48, 12), 182.0, 0.061e9),
        (bert(12, 96, 12), 53.8, 0.208e9),
        (bert(12, 192, 12), 14.8, 0.755e9),
    ] {
        assert_close_relative("ratio", base / ours(&config), ratio, 4e-3);
        assert_close_relative("MACs", ours(&config) / 2.0, macs, 8e-3);
    }
}

#[test]
fn heads_cost_what_their_matrices_cost() {
    let base = EncoderConfig::bert_base;
    let parts = flops(&base().with_head(two_classes()), 128);
    assert_eq!((parts.pooler, parts.head), (2.0 * 768.0 * 768.0, 2.0 * 768.0 * 2.0));
    assert_eq!(parts.total(), parts.encoder() + parts.pooler + parts.head);
    let masked_lm = flops(&base().with_head(Head::MaskedLm), 10);
    assert_eq!((masked_lm.pooler, masked_lm.head), (0.0, 2.0 * 10.0 * 768.0 * (768.0 + 30_522.0)));
    let tagger = flops(&base().with_head(Head::TokenClassification { labels: vec!["o".into(); 7] }), 10);
    assert_eq!(tagger.head, 2.0 * 10.0 * 768.0 * 7.0);
    assert_eq!(flops(&base(), 0).encoder(), 0.0);
}

#[test]
fn a_quantized_file_is_its_numbers_and_a_header() {
    use attar_model::quantized::{Int4Group, Storage, file_length};
    for config in [tinybert4(), bert(12, 48, 12), tinybert4().with_head(Head::MaskedLm)] {
        let size = Size::of(&config);
        let header = |length: usize, numbers: usize| length.checked_sub(numbers).unwrap();
        let int8 = header(file_length(&config, Storage::int8_matrices), size.bytes_int8());
        let f32 = header(file_length(&config, |_| Storage::F32), size.bytes_f32());
        let f16 = header(file_length(&config, |_| Storage::F16), size.bytes_f16());
        for bytes in [int8, f32, f16] {
            assert!((1_000..40_000).contains(&bytes), "{bytes}");
        }
        // Half the bytes of the word embeddings, the scales as they were or one for each 32 columns.
        let words = |group| {
            file_length(&config, |name| match name {
                "embeddings.word_embeddings.weight" => Storage::Int4(group),
                _ => Storage::int8_matrices(name),
            })
        };
        let saved = file_length(&config, Storage::int8_matrices) - words(Int4Group::Row);
        assert!(saved.abs_diff(size.word_embeddings / 2) < 1_000, "{saved}");
        let groups = config.hidden.div_ceil(32) - 1;
        let more = words(Int4Group::Columns32) - words(Int4Group::Row);
        assert!(more.abs_diff(4 * groups * config.vocabulary) < 1_000, "{more}");
    }
}
